// What the worker knows of the state while a stage runs: the lock, and the state that the server has not acknowledged yet.
// Invariant: states are sent one at a time, under a lock. It goes back only if the engine does not hold it and no state is unsaved,
// since a stage that ends with its lock tells the server that its state is in doubt. Used by worker/state/state-gateway and the backings.
import { Context, Data, Duration, Effect, Layer, Option, Result, Semaphore } from "effect"
import { randomUUID } from "node:crypto"
import { engineHead } from "../../core/state/state-head.ts"
import type { LockInfo } from "../../schema/api/task-api.ts"
import type { Sha256 } from "../../schema/names.ts"
import { Declined, type TaskApiError } from "../network/task-api-error.ts"
import { sha256, type StateLock, TaskApi } from "../network/task-api.ts"
import { Settings } from "../settings.ts"
import type { Stop } from "../task/stop.ts"
import { TaskStatus } from "../task/task-status.ts"
import { type Asking, makeAsking } from "./asking.ts"
import { sharedCopy } from "./shared-copy.ts"
import type { KeptAs } from "./stranded-states.ts"
import { keepUnsavedCopy, removeUnsavedCopy } from "./unsaved-copy.ts"

/** What became of the last state after the engine is gone. */
export type SettledState = Data.TaggedEnum<{
  /** The engine never got a lock, so it did none of its work. */
  Untouched: {}
  Unwritten: {}
  /** The engine wrote it into a backend of its own, or had nothing to write. */
  Elsewhere: {}
  /** `digest`: of the last state that the server confirmed. */
  Saved: { readonly digest: Sha256 }
  /** `why`: what the server, or the way to it, said last. */
  Unsaved: { readonly why: string; readonly refuge: Refuge }
}>
export const SettledState = Data.taggedEnum<SettledState>()

/** What has a state that the server does not count as saved. */
export type Refuge = Data.TaggedEnum<{
  /** The server: it refused the state, and a person decides on it there. */
  Server: {}
  /** This file on the volume that tasks share. */
  Shared: { readonly file: string }
  /** The worker's own volume, which goes with the Pod. */
  Pod: {}
  /** Nothing but this worker's memory, since its volume did not take the state. */
  Memory: { readonly because: string }
}>
export const Refuge = Data.taggedEnum<Refuge>()

export type Unsaved = Extract<SettledState, { readonly _tag: "Unsaved" }>
/** What became of it if nothing is left to save. */
export type NothingUnsaved = Exclude<SettledState, Unsaved>

export class StateDelivery extends Context.Service<StateDelivery, {
  /** Makes each state that the server does not take go to the shared volume too, if the Pod has one. Called before any lock. */
  readonly keepSharedCopyAs: (stage: KeptAs) => Effect.Effect<void>
  /** Reads the newest state; none if there is none yet. */
  readonly read: Effect.Effect<Option.Option<Uint8Array>, TaskApiError>
  /** Fails with `Declined`, and the lock that is held, as long as that was not given back or a state is unsaved. */
  readonly lock: (info: LockInfo) => Effect.Effect<void, TaskApiError>
  /**
   * Succeeds when the server has the state, however long the engine has to wait; in a stage that has to stop, it fails after some seconds.
   * If that happens or the engine hangs up, `settle` goes on with the state.
   */
  readonly push: (bytes: Uint8Array) => Effect.Effect<void, TaskApiError>
  /**
   * Takes note that the engine gave its lock back. The server gets the lock back by `giveBack` after the engine is gone, because only then
   * the worker knows that no state is unsaved.
   */
  readonly unlock: (info: LockInfo) => Effect.Effect<void, TaskApiError>
  /** Sends the state that the server has not confirmed, or `leftoverState`, the one that the engine left in a file of its own. */
  readonly settle: (leftoverState: Option.Option<Uint8Array>) => Effect.Effect<SettledState>
  /** What has the state that is on its way at this moment; none if none is. */
  readonly refuge: Effect.Effect<Option.Option<Refuge>>
  /** Gives the lock back after `settle`, unless the engine still had it or a state is unsaved. */
  readonly giveBack: Effect.Effect<void>
}>()("agent-job/worker/StateDelivery") {
  static readonly layer = Layer.effect(StateDelivery, Effect.suspend(() => make()))
}

/** How long the server may take to answer a read whose result the worker already knows, while the engine waits. */
const answerPatience = Duration.seconds(10)
const notLocked = new Declined({ status: 409, message: "The state is not locked, so it may not be written.", body: undefined })

const stillLocked = (info: LockInfo) =>
  new Declined({
    status: 409,
    message: `The state is locked by ${info.ID}; another lock is given only once that one was given back and its state is saved.`,
    body: info
  })

/**
 * Reports whether the file that was left in the runner, where not only the engine writes, replaces a state that is on its way: it has the
 * same lineage and no lower serial, or the state on its way is not one of an engine.
 */
const mayReplace = (onItsWay: Uint8Array, leftoverState: Uint8Array): boolean =>
  Option.match(engineHead(onItsWay), {
    onNone: () => true,
    onSome: (before) =>
      Option.exists(engineHead(leftoverState), ({ lineage, serial }) => lineage === before.lineage && serial >= before.serial)
  })

/** Reports whether the state that the engine left in a file is sent, and not the one on its way, if there is one. */
const isToBeSent = (leftoverState: Uint8Array, confirmed: NothingUnsaved, onItsWay: Uint8Array | undefined): boolean =>
  !(confirmed._tag === "Saved" && confirmed.digest === sha256(leftoverState)) &&
  (onItsWay === undefined || mayReplace(onItsWay, leftoverState))

interface Lock {
  readonly info: LockInfo
  readonly lock: StateLock
  /** The newest state under this lock, which no other client can have changed; absent until a state is read or saved under the lock. */
  readonly known?: Option.Option<Uint8Array>
}

type Held = Data.TaggedEnum<{
  /** The server is asked for it, or gave no answer: it may have granted it all the same. Nothing was changed under it. */
  Asked: { readonly info: LockInfo }
  Granted: Lock
  /** The engine has given it back, or is gone; the server still has it as locked. */
  Returned: Lock
}>
const Held = Data.taggedEnum<Held>()

const make = Effect.fnUntraced(function*(): Effect.fn.Return<StateDelivery["Service"], never, TaskApi | Settings | Stop | TaskStatus> {
  const { cacheDirectory, pod, privateDirectory } = yield* Settings
  const { unansweredDuring, unsavedDuring } = yield* TaskStatus
  const taskApi = yield* TaskApi
  const { afterEngine, beforeEngineReads, beforeEngineWorks, engineIsGone, forLockAlone, untilReleased, whileEngineWaits } =
    yield* makeAsking
  const shared = sharedCopy(cacheDirectory)
  const inTurn = Semaphore.makeUnsafe(1)
  /** Apart from `inTurn`, so that an engine can read while a push waits. One read at a time, because each has a whole state in memory. */
  const reading = Semaphore.makeUnsafe(1)
  let held: Held | undefined
  let confirmed: NothingUnsaved = SettledState.Untouched()
  /** The state that the server has not confirmed. */
  let onItsWay: Uint8Array | undefined
  /** Why the worker's own volume did not take it, if so. */
  let unkept = Option.none<string>()

  /** Returns the lock that the server gave, whether or not the engine still has it. */
  const granted = () => held?._tag === "Asked" ? undefined : held

  /**
   * Asks for a push while the engine waits. Where the workspace has no state yet, an engine that is told that it waits in vain would give
   * the file that it leaves another lineage than the state whose answer is missing, so there it waits on.
   */
  const forPush: Asking = (ask) => Option.isSome(granted()?.known ?? Option.none()) ? untilReleased(ask) : whileEngineWaits(ask)

  const learn = (under: LockInfo, newest: Option.Option<Uint8Array>) => {
    const now = granted()
    if (now?.info.ID === under.ID) held = { ...now, known: newest }
  }

  /** Notes that the server has the state. Nothing comes between the server's answer and this, not even an interruption. */
  const confirm = (bytes: Uint8Array, digest: Sha256, under: LockInfo) =>
    Effect.sync(() => {
      confirmed = SettledState.Saved({ digest })
      onItsWay = undefined
      learn(under, Option.some(bytes))
    })

  /** Makes this the state that is on its way, and keeps it on the worker's own volume, unless that has it. It is sent even if that fails. */
  const takeOn = Effect.fnUntraced(function*(bytes: Uint8Array) {
    if (onItsWay === bytes && Option.isNone(unkept)) return
    onItsWay = bytes
    const kept = yield* Effect.result(keepUnsavedCopy(privateDirectory, bytes))
    unkept = Option.map(Result.getFailure(kept), ({ message }) => message)
    if (Option.isSome(unkept)) yield* Effect.logWarning(unkept.value)
  })

  const refugeOf = (bytes: Uint8Array): Refuge =>
    shared.isEvidence(bytes) ? Refuge.Server() : Option.match(shared.fileOf(bytes), {
      onSome: (file) => Refuge.Shared({ file }),
      onNone: () => Option.match(unkept, { onNone: () => Refuge.Pod(), onSome: (because) => Refuge.Memory({ because }) })
    })

  const deliver = (bytes: Uint8Array, ask: (push: Effect.Effect<void, TaskApiError>) => Effect.Effect<void, TaskApiError>) =>
    Effect.gen(function*() {
      const under = granted()
      if (under === undefined) return yield* notLocked
      const { info, lock } = under
      const digest = sha256(bytes)
      yield* takeOn(bytes)
      const told = Effect.tapError(taskApi.pushState(bytes, digest, lock), (error) => shared.notTaken(bytes, error))
      // An engine may hang up. Its request is not interruptible by itself, but may be interrupted now, since the state is not lost with it.
      yield* Effect.interruptible(ask(Effect.tap(told, confirm(bytes, digest, info))))
      yield* shared.remove
      yield* removeUnsavedCopy(privateDirectory)
    })

  /** Gives the lock back. If that fails, the server opens the lock at the end of a successful stage, and else calls the state in doubt. */
  const giveBack = (ask: Asking) =>
    Effect.suspend(() =>
      held === undefined ? Effect.void : Effect.tap(
        ask(taskApi.unlockState(held.info)),
        Effect.sync(() => {
          held = undefined
        })
      )
    ).pipe(
      Effect.tapError((error) => Effect.logWarning("The lock of the state was not given back", error.message))
    )

  const forgetAsked = () => {
    if (held?._tag === "Asked") held = undefined
  }

  /** Asks for a lock. If this ends before the lock is granted, it stays asked for, until it is given back. */
  const lock = (info: LockInfo, ask: Asking) =>
    Effect.gen(function*() {
      if (held?.info.ID !== info.ID) {
        if (held?._tag === "Granted" || (held?._tag === "Returned" && onItsWay !== undefined)) return yield* stillLocked(held.info)
        yield* Effect.catchTag(giveBack(ask), "Declined", () => Effect.void) // this stage has it no more; without an answer it may have
        held = Held.Asked({ info })
      }
      const lock = yield* Effect.tapErrorTag(ask(taskApi.lockState(info)), "Declined", () => Effect.sync(forgetAsked))
      held = Held.Granted({ info, lock })
      if (confirmed._tag === "Untouched") confirmed = SettledState.Unwritten()
    })

  /** Notes that the lock may be given back once no state is unsaved. */
  const markLockReturned = () => {
    if (held?._tag === "Granted") held = Held.Returned(held)
  }

  /** Delivers a state whose engine is gone, under a new lock if there is none; the AgentTask may say meanwhile that it is unsaved. */
  const rescue = Effect.fnUntraced(function*(bytes: Uint8Array) {
    if (granted() === undefined) {
      const asking: Asking = (ask) => afterEngine(Effect.tapError(ask, (error) => shared.notTaken(bytes, error)))
      yield* lock({ ID: randomUUID(), Operation: "rescue", Who: pod.name }, asking)
      markLockReturned()
    }
    yield* deliver(bytes, afterEngine)
    return SettledState.Saved({ digest: sha256(bytes) })
  }, unsavedDuring)

  /** Keeps a state that could not be delivered wherever there is room by now. There may have been no time to try even once. */
  const leave = Effect.fnUntraced(function*(bytes: Uint8Array, why: string) {
    yield* takeOn(bytes)
    yield* shared.keep(bytes)
    return SettledState.Unsaved({ why, refuge: refugeOf(bytes) })
  })

  /** Sends a state until it is saved or that is hopeless, which may take days, so it is kept before. */
  const sendLast = Effect.fnUntraced(function*(bytes: Uint8Array) {
    yield* takeOn(bytes)
    return yield* Effect.catch(rescue(bytes), ({ message }) => leave(bytes, message))
  })

  const settle = (leftoverState: Option.Option<Uint8Array>): Effect.Effect<SettledState> =>
    Effect.andThen(
      engineIsGone,
      Effect.suspend(() =>
        Option.match(Option.filter(leftoverState, (bytes) => isToBeSent(bytes, confirmed, onItsWay)), {
          onSome: sendLast,
          onNone: () => onItsWay === undefined ? Effect.succeed<SettledState>(confirmed) : sendLast(onItsWay)
        })
      )
    )

  const readFirst = Effect.suspend(() => unansweredDuring(beforeEngineReads(taskApi.state)))
  /**
   * Reads the state under a lock. The engine reads once more before it writes: if the server does not give it, it gets the state that
   * the worker knows, so that it goes on to write its new state here, where it is kept. Before it has read any, it has nothing to write.
   */
  const readUnder = ({ info, known }: Lock) =>
    Effect.tap(
      known === undefined
        ? readFirst
        : taskApi.state.pipe(Effect.timeout(answerPatience), Effect.orElseSucceed(() => known)),
      (newest) => Effect.sync(() => learn(info, newest))
    )

  return StateDelivery.of({
    keepSharedCopyAs: shared.keepAs,
    read: Effect.interruptible(
      reading.withPermit(Effect.suspend(() => {
        const under = granted()
        return under === undefined ? readFirst : readUnder(under)
      }))
    ),
    lock: (info) => Effect.interruptible(inTurn.withPermit(lock(info, beforeEngineWorks))),
    push: (bytes) =>
      inTurn.withPermit(
        deliver(bytes, (push) => unsavedDuring(Effect.tapError(forPush(push), (error) => shared.notTaken(bytes, error))))
      ),
    unlock: ({ ID }) =>
      inTurn.withPermit(
        Effect.suspend(() =>
          held?.info.ID === ID
            ? Effect.sync(markLockReturned)
            : Effect.fail(new Declined({ status: 409, message: "This command does not hold that lock.", body: undefined }))
        )
      ),
    settle: (leftoverState) => inTurn.withPermit(settle(leftoverState)),
    refuge: Effect.sync(() => Option.map(Option.fromUndefinedOr(onItsWay), refugeOf)),
    giveBack: inTurn.withPermit(
      Effect.suspend(() => held?._tag === "Granted" || onItsWay !== undefined ? Effect.void : Effect.ignore(giveBack(forLockAlone)))
    )
  })
})
