// One pass over one task: ask, observe, plan, execute, write the status if it changed.
// The decision and the slot it takes are one synchronous step; a conflict means that another writer was faster, and the task is looked at again.
// Run by the keyed queue in controller/lifecycle/leader, never twice at once for one task.
import { Context, Duration, Effect, Equal, Layer, Metric, Option } from "effect"
import type { Notice } from "../../core/reconcile/action.ts"
import { type Plan, plan } from "../../core/reconcile/plan.ts"
import type { Observed, Refusal } from "../../core/task/observed.ts"
import { isOver } from "../../core/task/status.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import { currentInstant, monotonicMillis } from "../../kubernetes/clock.ts"
import type { KubernetesError } from "../../kubernetes/errors.ts"
import { keyOf } from "../../kubernetes/object.ts"
import { makeBackoff } from "../../queue/backoff.ts"
import { metrics } from "../../schema/api/metrics.ts"
import type { AgentTask, AgentTaskStatus } from "../../schema/task/agent-task.ts"
import { Configuration } from "../configuration/configuration.ts"
import type { PoolSilent, ReportError } from "../pool/pool-reports.ts"
import type { World } from "../world/world.ts"
import { ask, type Asking, askLive } from "./ask.ts"
import type { Behind } from "./behind.ts"
import { Executor, type JobMade, type Pass } from "./execute.ts"
import { sharedSources } from "./flux-sources.ts"
import { type Answers, noAnswers, observe } from "./observe.ts"
import { makeOwnWrites } from "./own-writes.ts"
import type { Unsure, WriteRefused } from "./refusals.ts"
import { type Lasting, lasting, makeStandstills } from "./standstills.ts"
import { makeTaskTimes } from "./task-times.ts"
import { sharedWarnings } from "./warnings.ts"

type Failure = KubernetesError | ReportError

export class Reconciler extends Context.Service<Reconciler, {
  /** Makes a pass over the task of the key. Returns the delay after which time alone may change the decision. */
  readonly reconcile: (key: string) => Effect.Effect<Option.Option<Duration.Duration>, Failure>
}>()("agent-job/controller/Reconciler") {
  static readonly layer = (world: World) => Layer.effect(Reconciler, make(world))
}

/**
 * The delay after an object was found to be gone: the task itself, of which the cache will hear soon, or a Job or Lease of others, of which
 * no event tells us.
 */
const afterLoss = Duration.seconds(1)

/** The delay after another writer was faster; the event of its write usually comes before the delay is over. */
const afterConflict = Duration.millis(200)

/** The delay while a cache is behind. */
const whileBehind = Duration.seconds(5)

/** The delay until a pool that did not hear why a task waits is told again. */
const untilHeard = Duration.seconds(30)

const decisions = Metric.counter("agent_job_reconcile_total", { ...metrics.agent_job_reconcile_total, incremental: true })
const endedAt = Metric.gauge("agent_job_task_ended_timestamp_seconds", metrics.agent_job_task_ended_timestamp_seconds)

const makesJob = ({ actions }: Plan): boolean => actions.some(({ _tag }) => _tag === "CreateJob")

/**
 * Returns what counts a decision: `atOnce`, or `onceWritten` if it ends the task, because an end that met a conflict has not happened and
 * wakes nobody.
 */
const countsOf = ({ task: { spec: { stage }, status } }: Observed, { situation, status: { phase } }: Plan, now: string) => {
  const counted = { situation, stage }
  if (phase === undefined || !isOver(phase) || isOver(status.phase)) {
    return { atOnce: Metric.update(Metric.withAttributes(decisions, counted), 1), onceWritten: Effect.void }
  }
  const ended = { ...counted, ends: phase }
  const onceWritten = Effect.andThen(
    Metric.update(Metric.withAttributes(decisions, ended), 1),
    Metric.update(Metric.withAttributes(endedAt, ended), Date.parse(now) / 1000)
  )
  return { atOnce: Effect.void, onceWritten }
}

const make = Effect.fnUntraced(function*(world: World) {
  const configuration = yield* Configuration
  const kubernetes = yield* Kubernetes
  const executor = yield* Executor
  const sources = yield* sharedSources
  const warned = yield* sharedWarnings
  const ownWrites = makeOwnWrites()
  const standstills = makeStandstills()
  const times = makeTaskTimes()
  const ledMillis = Effect.map(monotonicMillis, world.ledMillis)

  const look = <E>(task: AgentTask, { config, now }: Pass, ask: (asking: Asking) => Effect.Effect<Answers, E, Kubernetes>) =>
    ledMillis.pipe(
      Effect.flatMap((at) => ask({ world, task, policy: config.policy, now, at, followed: sources.look, warned })),
      Effect.provideService(Kubernetes, kubernetes)
    )

  /** Decides on a task; None if the task went meanwhile. */
  const decide = (task: AgentTask, answers: Answers, { config, now }: Pass) =>
    Effect.map(ledMillis, (at) => {
      if (Option.isNone(world.cache.taskByUid(task.metadata.uid))) return Option.none()
      const observed = observe(world, task, answers, at)
      const decision = plan(config.policy, observed, now)
      world.passSaw(observed, at)
      if (makesJob(decision)) world.turns.reserve(task.metadata.uid)
      return Option.some({ observed, decision })
    })

  /** Decides on a task and, if the decision needs that, a second time upon what the API server itself has. */
  const decideForSure = Effect.fnUntraced(function*(task: AgentTask, answers: Answers, pass: Pass) {
    const first = yield* decide(task, answers, pass)
    if (Option.isNone(first) || first.value.decision.recheck === undefined) return first
    const { decision, observed } = first.value
    const job = Option.filter(observed.job, () => decision.recheck === "job")
    return yield* decide(task, yield* look(task, pass, (asking) => askLive(asking, job, answers)), pass)
  })

  /** The backoff for Jobs that the API server failed to make, mostly because of a webhook that is starting again, or is gone for hours. */
  const backoff = makeBackoff<string>(Duration.seconds(1), Duration.minutes(1))

  const write = (task: AgentTask, status: AgentTaskStatus) =>
    Effect.map(executor.writeStatus(task, status), (version) => {
      const { metadata } = task
      if (version !== metadata.resourceVersion) ownWrites.replaced(keyOf(metadata), metadata.resourceVersion) // otherwise no event comes
    })

  /**
   * Writes the status if it changed, with the UID of a Job that was just made, which marks that Job as counted. Returns the delay until the
   * next pass.
   */
  const settle = (task: AgentTask, { requeueAfterMillis, status: planned }: Plan, made: Option.Option<JobMade>) => {
    const status = Option.isSome(made) && planned.launches !== undefined ? { ...planned, job: made.value } : planned
    return Effect.as(
      Equal.equals(status, task.status) ? Effect.void : write(task, status),
      Option.map(requeueAfterMillis, Duration.millis)
    )
  }

  const say = (task: AgentTask, notice: Notice, pass: Pass) =>
    Effect.tap(executor.say(task, notice, pass), (heard) =>
      Effect.sync(() => {
        if (notice._tag !== "ReportWait") return
        if (heard) world.setReportedWait(task.metadata.uid, notice)
        else world.clearReportedWait(task.metadata.uid) // it may have been heard, though no answer came
      }))

  const carryOut = Effect.fnUntraced(function*(observed: Observed, decision: Plan, pass: Pass) {
    const { atOnce, onceWritten } = countsOf(observed, decision, pass.now)
    yield* atOnce
    yield* Effect.logDebug("decided", {
      task: observed.task.metadata.name,
      situation: decision.situation,
      actions: decision.actions.map(({ _tag }) => _tag),
      againInMillis: Option.getOrElse(decision.requeueAfterMillis, () => "none") // then only an event makes it look again
    })
    const made = yield* executor.all(observed.task, decision.actions, pass).pipe(
      Effect.tapError(({ _tag }) =>
        _tag === "Unreachable" || _tag === "Unsure" || !makesJob(decision)
          ? Effect.void
          : Effect.sync(() => world.turns.giveBack(observed.task.metadata.uid))
      ) // the slot is not given back while the Job may be there after all, of this pass or of one before
    )
    const again = yield* settle(observed.task, decision, made).pipe(
      Effect.tapError(({ _tag }) => _tag === "Unreachable" ? onceWritten : Effect.void), // if it was written, no later pass ends the task
      Effect.tap(onceWritten)
    )
    const heard = yield* Effect.forEach(decision.notices, (notice) => say(observed.task, notice, pass))
    return heard.every((_) => _)
      ? again
      : Option.some(Option.match(again, { onNone: () => untilHeard, onSome: (delay) => Duration.min(delay, untilHeard) }))
  })

  /**
   * Keeps a refusal until its time is over. No pass before that asks the API server again, such as the one for the event of the status that
   * tells of the refusal.
   */
  const keep = ({ metadata: { uid } }: AgentTask, { againInMillis, kind, message, ofDeletion }: Refusal) =>
    Effect.map(ledMillis, (at) => world.refusals.refuse(uid, { kind, message, againInMillis, ...(ofDeletion && { ofDeletion }) }, at))

  /** Returns what an answer means. A write that may have succeeded counts as refused until a look shows its Job, and is tried ever more seldom. */
  const asRefusal = ({ metadata }: AgentTask, answer: WriteRefused | Unsure): Effect.Effect<Refusal> => {
    if (answer._tag === "WriteRefused") return Effect.succeed(answer)
    const { message } = answer.because
    const againInMillis = Duration.toMillis(backoff.failed(keyOf(metadata)).delay)
    return Effect.as(Effect.logWarning(message), { kind: "Refused", message, againInMillis })
  }

  /** Looks at a task, decides on it and carries that out. It does so again upon a refusal, with which no decision asks for the same. */
  const once = Effect.fnUntraced(
    function*(
      task: AgentTask,
      pass: Pass
    ): Effect.fn.Return<Option.Option<Duration.Duration>, Failure | PoolSilent | Behind> {
      world.refusals.dropExpired(task.metadata.uid, yield* ledMillis)
      const answers = yield* Effect.catchTag(look(task, pass, ask), "ReadRefused", (refusal) => Effect.as(keep(task, refusal), noAnswers))
      const decided = yield* decideForSure(task, answers, pass)
      if (Option.isNone(decided)) return Option.none()
      const { decision, observed } = decided.value
      return yield* carryOut(observed, decision, pass).pipe(
        Effect.catchTag(
          ["WriteRefused", "Unsure"],
          (answer) => Effect.flatMap(asRefusal(task, answer), (refusal) => Effect.andThen(keep(task, refusal), once(task, pass)))
        )
      )
    }
  )

  /** Says what keeps the passes over a task from their end, if that is news. */
  const tellStandstill = (task: AgentTask, error: Lasting, pass: Pass) =>
    Effect.flatMap(
      monotonicMillis,
      (at) =>
        Option.match(standstills.notice(task, error, at, world.overMillis({ task }, world.ledMillis(at))), {
          onNone: () => Effect.void,
          onSome: (notice) => executor.say(task, notice, pass)
        })
    )

  return Reconciler.of({
    reconcile: Effect.fn("Reconciler.reconcile")(function*(key) {
      const task = world.cache.task(key)
      if (Option.isNone(task)) {
        ownWrites.forget(key)
        backoff.ended(key)
        sources.forget(key)
        standstills.over(key)
        times.forget(key)
        return Option.none()
      }
      yield* times.saw(key, task.value)
      const { resourceVersion, uid } = task.value.metadata
      if (ownWrites.isBehind(key, resourceVersion)) return Option.none() // the event of our write brings the key back
      if (Option.isSome(world.cache.job(uid))) backoff.ended(key)
      const pass: Pass = { config: yield* configuration.current, now: yield* currentInstant }
      return yield* once(task.value, pass).pipe(
        Effect.tap(() => Effect.sync(() => standstills.over(key))),
        Effect.tapErrorTag(lasting, (error) => tellStandstill(task.value, error, pass)),
        Effect.catchTag(["AlreadyExists", "Behind", "Conflict"], ({ message }) =>
          Effect.suspend(() => {
            if (!ownWrites.metConflict(key, resourceVersion)) return Effect.succeedSome(afterConflict)
            const told = Effect.logInfo("the cache is behind; the task is looked at again until it has caught up", message)
            return Effect.as(told, Option.some(whileBehind))
          })),
        Effect.catchTag("NotFound", () => Effect.succeedSome(afterLoss)),
        Effect.catchTag("PoolSilent", ({ againInMillis }) => Effect.succeedSome(Duration.millis(againInMillis))),
        Effect.ensuring(Effect.sync(() => world.turns.passEnded(uid)))
      )
    })
  })
})
