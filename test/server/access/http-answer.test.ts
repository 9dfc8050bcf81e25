import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Logger } from "effect"
import { SqlClient } from "effect/sql"
import { inspect } from "node:util"
import { poolPath } from "../../../src/schema/api/pool-api.ts"
import { agent, directory, person, serveOpenly } from "../live-server.ts"

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
