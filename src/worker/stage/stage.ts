// One stage from its claim to its result: its preparation, the engine's commands in order, and the outcome.
// Invariant: every failure becomes a result with a reason from the closed list; `succeeded` needs every command to end with 0.
// Used by worker/stage/worker.ts.
import { type Cause, Context, Effect, Layer, Option, Ref, type Scope } from "effect"
import { fromErrors, fromEvent, fromLog } from "../../core/stage/engine-events.ts"
import { plannedEntries } from "../../core/stage/journal.ts"
import { stopMessage } from "../../core/stage/outcome.ts"
import { type Creation, type PlannedChanges, plannedChanges } from "../../core/stage/plan-changes.ts"
import { showWorkspace, type StageCommand } from "../../core/stage/stage-commands.ts"
import { undeclaredVariable } from "../../core/stage/undeclared-variable.ts"
import { withLeft } from "../../core/state/left-over-message.ts"
import { endedInOrder } from "../../core/state/left-over.ts"
import { execDir } from "../../core/task/places.ts"
import { harmless } from "../../core/text/sentence.ts"
import { type AgentTaskSpec, mutates } from "../../schema/task/agent-task.ts"
import type { StageResult } from "../../schema/task/stage-result.ts"
import type { Backing } from "../backing/backing.ts"
import { type Marks, marksOfModules } from "../backing/carried-files.ts"
import { erroredState } from "../backing/saved-by-hand.ts"
import { printToStdout } from "../engine/container-output.ts"
import { Engine, execLoopFailure, type Workplace } from "../engine/engine.ts"
import { ExecLoop } from "../engine/exec-loop.ts"
import { type Journal, makeJournal } from "../engine/journal.ts"
import { Log } from "../engine/log-shipper.ts"
import { Settings } from "../settings.ts"
import { exitCodeOf, invalid, StageFailed } from "../stage-failed.ts"
import { type StageStopped, untilStopped } from "../task/stage-stopped.ts"
import { Stop } from "../task/stop.ts"
import { removeFile } from "../volume/folder.ts"
import { prepare } from "./preparation.ts"
import { retried } from "./retried.ts"
import { learn, makeSettlement, type StageFacts } from "./settlement.ts"
import { type Variables, variablesOf } from "./variables.ts"

export type Outcome = Omit<StageResult, "finishedAt">

/** The outcome of the stage, and how to wait until the server has its log. */
export interface EndedStage {
  readonly outcome: Outcome
  readonly flushLog: Log["Service"]["flush"]
}

/** Runs the stage. Never fails: every failure, also one of `backing`, becomes the outcome. The log goes on until the scope closes. */
export const runStage = Effect.fn("Stage.run")(
  function*<R>(
    spec: AgentTaskSpec,
    backing: Effect.Effect<Backing, StageFailed, R>
  ): Effect.fn.Return<EndedStage, StageFailed | StageStopped, R | Stop | Settings | Scope.Scope> {
    const behind = yield* untilStopped(backing)
    const variables = yield* variablesOf(spec.variables ?? [], behind.variables)
    const { dataDirectory, runnerPatience } = yield* Settings
    const { because } = yield* Stop
    const facts = yield* Ref.make<StageFacts>({})
    const logging = yield* Layer.build(
      Log.layer({ secrets: [...variables.secrets, ...behind.secrets], parts: variables.parts, ship: behind.ship, print: printToStdout })
    )
    const log = Context.get(logging, Log)
    yield* Effect.forEach(behind.remarks, log.line, { discard: true })
    const engine = Layer.provide(
      Engine.layer,
      ExecLoop.layer({ directory: execDir(dataDirectory), startDeadline: runnerPatience, onCrowded: because("OutOfMemory") })
    )
    const outcome = yield* untilStopped(Layer.build(engine)).pipe(
      Effect.flatMap((started) => Effect.provide(stage(spec, behind, variables, facts), started)),
      Effect.scoped,
      Effect.catchTag("ExecLoopError", (error) => Effect.fail(execLoopFailure(error))),
      Effect.provide(logging),
      orItsFailure
    )
    const { hasBegun = false, unsavedEffects = "", ...known } = yield* Ref.get(facts)
    const message = withLeft(log.redact(outcome.message), unsavedEffects)
    if (outcome.outcome !== "succeeded") yield* log.line(`\n\u001b[1m${message}\u001b[0m`)
    return { outcome: { ...mutates(spec.stage) && !hasBegun ? ofNoChange(outcome) : outcome, ...known, message }, flushLog: log.flush }
  },
  (effect) =>
    Effect.catchCause(
      effect,
      (cause) =>
        Effect.map(orItsFailure(Effect.failCause(cause)), (outcome): EndedStage => ({
          outcome: { ...outcome, message: harmless(outcome.message) }, // of a stage that has not begun, and so not had a secret
          flushLog: () => Effect.void
        }))
    )
)

/**
 * Leaves out the exit code of a command that was killed or crashed before the one that changes something: without a pool it would say that
 * the state may lack something (core/state/end-in-doubt).
 */
const ofNoChange = ({ exitCode, ...outcome }: Outcome): Outcome =>
  exitCode !== undefined && endedInOrder({ exitCode }) ? { ...outcome, exitCode } : outcome

const stage = Effect.fnUntraced(function*(spec: AgentTaskSpec, backing: Backing, variables: Variables, facts: Ref.Ref<StageFacts>) {
  const engine = yield* Engine
  const { asApproved, commands, engineDirectory, keepThePlan, mirrors, place, workplace } = yield* prepare(spec, backing, variables, facts)
  const journal = yield* makeJournal(yield* Log, backing.sendJournal)
  const parts = { backing, journal, facts }
  const settlement = makeSettlement({ ...parts, onlyDestroys: spec.stage === "destroy" })
  let broughtModules: Marks = new Map()
  for (const command of commands) {
    if (command.subcommand !== "init") yield* backing.mayRun(command, engineDirectory, workspaceOf(engine, workplace))
    if (command.mutates) {
      yield* asApproved // again: init may have changed the directory, and another client the state
      yield* removeFile(place.root, [...place.directory, erroredState]) // one that came with the configuration is no state of this stage
      yield* backing.beginPlan
      yield* learn(facts, { hasBegun: true })
    }
    const run = perform(workplace, command, [mirrors, backing], journal)
    const done = yield* Effect.exit(command.subcommand === "init" ? retried(run) : run)
    if (command.mutates) yield* settlement.after(done, place)
    const captured = yield* done
    if (command.subcommand === "init" && Option.isSome(keepThePlan)) broughtModules = yield* untilStopped(marksOfModules)
    if (command.subcommand === "show") yield* learnPlanned(plannedOf(spec, captured), variables, parts)
  }
  if (Option.isSome(keepThePlan)) yield* learn(facts, { planDigest: yield* keepThePlan.value(broughtModules) })
  return {
    outcome: "succeeded",
    reason: "Completed",
    message: `${workplace.engine} ${spec.stage} ended with success.`,
    exitCode: 0
  } satisfies Outcome
}, Effect.scoped)

/**
 * Notes what the plan changes, and tells the server what its apply will create. Fails if the plan was made without a variable that was set
 * for it: only now is it certain what the configuration declares.
 */
const learnPlanned = Effect.fnUntraced(
  function*(
    planned: Option.Option<PlannedChanges>,
    { declared }: Variables,
    { facts, journal }: { readonly facts: Ref.Ref<StageFacts>; readonly journal: Journal }
  ) {
    const declares = Option.flatMap(planned, ({ declares }) => Option.fromUndefinedOr(declares))
    const undeclared = Option.flatMap(declares, (names) => undeclaredVariable(declared, names))
    if (Option.isSome(undeclared)) return yield* invalid(undeclared.value)
    if (Option.isSome(planned)) yield* learn(facts, { changes: planned.value.changes, hasChanges: planned.value.hasChanges })
    yield* untilStopped(tellPlanned(Option.map(planned, ({ creations }) => creations), journal))
  }
)

/**
 * Tells the server what an apply of the plan will create, so that the server knows what to look for if the apply's worker vanishes with its
 * journal. Best effort: the plan is useful without this.
 */
export const tellPlanned = Effect.fnUntraced(
  function*(creations: Option.Option<ReadonlyArray<Creation>>, journal: Journal) {
    const { poolPatience } = yield* Settings
    if (Option.isNone(creations)) {
      yield* (yield* Log).line(
        "What this plan changes is not counted: its JSON is larger than the worker reads, or of a form that it does not know. Split the workspace, or look at the plan above."
      )
    }
    for (const told of plannedEntries(creations)) journal.add(told)
    yield* journal.flush(poolPatience)
  }
)

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
    const running = engine.run(workplace, command, {
      env,
      secrets: opened.flatMap(({ secrets }) => secrets)
    }, { line: (line) => Option.map(told(line), journal.add), end: (log) => fromErrors(log).forEach(journal.add) })
    return yield* Effect.catchTag(
      running,
      "StageFailed",
      (failure) =>
        Effect.flatMap(
          Effect.forEach(opened, ({ notGiven = Effect.succeedNone }) => notGiven),
          (whys) => Effect.fail(withCause(failure, Option.firstSomeOf(whys)))
        )
    )
  },
  Effect.scoped
)

/**
 * Returns the failure of a command that was not given what it asked for last: both engines then exit with 1, and what they say of it reads
 * like a wrong configuration. A command that failed for something that its log tells keeps that.
 */
const withCause = (failure: StageFailed, notGiven: Option.Option<StageFailed>): StageFailed =>
  Option.isSome(notGiven) && failure.exitCode === 1 && (failure.reason === "InvalidConfiguration" || failure.reason === "ExitCode")
    ? new StageFailed({ reason: notGiven.value.reason, message: notGiven.value.message, exitCode: failure.exitCode })
    : failure

const plannedOf = (spec: AgentTaskSpec, captured: Option.Option<string>) =>
  Option.flatMap(captured, (json) => plannedChanges(json, spec.options?.refreshOnly === true))

/** Returns the outcome of a stage that fails or is stopped, whatever the cause. The runner, and who made the archive, chose names in its message. */
export const orItsFailure = <R>(effect: Effect.Effect<Outcome, StageFailed | StageStopped, R>): Effect.Effect<Outcome, never, R> =>
  effect.pipe(
    Effect.catchTags({
      StageFailed: (failure) =>
        Effect.succeed<Outcome>({ outcome: "failed", reason: failure.reason, message: failure.message, ...exitCodeOf(failure) }),
      StageStopped: (stop) =>
        Effect.succeed<Outcome>({
          outcome: stop.cause === "Cancelled" ? "cancelled" : "failed",
          reason: stop.cause,
          message: stopMessage(stop, endedInOrder(stop)),
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
