// One stage from its claim to its result: provision, the engine's commands in order, and what all of it came to.
// Always holds: whatever goes wrong ends as a result with a reason of the closed list; `succeeded` needs every command to end with 0.
// Used by worker/worker.ts.
import { join } from "node:path"
import { type Cause, Effect, Layer, Option } from "effect"
import { plannedChanges, type PlannedChanges } from "../core/plan-changes.ts"
import { stopMessage } from "../core/outcome.ts"
import { stageCommands } from "../core/stage-commands.ts"
import type { AgentTask } from "../schema/agent-task.ts"
import type { StageResult } from "../schema/stage-result.ts"
import { Engine, execLoopFailure, StageStopped, type Workplace } from "./engine.ts"
import { ExecLoop } from "./exec-loop.ts"
import { Log } from "./log-shipper.ts"
import { makeEngineFolders, provision } from "./provision.ts"
import { Settings } from "./settings.ts"
import { StageFailed } from "./stage-failed.ts"
import { Stop } from "./stop.ts"
import { type Variables, variablesOf } from "./variables.ts"

export type Outcome = Omit<StageResult, "finishedAt">

const printed = (bytes: Uint8Array) => Effect.callback<void>((resume) => void process.stdout.write(bytes, () => resume(Effect.void)))

/** What the stage came to; never fails. */
export const runStage = Effect.fn("Stage.run")(function*(task: AgentTask) {
  const variables = yield* variablesOf(task.spec.variables ?? [], [])
  const log = Log.layer({ secrets: variables.secrets, ship: Option.none(), print: printed })
  const { dataDirectory, runnerPatience } = yield* Settings
  const execLoop = ExecLoop.layer({ directory: join(dataDirectory, "exec"), startDeadline: runnerPatience })
  return yield* stage(task, variables).pipe(
    Effect.provide(Layer.provide(Engine.layer, execLoop)),
    Effect.catchTags({ StageFailed: failed, StageStopped: stopped, ExecLoopError: (error) => failed(execLoopFailure(error)) }),
    Effect.tap((outcome) => outcome.outcome === "succeeded" ? Effect.void : Effect.flatMap(Log, ({ line }) => line(`\n\u001b[1m${outcome.message}\u001b[0m`))),
    Effect.provide(log)
  )
}, Effect.catchTag("StageFailed", (failure) => failed(failure)), Effect.catchCause((cause) => unexpected(cause)))

const stage = Effect.fnUntraced(function*({ spec }: AgentTask, variables: Variables) {
  const engine = yield* Engine
  const log = yield* Log
  const { pod } = yield* Settings
  const name = spec.engine?.name ?? "tofu"
  const folders = yield* makeEngineFolders()
  const env = {
    ...variables.env,
    HOME: folders.home,
    TMPDIR: folders.temporary,
    TF_DATA_DIR: folders.data,
    TF_IN_AUTOMATION: "1",
    TF_INPUT: "0",
    CHECKPOINT_DISABLE: "1"
  }
  const [version, place] = yield* Effect.all([
    engine.version({ engine: name, directory: folders.home, env }),
    untilStopped(provision(spec, variables, Option.none()))
  ], { concurrency: 2 })
  if (spec.engine?.version !== undefined && spec.engine.version !== version) {
    return yield* new StageFailed({
      reason: "InvalidConfiguration",
      message: `The runner image has ${name} ${version}, but the task asks for ${spec.engine.version}; use another image or leave engine.version out.`
    })
  }
  yield* log.line(`Worker: Pod ${pod.name} on node ${pod.node}`)
  yield* log.line(`Engine: ${name} ${version}`)
  yield* log.line(`Workspace: ${spec.workspace}, ${spec.stage}`)
  yield* Effect.forEach(variables.shown, (variable) => log.line(`The value of ${variable} is too short to be kept out of this log.`))

  const workplace: Workplace = { engine: name, directory: place.path, env }
  let planned = Option.none<PlannedChanges>()
  for (const command of stageCommands({ stage: spec.stage, options: spec.options, savedPlan: false })) {
    const { captured } = yield* engine.run(workplace, command)
    if (command.subcommand === "show") planned = Option.flatMap(captured, (json) => plannedChanges(json, spec.options?.refreshOnly === true))
  }
  const succeeded: Outcome = {
    outcome: "succeeded",
    reason: "Completed",
    message: `${name} ${spec.stage} ended with success.`,
    exitCode: 0,
    ...Option.getOrElse(planned, () => ({}))
  }
  return succeeded
}, Effect.scoped)

/** Ends the effect when the stage has to stop. */
const untilStopped = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Stop, ({ asked }) => Effect.raceFirst(effect, Effect.flatMap(asked, (cause) => Effect.fail(new StageStopped({ cause, during: Option.none() })))))

const exitCodeOf = ({ exitCode }: { readonly exitCode?: number }) => exitCode === undefined ? {} : { exitCode }

const failed = (failure: StageFailed): Effect.Effect<Outcome> =>
  Effect.succeed({ outcome: "failed", reason: failure.reason, message: failure.message, ...exitCodeOf(failure) })

const stopped = (stop: StageStopped): Effect.Effect<Outcome> =>
  Effect.succeed({ outcome: stop.cause === "Cancelled" ? "cancelled" : "failed", reason: stop.cause, message: stopMessage(stop.cause, stop.during), ...exitCodeOf(stop) })

/** A mistake of ours: all that is known is that nothing more will come. */
const unexpected = (cause: Cause.Cause<unknown>): Effect.Effect<Outcome> =>
  Effect.as(Effect.logError("The stage ended unexpectedly", cause), {
    outcome: "failed",
    reason: "Lost",
    message: "The worker met an error that it does not know; look at its log, and at the state before the next run."
  } satisfies Outcome)
