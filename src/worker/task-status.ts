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

  let isWanted = false
  /** As far as is known: a write whose answer was lost may have been taken. */
  let isSaid = false
  let isTrying = false
  const word = inTurn.withPermit(Effect.suspend(() => {
    if (!isWanted) return isSaid ? Effect.map(say(running(pod)), (done) => { isSaid = !done }) : Effect.void
    isSaid = true
    return say(unsaved)
  }))
  /** The API server may be away as well. One at a time: each wait that succeeds meanwhile asks for it. */
  const takeBack = Effect.suspend(() => {
    if (isTrying) return word
    isTrying = true
    return Effect.ensuring(Effect.repeat(word, { schedule: Schedule.spaced(tellEvery), while: () => isSaid && !isWanted }), Effect.sync(() => { isTrying = false }))
  })
  /** Beside the work, and not broken off when that ends: a write on its way might come after the next. */
  const beside = (words: Effect.Effect<unknown>) => Effect.forkIn(words, scope, { startImmediately: true })
  const want = (wanted: boolean) => Effect.sync(() => { isWanted = wanted })

  return TaskStatus.of({
    unsavedDuring: (work) => {
      const keepSaying = Effect.sleep(tellEvery).pipe(Effect.andThen(want(true)), Effect.andThen(beside(word)), Effect.forever)
      return Effect.raceFirst(work, keepSaying).pipe(
        Effect.tap(Effect.andThen(want(false), beside(takeBack))),
        Effect.tapError(() => Effect.suspend(() => want(isSaid))) // what is said already stays
      )
    }
  })
})
