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
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { treeBelow } from "../../../src/worker/volume/tree.ts"

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
      expect([...treeBelow(root, [], all)].map(({ executable, segments, size, target, type }) => [
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
        [...treeBelow(root, from, (segments) => segments.at(-1) !== ".git")].map(({ segments }) => segments.join("/"))
      expect(names("a")).toEqual(["main.tf"])
      for (const none of ["b", "link", "a/main.tf"]) expect(names(...none.split("/"))).toEqual([])
    }))

  it.effect("names also what has a name, or leads to one, that is not UTF-8, and says so", () =>
    Effect.gen(function*() {
      const { place, root } = yield* opened
      const latin = (path: string) => Buffer.from(join(place, path), "latin1")
      mkdirSync(latin("caf\u00e9"))
      writeFileSync(latin("caf\u00e9/run.sh"), "echo")
      writeFileSync(join(place, "caf\ufffd.tf"), "")
      symlinkSync(Buffer.from("caf\u00e9", "latin1"), join(place, "link"))
      expect([...treeBelow(root, [], all)].map(({ isUtf8, segments, size, type }) => [segments.join("/"), type, size, isUtf8])).toEqual([
        ["caf\ufffd", "Directory", 0, false],
        ["caf\ufffd/run.sh", "File", 4, false],
        ["caf\ufffd.tf", "File", 0, true],
        ["link", "Symlink", 0, false]
      ])
    }))

  it.effect("marks a file by its last write, whatever times it was given", () =>
    Effect.gen(function*() {
      const { place, root } = yield* opened
      const mark = () => [...treeBelow(root, [], all)].map(({ mark }) => mark).join()
      writeFileSync(join(place, "a"), "one")
      const first = mark()
      expect(mark()).toBe(first)
      appendFileSync(join(place, "a"), "!")
      expect(mark()).not.toBe(first)
    }))
})
