// Changes of values files are noticed as they happen on a real file system, in the ways in which the kubelet and editors make them.
import { afterAll, describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { valuesWatch } from "../../../src/controller/configuration/values-watch.ts"

const root = mkdtempSync(join(tmpdir(), "values-watch-"))
afterAll(() => rmSync(root, { recursive: true }))

/** A directory that changes as the kubelet changes a mounted ConfigMap. */
const mounted = (): { readonly path: string; readonly change: () => void } => {
  const path = mkdtempSync(join(root, "mounted-"))
  let version = 0
  const change = () => {
    mkdirSync(join(path, `..${++version}`))
    writeFileSync(join(path, `..${version}`, "values.yaml"), "")
    symlinkSync(`..${version}`, join(path, "..data_tmp"))
    renameSync(join(path, "..data_tmp"), join(path, "..data"))
  }
  change()
  return { path, change }
}
/** A file that changes as when an editor saves it. */
const edited = (): { readonly path: string; readonly change: () => void } => {
  const path = join(mkdtempSync(join(root, "edited-")), "values.yaml")
  const change = () => {
    writeFileSync(`${path}~`, "")
    renameSync(`${path}~`, path)
  }
  change()
  return { path, change }
}

/** Lets a turn of the loop pass, in which the change is heard. */
const heard = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))

describe("a watch of values", () => {
  it.live.each([{ given: "a mounted ConfigMap", make: mounted }, { given: "a file that is replaced", make: edited }])(
    "ticks for $given, each time",
    ({ make }) =>
      Effect.gen(function*() {
        const { change, path } = make()
        let ticks = 0
        yield* Effect.forkScoped(Stream.runForEach(valuesWatch(path), () => Effect.sync(() => void ticks++)))
        const more = (seen: number) => Effect.sync(() => ticks > seen).pipe(Effect.repeat({ until: (_) => _ }), Effect.timeout("5 minutes"))
        yield* more(0) // waits for the first tick, which comes once the watch is there
        for (let changes = 1; changes <= 3; changes++) {
          const seen = ticks
          change()
          yield* more(seen)
        }
        expect(ticks).toBeGreaterThan(3)
      }).pipe(Effect.scoped)
  )

  it.live("ends with its scope", () =>
    Effect.gen(function*() {
      const open = () => process.getActiveResourcesInfo().filter((_) => _ === "FSEventWrap").length
      const before = open()
      yield* Stream.runDrain(Stream.take(valuesWatch(mounted().path), 1)) // the first tick comes once the watch is there
      yield* Effect.promise(() => expect.poll(open, { timeout: 300_000 }).toBeLessThanOrEqual(before))
    }))

  it.effect("ticks once for a burst of changes", () =>
    Effect.gen(function*() {
      const { change, path } = mounted()
      let ticks = 0
      yield* Effect.forkScoped(Stream.runForEach(valuesWatch(path), () => Effect.sync(() => void ticks++)))
      yield* Effect.repeat(TestClock.adjust("200 millis"), { until: () => ticks > 0 }) // the first tick comes once the watch is there
      const before = ticks
      for (let changes = 0; changes < 10; changes++) {
        change()
        yield* heard
      }
      yield* Effect.repeat(TestClock.adjust("200 millis"), { until: () => ticks > before })
      yield* TestClock.adjust("200 millis")
      expect(ticks).toBe(before + 1)
    }).pipe(Effect.scoped))

  it.effect("ticks every minute where the directory never stops to change", () =>
    Effect.gen(function*() {
      const { change, path } = edited()
      let ticks = 0
      yield* Effect.forkScoped(Stream.runForEach(valuesWatch(path), () => Effect.sync(() => void ticks++)))
      for (let millis = 0; millis < 61_000; millis += 100) {
        change()
        yield* heard
        yield* TestClock.adjust("100 millis")
      }
      expect(ticks).toBeGreaterThanOrEqual(2)
    }).pipe(Effect.scoped))

  it.effect("ticks every minute where nothing can be watched", () =>
    Effect.gen(function*() {
      const ticks = yield* Effect.forkScoped(Stream.runCollect(Stream.take(valuesWatch("/no/such/place"), 3)))
      yield* Effect.repeat(TestClock.adjust("1 minute"), { times: 3 })
      expect((yield* Fiber.join(ticks)).length).toBe(3)
    }).pipe(Effect.scoped))
})
