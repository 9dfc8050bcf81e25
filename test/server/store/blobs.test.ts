// What readiness costs the disk: anybody may ask, so it seldom writes more than a little, and much again once anything was refused.
import { describe, expect, it, vi } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import promises from "node:fs/promises"
import { syncBuiltinESMExports } from "node:module"
import { join } from "node:path"
import { Blobs } from "../../../src/server/store/blobs.ts"
import { directory } from "../live-server.ts"

const large = 1024 * 1024
const small = 4096

/** A directory of blobs that is asked each ten seconds, as the kubelet does, on a disk that is as it is told to be. */
const asking = Effect.gen(function*() {
  const disk = { freeBytes: 1e9, takesBytes: Number.POSITIVE_INFINITY }
  const written: Array<number> = []
  const { open, statfs, writeFile } = promises
  const full = () => Promise.reject(Object.assign(new Error("no space"), { code: "EDQUOT" }))
  const restore = () => {
    vi.restoreAllMocks()
    syncBuiltinESMExports()
  }
  yield* Effect.acquireRelease(
    Effect.sync(() => {
      vi.spyOn(promises, "writeFile").mockImplementation((file, data, options) => {
        const { byteLength } = data as Uint8Array
        written.push(byteLength)
        return byteLength > disk.takesBytes ? full() : writeFile(file, data, options)
      })
      vi.spyOn(promises, "open").mockImplementation(async (...given) => {
        const handle = await open(...given)
        const append = handle.appendFile.bind(handle)
        handle.appendFile = (data, options) => (data as Uint8Array).byteLength > disk.takesBytes ? full() : append(data, options)
        return handle
      })
      vi.spyOn(promises, "statfs").mockImplementation(async (path) => ({
        ...(await statfs(path)),
        bavail: disk.freeBytes / 1000,
        bsize: 1000
      }))
      syncBuiltinESMExports()
    }),
    () => Effect.sync(restore)
  )
  const { probe, receive } = Context.get(yield* Layer.build(Blobs.layer(join(yield* directory, "blobs"))), Blobs)
  const ask = Effect.andThen(TestClock.adjust("10 seconds"), Effect.map(Effect.exit(probe), Exit.isSuccess))
  const asked = (times: number) =>
    Effect.map(Effect.replicateEffect(ask, times), (answers) => [answers.every((can) => can), written.splice(0)])
  return { disk, asked, receive }
})

describe("the question whether the disk takes a blob", () => {
  it.effect("writes as much as a state at first and each ten minutes, and otherwise one block", () =>
    Effect.gen(function*() {
      const { asked } = yield* asking
      const tenMinutes = [true, [large, ...Array.from({ length: 59 }, () => small)]]
      expect(yield* asked(60)).toEqual(tenMinutes)
      expect(yield* asked(60)).toEqual(tenMinutes)
    }))

  it.effect("writes as much as a state each time where little room is left, which is not full yet", () =>
    Effect.gen(function*() {
      const { asked, disk } = yield* asking
      yield* asked(2)
      disk.freeBytes = 1e6
      expect(yield* asked(3)).toEqual([true, [large, large, large]])
      disk.freeBytes = 1e9
      expect(yield* asked(1)).toEqual([true, [small]])
    }))

  it.effect("is answered with no, until the disk takes as much as a state again, though it shows room that a quota does not give", () =>
    Effect.gen(function*() {
      const { asked, disk } = yield* asking
      yield* asked(2)
      disk.takesBytes = 0
      expect(yield* asked(2)).toEqual([false, [small, large]])
      disk.takesBytes = small
      expect(yield* asked(2)).toEqual([false, [large, large]])
      disk.takesBytes = large
      expect(yield* asked(2)).toEqual([true, [large, small]])
    }))

  it.effect("writes as much as a state as soon as the disk has refused a state, though it shows room", () =>
    Effect.gen(function*() {
      const { asked, disk, receive } = yield* asking
      yield* asked(2)
      disk.takesBytes = small
      const state = Stream.make(new Uint8Array(large))
      expect((yield* Effect.flip(Effect.scoped(receive(state, { limitBytes: 2 * large })))).message).toContain("full")
      expect(yield* asked(1)).toEqual([false, [large]])
    }))
})
