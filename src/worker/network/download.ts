// Downloads bytes from the network into a file, counts them and takes their digest on the way.
// Invariant: success means that the file has the wanted SHA-256; no caller opens it before.
// Used by worker/network/task-api, worker/network/archive-url and worker/backing/kept-plan.
import { Effect, Stream } from "effect"
import { upTo } from "../../http/body.ts"
import { StageFailed } from "../stage-failed.ts"
import { inMebibytes } from "../volume/mebibytes.ts"
import { writeHashed } from "../volume/write-hashed.ts"

export interface WantedDownload {
  /** The name of the download in messages, such as "the configuration archive". */
  readonly what: string
  readonly sha256: string
  readonly limitBytes: number
}

/** Writes the stream to the file, from its beginning. Fails with DigestMismatch, InvalidArchive when it is too large, or DiskFull. */
export const saveChecked = Effect.fnUntraced(
  function*<E, R>(
    stream: Stream.Stream<Uint8Array, E, R>,
    file: string,
    { limitBytes, sha256, what }: WantedDownload
  ): Effect.fn.Return<void, E | StageFailed, R> {
    const tooLarge = new StageFailed({
      reason: "InvalidArchive",
      message: `The download of ${what} has more than ${inMebibytes(limitBytes)}; make it smaller.`
    })
    const found = yield* writeHashed(upTo(limitBytes, () => tooLarge)(stream), file, what)
    if (found === sha256) return
    return yield* new StageFailed({
      reason: "DigestMismatch",
      message: `The SHA-256 of ${what} is ${found}, not ${sha256}; nothing was run. Start a new run from the configuration that you want.`
    })
  }
)
