// Writes what streams in to a file, and takes its digest on the way.
// Invariant: nobody but the worker may read the file, and the digest covers exactly the bytes that were written.
// Used by worker/network/download and worker/backing/saved-plan.
import { Effect, Stream } from "effect"
import { createHash } from "node:crypto"
import { openSync } from "node:fs"
import { Sha256 } from "../../schema/names.ts"
import { fileTrouble, type StageFailed } from "../stage-failed.ts"
import { writeStream } from "./folder.ts"

/** Writes the stream to the file, from its beginning. `what` names it for a person. Returns the digest. */
export const writeHashed = <E, R>(
  stream: Stream.Stream<Uint8Array, E, R>,
  file: string,
  what: string
): Effect.Effect<Sha256, E | StageFailed, R> =>
  Effect.suspend(() => {
    const hash = createHash("sha256")
    const hashed = Stream.tap(stream, (chunk) => Effect.sync(() => hash.update(chunk)))
    return Effect.map(
      writeStream(() => openSync(file, "w", 0o600), hashed, fileTrouble(what)),
      () => Sha256.make(hash.digest("hex"))
    )
  })
