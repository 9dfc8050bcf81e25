import { describe, expect, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, Schema } from "effect"
import { HttpServerRequest } from "effect/http"
import { TestClock } from "effect/testing"
import { request as call } from "node:http"
import { poolPath } from "../../../src/schema/api/pool-api.ts"
import { stateLimitBytes } from "../../../src/schema/api/task-api.ts"
import { tfePath } from "../../../src/schema/api/tfe-api.ts"
import { Bodies, Rooms } from "../../../src/server/access/bodies.ts"
import { CurrentArrival, jsonOf } from "../../../src/server/access/http-request.ts"
import type { Caller } from "../../../src/server/access/tokens.ts"
import { ada, agent, ask, planToken, poolToken, server, userToken } from "../live-server.ts"

const mebibyte = 1024 * 1024
const bob: Caller = { ...ada, name: "Bob" }

const posted = (body: string | Uint8Array<ArrayBuffer> | ReadableStream, headers: Record<string, string> = {}) =>
  HttpServerRequest.fromWeb(new Request("http://server/", { method: "POST", headers, body, duplex: "half" }))
const announcing = (bytes: number, body: Parameters<typeof posted>[0]) => posted(body, { "content-length": `${bytes}` })
/** A request that takes its room and never sends its body. */
const standing = (bytes: number) => announcing(bytes, new ReadableStream())
const whole = (bytes: number) => announcing(bytes, new Uint8Array(bytes))
const json = (bytes: number) => JSON.stringify("x".repeat(bytes - 2))
const request = (bytes: number) => announcing(bytes, json(bytes))

/** Reads the request of a caller, and returns how long its text is. */
const read = (caller: Caller, request: HttpServerRequest.HttpServerRequest) =>
  Effect.flatMap(Bodies, (bodies) =>
    jsonOf(Schema.String)(request).pipe(
      Effect.map(({ length }) => length),
      Effect.provideService(CurrentArrival, bodies.arrival(caller))
    ))

/** Begins to read four such requests of Ada's. */
const fourOf = (request: () => HttpServerRequest.HttpServerRequest) =>
  Effect.replicateEffect(Effect.suspend(() => Effect.forkChild(read(ada, request()))), 4).pipe(Effect.tap(Effect.yieldNow))

const settled = Effect.replicateEffect(Effect.yieldNow, 20)

describe("bodies that are no states", () => {
  it.effect("wait for what their caller has on the way, and no other's does, nor what is small", () =>
    Effect.gen(function*() {
      const slow = yield* fourOf(() => standing(mebibyte))
      const next = yield* Effect.forkChild(read(ada, request(mebibyte)))
      expect(yield* read(bob, request(mebibyte))).toBe(mebibyte - 2)
      expect(yield* read(ada, request(16 * 1024))).toBe(16 * 1024 - 2)
      yield* TestClock.adjust("9 seconds")
      expect(next.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust("1 second")
      expect(next.pollUnsafe()).toMatchObject(Exit.fail({ status: 503, error: "busy", retryAfterSeconds: 5 }))
      yield* Effect.forEach(slow, Fiber.interrupt)
      expect(yield* read(ada, request(mebibyte))).toBe(mebibyte - 2)
    }).pipe(Effect.provide(Bodies.layer)))

  it.effect("have room for so many bytes as they may have where nothing says how long they are", () =>
    Effect.gen(function*() {
      const slow = yield* fourOf(() => posted(new ReadableStream()))
      const next = yield* Effect.forkChild(read(ada, posted(json(20))))
      yield* TestClock.adjust("10 seconds")
      expect(next.pollUnsafe()).toMatchObject(Exit.fail({ status: 503 }))
      yield* Effect.forEach(slow, Fiber.interrupt)
    }).pipe(Effect.provide(Bodies.layer)))

  it.effect("have 30 s, and then leave their room to others", () =>
    Effect.gen(function*() {
      const slow = yield* fourOf(() => standing(mebibyte))
      yield* TestClock.adjust("25 seconds")
      const next = yield* Effect.forkChild(read(ada, request(mebibyte)))
      yield* TestClock.adjust("5 seconds")
      for (const one of slow) expect(one.pollUnsafe()).toMatchObject(Exit.fail({ status: 408, error: "request-timeout" }))
      expect(yield* Fiber.join(next)).toBe(mebibyte - 2)
    }).pipe(Effect.provide(Bodies.layer)))

  it.live("at the server are counted by token: who plans, and a pool, keep nobody else from being heard", () =>
    Effect.gen(function*() {
      const requests = {
        freeUpTo: 100,
        ofCaller: { task: 1000, other: 2000 },
        all: 5000,
        wait: Duration.millis(300),
        arrival: Duration.minutes(1)
      }
      const url = yield* server.pipe(Effect.provideService(Rooms, { ...(yield* Rooms), requests }))
      /** Sends all but the last byte of a request, and tells the status if it is answered all the same. */
      const halted = (path: string, token: string) =>
        Effect.acquireRelease(
          Effect.sync(() => {
            const headers = { authorization: `Bearer ${token}`, "content-length": 1000 }
            const sent = call(url + path, { method: "POST", headers }).on("error", () => undefined)
            const status = new Promise<number | undefined>((resolve) =>
              sent.on("response", (answer) => resolve(answer.resume().statusCode))
            )
            sent.write(" ".repeat(999))
            return { sent, status }
          }),
          ({ sent }) => Effect.sync(() => sent.destroy())
        )
      for (const [path, token] of [[tfePath.runs, planToken], [poolPath.acquire, poolToken]] as const) {
        const all = yield* Effect.replicateEffect(halted(path, token), 3)
        expect(yield* Effect.promise(() => Promise.race(all.map(({ status }) => status)))).toBe(503)
      }
      expect(yield* agent(url).acquire()).toEqual([])
      const large = { data: { attributes: { name: "demo", "source-name": " ".repeat(800) } } }
      expect((yield* ask(`${url}${tfePath.workspaces("default")}`, userToken, "POST", large)).status).toBe(422) // it was read
    }))
})

describe("a caller's states", () => {
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

  const late = Exit.fail({ status: 408, error: "request-timeout" })
  it.effect.each([
    { line: "of 17 kB a second arrive", bytes: 256 * 1024, pauses: Array<number>(16).fill(15), read: Exit.succeed(4 * mebibyte) },
    { line: "that goes dead leave their room after a minute", bytes: mebibyte, pauses: [50, 50, 61], read: late },
    { line: "with a byte now and then leave their room after 5 minutes", bytes: 1, pauses: Array<number>(10).fill(30), read: late }
  ])("that come over a line $line", ({ bytes, pauses, read }) =>
    Effect.gen(function*() {
      const bodies = yield* Bodies
      const line: Array<ReadableStreamDefaultController> = []
      const slow = announcing(4 * mebibyte, new ReadableStream({ start: (end) => void line.push(end) }))
      const reading = yield* Effect.forkChild(
        bodies.whole(ada, slow, stateLimitBytes, ({ byteLength }) => Effect.succeed(byteLength))
      )
      for (const seconds of pauses) {
        yield* TestClock.adjust("10 millis")
        expect(reading.pollUnsafe()).toBeUndefined()
        line[0]?.enqueue(new Uint8Array(bytes))
        yield* TestClock.adjust(Duration.seconds(seconds))
      }
      if (read !== late) line[0]?.close()
      yield* TestClock.adjust("10 millis")
      expect(reading.pollUnsafe()).toMatchObject(read)
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
      yield* read(bob, stateLimitBytes)
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
      const read = (bytes: number) => bodies.whole(ada, posted(new Uint8Array(bytes)), 10, ({ byteLength }) => Effect.succeed(byteLength))
      expect(yield* read(10)).toBe(10)
      expect(yield* Effect.flip(read(11))).toMatchObject({ status: 413 })
    }).pipe(Effect.provide(Bodies.layer)))
})
