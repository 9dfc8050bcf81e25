// Says when values files may have changed: at once as the file system tells it, and every minute in case it does not.
// Invariant: never fails, and says it rather once too often; a burst of changes is one.
// Used by controller/controller.
import { Effect, Queue, Stream } from "effect"
import { type FSWatcher, statSync, watch } from "node:fs"
import { dirname } from "node:path"

/** A mounted ConfigMap changes by a link in its directory, a file of an editor by being replaced: the directory is what is watched. */
const directoryOf = (path: string): string => statSync(path).isDirectory() ? path : dirname(path)

const events = (path: string): Stream.Stream<void> =>
  Stream.callback<void>((queue) =>
    Effect.acquireRelease(
      Effect.sync((): FSWatcher =>
        watch(directoryOf(path), () => Queue.offerUnsafe(queue, undefined)).on("error", () => Queue.endUnsafe(queue))
      ),
      (watcher) => Effect.sync(() => watcher.close())
    )
  ).pipe(Stream.catchCause((cause) =>
    Stream.drain(Stream.fromEffect(Effect.logDebug("the values cannot be watched, so they are read every minute", cause)))
  ))

export const valuesWatch = (path: string): Stream.Stream<void> =>
  Stream.merge(events(path), Stream.tick("1 minute")).pipe(Stream.debounce("200 millis"))
