// Turns an assignment of the pool into the AgentTask that carries it out, and an assignment's id into the name of its task.
// The name is derived, so an assignment that is offered again finds its task and makes no second one.
// Used by controller/reconcile/execute, controller/pool, core/task/offer, core/manifest/admission/admission-references and core/reconcile/start-trouble.
import { Option, Schema } from "effect"
import { type Assignment, assignmentId } from "../../schema/api/pool-api.ts"
import { type AgentTaskSpec, mutates } from "../../schema/task/agent-task.ts"
import { doesTheSame } from "./task-spec.ts"

const nameOf = (runId: string, stage: string, attempt: number): string =>
  attempt === 1 ? `${runId}-${stage}` : `${runId}-${stage}-${attempt}`

export const taskName = ({ attempt, runId, stage }: Assignment): string => nameOf(runId, stage, attempt)

/** Returns the name of the task that an assignment's id, `<run>.<stage>.<attempt>`, stands for; none for any other text. */
export const taskNameOfId = (id: string): Option.Option<string> =>
  Option.map(
    Option.fromNullishOr(/^(run-[a-z0-9]+)\.([a-z]+)\.(\d+)$/u.exec(id)),
    ([, runId, stage, attempt]) => nameOf(runId ?? "", stage ?? "", Number(attempt))
  )

/** Keeps a deleted task of a pool until the pool knows how it ended. */
export const poolFinalizer = "scalr.io/report"

export const tokenSecretName = (task: string): string => `${task}-token`

/** A regular expression, in syntax that Go has too, which the token Secret's name of every pool task matches. */
export const tokenSecretPattern = "^run-[a-z0-9]+-(plan|apply|destroy)(-[0-9]+)?-token$"

/** Reports whether the assignment can become a task. An apply without an approved plan cannot: there is nothing that it may run. */
export const isRunnable = ({ planSha256, stage }: Assignment): boolean => (planSha256 !== undefined) === mutates(stage)

export const specOf = (assignment: Assignment, url: string): AgentTaskSpec => {
  const { archiveSha256, attempt, engine, options, planSha256, runId, stage, workingDirectory, workspace } = assignment
  return {
    workspace,
    stage,
    attempt,
    source: { pool: { archiveSha256 } },
    pool: { url, runId, tokenSecret: { name: tokenSecretName(taskName(assignment)) } },
    ...(engine !== undefined && { engine }),
    ...(options !== undefined && { options }),
    ...(planSha256 !== undefined && { plan: { sha256: planSha256 } }),
    ...(workingDirectory !== undefined && { workingDirectory })
  }
}

/**
 * Reports whether a task of the derived name carries out this very assignment, since anyone can use the name, also with the run's id and
 * options or a template of their own, which would then get the run's token. The pool's URL may differ, because it can change.
 */
export const carriesOut = (spec: AgentTaskSpec, assignment: Assignment): boolean =>
  doesTheSame(spec, specOf(assignment, spec.pool?.url ?? ""))

/** What of a spec tells whose stage it is. */
const ofStage = Schema.decodeUnknownOption(Schema.Struct({
  stage: Schema.String,
  attempt: Schema.optionalKey(Schema.Int),
  pool: Schema.Struct({ runId: Schema.String })
}))

/** Reports whether a task with this spec, which only a newer version may understand, belongs to the assignment with this id. */
export const belongsToAssignment = (spec: unknown, id: string): boolean =>
  Option.exists(ofStage(spec), ({ attempt = 1, pool, stage }) => assignmentId(pool.runId, stage, attempt) === id)
