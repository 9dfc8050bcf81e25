// One pass over one task: observe, plan, execute, write the status if it changed.
// The decision and the slot it takes are one synchronous step; a conflict means somebody was faster, and the task is looked at again.
// Run by the keyed queue in controller/controller, never twice at once for one task.
import { Context, DateTime, Duration, Effect, Equal, Layer, Metric, Option } from "effect"
import { Action } from "../core/action.ts"
import type { Observed, Refusal } from "../core/observed.ts"
import { plan, type Plan } from "../core/plan.ts"
import { Kubernetes } from "../kubernetes/client.ts"
import type { KubernetesError } from "../kubernetes/errors.ts"
import { keyOf } from "../kubernetes/object.ts"
import type { AgentTask, AgentTaskStatus } from "../schema/agent-task.ts"
import { Configuration } from "./configuration.ts"
import { Executor, type Pass, type Refused, type Unsure } from "./execute.ts"
import { ask, type Asked, observe } from "./observe.ts"
import type { PoolError } from "./pool.ts"
import type { World } from "./world.ts"

type Failure = KubernetesError | PoolError

export class Reconciler extends Context.Service<Reconciler, {
  /** Gives the delay after which time alone may change the decision. */
  readonly reconcile: (key: string) => Effect.Effect<Option.Option<Duration.Duration>, Failure>
}>()("agent-job/controller/Reconciler") {
  static readonly layer = (world: World) => Layer.effect(Reconciler, make(world))
}

/** Somebody wrote the task meanwhile; its event usually comes before this is over. */
const afterConflict = Duration.millis(200)
/** Something that was there is gone: the task itself, which the cache will say soon, or a Job or Lease of others, which no event of ours says. */
const afterLoss = Duration.seconds(1)

const isWord = (action: Action): boolean => action._tag === "Emit" || action._tag === "ReportWait"

const passes = Metric.counter("agent_job_reconcile_total", { description: "Passes over a task, by the situation it was found in.", incremental: true })

const make = Effect.fnUntraced(function*(world: World) {
  const configuration = yield* Configuration
  const kubernetes = yield* Kubernetes
  const executor = yield* Executor

  const decide = (task: AgentTask, asked: Asked, { config, now }: Pass) => Effect.sync(() => {
    const observed = observe(world, task, asked)
    const decision = plan(config.policy, observed, now)
    if (decision.actions.some(({ _tag }) => _tag === "CreateJob")) world.reserve(task.metadata.uid)
    return { observed, decision }
  })

  /** By key: the version that a status of ours took the place of. As long as the caches still have it, the event of that write is on its way. */
  const replaced = new Map<string, string>()

  const write = (task: AgentTask, status: AgentTaskStatus) =>
    Effect.map(executor.writeStatus(task, status), (version) => {
      const { metadata } = task
      if (version !== metadata.resourceVersion) replaced.set(keyOf(metadata), metadata.resourceVersion)
    })

  const settle = (task: AgentTask, { status, requeueAfterMillis }: Plan) =>
    (Equal.equals(status, task.status) ? Effect.void : write(task, status)).pipe(
      Effect.as(Option.map(requeueAfterMillis, Duration.millis))
    )

  /** Actions, then the status, then the words that tell others of it: an end that was refused must not have been announced, and no pool holds up the status. */
  const carryOut = (observed: Observed, decision: Plan, pass: Pass) => {
    const words = decision.actions.filter(isWord)
    return executor.all(observed, decision.actions.filter((action) => !isWord(action)), pass).pipe(
      Effect.andThen(settle(observed.task, decision)),
      Effect.tap(() => words.length === 0 ? Effect.void : executor.all(observed, words, pass))
    )
  }

  /** A refusal is remembered for the pass that explains it, and forgotten by the next, which asks again. */
  const refused = (task: AgentTask, asked: Asked, pass: Pass, { kind, message }: Refusal) =>
    Effect.sync(() => world.refuse(task.metadata.uid, Option.some({ kind, message }))).pipe(
      Effect.andThen(decide(task, asked, pass)),
      Effect.tap(() => Effect.sync(() => world.refuse(task.metadata.uid, Option.none()))),
      Effect.flatMap(({ decision, observed }) => carryOut(observed, decision, pass))
    )

  /** As long as the Job may be there its slot stays taken. The task says what the server said, and the pass fails like any without an answer. */
  const unsure = (task: AgentTask, asked: Asked, pass: Pass, { because }: Unsure) =>
    Effect.suspend(() => {
      const observed: Observed = { ...observe(world, task, asked), refusal: Option.some({ kind: "Refused", message: because.message }) }
      return carryOut(observed, plan(pass.config.policy, observed, pass.now), pass)
    }).pipe(
      Effect.catch(({ message }) => Effect.logWarning(message)),
      Effect.andThen(Effect.fail(because))
    )

  const once = Effect.fnUntraced(function*(task: AgentTask): Effect.fn.Return<Option.Option<Duration.Duration>, Failure | Refused> {
    const now = DateTime.formatIso(yield* DateTime.now)
    const pass: Pass = { config: yield* configuration.current, now }
    const asked = yield* Effect.provideService(ask(world, task, now), Kubernetes, kubernetes)
    const { decision, observed } = yield* decide(task, asked, pass)
    yield* Metric.update(Metric.withAttributes(passes, { situation: decision.situation }), 1)
    return yield* carryOut(observed, decision, pass).pipe(
      Effect.catchTag("Refused", (refusal) => refused(task, asked, pass, refusal)),
      Effect.catchTag("Unsure", (answer) => unsure(task, asked, pass, answer))
    )
  })

  return Reconciler.of({
    reconcile: Effect.fn("Reconciler.reconcile")(function*(key) {
      const task = world.task(key)
      if (Option.exists(task, ({ metadata }) => metadata.resourceVersion === replaced.get(key))) return Option.none() // its event brings the key back
      replaced.delete(key)
      if (Option.isNone(task)) return Option.none()
      const { uid } = task.value.metadata
      return yield* once(task.value).pipe(
        // The slot is given back, but not while the Job may exist after all.
        Effect.tapError(({ _tag }) => _tag === "Unreachable" ? Effect.void : Effect.sync(() => world.refuse(uid, Option.none()))),
        Effect.catchTag(["Conflict", "AlreadyExists"], () => Effect.succeedSome(afterConflict)),
        Effect.catchTag("NotFound", () => Effect.succeedSome(afterLoss)),
        Effect.catchTag("Refused", ({ message }) => Effect.logWarning(message).pipe(Effect.as(Option.some(Duration.seconds(10))))),
        Effect.ensuring(Effect.sync(() => world.passed(uid)))
      )
    })
  })
})
