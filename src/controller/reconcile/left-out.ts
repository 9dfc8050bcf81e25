// Tells people of a task that this version does not understand, by an event, since nothing can be decided upon it and its status is a newer one's.
// Used by controller/lifecycle/controller.
import { Effect } from "effect"
import { Notice } from "../../core/reconcile/action.ts"
import { whyLeftOut } from "../../core/task/left-out.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import { currentInstant } from "../../kubernetes/clock.ts"
import type { KubernetesObject } from "../../kubernetes/object.ts"
import { emit } from "./event.ts"

/** `identity` names this controller in events. */
export const tellLeftOut = Effect.fnUntraced(function*(identity: string) {
  const kubernetes = yield* Kubernetes
  return Effect.fnUntraced(function*(task: KubernetesObject) {
    const notice = Notice.Emit({ type: "Warning", reason: "Refused", message: whyLeftOut(task) })
    yield* emit(kubernetes, task, notice, identity, yield* currentInstant)
  })
})
