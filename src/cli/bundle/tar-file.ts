// Writes a tar.gz of files whose sizes are not known before they are read, one at a time and only the end of a long one.
// Invariant: nobody else may read it, and its name has a whole file or the one before, which is never replaced by chance.
// Used by bundle.
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Duration, Effect, Stream } from "effect"
import { Tar } from "effect/encoding"
import { lstat, open, rename, rm } from "node:fs/promises"
import { dirname, join } from "node:path"
import { createGzip } from "node:zlib"
import { codeOf, errorInWords } from "../../schema/system-error.ts"
import { folderAside } from "../files/folder-aside.ts"
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

/** The file is there, and is not to be replaced. */
class Taken extends Error {}

const cannotWrite = (file: string) => (error: unknown) =>
  new BadInput({
    message: error instanceof Taken
      ? `${file} is there already; name another file, or replace it with --force.`
      : `Cannot write ${file} (${errorInWords(error)}); name another file.`
  })

/** Fails if something has the name of the file. `force` allows a file, but nothing else, such as a device. */
const notTaken = async (file: string, force: boolean): Promise<void> => {
  const there = await lstat(file).catch((error: unknown) => codeOf(error) === "ENOENT" ? undefined : Promise.reject(error))
  if (there === undefined) return
  if (!there.isFile()) throw new Error("something else than a file is there")
  if (!force) throw new Taken()
}

/** Opens a file that only its owner may read, in a folder of its own beside the place that it is for. */
const openAside = async (file: string, force: boolean) => {
  await notTaken(file, force)
  const { path: folder } = await folderAside(dirname(file), ".bundle-")
  try {
    const path = join(folder, "bundle")
    return { folder, path, handle: await open(path, "wx", 0o600) }
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

/** Writes the entries as they come, and returns the size of the file. */
export const writeTarGz = <E, R>(file: string, force: boolean, entries: Stream.Stream<Tar.Entry, E, R>) => {
  const attempt = <A>(work: () => Promise<A>) => Effect.tryPromise({ try: work, catch: cannotWrite(file) })
  return Effect.acquireUseRelease(
    attempt(() => openAside(file, force)),
    ({ handle, path }) =>
      entries.pipe(
        Stream.pipeThroughChannel(Tar.encode()),
        NodeStream.pipeThroughDuplex({ evaluate: () => createGzip(), onError: cannotWrite(file) }),
        Stream.runForEach((bytes) => attempt(() => handle.writeFile(bytes))),
        Effect.andThen(Effect.uninterruptible(attempt(async () => {
          await handle.sync() // so that a crash of the machine leaves no part of it under its name either
          await notTaken(file, force)
          await rename(path, file)
          return (await handle.stat()).size
        }))),
        Effect.catchTag("TarError", (error) => Effect.fail(cannotWrite(file)(error)))
      ),
    ({ folder, handle }) =>
      Effect.promise(async () => {
        await handle.close()
        await rm(folder, { recursive: true, force: true })
      })
  )
}
