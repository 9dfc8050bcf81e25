// That a cache has what is gone, or is another by now: nothing is decided, nor made of it, before the cache has heard of that.
// Found out by controller/observe and controller/execute, and answered by controller/reconcile with another look.
import { Data } from "effect"

export class Behind extends Data.TaggedError("Behind")<{ readonly object: string }> {
  override get message() {
    return `${this.object} is not what the cache has of it; its task is looked at again when the cache has heard more.`
  }
}
