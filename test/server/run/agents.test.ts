import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { poolPath } from "../../../src/schema/api/pool-api.ts"
import { Agents } from "../../../src/server/run/agents.ts"
import { agent, directory, inStores, person, serve, server } from "../live-server.ts"
import { offering } from "./offering.ts"

describe("an agent", () => {
  it.live("has a name of at most 253 characters, whether it asks for work or says why not", () =>
    Effect.gen(function*() {
      const url = yield* server
      const statusOf = (path: string, body: object) => Effect.map(agent(url).post(path, body), ({ status }) => status)
      for (const [length, status] of [[253, 200], [254, 422]] as const) {
        const name = "x".repeat(length)
        expect(yield* statusOf(poolPath.acquire, { agent: name, waitSeconds: 0, max: 1 })).toBe(status)
        expect(yield* statusOf(poolPath.cancellations, { after: 0, waitSeconds: 0, resting: { agent: name, because: "full" } })).toBe(
          status
        )
      }
    }))

  it.effect("is forgotten when a thousand others of its pool were heard since, unless it has a stage", () =>
    inStores(Effect.gen(function*() {
      const [agents, sql] = [yield* Agents, yield* SqlClient.SqlClient]
      const heard = Effect.fnUntraced(function*(name: string, pool: string) {
        yield* agents.heard(name, pool)
        yield* TestClock.adjust("1 second")
      })
      yield* offering
      yield* sql`UPDATE stages SET agent = 'with a stage'`
      yield* heard("other", "other")
      for (const name of ["with a stage", "gone", "back"]) yield* heard(name, "prod")
      for (let number = 0; number < 998; number++) yield* heard(`${number}`, "prod")
      yield* heard("back", "prod")
      const left = () => Effect.map(sql`SELECT name FROM agents WHERE length(name) > 3`, (rows) => rows.map(({ name }) => name).sort())
      expect(yield* left()).toEqual(["back", "gone", "other", "with a stage"])
      yield* heard("998", "prod")
      expect(yield* left()).toEqual(["back", "other", "with a stage"])
    })))

  it.effect("is not heard in place of one of another pool that has its name", () =>
    inStores(Effect.gen(function*() {
      const [agents, sql] = [yield* Agents, yield* SqlClient.SqlClient]
      yield* offering
      yield* sql`UPDATE stages SET agent = 'agent', agentPool = 'prod'`
      const isHeard = Effect.gen(function*() {
        return (yield* sql`SELECT id FROM stages WHERE ${yield* agents.heardWithin(60_000)}`).length > 0
      })
      yield* agents.heard("agent", "dev")
      expect(yield* isHeard).toBe(false)
      yield* agents.heard("agent", "prod")
      expect(yield* isHeard).toBe(true)
    })))

  it.effect("is forgotten when it has asked for no work for 30 days, unless it has a stage", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const served = <A, E>(during: (url: string) => Effect.Effect<A, E>) => Effect.scoped(Effect.flatMap(serve(made), during))
      yield* served((url) =>
        Effect.gen(function*() {
          yield* person(url).start("demo")
          yield* agent(url, "with a stage").take
          for (const name of ["gone", "back"]) yield* agent(url, name).acquire()
        })
      )
      yield* TestClock.adjust("20 days") // with no server, whose chores of each minute would take seconds
      yield* served((url) => agent(url, "back").acquire())
      yield* TestClock.adjust("20 days")
      yield* served(() => TestClock.adjust("1 minute"))
      using database = new DatabaseSync(join(made, "data", "agent-job.sqlite"), { readOnly: true })
      expect(database.prepare("SELECT name FROM agents ORDER BY name").all()).toEqual([{ name: "back" }, { name: "with a stage" }])
    }))
})
