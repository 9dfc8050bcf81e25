// Writes a tar.gz of files whose sizes are not known before they are read, one at a time and only the end of a long one.
// Invariant: nobody else may read it, what is there already is never overwritten by chance, and a part of it is never left behind.
// Used by bundle.
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Duration, Effect, Exit, Stream } from "effect"
import { Tar } from "effect/encoding"
import { lstat, open, rm } from "node:fs/promises"
import { createGzip } from "node:zlib"
import { codeOf, errorInWords } from "../../schema/system-error.ts"
import { BadInput, Failed } from "../terminal/failure.ts"

/** How long to wait for more of a content, such as the log of a Pod on a node that hangs: longer than all tries of one call. */
const patience = Duration.minutes(2)

const nothingCame = new Failed({ message: `Nothing came for ${Duration.format(patience)}, so it was given up; try again later.` })

/**
 * Returns the end of the content, at most about `most` bytes of whole lines, behind a line that says how much is left out. Fails if nothing
 * comes for two minutes.
 */
export const endOf = <E, R>(content: Stream.Stream<Uint8Array, E, R>, most: number): Effect.Effect<Uint8Array, E | Failed, R> =>
  Effect.suspend(() => {
    const kept: Array<Uint8Array> = []
    let [size, left] = [0, 0]
    return content.pipe(
      Stream.timeoutOrElse({ duration: patience, orElse: () => Stream.fail(nothingCame) }),
      Stream.runForEach((bytes) =>
        Effect.sync(() => {
          kept.push(bytes)
          size += bytes.length
          while (kept[0] !== undefined && size - kept[0].length >= most) {
            size -= kept[0].length
            left += kept.shift()?.length ?? 0
          }
        })
      ),
      Effect.map(() => {
        const all = Buffer.concat(kept)
        if (left + size <= most) return all
        const cut = all.indexOf("\n", size - most) + 1
        return Buffer.concat([Buffer.from(`# The first ${left + cut} bytes are left out; this is the end.\n`), all.subarray(cut)])
      })
    )
  })

const cannotWrite = (file: string) => (error: unknown) =>
  new BadInput({
    message: codeOf(error) === "EEXIST"
      ? `${file} is there already; name another file, or replace it with --force.`
      : `Cannot write ${file} (${errorInWords(error)}); name another file.`
  })

/** Makes the file, which only its owner may read. `force` replaces a file, but nothing else, such as a device. */
const make = async (file: string, force: boolean) => {
  if (force && (await lstat(file).catch(() => undefined))?.isFile() === true) await rm(file)
  return open(file, "wx", 0o600)
}

/** Writes the entries as they come, and returns the size of the file. */
export const writeTarGz = <E, R>(file: string, force: boolean, entries: Stream.Stream<Tar.Entry, E, R>) =>
  Effect.acquireUseRelease(
    Effect.tryPromise({ try: () => make(file, force), catch: cannotWrite(file) }),
    (handle) =>
      entries.pipe(
        Stream.pipeThroughChannel(Tar.encode()),
        NodeStream.pipeThroughDuplex({ evaluate: () => createGzip(), onError: cannotWrite(file) }),
        Stream.runForEach((bytes) => Effect.tryPromise({ try: () => handle.writeFile(bytes), catch: cannotWrite(file) })),
        Effect.andThen(Effect.tryPromise({ try: async () => (await handle.stat()).size, catch: cannotWrite(file) })),
        Effect.catchTag("TarError", (error) => Effect.fail(cannotWrite(file)(error)))
      ),
    (handle, exit) =>
      Effect.promise(async () => {
        await handle.close()
        if (Exit.isFailure(exit)) await rm(file, { force: true })
      })
  )
