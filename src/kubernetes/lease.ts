// Leader election on a coordination.k8s.io Lease: at most one candidate leads, as far as clocks that tick alike can promise.
// A holder counts as gone only after its Lease stayed unchanged for its whole duration on our own clock; the times in the Lease are never compared with ours.
// It keeps standby replicas quiet and is no fence: every write still carries a guard of its own. Used by the controller.
import { Clock, Context, Data, Duration, Effect, Fiber, Option, Random, Schedule, Schema, Scope } from "effect"
import { Kubernetes } from "./client.ts"
import { microTime, monotonicMillis } from "./clock.ts"
import type { KubernetesError } from "./errors.ts"
import { leases } from "./kinds.ts"
import type { KubernetesObject } from "./object.ts"

/** How many seconds others wait for a silent leader. */
const leaseDurationSeconds = 15
/** How many milliseconds a leader goes on without a renewal: well below the duration of the lease, since stopping takes time too. */
const renewDeadlineMillis = 10_000
/** The most milliseconds that one call may take: a call that hangs must leave time for another before the deadline. */
const callLimitMillis = renewDeadlineMillis / 2
/**
 * The most time that the API server may take for a write: then it says what it waited for, such as a webhook, before we hang up. One that is
 * given up after four seconds, and passed over, leaves time for the write.
 */
const writeLimit = { within: "4500 millis" } as const

export interface Options {
  readonly namespace: string
  readonly name: string
  /** Unique to this process: another process with the same identity would take the lease over at once. */
  readonly identity: string
  /** How often a leader renews and the others look. Default: 2 s. */
  readonly retryPeriod?: Duration.Input
  /** How long a former leader that did not give the Lease back may still be at work after another process took it. */
  readonly aftermath: Duration.Input
  /**
   * Called before each update that takes over or renews the Lease, with the newest annotations that we know and whether a former leader may
   * still be at work. Returns the annotations to write.
   */
  readonly answerAnnotations?: (annotations: Annotations, formerAtWork: boolean) => Effect.Effect<Annotations>
}

/**
 * How many milliseconds ago the last renewal was sent of the lead under which an effect runs, also once that lead is lost; 0 without an
 * election. A process that was stopped knows by this that it has led no more for long, before any timer of its own tells. Of a machine that
 * was suspended it does not tell: the monotonic clock stands still meanwhile.
 */
export const SinceRenewal = Context.Reference<Effect.Effect<number>>("agent-job/kubernetes/SinceRenewal", {
  defaultValue: () => Effect.succeed(0)
})

export type Annotations = Readonly<Record<string, string>>

export interface Election {
  /**
   * Waits until this process leads, and then runs `whileLeader`. When that ends, so does the lead, and the lease is given back; while a
   * former leader may still be at work, the lease runs out instead, so that the next leader allows for that too. When no renewal
   * succeeds in time, `whileLeader` is interrupted, and runs anew once the process leads again. Renewal goes on until `whileLeader` and its
   * finalizers have ended.
   */
  readonly lead: <A, E, R>(whileLeader: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

const Spec = Schema.Struct({
  holderIdentity: Schema.optionalKey(Schema.NullOr(Schema.String)),
  leaseDurationSeconds: Schema.optionalKey(Schema.NullOr(Schema.Int)),
  acquireTime: Schema.optionalKey(Schema.NullOr(Schema.String)),
  renewTime: Schema.optionalKey(Schema.NullOr(Schema.String)),
  leaseTransitions: Schema.optionalKey(Schema.NullOr(Schema.Int))
})
type Spec = typeof Spec.Type
const decodeSpec = Schema.decodeUnknownOption(Spec)
const specOf = (lease: KubernetesObject): Spec => Option.getOrElse(decodeSpec(lease["spec"]), () => ({}))

/**
 * The Lease as we last wrote it, and the time just before that write, in monotonic milliseconds: once its duration has passed since then,
 * others may take over.
 */
interface Held {
  readonly lease: KubernetesObject
  readonly renewedAt: number
}

/** Another process leads now, or the Lease was deleted, or no renewal succeeded in time. */
class LeaseLost extends Data.TaggedError("LeaseLost")<{ readonly because: string }> {
  override get message() {
    return this.because
  }
}

const instant = Effect.map(Clock.currentTimeMillis, microTime)
/** A shutdown does not wait longer for the API server than this; the lease then runs out by itself. */
const releaseLimit = Duration.seconds(3)

export const make = Effect.fnUntraced(function*(
  {
    namespace,
    name,
    identity,
    retryPeriod = "2 seconds",
    aftermath,
    answerAnnotations = Effect.succeed
  }: Options
): Effect.fn.Return<Election, never, Kubernetes> {
  const kubernetes = yield* Kubernetes
  /** Whether we have tried to write the lease, so that it may be ours even if no answer said so. */
  let hasTriedToWrite = false
  /** What another holder last wrote, as JSON, and when we first saw it, in monotonic milliseconds. */
  let observed = { spec: "", at: 0 }
  /** When we last went to take the lease from a holder that had not given it back, in monotonic milliseconds. */
  let takenOverAt = -Infinity
  const aftermathMillis = Duration.toMillis(aftermath)
  const formerAtWork = Effect.map(monotonicMillis, (now) => now - takenOverAt < aftermathMillis)

  const get = Effect.timeout(kubernetes.get(leases, { namespace, name }), callLimitMillis)
  const write = Effect.fnUntraced(function*(send: (spec: Spec) => Effect.Effect<KubernetesObject, KubernetesError>, spec: Spec) {
    const renewedAt = yield* monotonicMillis
    hasTriedToWrite = true
    return {
      lease: yield* Effect.timeout(
        send({ ...spec, holderIdentity: identity, leaseDurationSeconds, renewTime: yield* instant }),
        callLimitMillis
      ),
      renewedAt
    } satisfies Held
  })
  const create = (spec: Spec) => kubernetes.create(leases, { metadata: { namespace, name }, spec }, writeLimit)
  const replace = (lease: KubernetesObject) =>
    Effect.fnUntraced(function*(spec: Spec) {
      const annotations = yield* answerAnnotations(lease.metadata.annotations ?? {}, yield* formerAtWork)
      return yield* kubernetes.update(leases, { ...lease, metadata: { ...lease.metadata, annotations }, spec }, writeLimit)
    })
  const isMine = (lease: KubernetesObject) => specOf(lease).holderIdentity === identity

  /** Reports whether another process holds the lease: it does so for the whole lease duration after we last saw the lease change. */
  const heldByAnother = (spec: Spec) =>
    Effect.map(monotonicMillis, (now) => {
      if (!spec.holderIdentity || spec.holderIdentity === identity) return false
      const text = JSON.stringify(spec)
      if (text !== observed.spec) observed = { spec: text, at: now }
      return now - observed.at < (spec.leaseDurationSeconds ?? leaseDurationSeconds) * 1000
    })

  /**
   * Tries once to acquire the lease; None while another process holds it, or when the try failed. If two processes find it free, both
   * write, and the API server refuses one of them.
   */
  const tryAcquire = Effect.gen(function*() {
    const found = yield* get.pipe(Effect.map(Option.some), Effect.catchTag("NotFound", () => Effect.succeedNone))
    const isKnown = hasTriedToWrite || observed.spec !== "" // a lease that we knew and that was deleted has not been given back
    if (Option.isNone(found)) {
      if (isKnown) takenOverAt = yield* monotonicMillis
      return Option.some(yield* write(create, { acquireTime: yield* instant, leaseTransitions: 0 }))
    }
    const before = specOf(found.value)
    if (yield* heldByAnother(before)) return Option.none<Held>()
    if (before.holderIdentity) takenOverAt = yield* monotonicMillis
    const transitions = (before.leaseTransitions ?? 0) + (before.holderIdentity === identity ? 0 : 1)
    return Option.some(yield* write(replace(found.value), { acquireTime: yield* instant, leaseTransitions: transitions }))
  }).pipe(
    Effect.catchTag(["Conflict", "AlreadyExists"], () => Effect.succeed(Option.none<Held>())),
    Effect.catch((error) => Effect.as(Effect.logWarning("cannot look at the lease", error.message), Option.none<Held>()))
  )

  const acquire: Effect.Effect<Held> = Effect.flatMap(
    tryAcquire,
    Option.match({
      onSome: Effect.succeed,
      onNone: () =>
        Random.nextBetween(1, 1.2).pipe(
          Effect.flatMap((jitter) => Effect.sleep(Duration.times(Duration.fromInputUnsafe(retryPeriod), jitter))),
          Effect.andThen(Effect.suspend(() => acquire))
        )
    })
  )

  /** After a conflict the Lease is still ours if only its labels changed, or if the answer to our own write was lost. */
  const reread = Effect.flatMap(
    get,
    (lease) =>
      isMine(lease) ? Effect.succeed(lease) : Effect.fail(new LeaseLost({ because: `${specOf(lease).holderIdentity} holds it now` }))
  )

  /**
   * Waits until the next renewal is due, which one after a slow one is at once, and tries until one succeeds; fails with `LeaseLost` at the
   * deadline after the last successful one.
   */
  const renew = Effect.fnUntraced(function*({ lease, renewedAt }: Held) {
    const age = (yield* monotonicMillis) - renewedAt
    return yield* write(replace(lease), specOf(lease)).pipe(
      Effect.catchTag("Conflict", () => Effect.flatMap(reread, (newer) => write(replace(newer), specOf(newer)))),
      Effect.catchTag("NotFound", () => new LeaseLost({ because: "it was deleted" })),
      Effect.tapError((error) => Effect.logWarning("cannot renew the lease", error.message)),
      Effect.retry({ schedule: Schedule.spaced(retryPeriod), while: (error) => error._tag !== "LeaseLost" }),
      Effect.delay(Math.max(0, Duration.toMillis(retryPeriod) - age)),
      Effect.timeoutOrElse({
        duration: Math.max(0, renewDeadlineMillis - age),
        orElse: () => new LeaseLost({ because: "no renewal succeeded in time" })
      })
    )
  })

  /** Gives the lease back at once, so that a standby need not wait until it runs out. It leaves the lease of another holder alone. */
  const release = (held: Held | undefined) => {
    const free = (newest: KubernetesObject) =>
      Effect.flatMap(
        instant,
        (renewTime) =>
          kubernetes.update(leases, { ...newest, spec: { ...specOf(newest), holderIdentity: "", leaseDurationSeconds: 1, renewTime } })
      )
    const found = Effect.flatMap(reread, free) // the answer to the last write did not arrive
    return (held === undefined ? found : Effect.catchTag(free(held.lease), "Conflict", () => found)).pipe(
      Effect.catchTag("LeaseLost", () => Effect.void),
      Effect.timeout(releaseLimit),
      Effect.catch((error) => Effect.logWarning("cannot give the lease back, so it must run out", error.message))
    )
  }

  /**
   * Leads once; None when the lease was lost. The finalizers run in this order: those of `whileLeader`, the end of renewal, the release.
   */
  const term = <A, E, R>(whileLeader: Effect.Effect<A, E, R>) =>
    Effect.scopedWith((scope) =>
      Effect.gen(function*() {
        let current: Held | undefined
        const releaseIfOurs = Effect.flatMap(formerAtWork, (atWork) => hasTriedToWrite && !atWork ? release(current) : Effect.void)
        yield* Scope.addFinalizer(scope, releaseIfOurs) // even if this process is stopped before it hears that it leads
        let newest = current = yield* acquire
        yield* Effect.logInfo("leads")
        const renewals = yield* Effect.suspend(() => renew(newest)).pipe(
          Effect.map((next) => {
            newest = current = next
          }),
          Effect.forever,
          Effect.catch(({ message }) => Effect.logError("lost the lease", message)),
          Effect.forkIn(scope)
        )
        const sinceRenewal = Effect.map(monotonicMillis, (now) => now - newest.renewedAt)
        const led = Effect.provideService(whileLeader, SinceRenewal, sinceRenewal)
        return yield* Effect.raceFirst(Effect.map(led, Option.some), Effect.as(Fiber.join(renewals), Option.none<A>()))
      })
    )

  const lead = <A, E, R>(whileLeader: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.logInfo("stands in line to lead").pipe(
      Effect.andThen(term(whileLeader)),
      Effect.flatMap(Option.match({ onSome: Effect.succeed, onNone: () => lead(whileLeader) }))
    )

  return {
    lead: (whileLeader) => Effect.annotateLogs(lead(whileLeader), { lease: `${namespace}/${name}`, identity })
  }
})
