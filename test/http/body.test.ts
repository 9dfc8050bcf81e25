// A body that has no end is read up to the limit, and then its connection is closed.
import { expect, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { HttpClient } from "effect/http"
import { createServer, type ServerResponse } from "node:http"
import { bytesUpTo, refusalText } from "../../src/http/body.ts"
import { toServer } from "../../src/http/connections.ts"
import { endlessly } from "./endless.ts"
import { listening } from "./forward-proxy.ts"

const mebibyte = 1024 * 1024

const asked = Effect.fnUntraced(function*(answer: (response: ServerResponse) => void) {
  const closed = yield* Deferred.make<void>()
  const port = yield* listening(
    createServer((_, response) => {
      response.on("close", () => Deferred.doneUnsafe(closed, Effect.void))
      answer(response)
    })
  )
  const response = yield* Effect.flatMap(HttpClient.HttpClient, (http) => http.get(`http://127.0.0.1:${port}`))
  return { response, closed: Deferred.await(closed) }
})

const client = toServer({ connections: 1 })

it.live("has all bytes up to the limit", () =>
  Effect.gen(function*() {
    const { response } = yield* asked((response) => {
      const bytes = Buffer.from("für alle")
      response.write(bytes.subarray(0, 2))
      setImmediate(() => response.end(bytes.subarray(2)))
    })
    expect((yield* bytesUpTo(9)(response)).toString()).toBe("für alle")
  }).pipe(Effect.scoped, Effect.provide(client)))

it.live("is given up beyond it", () =>
  Effect.gen(function*() {
    const { closed, response } = yield* asked(endlessly)
    expect(yield* Effect.flip(bytesUpTo(2 * mebibyte)(response))).toMatchObject({ message: "it answers more than 2 MiB" })
    yield* closed
  }).pipe(Effect.scoped, Effect.provide(client)))

it.live("of a refusal says nothing then", () =>
  Effect.gen(function*() {
    const { closed, response } = yield* asked(endlessly)
    expect(yield* refusalText(response)).toBe("")
    yield* closed
  }).pipe(Effect.scoped, Effect.provide(client)))
