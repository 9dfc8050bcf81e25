// The state of a folder to which an overlay is written, after it could not be, was killed, or while another one is.
import { afterEach, beforeEach, describe, expect, it, vi } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import promises from "node:fs/promises"
import { syncBuiltinESMExports } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { amongTheseProcesses } from "../../../src/cli/files/folder-aside.ts"
import { mark } from "../../../src/cli/values/overlay-files.ts"
import { writeFolder } from "../../../src/cli/values/overlay-folder.ts"

let base = ""
beforeEach(() => {
  base = mkdtempSync(join(tmpdir(), "folder-"))
})
afterEach(() => rmSync(base, { recursive: true }))

const folder = () => join(base, "out")
const file = (text: string) => `# ${mark}\n${text}`
const put = (name: string, text: string) => writeFileSync(join(folder(), name), file(text))
const write = (files: Readonly<Record<string, string>>) => writeFolder(folder(), files)
const contents = () => Object.fromEntries(readdirSync(folder()).map((name) => [name, readFileSync(join(folder(), name), "utf8")]))

describe("a folder that an overlay cannot be written to", () => {
  it.effect("is as it was where a file cannot be written, such as one in a folder that is not there", () =>
    Effect.gen(function*() {
      mkdirSync(folder())
      put("kustomization.yaml", "old")
      put("stale.yaml", "old")
      const before = contents()
      const { message } = yield* Effect.flip(write({ "kustomization.yaml": file("new"), "not/there.yaml": file("new") }))
      expect(message).toBe(
        `Cannot write the overlay to ${folder()} (no such file or directory); it is as it was. Name another directory with --out.`
      )
      expect(contents()).toEqual(before)
    }))

  it.effect("is said to be written in part where a file cannot take its place", () =>
    Effect.gen(function*() {
      mkdirSync(folder())
      put("kustomization.yaml", "old")
      put("values.yaml", "old")
      mkdirSync(join(folder(), "taken")) // "./taken" names the same path, so the clash shows only when a file is moved there
      const { message } = yield* Effect.flip(
        write({ "kustomization.yaml": file("new"), "./taken": file("new"), "values.yaml": file("new") })
      )
      expect(message).toMatch(
        /^The overlay in .* is written in part \(.*\): some of its files are new, others old\. Correct that, and run the same command again\.$/u
      )
      rmSync(join(folder(), "taken"), { recursive: true })
      expect(contents()).toEqual({ "kustomization.yaml": file("old"), "values.yaml": file("new") })
    }))

  it.effect("is not there, nor those above it, where it was not there before", () =>
    Effect.gen(function*() {
      const deep = join(base, "a", "b")
      const { message } = yield* Effect.flip(writeFolder(deep, { "kustomization.yaml": file("new"), "not/there.yaml": file("new") }))
      expect(message).toContain("; it is as it was. ")
      expect(existsSync(join(base, "a"))).toBe(false)
    }))

  it.effect("leaves no folder above it where it cannot be made itself", () =>
    Effect.gen(function*() {
      const unmakeable = join(base, "a", "b", "x".repeat(256))
      const { message } = yield* Effect.flip(writeFolder(unmakeable, { "kustomization.yaml": file("new") }))
      expect(message).toContain("; it is as it was. ")
      expect(existsSync(join(base, "a"))).toBe(false)
    }))

  it.effect("leaves what another program has put beside it meanwhile, where its files cannot be written", () =>
    Effect.gen(function*() {
      const other = join(base, "a", "other")
      const files = {
        "kustomization.yaml": file("new"),
        get "not/there.yaml"() { // called once the folder is made
          mkdirSync(other)
          return file("new")
        }
      }
      yield* Effect.flip(writeFolder(join(base, "a", "b"), files))
      expect(readdirSync(join(base, "a"))).toEqual(["other"])
    }))

  it.effect("leaves what another program has put beside it meanwhile, where it cannot be made itself", () =>
    Effect.gen(function*() {
      const unmakeable = join(base, "a", "b", "x".repeat(256))
      const { mkdir } = promises
      const other = join(base, "a", "other")
      const spy = vi.spyOn(promises, "mkdir").mockImplementation((path, options) => {
        if (path === unmakeable) mkdirSync(other)
        return mkdir(path, options)
      })
      syncBuiltinESMExports()
      yield* Effect.flip(writeFolder(unmakeable, { "kustomization.yaml": file("new") })).pipe(Effect.ensuring(Effect.sync(() => {
        spy.mockRestore()
        syncBuiltinESMExports()
      })))
      expect(readdirSync(join(base, "a"))).toEqual(["other"])
    }))
})

/** Puts there what is there while a process writes an overlay, before a file takes its place. */
const writing = (pid: number) => {
  const name = `.overlay-${amongTheseProcesses()}-${pid}-a1B2c3`
  mkdirSync(join(folder(), name), { recursive: true })
  writeFileSync(join(folder(), name, "kustomization.yaml"), file("new"))
  writeFileSync(join(folder(), name, "values.yaml"), "")
  return name
}

it.effect("a folder in which the writing of an overlay was killed has the overlay and nothing else once the same command ends", () =>
  Effect.gen(function*() {
    const { pid } = spawnSync(process.execPath, ["--version"])
    const whole = { "kustomization.yaml": file("new"), "values.yaml": file("new") }
    writing(pid)
    put("patch-deployment-controller.yaml", "new") // another had its place already
    yield* write(whole)
    expect(contents()).toEqual(whole)
    writing(pid)
    yield* write(whole)
    expect(contents()).toEqual(whole)
  }))

it.effect("a folder to which another process writes an overlay is let be, and that is said, since files of both would come together", () =>
  Effect.gen(function*() {
    const other = writing(process.ppid)
    put("kustomization.yaml", "old")
    expect((yield* Effect.flip(write({ "kustomization.yaml": file("new") }))).message).toBe(
      `Another agent-job writes an overlay to ${folder()} now, so this one wrote nothing. Run the same command again once that has ended; if none is at work, take ${other} away there first.`
    )
    expect(readdirSync(folder()).toSorted()).toEqual([other, "kustomization.yaml"])
    expect(readFileSync(join(folder(), "kustomization.yaml"), "utf8")).toBe(file("old"))
  }))

it.effect("an interrupt while the files take their places waits for the last one", () =>
  Effect.gen(function*() {
    const begun = yield* Deferred.make<void>()
    const files = {
      get "kustomization.yaml"() { // called as it is written aside
        Deferred.doneUnsafe(begun, Effect.void)
        return file("new")
      },
      "values.yaml": file("new")
    }
    const writing = yield* Effect.forkChild(write(files))
    yield* Deferred.await(begun)
    yield* Fiber.interrupt(writing)
    expect(readdirSync(folder()).sort()).toEqual(["kustomization.yaml", "values.yaml"])
  }))
