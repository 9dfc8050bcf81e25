// What a claimed stage waits for, said in the status of its AgentTask: the pool's server, which gets the log, is what it waits for.
// Always holds: a task of another claim, or one that is over, is left alone; no work waits for the word on it, and one word is written after another.
// Made by worker/worker.ts, used by worker/state-delivery and worker/pool-backing.
import { Context, DateTime, Duration, Effect, Latch, Layer, type Scope } from "effect"
import { advance, isOver, running, unsaved } from "../core/status.ts"
import { Kubernetes } from "../kubernetes/client.ts"
import type { KubernetesError } from "../kubernetes/errors.ts"
import type { Claim } from "../schema/agent-task.ts"
import { Settings } from "./settings.ts"
import { taskKind, writeTaskStatus } from "./task-kind.ts"

export class TaskStatus extends Context.Service<TaskStatus, {
  /**
   * While it takes long, the status says that the server has not got all of the stage, and no more once it has succeeded. When it fails,
   * what was said stays until the result;
   * a failure that comes sooner, such as a refusal, is left to the result alone.
   */
  readonly unsavedDuring: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}>()("agent-job/worker/TaskStatus") {
  static readonly layer = (claim: Claim) => Layer.effect(TaskStatus, Effect.suspend(() => make(claim)))
}

/** From when on a wait is worth a word, and how often it is looked whether that is still there. */
const tellEvery = Duration.seconds(20)

/** For one word, so that the next is not held up by it. */
const patience = Duration.seconds(5)

/**
 * What the API server has of our word, as far as is known: a write without an answer may have been taken, and may be so only after the next
 * look.
 */
type Has = "unsaid" | "said" | "unsure"

const make = Effect.fnUntraced(
  function*({ nonce }: Claim): Effect.fn.Return<TaskStatus["Service"], never, Kubernetes | Settings | Scope.Scope> {
    const kubernetes = yield* Kubernetes
    const { namespace, pod, task: name } = yield* Settings
    const changed = Latch.makeUnsafe(false)
    let isWanted = false
    let has: Has = "unsaid"

    const want = (wanted: boolean) =>
      Effect.sync(() => {
        if (wanted === isWanted) return
        isWanted = wanted
        changed.openUnsafe()
      })

    /**
     * One look, and a write if the status is not as wanted; gives what it has then. Only our own word is taken back, and not what the
     * controller has said since.
     */
    const next = Effect.fnUntraced(
      function*(wanted: boolean, had: Has): Effect.fn.Return<Has, KubernetesError> {
        const task = yield* kubernetes.get(taskKind, { namespace, name })
        const { metadata, status } = task
        if (status.claim?.nonce !== nonce || isOver(status.phase)) return "unsaid"
        const isThere = status.reason === unsaved.reason
        if (!wanted && !isThere) {
          return had === "unsure" ? "said" : "unsaid" // looked for once more
        }
        if (wanted !== isThere) {
          const told = advance(status, {
            ...(wanted ? unsaved : running(pod)),
            generation: metadata.generation,
            now: DateTime.formatIso(yield* DateTime.now)
          })
          yield* Effect.provideService(writeTaskStatus(task, told), Kubernetes, kubernetes)
        }
        return wanted ? "said" : "unsaid"
      },
      Effect.retry({ while: ({ _tag }) => _tag === "Conflict", times: 3 }),
      Effect.timeout(patience)
    )

    const step = Effect.suspend(() => {
      const [wanted, had] = [isWanted, has]
      if (wanted) has = "unsure"
      return next(wanted, had)
    }).pipe(
      Effect.map((now) => {
        has = now
      }),
      Effect.catch((error) => Effect.logWarning("What the stage waits for could not be written to its AgentTask", error.message)),
      Effect.catchDefect((defect) => Effect.logError("What the stage waits for was not written to its AgentTask, by a mistake", defect))
    )
    const due = Effect.suspend(() =>
      isWanted || has !== "unsaid" ? Effect.asVoid(Effect.timeoutOption(changed.await, tellEvery)) : changed.await
    )
    // Beside the work, and not broken off when that ends: a write on its way might come after the next.
    yield* Effect.forkScoped(Effect.forever(Effect.andThen(due, Effect.andThen(Effect.sync(() => changed.closeUnsafe()), step))))

    const keepWanting = Effect.forever(Effect.andThen(Effect.sleep(tellEvery), want(true)))
    return TaskStatus.of({
      unsavedDuring: (work) =>
        Effect.raceFirst(work, keepWanting).pipe(
          Effect.tap(want(false)),
          Effect.tapError(() => Effect.suspend(() => has === "unsaid" ? Effect.void : want(true))) // what is said already stays
        )
    })
  }
)
