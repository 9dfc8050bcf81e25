// Tells people of a task that this version does not understand, by an event, since nothing can be decided upon it.
// Invariant: nobody waits for the event, since the informer that finds such a task has others to tell of.
// Used by controller/lifecycle/controller.
import { Effect, Fiber, Queue } from "effect"
import { Notice } from "../../core/reconcile/action.ts"
import { whyNotUnderstood } from "../../core/task/not-understood.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import { currentInstant } from "../../kubernetes/clock.ts"
import type { KubernetesObject } from "../../kubernetes/object.ts"
import { emit } from "./event.ts"

/** How many tasks may wait for their event; those that are found meanwhile have none, but their line in the log. */
const mostWaiting = 1000

/** Returns what is called with each such task, and what dies with what telling of one died of. `identity` names this controller in events. */
export const tellNotUnderstood = Effect.fnUntraced(function*(identity: string) {
  const kubernetes = yield* Kubernetes
  const found = yield* Queue.dropping<KubernetesObject>(mostWaiting)
  const emitOne = Effect.fnUntraced(function*(task: KubernetesObject) {
    const notice = Notice.Emit({ type: "Warning", reason: "Refused", message: whyNotUnderstood(task) })
    yield* emit(kubernetes, task, notice, identity, yield* currentInstant)
  })
  const telling = yield* Effect.forkScoped(Effect.forever(Effect.flatMap(Queue.take(found), emitOne)))
  return { tell: (task: KubernetesObject) => Effect.asVoid(Queue.offer(found, task)), telling: Fiber.join(telling) }
})
