// The state of a folder after an overlay could not be written to it, and what the error says about it.
import { afterEach, beforeEach, describe, expect, it, vi } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import promises from "node:fs/promises"
import { syncBuiltinESMExports } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
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

describe("a folder in which the writing of an overlay was killed", () => {
  /** What is there if that was before a file took its place, or between two of them. */
  const left = () => {
    mkdirSync(join(folder(), ".new-a1B2c3"), { recursive: true })
    writeFileSync(join(folder(), ".new-a1B2c3", "kustomization.yaml"), file("new"))
    writeFileSync(join(folder(), ".new-a1B2c3", "values.yaml"), "") // it was made, and had no byte yet
  }

  it.effect("has the overlay and nothing else once the same command ends, whether the first or a later one was killed", () =>
    Effect.gen(function*() {
      left()
      put("patch-deployment-controller.yaml", "new")
      yield* write({ "kustomization.yaml": file("new"), "values.yaml": file("new") })
      const whole = { "kustomization.yaml": file("new"), "values.yaml": file("new") }
      expect(contents()).toEqual(whole)
      left()
      yield* write(whole)
      expect(contents()).toEqual(whole)
    }))

  it.effect("keeps what somebody else has put beside that", () =>
    Effect.gen(function*() {
      left()
      writeFileSync(join(folder(), ".new-a1B2c3", "notes.txt"), "mine")
      expect((yield* Effect.flip(write({ "kustomization.yaml": file("new") }))).message).toContain(
        "has files that agent-job overlay did not write (.new-a1B2c3); "
      )
      expect(readFileSync(join(folder(), ".new-a1B2c3", "notes.txt"), "utf8")).toBe("mine")
    }))
})

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
