import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Schema } from "effect"
import { HttpServerRequest } from "effect/http"
import { TestClock } from "effect/testing"
import { request as call } from "node:http"
import { poolPath } from "../../../src/schema/api/pool-api.ts"
import { tfePath } from "../../../src/schema/api/tfe-api.ts"
import { ArrivalRoom, Arrivals, CurrentArrival } from "../../../src/server/access/arrivals.ts"
import { jsonOf } from "../../../src/server/access/http-request.ts"
import type { Caller } from "../../../src/server/access/tokens.ts"
import { ada, agent, ask, planToken, poolToken, server, userToken } from "../live-server.ts"

const mebibyte = 1024 * 1024
const json = (bytes: number) => JSON.stringify("x".repeat(bytes - 2))
const posted = (body: string | ReadableStream, headers: Record<string, string> = {}) =>
  HttpServerRequest.fromWeb(new Request("http://server/", { method: "POST", headers, body, duplex: "half" }))
/** A request that announces so many bytes and never sends them. */
const standing = (bytes: number) => posted(new ReadableStream(), { "content-length": `${bytes}` })
const whole = (bytes: number) => posted(json(bytes), { "content-length": `${bytes}` })
const bob: Caller = { ...ada, name: "Bob" }

/** Reads the request of a caller, and returns how long its text is. */
const read = (caller: Caller, request: HttpServerRequest.HttpServerRequest) =>
  Effect.flatMap(Arrivals, (arrivals) =>
    jsonOf(Schema.String)(request).pipe(
      Effect.map(({ length }) => length),
      Effect.provideService(CurrentArrival, arrivals.of(caller))
    ))

/** Begins to read four such requests of Ada's. */
const fourOf = (request: () => HttpServerRequest.HttpServerRequest) =>
  Effect.replicateEffect(Effect.suspend(() => Effect.forkChild(read(ada, request()))), 4).pipe(Effect.tap(Effect.yieldNow))

describe("bodies that arrive", () => {
  it.effect("wait for what their caller has on the way, and no other's does, nor what is small", () =>
    Effect.gen(function*() {
      const slow = yield* fourOf(() => standing(mebibyte))
      const next = yield* Effect.forkChild(read(ada, whole(mebibyte)))
      expect(yield* read(bob, whole(mebibyte))).toBe(mebibyte - 2)
      expect(yield* read(ada, whole(16 * 1024))).toBe(16 * 1024 - 2)
      yield* TestClock.adjust("9 seconds")
      expect(next.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust("1 second")
      expect(next.pollUnsafe()).toMatchObject(Exit.fail({ status: 503, error: "busy", retryAfterSeconds: 5 }))
      yield* Effect.forEach(slow, Fiber.interrupt)
      expect(yield* read(ada, whole(mebibyte))).toBe(mebibyte - 2)
    }).pipe(Effect.provide(Arrivals.layer)))

  it.effect("have room for so many bytes as they may have where nothing says how long they are", () =>
    Effect.gen(function*() {
      const slow = yield* fourOf(() => posted(new ReadableStream()))
      const next = yield* Effect.forkChild(read(ada, posted(json(20))))
      yield* TestClock.adjust("10 seconds")
      expect(next.pollUnsafe()).toMatchObject(Exit.fail({ status: 503 }))
      yield* Effect.forEach(slow, Fiber.interrupt)
    }).pipe(Effect.provide(Arrivals.layer)))

  it.effect("have 30 s, and then leave their room to others", () =>
    Effect.gen(function*() {
      const slow = yield* fourOf(() => standing(mebibyte))
      yield* TestClock.adjust("25 seconds")
      const next = yield* Effect.forkChild(read(ada, whole(mebibyte)))
      yield* TestClock.adjust("5 seconds")
      for (const one of slow) expect(one.pollUnsafe()).toMatchObject(Exit.fail({ status: 408, error: "request-timeout" }))
      expect(yield* Fiber.join(next)).toBe(mebibyte - 2)
    }).pipe(Effect.provide(Arrivals.layer)))

  it.live("at the server are counted by token: who plans, and a pool, keep nobody else from being heard", () =>
    Effect.gen(function*() {
      const room = {
        freeUpTo: 100,
        ofCaller: { task: 1000, other: 2000 },
        all: 5000,
        wait: Duration.millis(300),
        arrival: Duration.minutes(1)
      }
      const url = yield* server.pipe(Effect.provideService(ArrivalRoom, room))
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
