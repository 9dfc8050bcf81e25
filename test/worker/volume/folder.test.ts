// Files on a volume to which a hostile runner writes as well: a link in a path is never followed, whoever put it there.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Option, type Scope, Stream } from "effect"
import { execFileSync } from "node:child_process"
import { once } from "node:events"
import { closeSync, lstatSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { fileTrouble } from "../../../src/worker/stage-failed.ts"
import {
  chunksOf,
  contentOf,
  createFile,
  isFolder,
  namesIn,
  newFolder,
  openFile,
  openFolder,
  readFile,
  segmentsOf,
  writeFile
} from "../../../src/worker/volume/folder.ts"
import { temporaryFolder } from "../../temporary-folder.ts"

const place: Effect.Effect<{ readonly directory: string; readonly root: number }, never, Scope.Scope> = Effect.gen(function*() {
  const directory = yield* temporaryFolder("folder")
  mkdirSync(join(directory, "root"))
  mkdirSync(join(directory, "secrets"))
  writeFileSync(join(directory, "secrets/token"), "secret")
  return { directory, root: yield* Effect.orDie(openFolder(join(directory, "root"))) }
})

/** How many descriptors this process has; some may be of other tests. */
const openFiles = () => readdirSync("/proc/self/fd").length

describe("a folder", () => {
  it.effect("has what was written to it, for worker and runner alike", () =>
    Effect.gen(function*() {
      const { directory, root } = yield* place
      yield* writeFile(root, ["a", "b", "main.tf"], "content")
      yield* writeFile(root, ["a", "b", "main.tf"], "new")
      expect(readFileSync(join(directory, "root/a/b/main.tf"), "utf8")).toBe("new")
      expect(yield* readFile(root, ["a", "b", "main.tf"], 100)).toEqual(Option.some(Buffer.from("new")))
    }))

  it.effect("lets nobody else in, and below has modes by which anybody may use what is made of the configuration", () =>
    Effect.gen(function*() {
      const { directory, root } = yield* place
      const modeOf = (path: string) => (lstatSync(join(directory, path)).mode & 0o7777).toString(8)
      yield* newFolder(join(directory, "new"))
      for (const kind of ["plain", "executable", "ours"] as const) yield* writeFile(root, ["a", "b", kind], "", kind)
      yield* writeFile(root, ["a", "b", "inputs"], "secret")
      expect(["new", "root/a", "root/a/b"].map(modeOf)).toEqual(["2770", "2775", "2775"])
      expect(["plain", "executable", "ours", "inputs"].map((name) => modeOf(`root/a/b/${name}`))).toEqual(["664", "775", "660", "660"])
    }))

  it.effect("is not left through a link, by writing or reading", () =>
    Effect.gen(function*() {
      const { directory, root } = yield* place
      symlinkSync(join(directory, "secrets"), join(directory, "root/out"))
      symlinkSync(join(directory, "secrets/token"), join(directory, "root/plan.tfplan"))
      expect(yield* Effect.flip(writeFile(root, ["out", "token"], "mine"))).toMatchObject({ reason: "InvalidConfiguration" })
      expect(yield* Effect.flip(writeFile(root, ["plan.tfplan"], "mine"))).toMatchObject({ reason: "InvalidConfiguration" })
      expect(yield* readFile(root, ["out", "token"], 100)).toEqual(Option.none())
      expect(yield* readFile(root, ["plan.tfplan"], 100)).toEqual(Option.none())
      expect(isFolder(root, ["out"])).toBe(false)
      expect(readFileSync(join(directory, "secrets/token"), "utf8")).toBe("secret")
    }))

  it.effect("stays the same directory when its path is given to another", () =>
    Effect.gen(function*() {
      const { directory, root } = yield* place
      rmSync(join(directory, "root"), { recursive: true })
      symlinkSync(join(directory, "secrets"), join(directory, "root"))
      yield* Effect.ignore(writeFile(root, ["token"], "mine"))
      expect(readFileSync(join(directory, "secrets/token"), "utf8")).toBe("secret")
    }))

  it.effect("gives nothing for what is no regular file, or too large, or not there, and writes to none such", () =>
    Effect.gen(function*() {
      const { directory, root } = yield* place
      execFileSync("/bin/sh", ["-c", `mkfifo "$1"`, "sh", join(directory, "root/pipe")])
      mkdirSync(join(directory, "root/directory"))
      writeFileSync(join(directory, "root/large"), "x".repeat(101))
      const socket = createServer().listen(join(directory, "root/socket"))
      yield* Effect.addFinalizer(() => Effect.sync(() => socket.close()))
      yield* Effect.promise(() => once(socket, "listening"))
      const before = openFiles()
      for (const name of ["pipe", "socket", "directory", "large", "missing"]) {
        expect((yield* Effect.replicateEffect(readFile(root, [name], 100), 20)).every(Option.isNone)).toBe(true)
      }
      expect(openFiles() - before).toBeLessThan(20)
      for (const name of ["pipe", "socket", "directory"]) {
        expect(yield* Effect.flip(writeFile(root, [name], "mine"))).toMatchObject({ reason: "InvalidConfiguration" })
      }
    }))

  it.effect("has a file read no further than was asked for, since the runner may go on writing", () =>
    Effect.gen(function*() {
      const { root } = yield* place
      yield* writeFile(root, ["plan"], "planned, and more")
      const { fd } = Option.getOrThrow(yield* openFile(root, ["plan"]))
      expect(Buffer.concat([...chunksOf(fd, 7)]).toString()).toBe("planned")
    }))

  it.effect("says which file the system cannot read, although it could be opened", () =>
    Effect.gen(function*() {
      const broken = yield* Effect.acquireRelease(
        Effect.sync(() => openSync("/proc/self/mem", "r")), // of which no process has the first page
        (fd) => Effect.sync(() => closeSync(fd))
      )
      expect(yield* Effect.flip(Stream.runDrain(contentOf(broken, 10, fileTrouble("the plan"))))).toMatchObject({
        reason: "InvalidConfiguration",
        message: "The worker cannot use the plan (EIO); check the volumes of the Pod and who owns them."
      })
    }))

  it.effect("tells its names, unless there are more than any configuration has", () =>
    Effect.gen(function*() {
      const { root } = yield* place
      for (const name of ["a", "b", "c"]) yield* writeFile(root, ["live", name], "")
      for (const name of ["a", "b"]) yield* writeFile(root, [name], "")
      expect((yield* namesIn(root, ["live"], 3)).toSorted()).toEqual(["a", "b", "c"])
      expect(yield* Effect.flip(namesIn(root, ["live"], 2))).toMatchObject({
        reason: "InvalidConfiguration",
        message: "The directory live of the configuration has more than 2 files; leave out what is not configuration."
      })
      expect((yield* Effect.flip(namesIn(root, [], 2))).message).toMatch(/^The top directory of the configuration has more than 2 files;/u)
      const before = openFiles()
      yield* Effect.replicateEffect(namesIn(root, ["live"]), 40)
      expect(openFiles() - before).toBeLessThan(20)
    }))

  it.effect("refuses to make a directory that somebody has made", () =>
    Effect.gen(function*() {
      const { directory } = yield* place
      expect(yield* Effect.flip(newFolder(join(directory, "root")))).toMatchObject({ reason: "InvalidConfiguration" })
    }))

  it.effect("says which file was in the way of a new one", () =>
    Effect.gen(function*() {
      const { root } = yield* place
      closeSync(createFile(root, ["a"], { kind: "plain", replace: false }))
      expect(() => createFile(root, ["a"], { kind: "plain", replace: false })).toThrow(/EEXIST/u)
    }))
})

describe("segmentsOf", () => {
  it.each([
    { path: "", names: [] },
    { path: ".", names: [] },
    { path: "a/./b//c/", names: ["a", "b", "c"] }
  ])("of $path is $names", ({ names, path }) => expect(segmentsOf(path)).toEqual(Option.some(names)))
  it.each(["/a", "..", "a/../b", "a\0"])("is nothing for %s", (path) => expect(segmentsOf(path)).toEqual(Option.none()))
})
