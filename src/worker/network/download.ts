// Downloads bytes from the network into a file, counts them and takes their digest on the way.
// Always holds: success means that the file has the wanted SHA-256; no caller opens it before.
// Used by worker/network/task-api, worker/network/archive-url and worker/backing/kept-plan.
import { Effect, Stream } from "effect"
import { createHash } from "node:crypto"
import { closeSync, openSync } from "node:fs"
import { fileTrouble, StageFailed } from "../stage-failed.ts"
import { writeAll } from "../volume/folder.ts"
import { inMebibytes } from "../volume/mebibytes.ts"

export interface Wanted {
  /** The name of the download in messages, such as "the configuration archive". */
  readonly what: string
  readonly sha256: string
  readonly limitBytes: number
}

/** Writes the stream to the file, from its beginning. Fails with DigestMismatch, InvalidArchive when it is too large, or DiskFull. */
export const save = <E, R>(
  stream: Stream.Stream<Uint8Array, E, R>,
  file: string,
  { limitBytes, sha256, what }: Wanted
): Effect.Effect<void, E | StageFailed, R> =>
  Effect.acquireUseRelease(
    Effect.try({ try: () => openSync(file, "w", 0o600), catch: fileTrouble(what) }),
    Effect.fnUntraced(function*(fd: number) {
      const hash = createHash("sha256")
      let size = 0
      yield* Stream.runForEach(stream, (chunk) => {
        size += chunk.length
        if (size > limitBytes) {
          return Effect.fail(
            new StageFailed({
              reason: "InvalidArchive",
              message: `The download of ${what} has more than ${inMebibytes(limitBytes)}; make it smaller.`
            })
          )
        }
        hash.update(chunk)
        return Effect.try({ try: () => writeAll(fd, chunk), catch: fileTrouble(what) })
      })
      const found = hash.digest("hex")
      if (found !== sha256) {
        return yield* new StageFailed({
          reason: "DigestMismatch",
          message:
            `The SHA-256 of ${what} is ${found}, not ${sha256}; nothing was run. Start a new run from the configuration that you want.`
        })
      }
    }),
    (fd) => Effect.sync(() => closeSync(fd))
  )
