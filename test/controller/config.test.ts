// What keeps a controller from starting is said at once and in full: the file, every key that is wrong, and the key that was meant.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Runtime } from "effect"
import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { loadConfig } from "../../src/controller/config.ts"

const file = join(mkdtempSync(join(tmpdir(), "config-")), "values.yaml")
const load = (text: string) => Effect.suspend(() => {
  writeFileSync(file, text)
  return loadConfig(file, { name: "agent-job", namespace: "ours" })
})

describe("loadConfig", () => {
  it.effect("takes an empty file for the defaults", () =>
    Effect.gen(function*() {
      expect(yield* load("")).toMatchObject({ name: "agent-job", taskNamespace: "ours", policy: { limits: { total: 50 } } })
    }))
  it.effect("names every mistake at once, with the key that was meant, and exits with 2", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(load("task: {limts: {}, job: {backoffLimit: -1}}\nagnt: {}\n"))
      for (const part of [file, "task.limts", "\"limits\"", "task.job.backoffLimit", "agnt", "\"agent\""]) expect(error.message).toContain(part)
      expect(Runtime.getErrorExitCode(error)).toBe(2)
    }))
  it.effect.each([{ given: "no YAML", text: "a: [", says: file }, { given: "no map", text: "- a", says: "must be a map" }])("refuses $given", ({ says, text }) =>
    Effect.gen(function*() {
      expect((yield* Effect.flip(load(text))).message).toContain(says)
    }))
  it.effect("says which file is missing", () =>
    Effect.gen(function*() {
      expect((yield* Effect.flip(loadConfig("/no/such/values.yaml", { name: "a", namespace: "b" }))).message).toContain("/no/such/values.yaml")
    }))
})
