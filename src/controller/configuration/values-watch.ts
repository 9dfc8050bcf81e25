// Ticks when values files may have changed: at once when the file system reports it, and every minute in case it does not.
// Invariant: it never fails, and ticks rather once too often; a burst of changes is one tick, and one that does not end is one each minute.
// Used by controller/lifecycle/controller.
import { Effect, Queue, Stream } from "effect"
import { type FSWatcher, statSync, watch } from "node:fs"
import { dirname } from "node:path"

/** Returns the directory to watch: a mounted ConfigMap changes by a link in its directory, and an editor replaces the file. */
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

const calmed = Stream.debounce("200 millis")

/** Each of the two is calmed by itself, so that a directory which never stops to change does not hold up the minute. */
export const valuesWatch = (path: string): Stream.Stream<void> => Stream.merge(calmed(events(path)), calmed(Stream.tick("1 minute")))
