// Asks the pool by long poll for work and for cancellations, and has both carried out.
// While a cluster is drained, or full, it asks for cancellations alone, and says so.
// Run by controller/lifecycle/leader while it leads.
import { Clock, Duration, Effect, Metric, Option, Ref, Schedule, Stream, SubscriptionRef } from "effect"
import { metrics } from "../../schema/api/metrics.ts"
import { Configuration } from "../configuration/configuration.ts"
import { makeAcceptor, sayAgain, type TaskPlace } from "./accept.ts"
import { cancel } from "./cancel.ts"
import { Pool } from "./pool.ts"

export interface Intake extends TaskPlace {
  /** Names this agent at the pool. */
  readonly identity: string
  /** Whether the cluster is drained. While it is, this agent takes no work, so that other agents may have it. */
  readonly drained: SubscriptionRef.SubscriptionRef<boolean>
}

/**
 * How long a poll waits for work or cancellations. It is shorter than the 30 s after which many gateways end a request that has no answer,
 * such as the router of OpenShift.
 */
const waitSeconds = 20
/** How long a poll for cancellations waits while a failed one is to be tried again. */
const retrySeconds = 5
/** How many tasks of the pool may wait here beyond the limit, so that a freed slot is filled at once. */
const backlog = 100
const retry = Schedule.min([Schedule.exponential("500 millis"), Schedule.spaced("5 seconds")]).pipe(Schedule.jittered)

const answeredAt = Metric.gauge("agent_job_pool_answered_timestamp_seconds", metrics.agent_job_pool_answered_timestamp_seconds)
const answered = Effect.flatMap(Clock.currentTimeMillis, (millis) => Metric.update(answeredAt, millis / 1000))

/** Does what follows from an answer of the pool, during which this agent does not ask again, and the pool counts as answering. */
const asAnswered = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.raceFirst(Effect.forever(Effect.andThen(answered, Effect.sleep("1 minute"))), effect)

/**
 * Returns how many tasks of the pool wait here. A task of Git or of a person does not count, whatever it waits for, so that it keeps no run
 * from being taken.
 */
const waitingOfPool = ({ world }: Intake): number =>
  world.turns.waiting().filter((key) => Option.exists(world.cache.task(key), ({ spec }) => spec.pool !== undefined)).length

const room = (intake: Intake) =>
  Effect.gen(function*() {
    const { policy } = yield* (yield* Configuration).current
    return policy.limits.total + backlog - waitingOfPool(intake)
  })

/** Returns what the pool is told while this agent asks for no work. */
const restingOf = Effect.fnUntraced(function*(intake: Intake) {
  const agent = intake.identity
  if (yield* SubscriptionRef.get(intake.drained)) return { agent, because: "drained" as const }
  return (yield* room(intake)) <= 0 ? { agent, because: "full" as const } : undefined
})

const untilDrainedIs = ({ drained }: Intake, wanted: boolean) =>
  Stream.runHead(Stream.filter(SubscriptionRef.changes(drained), (isDrained) => isDrained === wanted))

const take = Effect.fnUntraced(function*(intake: Intake, accept: ReturnType<typeof makeAcceptor>) {
  if (yield* SubscriptionRef.get(intake.drained)) return yield* untilDrainedIs(intake, false)
  const free = yield* room(intake)
  if (free <= 0) return yield* Effect.sleep("1 second")
  const pool = yield* Pool
  const asked = Effect.tap(
    pool.acquire(intake.identity, waitSeconds, Math.min(free, 100)),
    (offers) => Effect.logDebug("the pool was asked for work", { free, offered: offers.map(({ id }) => id) })
  )
  const offers = yield* Effect.raceFirst(asked, Effect.as(untilDrainedIs(intake, true), []))
  yield* asAnswered(accept(offers))
})

/** How far the feed of cancellations was followed, and the ids of those that could not be carried out yet. */
interface Followed {
  readonly after: number
  readonly failed: ReadonlyArray<string>
}

/** Carries out the next cancellations, and tries those that failed once more. One that fails again must not keep the others waiting. */
const followCancellations = Effect.fnUntraced(function*(intake: Intake, { after, failed }: Followed) {
  const pool = yield* Pool
  const resting = yield* restingOf(intake)
  const { ids, next } = yield* pool.cancellations(after, failed.length === 0 ? waitSeconds : retrySeconds, resting)
  yield* Effect.logDebug("the pool was asked for cancellations", { ids, resting: resting?.because })
  if (resting !== undefined) yield* answered
  const fails = (id: string) =>
    Effect.as(cancel(intake.namespace, id), false).pipe(
      Effect.catch(({ message }) => Effect.logWarning(message).pipe(Effect.annotateLogs({ assignment: id }), Effect.as(true)))
    )
  return { after: next, failed: yield* Effect.filter(new Set([...failed, ...ids]), fails, { concurrency: 8 }) }
})

/**
 * The pool was away once so many tries in a row have failed, which takes some seconds, or none had an answer for so long, which may be one
 * try on a path that drops its packets. A busy one fails once or twice, and must not be told of a thousand tasks for that.
 */
const away = { tries: 4, millis: 30_000 }

/**
 * Tells the pool of all tasks anew: one that was away may be a copy from before, which has an earlier agent for some and another reason. Its
 * cancellations are followed from their beginning for the same reason: it has lost the results of some.
 */
const tellAnew = (intake: Intake) =>
  Effect.suspend(() => Effect.forEach([...intake.world.cache.tasks().values()], (task) => sayAgain(intake, task), { discard: true }))

/** How long a step lasts at least: a pool that answers everything at once would otherwise keep the controller from its other work. */
const shortestStep = Duration.millis(100)

const unhurried = <A, E, R>(step: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.all([step, Effect.sleep(shortestStep)], { concurrency: 2 }), ([done]) => done)

/** Tries a step until it succeeds. The backoff starts anew with the next step. */
const persistently = <A, E extends { readonly message: string }, R>(step: Effect.Effect<A, E, R>) =>
  unhurried(step).pipe(Effect.tapError(({ message }) => Effect.logWarning(message)), Effect.retry(retry))

/** Takes assignments and cancellations until interrupted. */
export const poolIntake = Effect.fnUntraced(function*(intake: Intake) {
  yield* answered
  const followed = yield* Ref.make<Followed>({ after: 0, failed: [] })
  const cancellations = Effect.gen(function*() {
    const before = yield* Ref.get(followed)
    const since = yield* Clock.currentTimeMillis
    let [failures, wasAway] = [0, false]
    const noteFailure = Effect.map(Clock.currentTimeMillis, (now) => {
      failures += 1
      wasAway = failures >= away.tries || now - since >= away.millis
    })
    const follow = Effect.suspend(() => followCancellations(intake, wasAway ? { ...before, after: 0 } : before))
    yield* Ref.set(followed, yield* persistently(Effect.tapError(follow, () => noteFailure)))
    if (wasAway) yield* tellAnew(intake)
  })
  const taking = persistently(take(intake, makeAcceptor(intake)))
  return yield* Effect.all([Effect.forever(taking), Effect.forever(cancellations)], { concurrency: 2, discard: true })
})
