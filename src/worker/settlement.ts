// What follows a command that changes something: its state is saved, what it made that the state lacks is told, and then the lock goes back.
// Always holds: the lock goes back only when nothing more has to be told, else the server compares journal and plan of the stage with the state.
// Used by worker/stage.ts.
import { Duration, Effect, Exit, Fiber, Option, Ref } from "effect"
import { effectsMessage, madeMessage } from "../core/effects-message.ts"
import { changesOf, closing } from "../core/journal.ts"
import { endedInOrder, stageEffects } from "../core/stage-effects.ts"
import { isEncrypted, stateObjects } from "../core/state-objects.ts"
import type { StageResult } from "../schema/stage-result.ts"
import type { Backing, Provisioned } from "./backing.ts"
import type { StageStopped } from "./engine.ts"
import type { Journal } from "./journal.ts"
import { Log } from "./log-shipper.ts"
import { Settings } from "./settings.ts"
import { exitCodeOf, StageFailed } from "./stage-failed.ts"
import { Stop } from "./stop.ts"

/** What is known of a stage so far, whatever becomes of it. */
export interface Facts extends Pick<StageResult, "changes" | "hasChanges" | "planDigest" | "statePushed"> {
  /** What it made that its state does not have, in a sentence. */
  readonly left?: string
}

/** How a command ended. */
type Done = Exit.Exit<unknown, StageFailed | StageStopped>

interface Parts {
  readonly backing: Pick<Backing, "settleState" | "storedState" | "giveStateBack" | "saidDuring">
  readonly journal: Journal
  /** Gets the stage's changes, whether its state is pushed, and what is left. */
  readonly facts: Ref.Ref<Facts>
}

const tellAfter = Duration.seconds(20)

/** The engine is gone, and the server has not taken something of it: whoever reads the log is told why nothing happens. */
const telling = <A, E, R>(what: string, wait: Effect.Effect<A, E, R>, within?: Duration.Duration) =>
  Effect.raceFirst(
    wait,
    Effect.gen(function*() {
      const { line } = yield* Log
      const { statePatience } = yield* Settings
      yield* Effect.sleep(tellAfter)
      yield* line(
        `The engine has ended, but the pool's server has not taken ${what}. The worker goes on trying, for ${
          Duration.format(within ?? statePatience)
        } at most.`
      )
      return yield* Effect.never
    })
  )

export const makeSettlement = ({ backing, facts, journal }: Parts) => {
  /**
   * The AgentTask says that it takes long, and goes on saying so until the result unless it came to `true`, and the state is saved: no
   * other wait takes back the word on that.
   */
  const said = Effect.fnUntraced(function*<R>(wait: Effect.Effect<boolean, never, R>) {
    const { statePushed } = yield* Ref.get(facts)
    return yield* Effect.catch(
      backing.saidDuring(Effect.filterOrFail(wait, (isDone) => isDone && statePushed !== false, (isDone) => isDone)),
      Effect.succeed
    )
  })

  /** Gives the lock back within that time: once that is given up, there is nothing in the Pod that the lock needs. */
  const givingBack = (patience: Duration.Duration) =>
    said(Effect.as(Effect.timeoutOption(telling("the lock of its state back", backing.giveStateBack, patience), patience), true))

  /**
   * Tells the server that nothing more will come: by itself, since a server that does not know the word refuses all that it came with. An
   * engine that could not be ended may go on. Gives whether the server knows it.
   */
  const close = Effect.fnUntraced(function*(done: Done) {
    const { poolPatience } = yield* Settings
    if (Option.exists(Exit.findErrorOption(done), (error) => error._tag === "StageFailed" && error.reason === "Lost")) return false
    journal.add(closing)
    return yield* journal.flush(poolPatience)
  })

  /**
   * Waits for the journal to arrive, since with the Pod it is gone; gives whether it has, to its end. Nothing here changes how the stage
   * ends.
   */
  const accountFor = Effect.fnUntraced(function*(done: Done, inOrder: boolean, arriving: Effect.Effect<boolean>) {
    const { tooLate } = yield* Stop
    const toItsEnd = Effect.flatMap(
      arriving,
      (arrived) => inOrder ? Effect.succeed(arrived) : Effect.map(close(done), (closed) => arrived && closed)
    )
    const arrived = said(telling("the last words on what it made", Effect.raceFirst(toItsEnd, Effect.as(tooLate, false))))
    if (journal.entries().length === 0) return yield* arrived
    const [state, isTold] = yield* Effect.all([Effect.raceFirst(backing.storedState, Effect.as(tooLate, Option.none<string>())), arrived], {
      concurrency: 2
    })
    const left = Option.match(Option.filter(state, (text) => !isEncrypted(text)), {
      onNone: () => inOrder ? "" : madeMessage(journal.entries()),
      onSome: (text) => effectsMessage(stageEffects(journal.entries(), stateObjects(text), inOrder))
    })
    yield* Ref.update(facts, (_) => ({ ..._, left }))
    return isTold
  })

  /** Fails when the state is not saved, or when a command ended well that never came to it. */
  const after = Effect.fnUntraced(function*(done: Done, place: Provisioned) {
    const { poolPatience, statePatience } = yield* Settings
    yield* Ref.update(facts, (_) => ({ ..._, changes: changesOf(journal.entries()) }))
    const arriving = yield* Effect.forkChild(journal.flush(statePatience)) // in the same time: the Pod is not to stay for twice that
    const settled = yield* Effect.exit(Effect.mapError(telling("its last state", backing.settleState(place)), withExitCodeOf(done)))
    const known = Exit.isFailure(settled) ? { statePushed: false } : settled.value === "saved" ? { statePushed: true } : {}
    yield* Ref.update(facts, (_) => ({ ..._, ...known }))
    const inOrder = endedInOrder({ ...exitCodeOfDone(done), ...known })
    if (inOrder) yield* givingBack(Exit.isSuccess(done) ? poolPatience : statePatience) // success opens it by itself at the server
    if (Exit.isFailure(done) || Exit.isFailure(settled)) {
      const isTold = yield* accountFor(done, inOrder, Fiber.join(arriving))
      if (!inOrder && isTold) yield* givingBack(statePatience)
    }
    const state = yield* settled
    if (Exit.isSuccess(done) && state === "untouched") return yield* nothingApplied()
  })

  return { after }
}

/** An apply locks its state before anything else, also when it finds nothing to do. */
const nothingApplied = () =>
  new StageFailed({
    reason: "InvalidConfiguration",
    message:
      "The engine ended with success, but never locked the state, so it applied nothing; the log has what it said: see what TF_CLI_ARGS and TF_CLI_ARGS_apply make of its command, and what the runner image has as the engine.",
    exitCode: 0
  })

/**
 * The failure to save the state, with the engine's exit code: it is worse than what the engine ended with, but does not make that unknown.
 */
const withExitCodeOf = (done: Done) => (failure: StageFailed): StageFailed =>
  new StageFailed({ reason: failure.reason, message: failure.message, ...exitCodeOfDone(done) })

const exitCodeOfDone = (done: Done) =>
  Exit.isSuccess(done) ? { exitCode: 0 } : Option.match(Exit.findErrorOption(done), { onNone: () => ({}), onSome: exitCodeOf })
