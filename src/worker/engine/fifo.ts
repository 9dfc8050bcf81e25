// Named pipes on a volume that the runner writes to as well: opened without following a link, read by the event loop alone.
// Invariant: no call waits for the other side or occupies a thread; before `cut`, a reader has at most one chunk that was not asked for.
// Used by worker/engine/exec-loop.ts.
import { Data, Effect, type Scope, Stream } from "effect"
import { closeSync, constants, fstatSync, lstatSync, openSync, readSync, writeSync } from "node:fs"
import { Socket } from "node:net"
import { basename } from "node:path"
import { errorInWords } from "../../schema/system-error.ts"
import { pathOf } from "../volume/descriptor.ts"

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants
const chunkBytes = 64 * 1024
/** The most that a Linux pipe holds for a writer without privileges (`fs.pipe-max-size`). */
const pipeBytes = 1024 * 1024

export class FileUnusable extends Data.TaggedError("FileUnusable")<{ readonly path: string; readonly cause: unknown }> {
  override get message() {
    return `${this.path} cannot be used (${errorInWords(this.cause)})`
  }
}

/**
 * Makes a file system call that returns at once. A failure names only the last part of `path`, since the rest may be that of a descriptor,
 * which is meaningless to people.
 */
export const fileCall = <A>(path: string, call: () => A) =>
  Effect.try({
    try: call,
    catch: (cause) => new FileUnusable({ path: basename(path), cause })
  })

/** Returns a descriptor that the caller closes. `O_NONBLOCK` keeps a missing other side, or a device, from blocking the worker. */
const openFifo = (path: string, flags: number): number => {
  const fd = openSync(path, flags | O_NOFOLLOW | O_NONBLOCK)
  if (fstatSync(fd).isFIFO()) return fd
  closeSync(fd)
  throw new Error("it is not a named pipe")
}

/**
 * Returns a function that writes short lines to the named pipe at `path` until the scope closes. A line is dropped when the pipe is full,
 * because waiting is no use when the other side does not read. The pipe is opened for reading too, so that a write never lacks a reader.
 */
export const writeFifo = Effect.fnUntraced(
  function*(path: string): Effect.fn.Return<(line: string) => Effect.Effect<void>, FileUnusable, Scope.Scope> {
    let fd: number | undefined = yield* fileCall(path, () => openFifo(path, O_RDWR))
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        if (fd !== undefined) closeSync(fd)
        fd = undefined // the number may mean another file from now on
      })
    )
    return (line) => Effect.ignore(fileCall(path, () => fd === undefined ? 0 : writeSync(fd, `${line}\n`)))
  },
  Effect.uninterruptible
)

export const isFifo = (path: string) => {
  try {
    return lstatSync(path).isFIFO()
  } catch {
    return false
  }
}

export interface FifoReader {
  /**
   * What is written to the pipe, in order, until the last writer is gone or `cut` is called. Has one consumer; if that leaves early, what
   * follows is discarded.
   */
  readonly chunks: Stream.Stream<Uint8Array>
  /** Lets the input end with the last writer. Before this is called, the input goes on without any writer. */
  readonly endWithWriters: () => void
  /** Ends the input with what is in the pipe now, even if there are writers left. */
  readonly cut: () => void
  /** Drops what was not consumed and what still comes, so that no writer blocks. */
  readonly discard: () => void
}

const listen = (path: string): FifoReader & { readonly close: () => void } => {
  const fd = openFifo(path, O_RDONLY)
  let keeper: number | undefined = openSync(pathOf(fd), O_WRONLY | O_NONBLOCK)
  const chunks: Array<Uint8Array> = []
  let ended = false
  let discarding = false
  let wanted = false
  let wake = () => {}

  const keep = (bytes: Uint8Array) => {
    wanted = false
    if (!discarding) chunks.push(new Uint8Array(bytes))
    wake()
    return wanted || discarding // false stops reading until the next `resume`; the consumer may have asked for more by now
  }
  const end = () => {
    ended = true
    wake()
  }
  const socket = new Socket({
    fd,
    writable: false,
    onread: { buffer: Buffer.allocUnsafe(chunkBytes), callback: (bytesRead, buffer) => keep(buffer.subarray(0, bytesRead)) }
  })
  socket.on("end", end).on("error", end).on("close", end)

  const take = Effect.callback<readonly [Uint8Array, void] | undefined>((resume) => {
    wake = () => {
      const chunk = chunks.shift()
      if (chunk === undefined && !ended) return
      wake = () => {}
      resume(Effect.succeed(chunk && [chunk, undefined]))
    }
    wanted = !ended && chunks.length === 0
    wake()
    if (wanted) socket.resume()
    return Effect.sync(() => void (wake = () => {}))
  })
  const endWithWriters = () => {
    if (keeper !== undefined) closeSync(keeper)
    keeper = undefined
  }
  const discard = () => {
    discarding = true
    chunks.length = 0
    socket.resume()
  }
  const cut = () => {
    if (ended) return
    socket.pause()
    const buffer = Buffer.allocUnsafe(chunkBytes)
    for (let left = pipeBytes; left > 0;) {
      const bytesRead = readNow(fd, buffer)
      if (bytesRead === 0) break
      keep(buffer.subarray(0, bytesRead))
      left -= bytesRead
    }
    end()
  }
  const close = () => {
    end()
    endWithWriters()
    socket.destroy()
  }
  return { chunks: Stream.unfold(undefined, () => take).pipe(Stream.ensuring(Effect.sync(discard))), endWithWriters, cut, discard, close }
}

/** Reads what is in the pipe; returns how many bytes, 0 when there are none for now or for good. */
const readNow = (fd: number, buffer: Buffer) => {
  try {
    return readSync(fd, buffer)
  } catch {
    return 0
  }
}

/** Reads the named pipe at `path`, at the pace of the consumer, until the scope closes. */
export const readFifo = (path: string): Effect.Effect<FifoReader, FileUnusable, Scope.Scope> =>
  Effect.acquireRelease(fileCall(path, () => listen(path)), (reader) => Effect.sync(reader.close))
