// Directories on a volume to which a hostile runner writes as well: opened as what they are, or refused at once, and always closed.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { execFileSync } from "node:child_process"
import { fstatSync, mkdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { openDirectory, pathIn, untilScopeCloses, using } from "../../../src/worker/volume/descriptor.ts"
import { temporaryFolder } from "../../temporary-folder.ts"

const place = temporaryFolder("descriptor")
const closed = /EBADF/u

describe("a directory", () => {
  it.effect.each([
    { given: "a link to a directory", make: (path: string) => symlinkSync(tmpdir(), path), says: /ENOTDIR|ELOOP/u },
    { given: "a file", make: (path: string) => writeFileSync(path, ""), says: /ENOTDIR/u },
    {
      given: "a named pipe that nobody writes to",
      make: (path: string) => execFileSync("/bin/sh", ["-c", `mkfifo "$1"`, "sh", path]),
      says: /ENOTDIR/u
    },
    { given: "nothing", make: () => {}, says: /ENOENT/u }
  ])("is not opened where there is $given", ({ make, says }) =>
    Effect.gen(function*() {
      const path = join(yield* place, "opened")
      make(path)
      expect(() => openDirectory(path)).toThrow(says)
    }))

  it.effect("is reached when its path has become a link to another", () =>
    Effect.gen(function*() {
      const root = yield* place
      for (const name of ["mine", "other"]) {
        mkdirSync(join(root, name))
        writeFileSync(join(root, name, "file"), name)
      }
      const read = using(openDirectory(join(root, "mine")), (directory) => {
        renameSync(join(root, "mine"), join(root, "moved"))
        symlinkSync(join(root, "other"), join(root, "mine"))
        return readFileSync(pathIn(directory, "file"), "utf8")
      })
      expect(read).toBe("mine")
    }))
})

describe("a descriptor", () => {
  it("is closed after use, and after a use that failed", () => {
    expect(() => fstatSync(using(openDirectory(tmpdir()), (fd) => fd))).toThrow(closed)
    let used = -1
    expect(() =>
      using(openDirectory(tmpdir()), (fd) => {
        used = fd
        throw new Error("no use")
      })
    ).toThrow("no use")
    expect(() => fstatSync(used)).toThrow(closed)
  })

  it.effect("is open until its scope closes", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const fd = yield* untilScopeCloses(Effect.sync(() => openDirectory(tmpdir()))).pipe(Scope.provide(scope))
      expect(fstatSync(fd).isDirectory()).toBe(true)
      yield* Scope.close(scope, Exit.void)
      expect(() => fstatSync(fd)).toThrow(closed)
    }))
})
