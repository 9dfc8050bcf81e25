// What follows a command that changes something: the worker saves its state, reports what the state lacks, and gives the lock back.
// Invariant: the lock goes back only when the server needs no more news; otherwise it compares journal and plan with the state.
// Used by worker/stage/stage.ts and worker/stage/preparation.ts.
import { Duration, Effect, Exit, Fiber, Option, Ref } from "effect"
import { getHeapStatistics } from "node:v8"
import { changesOf, closing } from "../../core/stage/journal.ts"
import { leftOverMessage, madeMessage } from "../../core/state/left-over-message.ts"
import { endedInOrder, type KnownStage, leftOverOf, unansweredOf } from "../../core/state/left-over.ts"
import { contentOf, unreadable } from "../../core/state/state-objects.ts"
import type { StageResult } from "../../schema/task/stage-result.ts"
import type { Backing, Provisioned } from "../backing/backing.ts"
import type { Journal } from "../engine/journal.ts"
import { logWaiting } from "../engine/log-waiting.ts"
import { Settings } from "../settings.ts"
import { exitCodeOf, StageFailed } from "../stage-failed.ts"
import type { StageStopped } from "../task/stage-stopped.ts"
import { Stop } from "../task/stop.ts"

/** What is known about a stage so far, whatever its outcome will be. */
export interface StageFacts
  extends Pick<StageResult, "changes" | "hasChanges" | "unusedBackend" | "planDigest" | "statePushed" | "stateDigest">
{
  /** Whether the command that changes something was begun. */
  readonly hasBegun?: true
  /** What the stage made that its state does not have, in a sentence. */
  readonly unsavedEffects?: string
}

/** Adds what is known now; what it names again is replaced. */
export const learn = (facts: Ref.Ref<StageFacts>, part: StageFacts): Effect.Effect<void> =>
  Ref.update(facts, (known) => ({ ...known, ...part }))

/** How a command ended. */
type Done = Exit.Exit<unknown, StageFailed | StageStopped>

interface Parts {
  readonly backing: Pick<Backing, "settleState" | "storedState" | "giveStateBack" | "showWaitingDuring">
  readonly journal: Journal
  /** Where the settlement stores the stage's changes, whether and which state is pushed, and what the state lacks. */
  readonly facts: Ref.Ref<StageFacts>
  /** Whether the stage makes nothing. */
  readonly onlyDestroys: boolean
}

/** Returns what the stage made that its state lacks, in sentences; of a state that is not here or cannot be looked into, all that it made. */
const unsavedIn = (state: Option.Option<Uint8Array>, stage: Omit<KnownStage, "state">): string => {
  const { objects, unread } = Option.match(state, {
    onNone: () => unreadable("not-here"),
    onSome: (bytes) => contentOf(getHeapStatistics().heap_size_limit, bytes)
  })
  if (unread === undefined) return leftOverMessage(leftOverOf({ ...stage, state: objects }))
  return stage.inOrder ? leftOverMessage(unansweredOf(stage)) : madeMessage(stage.journal, unread)
}

export const makeSettlement = ({ backing, facts, journal, onlyDestroys }: Parts) => {
  /**
   * Waits, and if that takes long, the AgentTask says that the server has not got everything. The AgentTask goes on saying so until the
   * result, unless the wait gives `true` and no state is unsaved: a later wait must not take back what is said about an unsaved state.
   */
  const showWaiting = Effect.fnUntraced(function*<R>(wait: Effect.Effect<boolean, never, R>) {
    const { statePushed } = yield* Ref.get(facts)
    return yield* Effect.catch(
      backing.showWaitingDuring(Effect.filterOrFail(wait, (isDone) => isDone && statePushed !== false, (isDone) => isDone)),
      Effect.succeed
    )
  })

  /** Gives the lock back, trying for `patience`. Always gives `true`: the Pod has nothing else that could help with the lock. */
  const givingBack = (patience: Duration.Duration) =>
    showWaiting(Effect.as(Effect.timeoutOption(logWaiting("back the lock on its state", patience, backing.giveStateBack), patience), true))

  /**
   * Tells the server that the journal is closed; returns whether the server knows. The entry is sent by itself, because a server that does
   * not know its kind refuses the whole request. An engine that could not be ended may go on, so its journal stays open.
   */
  const close = Effect.fnUntraced(function*(done: Done) {
    const { poolPatience } = yield* Settings
    if (Option.exists(Exit.findErrorOption(done), (error) => error._tag === "StageFailed" && error.reason === "Lost")) return false
    journal.add(closing)
    return yield* journal.flush(poolPatience)
  })

  /**
   * Waits for the journal to arrive at the server, because it is lost with the Pod, and stores in `facts` what the state lacks. Returns
   * whether the whole journal has arrived. Never changes how the stage ends.
   */
  const accountFor = Effect.fnUntraced(function*(done: Done, inOrder: boolean, arriving: Effect.Effect<boolean>) {
    const { tooLate } = yield* Stop
    const { statePatience } = yield* Settings
    const toItsEnd = inOrder ? arriving : Effect.andThen(arriving, close(done)) // which arrives after all the others
    const arrived = showWaiting(
      logWaiting("the end of the journal of what was made", statePatience, Effect.raceFirst(toItsEnd, Effect.as(tooLate, false)))
    )
    if (journal.entries().length === 0) return yield* arrived
    const stored = Effect.raceFirst(backing.storedState, Effect.as(tooLate, Option.none<Uint8Array>()))
    const [state, isTold] = yield* Effect.all([stored, arrived], { concurrency: 2 })
    yield* learn(facts, { unsavedEffects: unsavedIn(state, { journal: journal.entries(), inOrder, onlyDestroys }) })
    return isTold
  })

  /** Settles a command that has ended. Fails when its state is not saved, or when it ended with success without ever locking the state. */
  const after = Effect.fnUntraced(function*(done: Done, place: Provisioned) {
    const { poolPatience, statePatience } = yield* Settings
    yield* learn(facts, Option.match(changesOf(journal.entries()), { onNone: () => ({}), onSome: (changes) => ({ changes }) }))
    const arriving = yield* Effect.forkChild(journal.flush(statePatience)) // beside the state, so that the Pod does not stay for twice that time
    const settled = yield* Effect.exit(Effect.mapError(backing.settleState(place), withExitCodeOf(done)))
    const known = Exit.match(settled, {
      onFailure: () => ({ statePushed: false }),
      onSuccess: (state) => state._tag === "Saved" ? { statePushed: true, stateDigest: state.digest } : {}
    })
    yield* learn(facts, known)
    const inOrder = endedInOrder({ ...exitCodeOfDone(done), ...known })
    const isAllStored = inOrder && (Exit.isSuccess(done) || unansweredOf({ journal: journal.entries() }).unknownCount === 0)
    const isElsewhere = Exit.isSuccess(settled) && settled.value._tag === "Elsewhere"
    if (isElsewhere && !isAllStored && hasBegun(done)) yield* learn(facts, { statePushed: false })
    if (isAllStored) yield* givingBack(Exit.isSuccess(done) ? poolPatience : statePatience) // after a success the server opens the lock by itself
    if (Exit.isFailure(done) || Exit.isFailure(settled)) {
      const isTold = yield* accountFor(done, inOrder, Fiber.join(arriving))
      if (!isAllStored && isTold) yield* givingBack(statePatience)
    }
    const state = yield* settled
    if (Exit.isSuccess(done) && state._tag === "Untouched") return yield* nothingApplied()
  })

  return { after }
}

/** Reports whether a command that failed had begun: what keeps one from that has neither an exit code nor a reason that tells of an end. */
const hasBegun = (done: Done): boolean =>
  Option.exists(
    Exit.findErrorOption(done),
    (error) =>
      error._tag === "StageStopped"
        ? Option.isSome(error.during)
        : error.exitCode !== undefined || error.reason === "Lost"
  )

/** Returns the failure of an apply that never locked its state: an apply locks it first of all, even when it finds nothing to do. */
const nothingApplied = () =>
  new StageFailed({
    reason: "InvalidConfiguration",
    message:
      "The engine ended with success but never locked the state, so it applied nothing; read its log, and check TF_CLI_ARGS, TF_CLI_ARGS_apply and the engine in the runner image.",
    exitCode: 0
  })

/**
 * Returns the failure to save the state with the engine's exit code added: the failure is worse than how the engine ended, but the exit
 * code is still known.
 */
const withExitCodeOf = (done: Done) => (failure: StageFailed): StageFailed =>
  new StageFailed({ reason: failure.reason, message: failure.message, ...exitCodeOfDone(done) })

const exitCodeOfDone = (done: Done) =>
  Exit.isSuccess(done) ? { exitCode: 0 } : Option.match(Exit.findErrorOption(done), { onNone: () => ({}), onSome: exitCodeOf })
