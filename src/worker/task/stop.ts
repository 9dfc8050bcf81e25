// Why the stage has to stop: a cancel of its AgentTask, SIGTERM of the Pod, its own deadline, or something that the worker finds.
// Invariant: only the first cause stops the stage, so the engine gets one interrupt at most; a deadline never stops the saving of state.
// Used by worker/stage/stage, worker/engine/engine and everything that waits for a server.
import { Context, Deferred, type Duration, Effect, Layer, Option, Schedule, type Scope, Stream } from "effect"
import type { StopCause } from "../../core/stage/outcome.ts"
import { type SignalPlan, signalPlan } from "../../core/stage/signal-plan.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import { agentTasks } from "../../kubernetes/kinds.ts"
import type { KubernetesObject } from "../../kubernetes/object.ts"
import { Settings } from "../settings.ts"

export class Stop extends Context.Service<Stop, {
  /** Completes with the cause when the stage has to stop. */
  readonly asked: Effect.Effect<StopCause>
  /** Returns the cause, if the stage has to stop by now. */
  readonly now: Effect.Effect<Option.Option<StopCause>>
  /** Which signals the engine gets and when, counted from the stop. */
  readonly plan: SignalPlan
  /** Completes when, after any cause, an engine that waits for its state to be taken is to be told that it is not. */
  readonly released: Effect.Effect<void>
  /** Completes when, after a cancel or SIGTERM (not after a deadline), the rest of the grace period is needed for the result. */
  readonly tooLate: Effect.Effect<void>
  /** Reports whether the Pod has got SIGTERM, even if something else had stopped the stage before. */
  readonly isLeaving: Effect.Effect<boolean>
  /** Reports whether the Pod ends soon, after a cancel or SIGTERM, even if something else had stopped the stage before. */
  readonly isEnding: Effect.Effect<boolean>
  /** Stops the stage for this cause, unless it has to stop already. */
  readonly because: (cause: StopCause) => Effect.Effect<void>
  /** Called once the task is claimed: begins to watch for a cancel, and stops the stage after this time. */
  readonly begin: (timeout: Duration.Input) => Effect.Effect<void>
}>()("agent-job/worker/Stop") {
  /** Listens for the signal from the beginning: a signal before the claim keeps the task from being claimed. */
  static readonly layerOn = (sigterm: Effect.Effect<void>) => Layer.effect(Stop, Effect.suspend(() => listen(sigterm)))
  static readonly layer = Layer.effect(Stop, Effect.suspend(() => listen(sigtermOfProcess)))
}

const listen = Effect.fnUntraced(
  function*(sigterm: Effect.Effect<void>): Effect.fn.Return<Stop["Service"], never, Kubernetes | Settings | Scope.Scope> {
    const { graceSeconds } = yield* Settings
    const context = yield* Effect.context<Kubernetes | Settings>()
    const scope = yield* Effect.scope
    const plan = signalPlan(graceSeconds)
    const first = Deferred.makeUnsafe<StopCause>()
    const leaving = Deferred.makeUnsafe<void>()
    const ending = Deferred.makeUnsafe<void>()
    const released = Deferred.makeUnsafe<void>()
    const tooLate = Deferred.makeUnsafe<void>()
    const because = (cause: StopCause) => Effect.asVoid(Deferred.succeed(first, cause))
    const fork = (effect: Effect.Effect<unknown>) => Effect.forkIn(effect, scope, { startImmediately: true })
    const bySomebody = (cause: StopCause) =>
      Deferred.succeed(ending, undefined).pipe(
        Effect.andThen(because(cause)),
        Effect.andThen(Effect.sleep(plan.giveUpAfterMillis)),
        Effect.andThen(Deferred.succeed(tooLate, undefined))
      )
    yield* fork(
      Deferred.await(first).pipe(
        Effect.andThen(Effect.sleep(plan.releaseAfterMillis)),
        Effect.andThen(Deferred.succeed(released, undefined))
      )
    )
    yield* fork(sigterm.pipe(Effect.andThen(Deferred.succeed(leaving, undefined)), Effect.andThen(bySomebody("Evicted"))))
    return Stop.of({
      asked: Deferred.await(first),
      now: Effect.suspend(() => Deferred.isDoneUnsafe(first) ? Effect.asSome(Deferred.await(first)) : Effect.succeedNone),
      plan,
      released: Deferred.await(released),
      tooLate: Deferred.await(tooLate),
      isLeaving: Effect.sync(() => Deferred.isDoneUnsafe(leaving)),
      isEnding: Effect.sync(() => Deferred.isDoneUnsafe(ending)),
      because,
      begin: Effect.fnUntraced(function*(timeout) {
        yield* fork(Effect.andThen(Effect.provide(cancelled, context), bySomebody("Cancelled")))
        yield* fork(Effect.andThen(Effect.sleep(timeout), because("DeadlineExceeded")))
      })
    })
  }
)

/** Completes at the first SIGTERM. Without a listener, Node would end the process at once. */
const sigtermOfProcess = Effect.callback<void>((resume) => {
  const hear = () => resume(Effect.void)
  process.once("SIGTERM", hear)
  return Effect.sync(() => process.removeListener("SIGTERM", hear))
})

/** The task is not decoded, since an older CRD may have dropped a part of its spec, and nothing may keep it from being cancelled. */
const isCancel = ({ spec }: KubernetesObject): boolean =>
  typeof spec === "object" && spec !== null && "cancel" in spec && spec.cancel === true

/** Reads and then watches the AgentTask. Returns true when it is cancelled, false when the watch ended before that. */
const look = Effect.gen(function*() {
  const kubernetes = yield* Kubernetes
  const { namespace, task: name } = yield* Settings
  const task = yield* kubernetes.get(agentTasks, { namespace, name })
  if (isCancel(task)) return true
  const seen = yield* kubernetes.watch(agentTasks, {
    namespace,
    fieldSelector: `metadata.name=${name}`,
    resourceVersion: task.metadata.resourceVersion,
    timeoutSeconds: 240
  }).pipe(
    Stream.filter((event) => event.type !== "BOOKMARK" && isCancel(event.object)),
    Stream.runHead,
    Effect.timeoutOrElse({ duration: "270 seconds", orElse: () => Effect.succeedNone }) // the connection may be dead without an error
  )
  return Option.isSome(seen)
})

/** Completes when the AgentTask is cancelled. After a watch that ended, failed or was forbidden, it looks again two seconds later. */
const cancelled = look.pipe(
  Effect.tapError((error) => Effect.logDebug("cannot watch the own AgentTask", error.message)),
  Effect.orElseSucceed(() => false),
  Effect.repeat({ until: (isCancelled) => isCancelled, schedule: Schedule.spaced("2 seconds") })
)
