// What a claimed stage waits for, said in the status of its AgentTask: the pool's server, which gets the log, is what it waits for.
// Always holds: a task of another claim, or one that is over, is left alone; no work waits for the word on it, and one word is written after another.
// Made by worker/worker.ts, used by worker/state-delivery and worker/pool-backing.
import { Context, DateTime, Duration, Effect, Layer, Schedule, type Scope, Semaphore } from "effect"
import { advance, isOver, running, unsaved } from "../core/status.ts"
import { Kubernetes } from "../kubernetes/client.ts"
import type { Claim } from "../schema/agent-task.ts"
import { Settings } from "./settings.ts"
import { taskKind, writeTaskStatus } from "./task-kind.ts"

export class TaskStatus extends Context.Service<TaskStatus, {
  /** While it takes long, the status says that the server has not got all of the stage, and no more once it has succeeded. */
  readonly unsavedDuring: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}>()("agent-job/worker/TaskStatus") {
  static readonly layer = (claim: Claim) => Layer.effect(TaskStatus, Effect.suspend(() => make(claim)))
}

/** From when on a wait is worth a word, and how often it is looked whether it is still there. */
const tellEvery = Duration.seconds(20)

/** For one word, so that the next is not held up by it. */
const patience = Duration.seconds(5)

const make = Effect.fnUntraced(function*({ nonce }: Claim): Effect.fn.Return<TaskStatus["Service"], never, Kubernetes | Settings | Scope.Scope> {
  const kubernetes = yield* Kubernetes
  const { namespace, pod, task: name } = yield* Settings
  const scope = yield* Effect.scope
  const inTurn = Semaphore.makeUnsafe(1)

  /** Whether the status says so now, or is not this claim's any more. */
  const say = Effect.fnUntraced(function*(news: typeof unsaved) {
    const task = yield* kubernetes.get(taskKind, { namespace, name })
    const { metadata, status } = task
    if (status.claim?.nonce !== nonce || isOver(status.phase) || status.reason === news.reason) return true
    const next = advance(status, { ...news, generation: metadata.generation, now: DateTime.formatIso(yield* DateTime.now) })
    yield* Effect.provideService(writeTaskStatus(task, next), Kubernetes, kubernetes)
    return true
  }, Effect.retry({ while: ({ _tag }) => _tag === "Conflict", times: 3 }), Effect.timeout(patience), Effect.catch((error) => Effect.as(Effect.logWarning("What the stage waits for could not be written to its AgentTask", error.message), false)))

  /** Until it was taken back, which may take a while if the API server was away as well. */
  let isSaid = false
  const sayUnsaved = Effect.suspend(() => {
    isSaid = true
    return say(unsaved)
  })
  const takeBack = inTurn.withPermit(Effect.suspend(() => isSaid ? Effect.map(say(running(pod)), (done) => { isSaid = !done }) : Effect.void))
  /** Waits that are not over. */
  let open = 0
  /** Until it is heard, or something else waits, which says so and takes it back itself. */
  const takeBackAtLast = Effect.repeat(takeBack, { schedule: Schedule.spaced(tellEvery), while: () => isSaid && open === 0 })
  /** Beside the work, and not broken off when that ends: a write on its way might come after the next. */
  const beside = (words: Effect.Effect<unknown>) => Effect.forkIn(words, scope, { startImmediately: true })

  return TaskStatus.of({
    unsavedDuring: (work) => {
      const keepSaying = Effect.sleep(tellEvery).pipe(Effect.andThen(beside(inTurn.withPermit(sayUnsaved))), Effect.forever)
      const waiting = Effect.acquireUseRelease(Effect.sync(() => { open++ }), () => Effect.raceFirst(work, keepSaying), () => Effect.sync(() => { open-- }))
      return Effect.tap(waiting, beside(takeBackAtLast))
    }
  })
})
