// What only the leading controller does: it works off the queue of tasks, and takes work from the pool.
// When its scope closes, the passes that run first come to their end.
// Run by controller/lifecycle/controller once this replica leads.
import { Duration, Effect, Metric, Option, Schedule, Stream, SubscriptionRef } from "effect"
import type { ResolvedConfig } from "../../core/resolve/resolve.ts"
import { lastInDoubt } from "../../core/state/end-in-doubt.ts"
import { callTimeout } from "../../kubernetes/client.ts"
import { monotonicMillis } from "../../kubernetes/clock.ts"
import { keyOf } from "../../kubernetes/object.ts"
import { makeBackoff } from "../../queue/backoff.ts"
import * as KeyedQueue from "../../queue/keyed-queue.ts"
import { metrics } from "../../schema/api/metrics.ts"
import { holdReasons } from "../../schema/task/reason.ts"
import { poolIntake } from "../pool/pool-intake.ts"
import { Pool } from "../pool/pool.ts"
import { Reconciler } from "../reconcile/reconcile.ts"
import type { Turns } from "../world/turns.ts"
import type { World } from "../world/world.ts"
import type { Attention } from "./attention.ts"

const concurrency = 16
/** How long passes under way may go on after the end of a lead. Their requests may take `callTimeout` more: see formerLeadMillis. */
export const drainLimit = Duration.seconds(20)
const longestBackoff = Duration.minutes(1)

const leader = Metric.gauge("agent_job_leader", metrics.agent_job_leader)
const depth = Metric.gauge("agent_job_queue_depth", metrics.agent_job_queue_depth)
const failures = Metric.counter("agent_job_reconcile_failed_total", { ...metrics.agent_job_reconcile_failed_total, incremental: true })
const draining = Metric.gauge("agent_job_draining", metrics.agent_job_draining)

const heldBack = holdReasons.map((reason) => ({
  reason,
  gauge: Metric.gauge("agent_job_tasks_held_back", { ...metrics.agent_job_tasks_held_back, attributes: { reason } })
}))
/** How often the tasks are counted for that, which looks at each of them. */
const countedEvery = Duration.seconds(30)
const isolation = Metric.gauge("agent_job_isolation_proven", metrics.agent_job_isolation_proven)
const inDoubt = Metric.gauge("agent_job_tasks_in_doubt", metrics.agent_job_tasks_in_doubt)

/** Counts them, and names them in the log when they are news: nothing else tells such an end from others with the same reason. */
const tellDoubts = ({ cache }: World) => {
  let said = ""
  return Effect.suspend(() => {
    const tasks = lastInDoubt(cache.tasks().values()).map(({ metadata }) => keyOf(metadata)).sort()
    const isNews = tasks.join() !== said
    said = tasks.join()
    const named = { tasks: tasks.slice(0, 100) }
    return Effect.andThen(
      Metric.update(inDoubt, tasks.length),
      isNews && tasks.length > 0
        ? Effect.logWarning("these applies left their states in doubt, so their workspaces wait for a person", named)
        : Effect.void
    )
  })
}

const tell = ({ heldBack: count, isProven }: Pick<Turns, "heldBack" | "isProven">) =>
  Effect.suspend(() =>
    Effect.all([
      ...heldBack.map(({ gauge, reason }) => Metric.update(gauge, count(reason))),
      Metric.update(isolation, Number(isProven()))
    ], { discard: true })
  )

/** Says that this replica does not lead. One that has never led says so too, because alerts see no zero in a metric that is not there. */
export const doesNotLead = Metric.update(leader, 0)

export interface Parts {
  readonly world: World
  readonly config: ResolvedConfig
  readonly identity: string
  readonly attention: Attention
  readonly drained: SubscriptionRef.SubscriptionRef<boolean>
}

export const whileLeader = Effect.fnUntraced(function*({ attention, config, drained, identity, world }: Parts) {
  const reconciler = yield* Reconciler
  const work = (key: string) =>
    reconciler.reconcile(key).pipe(
      Effect.tapCause(() => Metric.update(failures, 1)),
      Effect.ensuring(measure)
    )
  let isCutOff = false
  yield* Effect.addFinalizer(() => isCutOff ? Effect.sleep(callTimeout) : Effect.void) // runs last: once another replica leads, no request of ours may be under way
  yield* Effect.addFinalizer(() => Metric.update(depth, 0)) // runs once the queue is gone
  const queue = yield* KeyedQueue.make({
    concurrency,
    work,
    backoff: makeBackoff(Duration.seconds(1), longestBackoff),
    pauseOf: (error) => error._tag === "TooManyRequests" ? error.retryAfter : Duration.zero
  })
  const measure: Effect.Effect<void> = Effect.flatMap(queue.waiting, (waiting) => Metric.update(depth, waiting))
  yield* Effect.addFinalizer(() =>
    queue.drain.pipe(
      Effect.timeoutOrElse({
        duration: drainLimit,
        orElse: () =>
          Effect.sync(() => {
            isCutOff = world.turns.launching()
          })
      }),
      Effect.andThen(doesNotLead)
    )
  )
  yield* Metric.update(leader, 1)
  yield* Metric.update(failures, 0) // a Prometheus sees the first failure only as the rise of a count that was there
  yield* Effect.addFinalizer(() => Metric.update(draining, 0)) // whoever leads next may hear that the drain is over
  yield* Effect.addFinalizer(() => Effect.andThen(tell({ heldBack: () => 0, isProven: () => false }), Metric.update(inDoubt, 0)))
  yield* attention.attach((key) => Effect.andThen(queue.add(key), measure))
  world.leadBegins(yield* monotonicMillis)
  yield* Effect.addFinalizer(() => Effect.map(monotonicMillis, world.leadEnds)) // runs first: a drain may wait for an API server that is away
  yield* attention.lookAtAll
  const intake = Option.match(Option.all([yield* Effect.serviceOption(Pool), Option.fromUndefinedOr(config.pool)]), {
    onNone: () => Effect.never,
    onSome: ([pool, { url }]) =>
      poolIntake({ url, namespace: config.taskNamespace, identity, world, look: attention.look, drained }).pipe(
        Effect.provideService(Pool, pool)
      )
  })
  return yield* Effect.all([
    intake,
    Effect.forever(Effect.flatMap(world.turns.moved, () => Effect.forEach(world.turns.untold(), attention.look, { discard: true }))),
    Stream.runForEach(SubscriptionRef.changes(drained), (isDrained) => Metric.update(draining, Number(isDrained))),
    Effect.repeat(Effect.andThen(tell(world.turns), tellDoubts(world)), Schedule.spaced(countedEvery))
  ], { concurrency: "unbounded", discard: true }) // all for the whole lead: a bug in one ends the lead, and not that one alone and unnoticed
})
