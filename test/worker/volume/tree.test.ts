// What is found below a directory that a runner writes to.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import {
  appendFileSync,
  chmodSync,
  closeSync,
  constants,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { pathBelow, treeBelow } from "../../../src/worker/volume/tree.ts"
import { turnsDuring } from "../turns-during.ts"

const opened = Effect.acquireRelease(
  Effect.sync(() => {
    const place = mkdtempSync(join(tmpdir(), "agent-job-tree-"))
    return { place, root: openSync(place, constants.O_RDONLY | constants.O_DIRECTORY) }
  }),
  ({ place, root }) =>
    Effect.sync(() => {
      closeSync(root)
      rmSync(place, { recursive: true })
    })
)

const all = () => true

describe("a tree", () => {
  it.effect("is listed by name, each directory before what is in it, and no link is followed", () =>
    Effect.gen(function*() {
      const { place, root } = yield* opened
      mkdirSync(join(place, "a/b"), { recursive: true })
      writeFileSync(join(place, "a/run.sh"), "echo")
      chmodSync(join(place, "a/run.sh"), 0o755)
      writeFileSync(join(place, "a.tf"), "# a")
      symlinkSync("/etc", join(place, "etc"))
      execFileSync("mkfifo", [join(place, "pipe")])
      expect((yield* treeBelow(root, [], all)).map(({ executable, segments, size, target, type }) => [
        segments.join("/"),
        type,
        size,
        executable,
        target
      ])).toEqual([
        ["a", "Directory", 0, false, ""],
        ["a/b", "Directory", 0, false, ""],
        ["a/run.sh", "File", 4, true, ""],
        ["a.tf", "File", 3, false, ""],
        ["etc", "Symlink", 0, false, "/etc"]
      ])
    }))

  it.effect("has nothing of what is not wanted, and nothing where there is no directory", () =>
    Effect.gen(function*() {
      const { place, root } = yield* opened
      mkdirSync(join(place, "a/.git/objects"), { recursive: true })
      writeFileSync(join(place, "a/main.tf"), "")
      symlinkSync("a", join(place, "link"))
      const names = (...from: ReadonlyArray<string>) =>
        Effect.map(treeBelow(root, from, (segments) => segments.at(-1) !== ".git"), (list) => list.map(pathBelow))
      expect(yield* names("a")).toEqual(["main.tf"])
      for (const none of ["b", "link", "a/main.tf"]) expect(yield* names(...none.split("/"))).toEqual([])
    }))

  it.effect("has nothing of what is gone by the time that it is looked at", () =>
    Effect.gen(function*() {
      const { place, root } = yield* opened
      for (const name of ["a", "b"]) writeFileSync(join(place, name), "")
      const goes = ([name]: ReadonlyArray<string>) => {
        if (name === "a") rmSync(join(place, name))
        return true
      }
      expect((yield* treeBelow(root, [], goes)).map(pathBelow)).toEqual(["b"])
    }))

  it.effect("names also what has a name, or leads to one, that is not UTF-8, and says so", () =>
    Effect.gen(function*() {
      const { place, root } = yield* opened
      const latin = (path: string) => Buffer.from(join(place, path), "latin1")
      mkdirSync(latin("caf\u00e9"))
      writeFileSync(latin("caf\u00e9/run.sh"), "echo")
      writeFileSync(join(place, "caf\ufffd.tf"), "")
      symlinkSync("run.sh", latin("caf\u00e9/link"))
      symlinkSync(Buffer.from("caf\u00e9", "latin1"), join(place, "link"))
      expect((yield* treeBelow(root, [], all)).map(({ isUtf8, segments, size, type }) => [segments.join("/"), type, size, isUtf8])).toEqual(
        [
          ["caf\ufffd", "Directory", 0, false],
          ["caf\ufffd/link", "Symlink", 0, false],
          ["caf\ufffd/run.sh", "File", 4, false],
          ["caf\ufffd.tf", "File", 0, true],
          ["link", "Symlink", 0, false]
        ]
      )
    }))

  it.effect("marks a file by its last write, whatever times it was given", () =>
    Effect.gen(function*() {
      const { place, root } = yield* opened
      const mark = Effect.map(treeBelow(root, [], all), (list) => list.map(({ mark }) => mark).join())
      writeFileSync(join(place, "a"), "one")
      const first = yield* mark
      expect(yield* mark).toBe(first)
      appendFileSync(join(place, "a"), "!")
      expect(yield* mark).not.toBe(first)
    }))

  it.effect.each<{ readonly given: string; readonly make: (place: string) => void; readonly why: string }>([
    {
      given: "more names, though none of them is wanted",
      make: (place) => {
        for (let at = 0; at < 21; at++) writeFileSync(join(place, `unwanted${at}`), "")
      },
      why: "they are more than 20"
    },
    {
      given: "more names in all its directories together",
      make: (place) => {
        for (let at = 0; at < 11; at++) mkdirSync(join(place, `d${at}`, "inner"), { recursive: true })
      },
      why: "they are more than 20"
    },
    {
      given: "a deeper directory",
      make: (place) => mkdirSync(join(place, "a/b/c/d"), { recursive: true }),
      why: `they hold "a/b/c", which is too deep`
    }
  ])("is not listed with $given than the limits allow", ({ make, why }) =>
    Effect.gen(function*() {
      const { place, root } = yield* opened
      make(place)
      const wanted = (segments: ReadonlyArray<string>) => segments[0]?.startsWith("unwanted") !== true
      const error = yield* Effect.flip(treeBelow(root, [], wanted, { names: 20, depth: 3 }))
      expect(error).toMatchObject({ _tag: "TreeTooLarge", why })
    }))

  it.effect("is listed with as many names, and directories inside of each other, as the limits allow", () =>
    Effect.gen(function*() {
      const { place, root } = yield* opened
      mkdirSync(join(place, "a/b"), { recursive: true })
      writeFileSync(join(place, "a/b/main.tf"), "")
      expect(yield* treeBelow(root, [], all, { names: 3, depth: 3 })).toHaveLength(3)
    }))

  it.live("leaves nothing open, whatever becomes of the listing", () =>
    Effect.gen(function*() {
      const { place, root } = yield* opened
      mkdirSync(join(place, "a/b"), { recursive: true })
      const open = () => readdirSync("/proc/self/fd").length
      const before = open()
      yield* Effect.replicateEffect(Effect.exit(treeBelow(root, ["a"], all)), 20)
      yield* Effect.replicateEffect(Effect.exit(treeBelow(root, ["a"], all, { names: 0, depth: 1 })), 20)
      yield* Effect.replicateEffect(Effect.exit(treeBelow(root, [], all, { names: 2, depth: 2 })), 20)
      expect(open() - before).toBeLessThan(20) // what other tests of this process have open may change a little
    }))

  it.live("lets everything else go on while it is read, and while it is looked at", () =>
    Effect.gen(function*() {
      const { place, root } = yield* opened
      for (let at = 0; at < 3000; at++) writeFileSync(join(place, `file${at}`), "")
      const { turns, value } = yield* turnsDuring(treeBelow(root, [], all))
      expect(value).toHaveLength(3000)
      expect(turns).toBeGreaterThan(20) // 256 names at once, twice
    }))
})
