// What the worker knows of the state while a stage runs: the lock, and which state the server has not acknowledged yet. Used by state-gateway and pool-backing.
// Always holds: states go one after another under the lock they were made under; the lock is given back only when the engine did so, or never heard of it, and none is left over,
// since a stage that ends with it is known to the server as one whose state is in doubt.
import { Clock, Context, Data, Duration, Effect, Layer, Option, Schema, Semaphore } from "effect"
import { randomUUID } from "node:crypto"
import { engineHead } from "../core/state-head.ts"
import { KeptRefusal, type LockInfo } from "../schema/task-api.ts"
import { askAgain } from "./patience.ts"
import { Declined, NoAnswer, Platform, type PlatformError, sha256, type StateLock } from "./platform.ts"
import { Settings } from "./settings.ts"
import { Stop } from "./stop.ts"
import { type KeptAs, type StrandedCopy, strandedCopy } from "./stranded-states.ts"
import { TaskStatus } from "./task-status.ts"
import { keepUnsavedCopy, removeUnsavedCopy } from "./unsaved-copy.ts"

/** How it stands with the last state when the engine is gone. */
export type Settled = Data.TaggedEnum<{
  /** The engine never got a lock, so it never came to its work. */
  Untouched: {}
  Unwritten: {}
  Saved: {}
  /** `shared`: where else it is, a file that outlives the Pod. `unkept`: why the worker's own volume does not have it. */
  Unsaved: { readonly why: string; readonly shared: Option.Option<string>; readonly unkept: Option.Option<string> }
}>
export const Settled = Data.taggedEnum<Settled>()

export class StateDelivery extends Context.Service<StateDelivery, {
  /** From now on a state that the server does not take is on the shared volume too, where the Pod has one. Before any lock. */
  readonly shareAs: (stage: KeptAs) => Effect.Effect<void>
  /** The newest state; nothing if there is none yet. */
  readonly read: Effect.Effect<Option.Option<Uint8Array>, PlatformError>
  readonly lock: (info: LockInfo) => Effect.Effect<void, PlatformError>
  /** Succeeds when the server has it, however long it takes while the engine waits. If that hangs up, `settle` goes on with it. */
  readonly push: (bytes: Uint8Array) => Effect.Effect<void, PlatformError>
  /**
   * Takes note that the engine gave its lock back. The server gets its lock back by `giveBack`, when the engine is gone, since only then is
   * it known that no state is left over.
   */
  readonly unlock: (info: LockInfo) => Effect.Effect<void, PlatformError>
  /** Sends what is not confirmed, or the state that the engine left in a file of its own. */
  readonly settle: (left: Option.Option<Uint8Array>) => Effect.Effect<Settled>
  /** Gives the lock back after `settle`, unless the engine still had it or a state is left over. */
  readonly giveBack: Effect.Effect<void>
}>()("agent-job/worker/StateDelivery") {
  static readonly layer = Layer.effect(StateDelivery, Effect.suspend(() => make()))
}

/** What an answer may take that the engine waits for and can do without. */
const answerPatience = Duration.seconds(10)
const notLocked = new Declined({ status: 409, message: "The state is not locked, so it may not be written.", body: undefined })
const saysKept = Schema.is(KeptRefusal)
/** Whether the server keeps what it refused. An older one does not say so: a copy too many does no harm. */
const isEvidence = (error: PlatformError): boolean => error._tag === "Declined" && saysKept(error.body)

/**
 * Whether a file that is left in the runner, where not the engine alone writes, takes the place of a state that is on its way: as a later
 * one of the same, or when that one is none of an engine's.
 */
const mayReplace = (onItsWay: Uint8Array, left: Uint8Array): boolean =>
  Option.match(engineHead(onItsWay), {
    onNone: () => true,
    onSome: (before) => Option.exists(engineHead(left), ({ lineage, serial }) => lineage === before.lineage && serial >= before.serial)
  })

interface Held {
  readonly info: LockInfo
  /** Absent while it is asked for, and when that came to no answer: the server may have given it all the same. */
  readonly lock?: StateLock
  /** The engine has given it back, or never heard that it has it. */
  readonly isOver: boolean
  /** The newest under this lock, which nobody else can have changed; absent before it was read under it. */
  readonly known?: Option.Option<Uint8Array>
}

const make = Effect.fnUntraced(function*(): Effect.fn.Return<StateDelivery["Service"], never, Platform | Settings | Stop | TaskStatus> {
  const { cacheDirectory, pod, privateDirectory, statePatience } = yield* Settings
  const { tooLate } = yield* Stop
  const { unsavedDuring } = yield* TaskStatus
  const platform = yield* Platform
  const inTurn = Semaphore.makeUnsafe(1)
  /** By itself: an engine may read while another push waits for the server. One, since each has a whole state in memory. */
  const reading = Semaphore.makeUnsafe(1)
  let held: Held | undefined
  let wasLocked = false
  let unconfirmed: Uint8Array | undefined
  let confirmed: string | undefined
  /** Of the last state that the server refused and keeps as evidence. */
  let evidence: string | undefined
  let copy = Option.none<StrandedCopy>()
  let shared: { readonly digest: string; readonly file: string } | undefined

  /** When the engine was known to be gone, by the monotonic clock. */
  let goneAt = yield* Clock.monotonicTimeNanos

  const inGrace = <A>(ask: Effect.Effect<A, PlatformError>): Effect.Effect<A, PlatformError> =>
    Effect.raceFirst(ask, Effect.andThen(tooLate, Effect.fail(new NoAnswer({ detail: "not before the end of the grace period" }))))
  const again = <A>(
    ask: Effect.Effect<A, PlatformError>,
    mayHelp: (error: PlatformError) => boolean,
    limit: Duration.Duration
  ): Effect.Effect<A, PlatformError> =>
    Effect.tapError(ask, (error) => Effect.logWarning("The pool's server has not got the state yet, or its lock", error.message)).pipe(
      (told) => askAgain(told, { while: mayHelp, first: "200 millis", spaced: "5 seconds", limit }),
      inGrace
    )
  /** Through an outage, for as long as the engine waits; a token may be renewed meanwhile. */
  const stubbornly = <A>(ask: Effect.Effect<A, PlatformError>) => again(ask, ({ _tag }) => _tag !== "Declined", Duration.infinity)
  /** Through an outage when the engine is gone: a refusal stays one, and all questions together take `statePatience` at most. */
  const patiently = <A>(ask: Effect.Effect<A, PlatformError>) =>
    Effect.flatMap(
      Clock.monotonicTimeNanos,
      (now) => again(ask, ({ _tag }) => _tag === "NoAnswer", Duration.subtract(statePatience, Duration.nanos(now - goneAt)))
    )
  /** While the engine waits for what it can do nothing without. */
  const shortly = <A>(ask: Effect.Effect<A, PlatformError>) => inGrace(platform.patiently(ask))

  /** Puts a state on the shared volume, once, unless the server has kept it. */
  const share = Effect.fnUntraced(function*(bytes: Uint8Array) {
    const digest = sha256(bytes)
    if (Option.isNone(copy) || shared?.digest === digest || evidence === digest) return
    shared = { digest, file: yield* copy.value.keep(bytes) }
  }, Effect.catch((error) => Effect.logWarning(error.message)))
  const notTaken = (bytes: Uint8Array, error: PlatformError) =>
    Effect.suspend(() => {
      if (isEvidence(error)) evidence = sha256(bytes)
      return share(bytes)
    })
  const unshare = Effect.suspend(() => {
    if (Option.isNone(copy) || shared === undefined) return Effect.void
    shared = undefined
    return copy.value.remove
  })

  const learn = (under: LockInfo, newest: Option.Option<Uint8Array>) => {
    if (held?.info.ID === under.ID) held = { ...held, known: newest }
  }

  /** Nothing comes between the server's yes and this, not even an end of the stage. */
  const confirm = (bytes: Uint8Array, digest: string, under: LockInfo) =>
    Effect.sync(() => {
      unconfirmed = undefined
      confirmed = digest
      learn(under, Option.some(bytes))
    })

  const deliver = (bytes: Uint8Array, ask: (push: Effect.Effect<void, PlatformError>) => Effect.Effect<void, PlatformError>) =>
    Effect.gen(function*() {
      if (held?.lock === undefined) return yield* notLocked
      const { info, lock } = held
      const digest = sha256(bytes)
      unconfirmed = bytes
      yield* keepUnsavedCopy(privateDirectory, bytes).pipe(Effect.catch((error) => Effect.logWarning(error.message))) // the server is asked all the same
      const told = Effect.tapError(platform.pushState(bytes, digest, lock), (error) => notTaken(bytes, error))
      // An engine may hang up: its request is not interruptible by itself, and from here on the state is not lost with it.
      yield* Effect.interruptible(ask(Effect.tap(told, confirm(bytes, digest, info))))
      yield* unshare
      yield* removeUnsavedCopy(privateDirectory)
    })

  /** At its end the server opens the lock of a stage that succeeded; with that of any other it calls the state in doubt. */
  const giveBack = (ask: typeof patiently) =>
    Effect.suspend(() =>
      held === undefined ? Effect.void : Effect.tap(
        ask(platform.unlockState(held.info)),
        Effect.sync(() => {
          held = undefined
        })
      )
    ).pipe(
      Effect.catch((error) => Effect.logWarning("The lock of the state was not given back", error.message))
    )

  const forgetAsked = () => {
    if (held?.lock === undefined) held = undefined
  }

  /** Whatever ends it before the engine has its answer leaves a lock that is over: nothing was changed under it. */
  const lock = (info: LockInfo, ask: typeof patiently) =>
    Effect.gen(function*() {
      if (held?.info.ID !== info.ID) {
        yield* giveBack(ask)
        held = { info, isOver: true }
      }
      const granted = yield* Effect.tapErrorTag(ask(platform.lockState(info)), "Declined", () => Effect.sync(forgetAsked))
      held = { info, lock: granted, isOver: false }
      wasLocked = true
    })

  /** Notes that the lock may be given back when no state is left over. */
  const note = () => {
    if (held !== undefined) held = { ...held, isOver: true }
  }

  /** Delivers a state whose engine is gone, under a lock of its own if need be; unsaved all that time. */
  const rescue = Effect.fnUntraced(function*(bytes: Uint8Array) {
    if (held?.lock === undefined) {
      yield* lock({ ID: randomUUID(), Operation: "rescue", Who: pod.name }, patiently)
      note()
    }
    yield* deliver(bytes, patiently)
    return Settled.Saved()
  }, unsavedDuring)

  /** Keeps a state that could not be delivered; there may have been no time to ask even once. */
  const leave = Effect.fnUntraced(function*(bytes: Uint8Array, why: string) {
    const unkept = yield* Effect.match(keepUnsavedCopy(privateDirectory, bytes), {
      onFailure: ({ message }) => Option.some(message),
      onSuccess: () => Option.none<string>()
    })
    yield* share(bytes)
    return Settled.Unsaved({ why, unkept, shared: shared?.digest === sha256(bytes) ? Option.some(shared.file) : Option.none() })
  })

  const settle = (left: Option.Option<Uint8Array>): Effect.Effect<Settled> =>
    Effect.flatMap(Clock.monotonicTimeNanos, (now): Effect.Effect<Settled> => {
      goneAt = now
      const onItsWay = unconfirmed
      const wanted = Option.getOrUndefined(
        Option.filter(left, (bytes) => sha256(bytes) !== confirmed && (onItsWay === undefined || mayReplace(onItsWay, bytes)))
      ) ?? onItsWay
      if (wanted === undefined) {
        return Effect.succeed(confirmed !== undefined ? Settled.Saved() : wasLocked ? Settled.Unwritten() : Settled.Untouched())
      }
      unconfirmed = wanted
      return Effect.catch(rescue(wanted), ({ message }) => leave(wanted, message))
    })

  /**
   * The engine reads once more before it writes. When the server is away it gets what is known, so that its new state comes here, where it
   * is kept, and not to its own end.
   */
  const readUnder = ({ info, known }: Held) =>
    Effect.tap(
      known === undefined
        ? stubbornly(platform.state)
        : platform.state.pipe(
          Effect.timeoutOrElse({ duration: answerPatience, orElse: () => Effect.succeed(known) }),
          Effect.catch((error) => error._tag === "Declined" ? Effect.fail(error) : Effect.succeed(known))
        ),
      (newest) => Effect.sync(() => learn(info, newest))
    )

  return StateDelivery.of({
    shareAs: (stage) =>
      Effect.sync(() => {
        copy = Option.map(cacheDirectory, (directory) => strandedCopy(directory, stage))
      }),
    read: Effect.interruptible(
      reading.withPermit(Effect.suspend(() => held?.lock === undefined ? platform.patiently(platform.state) : readUnder(held)))
    ),
    lock: (info) => Effect.interruptible(inTurn.withPermit(lock(info, shortly))),
    push: (bytes) => inTurn.withPermit(deliver(bytes, (push) => unsavedDuring(stubbornly(push)))),
    unlock: ({ ID }) =>
      inTurn.withPermit(
        Effect.suspend(() =>
          held?.info.ID === ID
            ? Effect.sync(note)
            : Effect.fail(new Declined({ status: 409, message: "This command does not hold that lock.", body: undefined }))
        )
      ),
    settle: (left) => inTurn.withPermit(settle(left)),
    giveBack: inTurn.withPermit(
      Effect.suspend(() => held?.isOver === true && unconfirmed === undefined ? giveBack(patiently) : Effect.void)
    )
  })
})
