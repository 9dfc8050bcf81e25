// Which folders of killed programs are removed: those of a process of this machine that is surely gone.
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { chownSync, mkdirSync, readdirSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { amongTheseProcesses, folderAside } from "../../../src/cli/files/folder-aside.ts"
import { temporaryFolder } from "../../temporary-folder.ts"

const here = amongTheseProcesses()

it.live("a folder is removed of a program that was killed here, and no other; those that may be at work are told", () =>
  Effect.gen(function*() {
    const directory = yield* temporaryFolder("aside")
    const gone = spawnSync(process.execPath, ["--version"]).pid
    const made = (name: string) => {
      mkdirSync(join(directory, name))
      writeFileSync(join(directory, name, "one"), "half")
      return name
    }
    made(`.made-${here}-${gone}-aB3xyz`)
    made(`.made-${here}-${process.pid}-aB3xyz`) // of an earlier process of this number, as the first one of a container has each time
    const atWork = made(`.made-${here}-${process.ppid}-aB3xyz`)
    const stay = [
      atWork,
      ...[`.made-elsewhere-${gone}-aB3xyz`, `.made-${here}1-${process.pid}-aB3xyz`, `.other-${here}-${gone}-aB3xyz`, ".made-aB3xyz"].map(
        made
      )
    ]
    const { others, path } = yield* Effect.promise(() => folderAside(directory, ".made-"))
    expect(readdirSync(directory).toSorted()).toEqual([...stay, basename(path)].toSorted())
    expect(others).toEqual([atWork])
  }))

it.live.runIf(process.geteuid?.() === 0)("a folder of another user stays", () =>
  Effect.gen(function*() {
    const directory = yield* temporaryFolder("aside")
    const name = `.made-${here}-${spawnSync(process.execPath, ["--version"]).pid}-aB3xyz`
    mkdirSync(join(directory, name))
    chownSync(join(directory, name), 1001, 1001)
    yield* Effect.promise(() => folderAside(directory, ".made-"))
    expect(readdirSync(directory)).toContain(name)
  }))
