// What scripts/test tells of a kind of tests that failed, whatever it was that failed of it: seen on real runs of vitest.
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { temporaryFolder } from "../temporary-folder.ts"

const modules = join(import.meta.dirname, "../../node_modules")

/** Runs vitest on files with these bodies, and returns what the reporter kept of it. */
const reportOf = Effect.fn(function*(files: Record<string, string>) {
  const folder = yield* temporaryFolder("reporter")
  for (const [name, body] of Object.entries(files)) {
    writeFileSync(join(folder, name), `import { beforeAll, describe, it } from "${modules}/vitest/dist/index.js"\n${body}\n`)
  }
  const args = ["run", "--reporter", join(import.meta.dirname, "reporter.ts")]
  const env = { ...process.env, TEST_REPORT: join(folder, "report.json") }
  yield* Effect.callback<void>((resume) => {
    execFile(join(modules, ".bin/vitest"), args, { cwd: folder, env }, () => resume(Effect.void))
  })
  return JSON.parse(readFileSync(env.TEST_REPORT, "utf8"))
})

it.live("tells of what failed, which need not be a test", () =>
  Effect.gen(function*() {
    const { failures, passed } = yield* reportOf({
      "a.test.mjs": `it("one", () => {}); describe("of two", () => it("two", () => { throw new Error("not so\\nmore") }))`,
      "b.test.mjs": `import "./none.mjs"; it("three", () => {})`,
      "c.test.mjs": `describe("of four", () => { beforeAll(() => { throw new TypeError("no") }); it("four", () => {}) })`,
      "d.test.mjs": `it("five", async () => { void Promise.reject(new Error("late")); await new Promise((_) => setTimeout(_, 50)) })`,
      "e.test.mjs": ""
    })
    expect(passed).toBe(2)
    expect(failures.toSorted()).toEqual([
      "a.test.mjs > of two > two: Error: not so",
      expect.stringMatching(/^b\.test\.mjs: Error: .*none\.mjs/u),
      "c.test.mjs > of four: TypeError: no",
      "d.test.mjs, beside its tests (while it ran \"five\"): Error: late",
      expect.stringMatching(/^e\.test\.mjs: Error: No test suite found/u)
    ])
  }).pipe(Effect.scoped))

it.live("tells of nothing where nothing failed", () =>
  Effect.gen(function*() {
    expect(yield* reportOf({ "a.test.mjs": `it("one", () => {}); it("two", ({ skip }) => skip())` })).toEqual({ passed: 1, failures: [] })
  }).pipe(Effect.scoped))

it.live("tells of a run that had nothing to run", () =>
  Effect.gen(function*() {
    expect(yield* reportOf({})).toEqual({ passed: 0, failures: ["vitest: failed"] })
  }).pipe(Effect.scoped))
