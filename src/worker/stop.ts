// Why and since when the stage has to stop: a cancel of its AgentTask, SIGTERM of the Pod, its own deadline, or what the worker itself finds, whichever comes first.
// Always holds: there is at most one stop, so that the engine gets at most one interrupt; the stage's own time ends the engine, and never the saving of its state.
// Used by worker/stage, worker/engine and everything that waits for a server.
import { Context, Deferred, type Duration, Effect, Layer, Option, Schedule, type Scope, Stream } from "effect"
import type { StopCause } from "../core/outcome.ts"
import { type SignalPlan, signalPlan } from "../core/signal-plan.ts"
import { Kubernetes } from "../kubernetes/client.ts"
import type { KubernetesObject } from "../kubernetes/object.ts"
import { Settings } from "./settings.ts"
import { taskKind } from "./task-kind.ts"

export class Stop extends Context.Service<Stop, {
  /** Completes when the stage has to stop. */
  readonly asked: Effect.Effect<StopCause>
  /** The cause, if it has to stop by now. */
  readonly now: Effect.Effect<Option.Option<StopCause>>
  /** What the engine gets from that moment on. */
  readonly plan: SignalPlan
  /** Completes when somebody has stopped the stage, by a cancel or with its Pod, and what is left of the grace is for the result alone. */
  readonly tooLate: Effect.Effect<void>
  /** The Pod has to go, whatever else stopped the stage before. */
  readonly isLeaving: Effect.Effect<boolean>
  /** Stops the stage, unless it has to stop already. */
  readonly because: (cause: StopCause) => Effect.Effect<void>
  /** From the claim on: listens for a cancel, and stops the stage after this time. */
  readonly begin: (timeout: Duration.Input) => Effect.Effect<void>
}>()("agent-job/worker/Stop") {
  /** Hears the signal from the beginning: what comes before the claim keeps the task from being claimed. */
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
    const tooLate = Deferred.makeUnsafe<void>()
    const because = (cause: StopCause) => Effect.asVoid(Deferred.succeed(first, cause))
    const fork = (effect: Effect.Effect<unknown>) => Effect.forkIn(effect, scope, { startImmediately: true })
    const bySomebody = (cause: StopCause) =>
      because(cause).pipe(Effect.andThen(Effect.sleep(plan.giveUpAfterMillis)), Effect.andThen(Deferred.succeed(tooLate, undefined)))
    yield* fork(sigterm.pipe(Effect.andThen(Deferred.succeed(leaving, undefined)), Effect.andThen(bySomebody("Evicted"))))
    return Stop.of({
      asked: Deferred.await(first),
      now: Effect.suspend(() => Deferred.isDoneUnsafe(first) ? Effect.asSome(Deferred.await(first)) : Effect.succeedNone),
      plan,
      tooLate: Deferred.await(tooLate),
      isLeaving: Effect.sync(() => Deferred.isDoneUnsafe(leaving)),
      because,
      begin: Effect.fnUntraced(function*(timeout) {
        yield* fork(Effect.andThen(Effect.provide(cancelled, context), bySomebody("Cancelled")))
        yield* fork(Effect.andThen(Effect.sleep(timeout), because("DeadlineExceeded")))
      })
    })
  }
)

/** Node would end the process at once if nobody listened. */
const sigtermOfProcess = Effect.callback<void>((resume) => {
  const hear = () => resume(Effect.void)
  process.once("SIGTERM", hear)
  return Effect.sync(() => process.removeListener("SIGTERM", hear))
})

const isCancel = ({ spec }: KubernetesObject): boolean =>
  typeof spec === "object" && spec !== null && "cancel" in spec && spec.cancel === true

/** True when the AgentTask is cancelled; false when there is no more to be learned from this watch. */
const look = Effect.gen(function*() {
  const kubernetes = yield* Kubernetes
  const { namespace, task: name } = yield* Settings
  const { metadata, spec } = yield* kubernetes.get(taskKind, { namespace, name })
  if (spec.cancel === true) return true
  const seen = yield* kubernetes.watch(taskKind, {
    namespace,
    fieldSelector: `metadata.name=${name}`,
    resourceVersion: metadata.resourceVersion,
    timeoutSeconds: 240
  }).pipe(
    Stream.filter((event) => event.type !== "BOOKMARK" && isCancel(event.object)),
    Stream.runHead,
    Effect.timeoutOrElse({ duration: "270 seconds", orElse: () => Effect.succeedNone }) // a connection may be dead without a word
  )
  return Option.isSome(seen)
})

/** Completes when the AgentTask is cancelled. Where it may not watch, or nobody answers, it asks again every two seconds. */
const cancelled = look.pipe(
  Effect.tapError((error) => Effect.logDebug("cannot watch the own AgentTask", error.message)),
  Effect.orElseSucceed(() => false),
  Effect.repeat({ until: (isCancelled) => isCancelled, schedule: Schedule.spaced("2 seconds") })
)
