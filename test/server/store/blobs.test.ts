// What readiness costs the disk: anybody may ask, so it seldom writes more than a little, and much again once anything was refused. And what
// still comes onto a disk that has little room left.
import { describe, expect, it, vi } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { readdirSync } from "node:fs"
import promises from "node:fs/promises"
import { syncBuiltinESMExports } from "node:module"
import { join } from "node:path"
import { Blobs } from "../../../src/server/store/blobs.ts"
import { directory } from "../live-server.ts"
import { diskWith } from "../room.ts"

const large = 1024 * 1024
const small = 4096

const blobs = Effect.gen(function*() {
  return Context.get(yield* Layer.build(Blobs.layer(join(yield* directory, "blobs"))), Blobs)
})

/** A directory of blobs that is asked each ten seconds, as the kubelet does, on a disk that is as it is told to be. */
const asking = Effect.gen(function*() {
  const shown = yield* diskWith(1e9)
  const disk = Object.assign(shown, { takesBytes: Number.POSITIVE_INFINITY })
  const written: Array<number> = []
  const { open, writeFile } = promises
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
      syncBuiltinESMExports()
    }),
    () => Effect.sync(restore)
  )
  const { probe, receive } = yield* blobs
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

describe("the room that is kept for states", () => {
  const limits = { limitBytes: 100 * large }
  const kept = 128 * large

  it.effect.each([
    { room: "bytes", freeBytes: kept - 1, freeFiles: 1000 },
    { room: "files", freeBytes: kept, freeFiles: 999 }
  ])(
    "is not begun by anything else where few $room are left, and is said to be kept",
    ({ freeBytes, freeFiles }) =>
      Effect.gen(function*() {
        yield* diskWith(freeBytes, freeFiles)
        const { receive } = yield* blobs
        const body = Stream.make(Buffer.from("a body"))
        expect(yield* Effect.flip(receive(body, limits))).toMatchObject({
          status: 503,
          error: "storage",
          message: expect.stringContaining(
            "too little room beside the 128 MiB and 1000 files that it keeps for the states of runs at work"
          )
        })
        expect((yield* receive(body, { ...limits, isState: true })).sizeBytes).toBe(6)
      })
  )

  it.effect.each([
    { given: "as much is left", freeBytes: kept, freeFiles: 1000 },
    { given: "the file system has no limit of files", freeBytes: kept, freeFiles: 0, files: 0 },
    { given: "the file system has no limit of room", freeBytes: 0, blocks: 0 }
  ])("is beside what may come where $given", ({ blocks, files, freeBytes, freeFiles }) =>
    Effect.gen(function*() {
      yield* diskWith(freeBytes, freeFiles, files, blocks)
      const { receive } = yield* blobs
      expect((yield* receive(Stream.make(Buffer.from("a body")), limits)).sizeBytes).toBe(6)
    }))

  it.effect("is not entered by a body that says that it is larger than the room beside that, of which nothing is taken", () =>
    Effect.gen(function*() {
      yield* diskWith(kept + 6)
      const { receive } = yield* blobs
      let taken = 0
      const body = Stream.fromEffect(Effect.sync(() => Buffer.from(`body ${++taken}`)))
      expect((yield* Effect.flip(receive(body, { ...limits, saidBytes: 7 }))).error).toBe("storage")
      expect(taken).toBe(0)
      expect((yield* receive(body, { ...limits, saidBytes: 6 })).sizeBytes).toBe(6)
      expect((yield* receive(body, { ...limits, saidBytes: 7, isState: true })).sizeBytes).toBe(6)
      expect((yield* Effect.flip(receive(body, { limitBytes: 5, saidBytes: 7 }))).error).toBe("too-large")
    }))

  it.effect("is not entered by a body that began before, and nothing of that stays", () =>
    Effect.gen(function*() {
      const disk = yield* diskWith(kept)
      const made = yield* directory
      const { receive } = Context.get(yield* Layer.build(Blobs.layer(made)), Blobs)
      const before = readdirSync(made)
      const filling = Stream.concat(
        Stream.make(Buffer.from("first")),
        Stream.fromEffect(Effect.sync(() => {
          disk.freeBytes = kept - 1
          return Buffer.from("then")
        }))
      )
      expect((yield* Effect.flip(Effect.scoped(receive(filling, limits)))).error).toBe("storage")
      expect(readdirSync(made)).toEqual(before)
    }))
})
