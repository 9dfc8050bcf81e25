// One stage from its claim to its result: provision, the engine's commands in order, and the outcome.
// Always holds: every failure becomes a result with a reason from the closed list; `succeeded` needs every command to end with 0.
// Used by worker/stage/worker.ts.
import { type Cause, Context, Effect, Layer, Option, Ref, type Scope } from "effect"
import { join } from "node:path"
import { idleArguments, printsJson } from "../../core/stage/engine-arguments.ts"
import { fromEvent, fromLog } from "../../core/stage/engine-events.ts"
import { plannedEntries } from "../../core/stage/journal.ts"
import { stopMessage } from "../../core/stage/outcome.ts"
import { type Creation, plannedChanges } from "../../core/stage/plan-changes.ts"
import { showWorkspace, type StageCommand, stageCommands, tellsEvents } from "../../core/stage/stage-commands.ts"
import { withLeft } from "../../core/state/left-over-message.ts"
import { type AgentTaskSpec, defaultTimeoutSeconds } from "../../schema/task/agent-task.ts"
import type { StageResult } from "../../schema/task/stage-result.ts"
import type { Backing } from "../backing/backing.ts"
import { marksOf, packCarried } from "../backing/carried-files.ts"
import { tellUnusedBackend } from "../backing/unused-backend.ts"
import { printed } from "../engine/container-output.ts"
import { Engine, execLoopFailure, StageStopped, type Workplace } from "../engine/engine.ts"
import { ExecLoop } from "../engine/exec-loop.ts"
import { type Journal, makeJournal } from "../engine/journal.ts"
import { Log } from "../engine/log-shipper.ts"
import { Settings } from "../settings.ts"
import { exitCodeOf, invalid, type StageFailed } from "../stage-failed.ts"
import { Stop } from "../task/stop.ts"
import { providerMirrors } from "./provider-mirrors.ts"
import { makeEngineFolders, provision } from "./provision.ts"
import { sealOf, unbroken } from "./seal.ts"
import { type Facts, makeSettlement } from "./settlement.ts"
import { type Variables, variablesOf } from "./variables.ts"

export type Outcome = Omit<StageResult, "finishedAt">

/** The outcome of the stage, and how to wait until the server has its log. */
export interface Ended {
  readonly outcome: Outcome
  readonly flushLog: Log["Service"]["flush"]
}

/** Runs the stage. Never fails: every failure, also one of `backing`, becomes the outcome. The log goes on until the scope closes. */
export const runStage = Effect.fn("Stage.run")(
  function*<R>(
    spec: AgentTaskSpec,
    backing: Effect.Effect<Backing, StageFailed, R>
  ): Effect.fn.Return<Ended, StageFailed | StageStopped, R | Stop | Settings | Scope.Scope> {
    const behind = yield* untilStopped(backing)
    const variables = yield* variablesOf(spec.variables ?? [], behind.variables)
    const { dataDirectory, runnerPatience } = yield* Settings
    const { because } = yield* Stop
    const facts = yield* Ref.make<Facts>({})
    const logging = yield* Layer.build(
      Log.layer({ secrets: [...variables.secrets, ...behind.secrets], parts: variables.parts, ship: behind.ship, print: printed })
    )
    const log = Context.get(logging, Log)
    const outcome = yield* stage(spec, behind, variables, facts).pipe(
      Effect.provide(
        Layer.provide(
          Engine.layer,
          ExecLoop.layer({ directory: join(dataDirectory, "exec"), startDeadline: runnerPatience, onCrowded: because("OutOfMemory") })
        )
      ),
      Effect.catchTag("ExecLoopError", (error) => Effect.fail(execLoopFailure(error))),
      Effect.provide(logging),
      orItsFailure
    )
    const { unsavedEffects = "", ...known } = yield* Ref.get(facts)
    const message = withLeft(log.redact(outcome.message), unsavedEffects)
    if (outcome.outcome !== "succeeded") yield* log.line(`\n\u001b[1m${message}\u001b[0m`)
    return { outcome: { ...outcome, ...known, message }, flushLog: log.flush }
  },
  (effect) =>
    Effect.catchCause(
      effect,
      (cause) => Effect.map(orItsFailure(Effect.failCause(cause)), (outcome): Ended => ({ outcome, flushLog: () => Effect.void }))
    )
)

const stage = Effect.fnUntraced(function*(spec: AgentTaskSpec, backing: Backing, variables: Variables, facts: Ref.Ref<Facts>) {
  const engine = yield* Engine
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
  const idle = idleArguments(variables.env)
  if (Option.isSome(idle)) return yield* invalid(idle.value)
  const { approved, place } = yield* untilStopped(bring(spec, variables, backing))
  // Asked where its commands will run: an image's version manager picks the engine by what the configuration says.
  const { name, version } = yield* engine.find(Option.fromUndefinedOr(spec.engine?.name), { directory: place.path, env })
  yield* introduce(spec, name, version, variables.shown)
  const unused = yield* tellUnusedBackend(spec, place, backing.sealing.state)
  yield* Ref.update(facts, (_) => ({ ..._, ...unused }))
  const sealNow = sealOf(place, { name, version }, variables, backing.sealing)
  const asApproved = untilStopped(
    Option.match(approved, { onNone: () => Effect.void, onSome: (sealed) => Effect.flatMap(sealNow, (now) => unbroken(sealed, now)) })
  )
  yield* asApproved
  const keeping = yield* Effect.transposeOption(
    Option.map(
      spec.stage === "plan" ? backing.keepPlan : Option.none(),
      (keep) => Effect.map(marksOf(place.root), (before) => ({ keep, before }))
    )
  )

  const mirrors = yield* providerMirrors(folders.temporary, env)
  const workplace: Workplace = { engine: name, directory: place.path, env }
  const journal = yield* makeJournal(yield* Log, backing.sendJournal)
  const settlement = makeSettlement({ backing, journal, facts })
  const commands = stageCommands({
    stage: spec.stage,
    keeper: spec.pool === undefined ? "backend" : "server",
    options: spec.options,
    savedPlan: Option.isSome(approved),
    modules: Option.exists(approved, ({ modules }) => modules !== undefined) ? "plan" : "sources",
    events: tellsEvents(name, version) && !printsJson(variables.env)
  })
  for (const command of commands) {
    if (command.subcommand !== "init") yield* backing.mayRun(command, folders.data, workspaceOf(engine, workplace))
    if (command.mutates) yield* asApproved // again: init may have changed the directory, and another client the state
    const done = yield* Effect.exit(perform(workplace, command, [mirrors, backing], journal))
    if (command.mutates) yield* settlement.after(done, place)
    const captured = yield* done
    if (command.subcommand === "show") {
      const planned = plannedOf(spec, captured)
      yield* Ref.update(
        facts,
        (_) => ({ ..._, ...Option.match(planned, { onNone: () => ({}), onSome: ({ changes, hasChanges }) => ({ changes, hasChanges }) }) })
      )
      yield* untilStopped(tellPlanned(Option.map(planned, ({ creations }) => creations), journal, Option.isSome(backing.sendJournal)))
    }
  }
  if (Option.isSome(keeping)) {
    const { before, keep } = keeping.value
    yield* untilStopped(packCarried(place, before))
    const planDigest = yield* untilStopped(Effect.flatMap(sealNow, (seal) => keep(place, seal)))
    yield* Ref.update(facts, (_) => ({ ..._, planDigest }))
  }
  return { outcome: "succeeded", reason: "Completed", message: `${name} ${spec.stage} ended with success.`, exitCode: 0 } satisfies Outcome
}, Effect.scoped)

/**
 * Tells the server what an apply of the plan will create, so that the server knows what to look for if the apply's worker vanishes with its
 * journal. Best effort: the plan is useful without this.
 */
export const tellPlanned = Effect.fnUntraced(
  function*(creations: Option.Option<ReadonlyArray<Creation>>, journal: Journal, hasServer: boolean) {
    const { poolPatience } = yield* Settings
    if (Option.isNone(creations)) {
      yield* (yield* Log).line(
        "What this plan changes is not counted: its JSON is larger than the worker reads, or of a form that it does not know. Split the workspace, or look at the plan above."
      )
    }
    if (!hasServer) return
    for (const told of plannedEntries(creations)) journal.add(told)
    yield* journal.flush(poolPatience)
  }
)

/** Brings the configuration and, if there is one, the approved plan with its seal. */
const bring = Effect.fnUntraced(function*(spec: AgentTaskSpec, variables: Variables, { bringPlan, bringSource }: Backing) {
  const place = yield* provision(spec, variables, bringSource)
  return { place, approved: Option.isSome(bringPlan) ? Option.some(yield* bringPlan.value(place)) : Option.none() }
})

/** Writes the first lines of the log. Fails when the engine has another version than the task asks for. */
const introduce = Effect.fnUntraced(function*(spec: AgentTaskSpec, name: string, version: string, shown: ReadonlyArray<string>) {
  const { line } = yield* Log
  const { pod, timeoutLimitSeconds } = yield* Settings
  yield* line(`Worker: Pod ${pod.name} on node ${pod.node}`)
  yield* line(`Engine: ${name} ${version}`)
  yield* line(`Workspace: ${spec.workspace}, ${spec.stage}`)
  const limited = Option.filter(timeoutLimitSeconds, (seconds) => seconds < (spec.timeoutSeconds ?? defaultTimeoutSeconds))
  if (Option.isSome(limited)) {
    yield* line(`Timeout: ${limited.value} seconds, since task.job.activeDeadlineSeconds allows no more`)
  }
  yield* Effect.forEach(shown, line, { discard: true })
  const wanted = spec.engine?.version
  if (wanted !== undefined && wanted !== version) {
    return yield* invalid(
      `The runner image has ${name} ${version}, but the task asks for ${wanted}; use another image or leave engine.version out.`
    )
  }
})

/** Asks the engine, since its image may set the workspace too. Takes the last line, since an image may have it print more before. */
const workspaceOf = ({ run }: Engine["Service"], workplace: Workplace) =>
  Effect.map(run(workplace, showWorkspace), (said) => Option.getOrElse(said, () => "").trim().split("\n").at(-1) ?? "")

/** Runs one command with what is opened for it, only for as long as it runs. Returns what it printed, if that was captured. */
const perform = Effect.fnUntraced(
  function*(workplace: Workplace, command: StageCommand, openers: ReadonlyArray<Pick<Backing, "openFor">>, journal: Journal) {
    const engine = yield* Engine
    const opened = yield* Effect.forEach(openers, ({ openFor }) => openFor(command))
    const env = Object.fromEntries(opened.flatMap(({ env }) => Object.entries(env)))
    const told = command.tells === "events" ? fromEvent : fromLog
    return yield* engine.run(workplace, command, {
      env,
      secrets: opened.flatMap(({ secrets }) => secrets)
    }, (line) => Option.map(told(line), journal.add))
  },
  Effect.scoped
)

const plannedOf = (spec: AgentTaskSpec, captured: Option.Option<string>) =>
  Option.flatMap(captured, (json) => plannedChanges(json, spec.options?.refreshOnly === true))

/** Runs the effect, but fails with `StageStopped` as soon as the stage has to stop. */
const untilStopped = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(
    Stop,
    ({ asked }) =>
      Effect.raceFirst(effect, Effect.flatMap(asked, (cause) => Effect.fail(new StageStopped({ cause, during: Option.none() }))))
  )

const orItsFailure = <R>(effect: Effect.Effect<Outcome, StageFailed | StageStopped, R>): Effect.Effect<Outcome, never, R> =>
  effect.pipe(
    Effect.catchTags({
      StageFailed: (failure) =>
        Effect.succeed<Outcome>({ outcome: "failed", reason: failure.reason, message: failure.message, ...exitCodeOf(failure) }),
      StageStopped: (stop) =>
        Effect.succeed<Outcome>({
          outcome: stop.cause === "Cancelled" ? "cancelled" : "failed",
          reason: stop.cause,
          message: stopMessage(stop.cause, stop.during),
          ...exitCodeOf(stop)
        })
    }),
    Effect.catchCause(unexpected)
  )

/** Returns the outcome after a defect of the worker, of which all that is known is that nothing more will come. */
const unexpected = (cause: Cause.Cause<unknown>): Effect.Effect<Outcome> =>
  Effect.as(
    Effect.logError("The stage ended unexpectedly", cause),
    {
      outcome: "failed",
      reason: "Lost",
      message: "The worker met an unexpected error; read its log, and check the state before the next run."
    } satisfies Outcome
  )
