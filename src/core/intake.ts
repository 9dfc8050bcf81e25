// From an assignment of the pool to the AgentTask that carries it out, and back from the assignment's id to the task's name.
// The name is derived, so an assignment that is offered again finds its task and makes no second one.
// Used by controller/pool-intake, controller/execute, controller/pool-reports and core/manifest/admission-references.
import { Option } from "effect"
import { type AgentTaskSpec, mutates } from "../schema/agent-task.ts"
import { type Assignment, assignmentId } from "../schema/pool-api.ts"
import { doesTheSame } from "./task-spec.ts"

const nameOf = (runId: string, stage: string, attempt: number): string =>
  attempt === 1 ? `${runId}-${stage}` : `${runId}-${stage}-${attempt}`

export const taskName = ({ attempt, runId, stage }: Assignment): string => nameOf(runId, stage, attempt)

/** The task that an assignment's id, `<run>.<stage>.<attempt>`, stands for; none for anything else. */
export const taskNameOfId = (id: string): Option.Option<string> =>
  Option.map(
    Option.fromNullishOr(/^(run-[a-z0-9]+)\.(plan|apply|destroy)\.(\d+)$/u.exec(id)),
    ([, runId, stage, attempt]) => nameOf(runId ?? "", stage ?? "", Number(attempt))
  )

/** Keeps a deleted task of a pool until the pool knows how it ended. */
export const poolFinalizer = "scalr.io/report"

export const tokenSecretName = (task: string): string => `${task}-token`

/** What every such name of a task of the pool matches, as a regular expression in the words that Go has too. */
export const tokenSecretPattern = "^run-[a-z0-9]+-(plan|apply|destroy)(-[0-9]+)?-token$"

/** An apply without an approved plan is not a task: there is nothing it would be allowed to run. */
export const isRunnable = ({ planSha256, stage }: Assignment): boolean => (planSha256 !== undefined) === mutates(stage)

export const specOf = (assignment: Assignment, url: string): AgentTaskSpec => {
  const { archiveSha256, attempt, engine, options, planSha256, runId, stage, timeoutSeconds, workingDirectory, workspace } = assignment
  return {
    workspace,
    stage,
    attempt,
    source: { pool: { archiveSha256 } },
    pool: { url, runId, tokenSecret: { name: tokenSecretName(taskName(assignment)) } },
    ...(engine !== undefined && { engine }),
    ...(options !== undefined && { options }),
    ...(planSha256 !== undefined && { plan: { sha256: planSha256 } }),
    ...(timeoutSeconds !== undefined && { timeoutSeconds }),
    ...(workingDirectory !== undefined && { workingDirectory })
  }
}

/**
 * Whether a task of the derived name carries out this very assignment: a name alone can be anybody's. The pool may have got another URL.
 */
export const carriesOut = (spec: AgentTaskSpec, assignment: Assignment): boolean =>
  doesTheSame(spec, specOf(assignment, spec.pool?.url ?? ""))

/** Whether a task is of the stage that an assignment's id means. */
export const isOf = ({ attempt = 1, pool, stage }: AgentTaskSpec, id: string): boolean =>
  pool !== undefined && assignmentId(pool.runId, stage, attempt) === id
