// Which folders of killed programs are removed: those of a process of this machine that is surely gone.
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { chownSync, mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { hostname } from "node:os"
import { basename, join } from "node:path"
import { folderIn } from "../../../src/cli/bundle/left-folders.ts"
import { temporaryFolder } from "../../temporary-folder.ts"

it.live("a folder is removed of a program that was killed here, and no other", () =>
  Effect.gen(function*() {
    const directory = yield* temporaryFolder("bundle")
    const gone = spawnSync(process.execPath, ["--version"]).pid
    const made = (machine: string, by: number, inside = "bundle") => {
      const name = `.bundle-${machine}-${by}-aB3${inside.slice(0, 3)}`
      mkdirSync(join(directory, name))
      writeFileSync(join(directory, name, inside), "half")
      return name
    }
    made(hostname(), gone)
    const stay = [made(hostname(), process.ppid), made("elsewhere", gone), made(hostname(), gone, "other"), ".bundle-aB3xyz"]
    mkdirSync(join(directory, ".bundle-aB3xyz"))
    const folder = yield* Effect.promise(() => folderIn(directory))
    expect(readdirSync(directory).toSorted()).toEqual([...stay, basename(folder)].toSorted())
  }))

it.live.runIf(process.geteuid?.() === 0)("a folder of another user stays", () =>
  Effect.gen(function*() {
    const directory = yield* temporaryFolder("bundle")
    const name = `.bundle-${hostname()}-${spawnSync(process.execPath, ["--version"]).pid}-aB3xyz`
    mkdirSync(join(directory, name))
    chownSync(join(directory, name), 1001, 1001)
    yield* Effect.promise(() => folderIn(directory))
    expect(readdirSync(directory)).toContain(name)
  }))
