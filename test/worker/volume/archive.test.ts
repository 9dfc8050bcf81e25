// Archives that nobody vouches for: a good one is unpacked whole; a hostile one is refused and leaves nothing outside of the directory.
import { describe, expect, it } from "@effect/vitest"
import { Cause, Effect, Exit, Option, type Scope, Stream } from "effect"
import { Tar } from "effect/encoding"
import {
  createWriteStream,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import { createGzip, gzipSync } from "node:zlib"
import { StageFailed } from "../../../src/worker/stage-failed.ts"
import { archiveLimits, entryTrouble, unpack } from "../../../src/worker/volume/archive.ts"
import { openFolder } from "../../../src/worker/volume/folder.ts"
import { temporaryFolder } from "../../temporary-folder.ts"

interface Place {
  readonly archive: string
  readonly root: string
  readonly outside: string
}

/** A directory with a root to unpack into, and a file beside it that must stay as it is. */
const place: Effect.Effect<Place, never, Scope.Scope> = Effect.map(temporaryFolder("archive"), (outside) => {
  mkdirSync(join(outside, "root"))
  writeFileSync(join(outside, "victim"), "untouched")
  return { archive: join(outside, "archive.tar.gz"), root: join(outside, "root"), outside }
})

const tar = (...entries: ReadonlyArray<Tar.Entry>) =>
  Effect.runSync(
    Effect.map(Stream.runCollect(Stream.fromIterable(entries).pipe(Stream.pipeThroughChannel(Tar.encode()))), (chunks) =>
      Buffer.concat(chunks))
  )

/** A tar header of any kind with its checksum; the library writes only valid ones. */
const raw = (name: string, typeflag: string, { link = "", mode = 0o644, size = 0 } = {}): Buffer => {
  const block = Buffer.alloc(512)
  block.write(name.slice(0, 100), 0, "latin1")
  block.write(`${mode.toString(8).padStart(7, "0")}\0`, 100)
  block.write("0000000\0".repeat(2), 108)
  block.write(`${size.toString(8).padStart(11, "0")}\0`, 124)
  block.write("00000000000\0", 136)
  block.fill(" ", 148, 156)
  block.write(typeflag, 156)
  block.write(link.slice(0, 100), 157, "latin1")
  block.write("ustar\x0000", 257)
  block.write(`${block.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, "0")}\0 `, 148)
  return block
}
const body = (content: string): Buffer =>
  Buffer.concat([Buffer.from(content), Buffer.alloc((512 - (Buffer.byteLength(content) % 512)) % 512)])
const end = Buffer.alloc(1024)
/** A record of an extended header, which begins with its own length. */
const recordOf = (text: string): string => {
  const rest = text.length + 2
  return `${rest + String(rest + String(rest).length).length} ${text}\n`
}
const extended = (typeflag: "g" | "x", ...records: ReadonlyArray<string>): Buffer => {
  const lines = records.map(recordOf).join("")
  return Buffer.concat([raw("pax", typeflag, { size: lines.length }), body(lines)])
}
const pax = (record: string): Buffer => extended("x", record)
const numbered = (most: number) => Array.from({ length: most }, (_, at) => `key${at}=1`)

const unpackedTo = (bytes: Uint8Array, limits = archiveLimits) =>
  Effect.gen(function*() {
    const here = yield* place
    writeFileSync(here.archive, bytes)
    const root = yield* openFolder(here.root)
    return { ...here, exit: yield* Effect.exit(unpack(here.archive, root, limits)) }
  })

const failureOf = (exit: Exit.Exit<void, StageFailed>): StageFailed | undefined =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined

const deep = Array.from({ length: 40 }, (_, at) => `d${at}`).join("/")

const hostile: ReadonlyArray<{ readonly given: string; readonly archive: () => Uint8Array; readonly says: RegExp }> = [
  { given: "a path that climbs out", archive: () => tar(Tar.file("../victim", "x")), says: /leads outside/u },
  { given: "a path that climbs out from within", archive: () => tar(Tar.file("a/../../victim", "x")), says: /leads outside/u },
  { given: "a directory that climbs out", archive: () => tar(Tar.directory("../made")), says: /leads outside/u },
  { given: "an absolute path", archive: () => tar(Tar.file("/tmp/victim", "x")), says: /absolute/u },
  {
    given: "an absolute path in a PAX header",
    archive: () => Buffer.concat([pax("path=/tmp/victim"), raw("innocent", "0"), end]),
    says: /absolute/u
  },
  { given: "a drive letter", archive: () => tar(Tar.file("C:/victim", "x")), says: /absolute/u },
  { given: "a backslash", archive: () => tar(Tar.file("..\\victim", "x")), says: /backslash/u },
  { given: "a newline in a name", archive: () => tar(Tar.file("a\nb", "x")), says: /control character/u },
  { given: "a name that is not UTF-8", archive: () => Buffer.concat([raw("caf\xe9", "0"), end]), says: /not UTF-8/u },
  {
    given: "a link to a name that is not UTF-8",
    archive: () => Buffer.concat([raw("a", "2", { link: "caf\xe9" }), end]),
    says: /not UTF-8/u
  },
  { given: "a link to an absolute path", archive: () => tar(Tar.symlink("a", "/etc/passwd")), says: /a link to an absolute/u },
  { given: "a link out of the root", archive: () => tar(Tar.symlink("a", "../victim")), says: /link that leads outside/u },
  { given: "a link out of the root from below", archive: () => tar(Tar.symlink("a/b", "../../victim")), says: /link that leads outside/u },
  {
    given: "a link that climbs after a name",
    archive: () => tar(Tar.symlink("p/q/z", "../../t"), Tar.symlink("a", "p/q/z/../../victim")),
    says: /link that leads outside/u
  },
  {
    given: "a file below a link",
    archive: () => tar(Tar.directory("d"), Tar.symlink("a", "d"), Tar.file("a/x", "x")),
    says: /below a file or link/u
  },
  {
    given: "a directory below a link",
    archive: () => tar(Tar.directory("d"), Tar.symlink("a", "d"), Tar.directory("a/x")),
    says: /below a file or link/u
  },
  {
    given: "a file written over a link",
    archive: () => tar(Tar.file("d", "d"), Tar.symlink("a", "d"), Tar.file("a", "x")),
    says: /there twice/u
  },
  { given: "a link written over a file", archive: () => tar(Tar.file("a", "x"), Tar.symlink("a", "b")), says: /there twice/u },
  { given: "a file that is there twice", archive: () => tar(Tar.file("a", "x"), Tar.file("a", "y")), says: /there twice/u },
  { given: "a file below a file", archive: () => tar(Tar.file("a", "x"), Tar.file("a/b", "y")), says: /below a file/u },
  { given: "a hard link", archive: () => tar(Tar.hardlink("a", "/etc/passwd")), says: /hard link/u },
  { given: "a hard link within", archive: () => tar(Tar.file("b", "x"), Tar.hardlink("a", "b")), says: /hard link/u },
  { given: "a character device", archive: () => Buffer.concat([raw("null", "3"), end]), says: /a device/u },
  { given: "a block device", archive: () => Buffer.concat([raw("sda", "4"), end]), says: /a device/u },
  { given: "a named pipe", archive: () => Buffer.concat([raw("pipe", "6"), end]), says: /named pipe/u },
  { given: "something unknown", archive: () => Buffer.concat([raw("what", "Z"), end]), says: /no file/u },
  { given: "a name without end", archive: () => tar(Tar.file("x".repeat(300), "x")), says: /too long/u },
  { given: "a path without end", archive: () => tar(Tar.file(`${"d/".repeat(600)}x`, "x")), says: /too long|too deep/u },
  { given: "a path too deep", archive: () => tar(Tar.file(`${deep}/x`, "x")), says: /too deep/u },
  {
    given: "a wrong checksum",
    archive: () => {
      const bytes = tar(Tar.file("a", "x"))
      bytes[0] = 0x62
      return bytes
    },
    says: /not a tar archive/u
  },
  { given: "an end in the middle of a file", archive: () => tar(Tar.file("a", "x".repeat(5000))).subarray(0, 2048), says: /cut off/u },
  {
    given: "global records without end, which count for every file",
    archive: () => Buffer.concat([extended("g", ...numbered(600)), raw("a", "0"), extended("g", ...numbered(1100)), raw("b", "0"), end]),
    says: /more than 1000 header records/u
  },
  {
    given: "global records before any file",
    archive: () => Buffer.concat([...Array.from({ length: 3 }, () => extended("g", `comment=${"x".repeat(600_000)}`)), raw("a", "0"), end]),
    says: /more than 1 MiB beside its files/u
  },
  {
    given: "global records that are large together",
    archive: () =>
      Buffer.concat([
        ...["a", "b", "c"].flatMap((name) => [extended("g", `${name}=${"x".repeat(600_000)}`), raw(name, "0")]),
        end
      ]),
    says: /more than 1 MiB beside its files/u
  },
  {
    given: "global records behind a file whose header has another size",
    archive: () =>
      Buffer.concat([
        pax("size=1"),
        raw("a", "0", { size: 0o77777777777 }),
        body("a"),
        ...Array.from({ length: 3 }, () => extended("g", `comment=${"x".repeat(600_000)}`)),
        end
      ]),
    says: /more than 1 MiB beside its files/u
  },
  { given: "nothing", archive: () => tar(), says: /is empty/u },
  { given: "text instead of entries", archive: () => Buffer.from("resource {}\n".repeat(100)), says: /not a tar archive/u }
]

describe("an entry that cannot be written", () => {
  it.each([
    ["EEXIST", "InvalidArchive", "which is there twice or lies below a file or link; remove it"],
    ["ENOTDIR", "InvalidArchive", "which is there twice or lies below a file or link; remove it"],
    ["ENAMETOOLONG", "InvalidArchive", "whose name is too long for the volume of the Pod; shorten it"],
    ["ENOSPC", "DiskFull", "The disk of the Pod's node was full when the worker wrote"]
  ])("is told by its cause: %s", (code, reason, says) => {
    const failure = entryTrouble("modules/net/main.tf")(Object.assign(new Error("no"), { code }))
    expect(failure).toMatchObject({ reason, message: expect.stringContaining(says) })
    expect(failure.message).toContain(`"modules/net/main.tf"`)
  })
})

describe("unpack", () => {
  it.effect("writes files, directories and links that stay inside", () =>
    Effect.gen(function*() {
      const { exit, root } = yield* unpackedTo(gzipSync(tar(
        Tar.directory("./"),
        Tar.file("main.tf", "resource {}"),
        Tar.file("modules/net/main.tf", "x".repeat(200_000)),
        Tar.file("run.sh", "#!/bin/sh", { mode: 0o6755 }),
        Tar.symlink("modules/latest", "net"),
        Tar.symlink("modules/net/up", "../../main.tf"),
        Tar.directory("empty")
      )))
      expect(Exit.isSuccess(exit), String(exit)).toBe(true)
      expect(readFileSync(join(root, "main.tf"), "utf8")).toBe("resource {}")
      expect(statSync(join(root, "modules/net/main.tf")).size).toBe(200_000)
      expect(readlinkSync(join(root, "modules/latest"))).toBe("net")
      expect(readFileSync(join(root, "modules/net/up"), "utf8")).toBe("resource {}")
      expect(lstatSync(join(root, "run.sh")).mode & 0o7777).toBe(0o775)
      expect(lstatSync(join(root, "main.tf")).mode & 0o7777).toBe(0o664)
      for (const folder of ["empty", "modules/net"]) expect(lstatSync(join(root, folder)).mode & 0o7777).toBe(0o2775)
      expect(lstatSync(join(root, "empty")).isDirectory()).toBe(true)
    }))

  for (const { archive, given, says } of hostile) {
    it.effect(`refuses ${given} and touches nothing outside`, () =>
      Effect.gen(function*() {
        const { exit, outside } = yield* unpackedTo(gzipSync(archive()))
        const failure = failureOf(exit)
        expect(failure?.reason, String(exit)).toBe("InvalidArchive")
        expect(failure?.message).toMatch(says)
        expect(failure?.message).toMatch(/^The configuration archive [^\n]+\.$/u)
        expect(readFileSync(join(outside, "victim"), "utf8")).toBe("untouched")
        expect(readdirSync(outside).sort()).toEqual(["archive.tar.gz", "root", "victim"])
        expect(existsSync("/tmp/victim")).toBe(false)
      }))
  }

  it.effect.each([
    { given: "what is not gzip", bytes: tar(Tar.file("a", "x")), says: /not a tar archive packed with gzip/u },
    { given: "an empty file", bytes: Buffer.alloc(0), says: /cut off|not a tar archive|is empty/u },
    { given: "gzip that is cut off", bytes: gzipSync(tar(Tar.file("a", "x".repeat(100_000)))).subarray(0, 100), says: /cut off/u }
  ])("refuses $given", ({ bytes, says }) =>
    Effect.gen(function*() {
      const { exit } = yield* unpackedTo(bytes)
      expect(failureOf(exit)).toMatchObject({ reason: "InvalidArchive", message: expect.stringMatching(says) })
    }))

  it.live("ends 10 GB of zeros early: before anything of a file that is too large by itself is written", () =>
    Effect.gen(function*() {
      const here = yield* place
      const size = 10 * 1024 ** 3
      const zeros = Buffer.alloc(1024 * 1024)
      // A gzip file may have several members, so the same packed MiB of zeros, repeated, is a packed 10 GiB of zeros. A hundred times what
      // they pack to is just above the limit of a GiB, which would not be met with fewer.
      const member = gzipSync(zeros)
      yield* Effect.promise(() =>
        pipeline(
          Readable.from((function*() {
            yield gzipSync(raw("zeros", "0", { size: 0o77777777777 }))
            for (let at = 0; at < size; at += zeros.length) yield member
          })()),
          createWriteStream(here.archive)
        )
      )
      const root = yield* openFolder(here.root)
      const exit = yield* Effect.exit(unpack(here.archive, root))
      expect(failureOf(exit)).toMatchObject({ reason: "InvalidArchive", message: expect.stringMatching(/unpacks to more than 1024 MiB/u) })
      expect(readdirSync(here.root)).toEqual([])
    }))

  it.live("ends what is too much in many files", () =>
    Effect.gen(function*() {
      const files = Array.from({ length: 5 }, (_, at) => Tar.file(`f${at}`, "x".repeat(400_000)))
      const { exit, root } = yield* unpackedTo(gzipSync(tar(...files), { level: 0 }), { ...archiveLimits, bytes: 1024 ** 2 })
      expect(failureOf(exit)).toMatchObject({ reason: "InvalidArchive", message: expect.stringMatching(/unpacks to more than 1 MiB/u) })
      expect(readdirSync(root)).toEqual(["f0", "f1", "f2"])
    }))

  it.live("ends a small bomb at the ratio", () =>
    Effect.gen(function*() {
      const here = yield* place
      yield* Effect.promise(() =>
        pipeline(
          Readable.from((function*() {
            for (let at = 0; at < 200; at++) {
              yield raw(`zeros-${at}`, "0", { size: 1024 ** 2 })
              yield Buffer.alloc(1024 ** 2)
            }
          })()),
          createGzip({ level: 9 }),
          createWriteStream(here.archive)
        )
      )
      const root = yield* openFolder(here.root)
      const exit = yield* Effect.exit(unpack(here.archive, root))
      expect(failureOf(exit)?.message).toMatch(/100 times its size/u)
      expect(readdirSync(here.root).length).toBeLessThan(32)
    }))

  it.effect("counts what comes after the end of the archive too", () =>
    Effect.gen(function*() {
      const { exit } = yield* unpackedTo(gzipSync(Buffer.concat([tar(Tar.file("a", "x")), Buffer.alloc(2 * 1024 ** 2)])))
      expect(failureOf(exit)?.message).toMatch(/more than 1 MiB beside its files/u)
    }))

  it.effect("takes what packers write beside files: git its commit, others the attributes of each", () =>
    Effect.gen(function*() {
      const attributes = `LIBARCHIVE.xattr.quarantine=${"x".repeat(1000)}`
      const { exit, root } = yield* unpackedTo(gzipSync(Buffer.concat([
        extended("g", `comment=${"0".repeat(40)}`),
        ...Array.from({ length: 2000 }, (_, at) => [extended("x", attributes), raw(`f${at}`, "0", { size: 5 }), body("hello")]).flat(),
        extended("x", ...numbered(999)), // with that of git, as many as there may be
        raw("last", "0"),
        end,
        Buffer.alloc(512 * 1024) // tapes want whole blocks
      ])))
      expect(Exit.isSuccess(exit), String(exit)).toBe(true)
      expect(readdirSync(root)).toHaveLength(2001)
    }))

  it.effect("ends too many entries", () =>
    Effect.gen(function*() {
      const entries = Array.from({ length: 30 }, (_, at) => Tar.file(`f${at}`, ""))
      const { exit, root } = yield* unpackedTo(gzipSync(tar(...entries)), { ...archiveLimits, entries: 20 })
      expect(failureOf(exit)?.message).toMatch(/more than 20 entries/u)
      expect(readdirSync(root)).toHaveLength(20)
    }))

  it.effect("ends too many directories, of which each entry may make many", () =>
    Effect.gen(function*() {
      const entries = Array.from({ length: 20 }, (_, at) => Tar.file(`${at}/${"d/".repeat(9)}f`, ""))
      const { exit, root } = yield* unpackedTo(gzipSync(tar(...entries)), { ...archiveLimits, entries: 50 })
      expect(failureOf(exit)?.message).toMatch(/more than 50 directories/u)
      expect(readdirSync(root, { recursive: true })).toHaveLength(60 + 6) // which the sixth entry exceeds
    }))
})
