import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Logger, References } from "effect"
import { SqlClient } from "effect/sql"
import { inspect } from "node:util"
import { poolPath } from "../../../src/schema/api/pool-api.ts"
import { agent, archiveOf, ask, directory, person, serveOpenly } from "../live-server.ts"

describe("a mistake of the server, as a stored row that does not decode,", () =>
  it.live("is told by the request's id alone: nothing of the row is in the answer or in the log", () =>
    Effect.gen(function*() {
      const logged: Array<string> = []
      const logger = Logger.make(({ cause, message }) => void logged.push(inspect([message, cause], { depth: 20 })))
      const { context, url } = yield* Effect.provide(Effect.flatMap(directory, serveOpenly), Logger.layer([logger]))
      yield* person(url).start("demo")
      const sql: SqlClient.SqlClient = Context.getUnsafe(context, SqlClient.SqlClient)
      yield* sql`UPDATE runs SET timestamps = '{ "s3cret": 1 }'`
      const { headers, json, status, text } = yield* agent(url).post(poolPath.acquire, { agent: "agent-1", waitSeconds: 0, max: 1 })
      const id = headers.get("x-request-id")
      expect([status, json]).toEqual([500, { error: "internal", message: expect.stringContaining(String(id)) }])
      const told = logged.filter((line) => line.includes(String(id)))
      expect(told + text).not.toContain("s3cret")
      expect(told).toEqual([expect.stringContaining("a stored row does not decode")])
    })))

describe("an answered request", () =>
  it.live.each([{ level: "Debug", isTold: true }, { level: "Info", isTold: false }] as const)(
    "is told at level Debug alone, by its route and never by its address, which may be a secret: $level",
    ({ isTold, level }) =>
      Effect.gen(function*() {
        const said: Array<unknown> = []
        const logger = Logger.layer([Logger.make(({ message }) => void said.push(message))])
        const { url } = yield* Effect.flatMap(directory, serveOpenly).pipe(
          Effect.provideService(References.MinimumLogLevel, level),
          Effect.provide(logger)
        )
        const me = person(url)
        const { answer, uploadUrl } = yield* me.upload(yield* me.workspace("demo"), archiveOf({ "main.tf": "" }))
        const secret = uploadUrl.slice(uploadUrl.lastIndexOf("/") + 1)
        const astray = yield* ask(`${url}/prefix${new URL(uploadUrl).pathname}?page=s3cret`, undefined)
        const long = yield* ask(`${url}/${"s3cret".repeat(2000)}`, undefined)
        expect([secret.length, answer.status, astray.status, long.status]).toEqual([64, 204, 404, 414])
        const line = (answered: typeof answer, method: string, route: string) => [
          "a request was answered",
          { method, route, requestId: answered.headers.get("x-request-id"), status: answered.status, millis: expect.any(Number) }
        ]
        const unrouted = [line(astray, "GET", "none"), line(long, "GET", "none")]
        const stored = line(answer, "PUT", "/api/v2/uploads/:id/:secret")
        expect(said).toEqual(isTold ? expect.arrayContaining([stored, ...unrouted]) : [])
        expect(JSON.stringify(said)).not.toMatch(new RegExp(`${secret}|s3cret|authorization`, "u"))
      })
  ))
