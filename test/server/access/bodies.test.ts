import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber } from "effect"
import { HttpServerRequest } from "effect/http"
import { TestClock } from "effect/testing"
import { stateLimitBytes } from "../../../src/schema/api/task-api.ts"
import { Bodies } from "../../../src/server/access/bodies.ts"
import type { Caller } from "../../../src/server/access/tokens.ts"
import { ada } from "../live-server.ts"

const mebibyte = 1024 * 1024

const posted = (bytes: number, body: Uint8Array<ArrayBuffer> | ReadableStream) =>
  HttpServerRequest.fromWeb(
    new Request("http://server/", { method: "POST", headers: { "content-length": `${bytes}` }, body, duplex: "half" })
  )
const whole = (bytes: number) => posted(bytes, new Uint8Array(bytes))
const settled = Effect.replicateEffect(Effect.yieldNow, 20)
/** A request that takes its room and never sends its body. */
const standing = (bytes: number) => posted(bytes, new ReadableStream())

describe("a caller's bodies", () => {
  it.effect("are of its share until they have arrived, and no longer: what is done with one keeps out none of the others", () =>
    Effect.gen(function*() {
      const bodies = yield* Bodies
      const inUse = yield* Deferred.make<void>()
      const first = yield* Effect.forkChild(
        bodies.whole(ada, whole(stateLimitBytes), stateLimitBytes, () => Effect.andThen(Deferred.succeed(inUse, undefined), Effect.never))
      )
      yield* Deferred.await(inUse)
      expect(yield* bodies.whole(ada, whole(stateLimitBytes), stateLimitBytes, ({ byteLength }) => Effect.succeed(byteLength))).toBe(
        stateLimitBytes
      )
      yield* Fiber.interrupt(first)
    }).pipe(Effect.provide(Bodies.layer)))

  it.effect("have room beside the largest of one who has the same token", () =>
    Effect.gen(function*() {
      const bodies = yield* Bodies
      const first = yield* Effect.forkChild(bodies.whole(ada, standing(stateLimitBytes), stateLimitBytes, () => Effect.void))
      yield* Effect.yieldNow
      expect(yield* bodies.whole(ada, whole(5 * mebibyte), stateLimitBytes, ({ byteLength }) => Effect.succeed(byteLength))).toBe(
        5 * mebibyte
      )
      expect(first.pollUnsafe()).toBeUndefined()
      yield* Fiber.interrupt(first)
    }).pipe(Effect.provide(Bodies.layer)))

  it.effect("that are read are a small and a large one at a time, beside what has not arrived, and keep out none of another's", () =>
    Effect.gen(function*() {
      const bodies = yield* Bodies
      const begun: Array<string> = []
      const read = (caller: Caller, bytes: number) =>
        Effect.forkChild(bodies.room(caller, bytes, Effect.andThen(Effect.sync(() => begun.push(`${caller.name} ${bytes}`)), Effect.never)))
      const first = yield* read(ada, 2)
      const second = yield* read(ada, 45 * mebibyte)
      yield* Effect.forEach([45 * mebibyte, 1], (bytes) => read(ada, bytes))
      yield* read({ ...ada, name: "Bob" }, stateLimitBytes)
      yield* settled
      const ofBob = `Bob ${stateLimitBytes}`
      const large = `Ada ${45 * mebibyte}`
      expect(begun).toEqual(["Ada 2", large, ofBob])
      yield* Fiber.interrupt(first)
      yield* settled
      expect(begun).toEqual(["Ada 2", large, ofBob, "Ada 1"])
      const arriving = yield* Effect.forkChild(bodies.whole(ada, standing(stateLimitBytes), stateLimitBytes, () => Effect.void))
      yield* TestClock.adjust("10 seconds")
      expect(arriving.pollUnsafe()).toMatchObject(Exit.fail({ status: 503, error: "busy" }))
      yield* Fiber.interrupt(second)
    }).pipe(Effect.provide(Bodies.layer)))

  it.effect("are refused past their limit as they come, where nothing says how long they are", () =>
    Effect.gen(function*() {
      const bodies = yield* Bodies
      const read = (bytes: number) => {
        const request = new Request("http://server/", { method: "POST", body: new Uint8Array(bytes) })
        return bodies.whole(ada, HttpServerRequest.fromWeb(request), 10, ({ byteLength }) => Effect.succeed(byteLength))
      }
      expect(yield* read(10)).toBe(10)
      expect(yield* Effect.flip(read(11))).toMatchObject({ status: 413 })
    }).pipe(Effect.provide(Bodies.layer)))
})
