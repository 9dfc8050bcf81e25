// Large things (archives, saved plans, states) as files named by their SHA-256: they stream without passing through SQLite's pages or WAL.
// A file gets its name, complete and on disk, in the transaction whose row names it, so no row names a blob that is torn or being removed.
// Used by the stores; logs are rows instead, since they grow.
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Clock, Context, Duration, Effect, Layer, Option, Schema, type Scope, Stream } from "effect"
import { createHash, type Hash, randomBytes, randomUUID } from "node:crypto"
import { closeSync, createReadStream, fsyncSync, openSync, renameSync, rmSync, statfsSync, type StatsFs, statSync } from "node:fs"
import { type FileHandle, open, opendir, readFile, rm, stat, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { stateLimitBytes } from "../../schema/api/task-api.ts"
import { Sha256 } from "../../schema/names.ts"
import { codeOf, errorInWords } from "../../schema/system-error.ts"
import { conflict, Refused, tooLarge } from "../refused.ts"
import { ServerError } from "../settings.ts"
import { makeDirectory } from "./make-directory.ts"
import { sharedVerdict } from "./shared-verdict.ts"

/** A blob that is complete and on disk, though nobody can ask for it yet. */
export interface Received {
  readonly sha256: Sha256
  readonly sizeBytes: number
  readonly aside: string
}

/** A blob as its row names it. */
export interface Stored {
  readonly sha256: string
  /** Null where no row says how large it is, or where that is not enough to know of it. */
  readonly sizeBytes: number | null
}

interface Limits {
  readonly limitBytes: number
  /** The SHA-256 that the sender claims. */
  readonly expected?: string | undefined
  /** How many bytes the sender says that it sends. If there is no room for them all, none is taken. */
  readonly saidBytes?: number | undefined
  /** Whether the bytes may use the room that is kept for states. */
  readonly isState?: true
}

export class Blobs extends Context.Service<Blobs, {
  /**
   * Writes the bytes to a file that is removed with the scope unless it is stored. Fails with 413 past the limit, 409 if the digest is not
   * the expected one, and 503 when the disk is full, or has no spare room for what `saidBytes` says, or as they come.
   */
  readonly receive: <E>(bytes: Stream.Stream<Uint8Array, E>, limits: Limits) => Effect.Effect<Received, E | Refused, Scope.Scope>
  /** Returns the first `bytes` bytes, or fewer if there are no more. */
  readonly head: (received: Received, bytes: number) => Effect.Effect<Uint8Array, Refused>
  /**
   * Gives the file its name, synchronously. Call it in the transaction whose row names the file, after every check that may refuse, so that
   * a refusal leaves no file. A damaged file of that name is replaced.
   */
  readonly store: (received: Received) => Effect.Effect<void, Refused>
  readonly stream: (sha256: string) => Stream.Stream<Uint8Array, Refused>
  /**
   * Returns the size of a blob that is as large as its row says or, where that says nothing, has its digest, for which all of it is read.
   * Fails as `check`.
   */
  readonly sizeOfWhole: (stored: Stored) => Effect.Effect<number, Refused>
  /** Fails with 503 when the file is damaged, or, as each that reads it, missing. */
  readonly check: (sha256: string) => Effect.Effect<void, Refused>
  /** Returns the whole blob, checked against its digest. Used for states that are looked into. */
  readonly read: (sha256: string) => Effect.Effect<Uint8Array, Refused>
  /** Removes the file, synchronously. Call it in the transaction that has seen that no row names the file. */
  readonly remove: (sha256: string) => Effect.Effect<void, Refused>
  /** Streams the digests of all blobs, a few at a time. On the way it removes files that an earlier process did not finish. */
  readonly all: Stream.Stream<Sha256, Refused>
  /** Returns when the file was stored, in milliseconds since 1970, and its size; none if it is gone. */
  readonly about: (sha256: string) => Effect.Effect<Option.Option<{ readonly storedAt: number; readonly sizeBytes: number }>, Refused>
  /** Fails unless the disk can take a blob now, or could within the last seconds. */
  readonly probe: Effect.Effect<void, Refused>
  /** Fails with 503 while so little room is left that it is kept for what is at work: nothing may begin, and nothing large may come. */
  readonly spareRoom: Effect.Effect<void, Refused>
}>()("agent-job/server/Blobs") {
  static readonly layer = (directory: string) => Layer.effect(Blobs, make(directory))
}

/** Returns the refusal for a step that failed in this directory; the error of an open file does not have its path. */
const storageIn = (directory: string) => (cause: unknown) => {
  const code = codeOf(cause) || "unknown error"
  const path = cause instanceof Error && "path" in cause ? String(cause.path) : directory
  return new Refused({
    status: 503,
    error: "storage",
    message: code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG"
      ? "The server's disk is full, so nothing was stored; make room in its data directory and repeat."
      : `The server cannot use its data directory (${code}), so nothing was stored; look at its log and repeat.`,
    beneath: { cause, code, path }
  })
}

/**
 * What is kept for what is at work: two states of the largest size, and files, of which a file system of 1 GiB may have 65,000 in all.
 */
const kept = { bytes: 2 * stateLimitBytes, files: 1000 }
const noSpareRoom = new Refused({
  status: 503,
  error: "storage",
  message: `The server's disk has too little room beside the ${
    kept.bytes / 1024 ** 2
  } MiB and ${kept.files} files that it keeps for the states of runs at work; whoever runs the server has to make room (docs/state.md, "When little room is left").`
})

const instead = "If it is a state, it can be pushed again instead; if it is of a run, start another."

/** Returns the refusal for a file that a row names and that is not there, as where only the database was restored. */
const missing = (sha256: string, path: string, cause: unknown) =>
  new Refused({
    status: 503,
    error: "storage",
    message:
      `The stored file ${sha256} is missing in the server's data directory, so it cannot be given out; copy it there from blobs/ of a backup. ${instead}`,
    beneath: { cause, code: "ENOENT", path }
  })

/** Returns the refusal for a file that is not what its row says, as after a copy that broke off. */
const damaged = (sha256: string, path: string, cause: string) =>
  new Refused({
    status: 503,
    error: "damaged",
    message: `The stored file ${sha256} is damaged, so it is not given out; put that of a backup's blobs/ in its place. ${instead}`,
    beneath: { cause, path }
  })

/** Syncs a directory; without that, a new name in it may be gone after a power cut. */
export const syncDirectory = (directory: string) => {
  const opened = openSync(directory, "r")
  try {
    fsyncSync(opened)
  } finally {
    closeSync(opened)
  }
}

/**
 * What the probe writes where it is in doubt: as many bytes as a state may well have, since a full disk still takes an empty file, and
 * random ones, since a file system may store zeros in no room at all.
 */
const largeProbe = randomBytes(1024 * 1024)
/** What it writes elsewhere, which tells whether the disk takes anything. */
const smallProbe = largeProbe.subarray(0, 4096)
/** The room that a disk shows where it is not in doubt. */
const ampleBytes = 8 * largeProbe.byteLength
/** How long the large file, once taken, is not tried again; after that it is, because the disk may show room that a quota does not give. */
const largeProbeCounts = Duration.minutes(10)

const freeBytesOf = ({ bavail, bsize }: StatsFs): number => bavail * bsize
/**
 * Returns whether so many bytes would leave less than is kept. Some file systems have no limit of files, or of room, and say that there is
 * none in all.
 */
const isTooMuch = (bytes: number) => (room: StatsFs): boolean =>
  (room.blocks > 0 && freeBytesOf(room) < kept.bytes + bytes) || (room.files > 0 && room.ffree < kept.files)

const isDigest = Schema.is(Sha256)

const make = Effect.fnUntraced(function*(directory: string) {
  /** The prefix of this process's unfinished files, which tells them from those of an earlier process. */
  const unfinished = `new-${randomUUID()}`
  const path = (sha256: string) => join(directory, Sha256.make(sha256))
  /** When the disk took the large file, in nanoseconds of the monotonic clock; undefined if it has failed in anything since. */
  let tookLargeAt: bigint | undefined
  const failure = storageIn(directory)
  const storage = (cause: unknown) => {
    tookLargeAt = undefined
    return failure(cause)
  }
  const onDisk = <A>(use: () => Promise<A>) => Effect.tryPromise({ try: use, catch: storage })
  const unread = (sha256: string) => (cause: unknown) => codeOf(cause) === "ENOENT" ? missing(sha256, path(sha256), cause) : storage(cause)
  const reading = <A>(sha256: string, use: (file: string) => Promise<A>) =>
    Effect.tryPromise({ try: () => use(path(sha256)), catch: unread(sha256) })
  const sameDigest = (sha256: string, hash: Hash) => {
    const found = hash.digest("hex")
    return found === sha256 ? Effect.void : Effect.fail(damaged(sha256, path(sha256), `its SHA-256 is ${found}`))
  }
  /** Runs a synchronous step of a transaction, of which the server has only one at a time. */
  const atOnce = <A>(use: () => A) => Effect.try({ try: use, catch: storage })
  yield* Effect.tryPromise({
    try: () => makeDirectory(directory),
    catch: (cause) =>
      new ServerError({
        message: `The directory ${directory} cannot be made (${errorInWords(cause)}); choose another data directory or make it writable.`
      })
  })

  /** Returns what the disk shows; none where it does not tell. Synchronous, because it is asked for each piece of a body, and takes 2 µs. */
  const shown = Effect.option(Effect.try(() => statfsSync(directory)))

  const spareRoomFor = (bytes: number) =>
    Effect.flatMap(shown, (room) => Option.exists(room, isTooMuch(bytes)) ? Effect.fail(noSpareRoom) : Effect.void)
  const spareRoom = spareRoomFor(0)

  const fill = <E>(handle: FileHandle, bytes: Stream.Stream<Uint8Array, E>, { expected, isState, limitBytes }: Limits) =>
    Effect.gen(function*() {
      const hash = createHash("sha256")
      let sizeBytes = 0
      yield* Stream.runForEach(bytes, (chunk) => {
        sizeBytes += chunk.byteLength
        if (sizeBytes > limitBytes) return Effect.fail(tooLarge(limitBytes))
        hash.update(chunk)
        const append = onDisk(() => handle.appendFile(chunk))
        return isState === true ? append : Effect.andThen(spareRoom, append)
      })
      const sha256 = Sha256.make(hash.digest("hex"))
      if (expected !== undefined && expected !== sha256) {
        return yield* conflict("digest-mismatch", `The body's SHA-256 is ${sha256}, not ${expected} as the request says; send it again.`)
      }
      yield* onDisk(() => handle.sync())
      return { sha256, sizeBytes }
    })

  const receive = Effect.fnUntraced(function*<E>(bytes: Stream.Stream<Uint8Array, E>, limits: Limits) {
    if (limits.isState !== true) yield* spareRoomFor(Math.min(limits.saidBytes ?? 0, limits.limitBytes))
    const aside = join(directory, `${unfinished}-${randomUUID()}`)
    yield* Effect.addFinalizer(() => Effect.promise(() => rm(aside, { force: true })))
    const received = yield* Effect.acquireUseRelease(
      onDisk(() => open(aside, "wx", 0o600)),
      (handle) => fill(handle, bytes, limits),
      (handle) => Effect.promise(() => handle.close())
    )
    return { ...received, aside }
  })

  /** Opens the directory. A stream that reaches its end closes it, one that is interrupted does not, so the scope closes it again. */
  const opened = Effect.acquireRelease(onDisk(() => opendir(directory)), (entries) => Effect.ignore(onDisk(() => entries.close())))
  const isTorn = (name: string) => name.startsWith("new-") && !name.startsWith(unfinished)

  const stream = (sha256: string) => NodeStream.fromReadable({ evaluate: () => createReadStream(path(sha256)), onError: unread(sha256) })

  const read = Effect.fn("Blobs.read")(function*(sha256: string) {
    const bytes = yield* reading(sha256, (file) => readFile(file))
    yield* sameDigest(sha256, createHash("sha256").update(bytes))
    return bytes
  })

  const check = Effect.fn("Blobs.check")(function*(sha256: string) {
    const hash = createHash("sha256")
    yield* Stream.runForEach(stream(sha256), (chunk) => Effect.sync(() => hash.update(chunk)))
    yield* sameDigest(sha256, hash)
  })

  const sizeOfWhole = Effect.fn("Blobs.sizeOfWhole")(function*({ sha256, sizeBytes }: Stored) {
    const { size } = yield* reading(sha256, (file) => stat(file))
    if (sizeBytes === null) yield* check(sha256)
    else if (size !== sizeBytes) return yield* damaged(sha256, path(sha256), `its size is ${size} and not ${sizeBytes} bytes`)
    return size
  })

  const write = (bytes: Uint8Array) =>
    onDisk(async () => {
      const file = join(directory, `${unfinished}-${randomUUID()}`)
      try {
        await writeFile(file, bytes, { flag: "wx", mode: 0o600, flush: true })
      } finally {
        await rm(file, { force: true })
      }
    })

  const isTrusted = (now: bigint) => tookLargeAt !== undefined && Duration.isLessThan(Duration.nanos(now - tookLargeAt), largeProbeCounts)

  const tryDisk = Effect.gen(function*() {
    const now = yield* Clock.monotonicTimeNanos
    const isAmple = Option.exists(yield* shown, (room) => freeBytesOf(room) >= ampleBytes)
    if (isTrusted(now) && isAmple) return yield* write(smallProbe)
    yield* write(largeProbe)
    tookLargeAt = now
  })

  /** The verdict is shared, because anybody may ask for it without a token: the disk is tried only now and then. */
  const probe = yield* sharedVerdict(tryDisk)

  return Blobs.of({
    receive,
    head: ({ aside }, bytes) =>
      onDisk(async () => {
        const handle = await open(aside, "r")
        try {
          const { buffer, bytesRead } = await handle.read(new Uint8Array(bytes), 0, bytes, 0)
          return buffer.subarray(0, bytesRead)
        } finally {
          await handle.close()
        }
      }),
    store: ({ aside, sha256 }) =>
      atOnce(() => {
        renameSync(aside, path(sha256))
        syncDirectory(directory)
      }),
    stream,
    sizeOfWhole,
    check,
    read,
    remove: (sha256) => atOnce(() => rmSync(path(sha256), { force: true })),
    all: Stream.unwrap(Effect.map(opened, (entries) => Stream.fromAsyncIterable(entries, storage))).pipe(
      Stream.tap(({ name }) => isTorn(name) ? onDisk(() => rm(join(directory, name), { force: true })) : Effect.void),
      Stream.map(({ name }) => name),
      Stream.filter(isDigest)
    ),
    about: (sha256) =>
      Effect.map(
        atOnce(() => Option.fromUndefinedOr(statSync(path(sha256), { throwIfNoEntry: false }))),
        Option.map(({ mtimeMs, size }) => ({ storedAt: mtimeMs, sizeBytes: size }))
      ),
    probe,
    spareRoom
  })
})
