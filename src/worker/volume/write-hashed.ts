// Writes what streams in to a file, and takes its digest on the way.
// Always holds: nobody but the worker may read the file, and the digest covers exactly the bytes that were written.
// Used by worker/network/download and worker/backing/saved-plan.
import { Effect, Stream } from "effect"
import { createHash } from "node:crypto"
import { closeSync, openSync } from "node:fs"
import { Sha256 } from "../../schema/names.ts"
import { fileTrouble, type StageFailed } from "../stage-failed.ts"
import { writeAll } from "./folder.ts"

/** Writes the stream to the file, from its beginning. `what` names it for a person. Returns the digest. */
export const writeHashed = <E, R>(
  stream: Stream.Stream<Uint8Array, E, R>,
  file: string,
  what: string
): Effect.Effect<Sha256, E | StageFailed, R> =>
  Effect.acquireUseRelease(
    Effect.try({ try: () => openSync(file, "w", 0o600), catch: fileTrouble(what) }),
    Effect.fnUntraced(function*(fd: number) {
      const hash = createHash("sha256")
      yield* Stream.runForEach(stream, (chunk) => {
        hash.update(chunk)
        return Effect.try({ try: () => writeAll(fd, chunk), catch: fileTrouble(what) })
      })
      return Sha256.make(hash.digest("hex"))
    }),
    (fd) => Effect.sync(() => closeSync(fd))
  )
