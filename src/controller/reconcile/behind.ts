// The error for a cache that still has an object which is gone or has changed: nothing is decided or made of it until the cache has caught up.
// Raised by controller/reconcile/ask and controller/reconcile/execute; controller/reconcile/reconcile then looks at the task again.
import { Data } from "effect"

export class Behind extends Data.TaggedError("Behind")<{ readonly object: string }> {
  override get message() {
    return `${this.object} has changed or gone since the cache last heard of it.`
  }
}
