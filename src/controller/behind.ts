// The error for a cache that still has an object which is gone or has changed: nothing is decided or made of it until the cache has caught up.
// Raised by controller/observe and controller/execute; controller/reconcile then looks at the task again.
import { Data } from "effect"

export class Behind extends Data.TaggedError("Behind")<{ readonly object: string }> {
  override get message() {
    return `${this.object} is not what the cache has of it; its task is looked at again when the cache has heard more.`
  }
}
