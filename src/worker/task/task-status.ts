// Says in the AgentTask's status that a claimed stage waits for the pool's server, to which its log goes, or for a person to save its state.
// Invariant: a task that is over or has another claim is left alone; no work waits for these writes, which come one after another.
// Made by worker/stage/worker.ts, used by worker/state/state-delivery, worker/backing/pool-backing and worker/backing/saved-by-hand.
import { Context, Effect, Latch, Layer, type Scope } from "effect"
import { advance, isOver, type News, running, unanswered, unsaved, unwritten } from "../../core/task/status.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import { currentInstant } from "../../kubernetes/clock.ts"
import type { KubernetesError } from "../../kubernetes/errors.ts"
import type { Claim } from "../../schema/task/agent-task.ts"
import { toldAfter } from "../network/patience.ts"
import { Settings } from "../settings.ts"
import { claimedTaskKind, writeTaskStatus } from "./task-kind.ts"

export class TaskStatus extends Context.Service<TaskStatus, {
  /**
   * Runs the work; if that takes long, the status says that the server has not got all of the stage, until the work has succeeded. If it
   * fails later than that, the status stays so until the result; an earlier failure, such as a refusal, is left to the result alone.
   */
  readonly unsavedDuring: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Runs the work likewise; if that takes long, the status says that the backend of a task without a pool did not take the state. */
  readonly unwrittenDuring: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Runs the work likewise; if that takes long, the status says that the server does not answer the worker. */
  readonly unansweredDuring: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}>()("agent-job/worker/TaskStatus") {
  static readonly layer = (claim: Claim) => Layer.effect(TaskStatus, Effect.suspend(() => make(claim)))
}

/**
 * Whether the status at the API server tells the wait, as far as is known: a write without an answer may have succeeded, or may still
 * succeed after the next look.
 */
type Has = "unsaid" | "said" | "unsure"

const make = Effect.fnUntraced(
  function*({ nonce }: Claim): Effect.fn.Return<TaskStatus["Service"], never, Kubernetes | Settings | Scope.Scope> {
    const kubernetes = yield* Kubernetes
    const { namespace, pod, task: name } = yield* Settings
    const changed = Latch.makeUnsafe(false)
    let isWanted = false
    /** What is wanted, or was last. */
    let news: News = unsaved
    let has: Has = "unsaid"

    const want = (wanted: boolean, now?: News) =>
      Effect.sync(() => {
        const said = now ?? news
        if (wanted === isWanted && said === news) return
        isWanted = wanted
        news = said
        changed.openUnsafe()
      })

    /**
     * Looks at the task once, and writes its status if that is not as wanted; returns what the status tells then. Takes back only what the
     * worker wrote, not what the controller has written since. It has no limit of its own, because the API server may be slow, and the client
     * has one for each call.
     */
    const next = Effect.fnUntraced(
      function*(wanted: boolean, news: News, had: Has): Effect.fn.Return<Has, KubernetesError> {
        const task = yield* kubernetes.get(claimedTaskKind, { namespace, name })
        const { metadata, status } = task
        if (status.claim?.nonce !== nonce || isOver(status.phase)) return "unsaid"
        const isThere = status.reason === news.reason && status.message === news.message
        if (!wanted && !isThere) {
          return had === "unsure" ? "said" : "unsaid" // so that the status is looked at once more
        }
        if (wanted !== isThere) {
          const told = advance(status, {
            ...(wanted ? news : running(pod)),
            generation: metadata.generation,
            now: yield* currentInstant
          })
          yield* Effect.provideService(writeTaskStatus(claimedTaskKind, task, told), Kubernetes, kubernetes)
        }
        return wanted ? "said" : "unsaid"
      },
      Effect.retry({ while: ({ _tag }) => _tag === "Conflict", times: 3 })
    )

    const step = Effect.suspend(() => {
      const [wanted, had] = [isWanted, has]
      if (wanted) has = "unsure"
      return next(wanted, news, had)
    }).pipe(
      Effect.map((now) => {
        has = now
      }),
      Effect.catch((error) => Effect.logWarning("The AgentTask could not be told what its stage is waiting for", error.message)),
      Effect.catchDefect((defect) =>
        Effect.logError("The AgentTask was not told what its stage is waiting for, because of an unexpected error", defect)
      )
    )
    /** Told once, the status is looked at as often again, in case that somebody else has written it. */
    const due = Effect.suspend(() => has === "unsaid" ? changed.await : Effect.asVoid(Effect.timeoutOption(changed.await, toldAfter)))
    // Runs beside the work and is not interrupted when the work ends, because an interrupted write might still succeed after the next one.
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(due, Effect.andThen(Effect.sync(() => changed.closeUnsafe()), step))))

    const during = (said: News) => <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.raceFirst(work, Effect.forever(Effect.andThen(Effect.sleep(toldAfter), want(true, said)))).pipe(
        Effect.tap(want(false)),
        Effect.tapError(() => Effect.suspend(() => has === "unsaid" ? Effect.void : want(true, said))) // what is said already stays
      )
    return TaskStatus.of({ unsavedDuring: during(unsaved), unwrittenDuring: during(unwritten), unansweredDuring: during(unanswered(pod)) })
  }
)
