import { describe, expect, it, vi } from "@effect/vitest"
import { Context, Effect, Fiber } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { StatementSync } from "node:sqlite"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { until } from "../../until.ts"
import { agent, directory, person, serveOpenly, server, withoutRates, worker } from "../live-server.ts"

/** Counts the rows that the database gives of a table, until the scope closes; returns how many there were by now. */
const rowsOf = (table: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => vi.spyOn(StatementSync.prototype, "all")),
      (all) => Effect.sync(() => all.mockRestore())
    ),
    ({ mock }) => () =>
      mock.results.reduce(
        (sum, { value }, at) => String(Object(mock.contexts[at]).sourceSQL).includes(`FROM ${table}`) ? sum + value.length : sum,
        0
      )
  )

describe("the offers to an agent", () => {
  it.effect("are as many as it asks for, the oldest first", () =>
    Effect.gen(function*() {
      const url = yield* server
      const ids = yield* Effect.forEach(["one", "two", "three"], (name) => person(url).start(name))
      const offered = Effect.map(agent(url).acquire(0, 2), (all) => all.map(({ runId }) => runId))
      expect([yield* offered, yield* offered]).toEqual([ids.slice(0, 2), ids.slice(2)])
    }))

  it.effect("are the oldest that are due, of which one that lapsed is before all that nobody had", () =>
    Effect.gen(function*() {
      const url = yield* server
      const [one, two, three] = yield* Effect.forEach(["one", "two", "three"], (name) => person(url).start(name))
      const offered = (name: string) => Effect.map(agent(url, name).acquire(0, 1), (all) => all.map(({ runId }) => runId))
      expect([yield* offered("a"), yield* offered("b")]).toEqual([[one], [two]])
      yield* TestClock.adjust("2 seconds")
      expect([yield* offered("b"), yield* offered("b")]).toEqual([[two], [three]])
      yield* TestClock.adjust("30 seconds")
      expect(yield* offered("b")).toEqual([one])
    }))

  it.effect("are looked for among few, however many wait that nobody had", () =>
    Effect.gen(function*() {
      const { context, url } = yield* Effect.flatMap(directory, (made) => serveOpenly(made))
      const sql = Context.getUnsafe(context, SqlClient.SqlClient)
      const [first, second] = yield* Effect.forEach(["one", "two"], (name) => person(url).start(name))
      yield* agent(url).acquire(0, 1)
      yield* sql`WITH RECURSIVE n (seq) AS (SELECT 3 UNION ALL SELECT seq + 1 FROM n WHERE seq < 1000)
        INSERT INTO stages (id, seq, runId, stage, attempt) SELECT 'stage-' || seq, seq, ${second}, 'plan', seq FROM n`
      const answers = yield* rowsOf("stages")
      expect((yield* agent(url).acquire(0, 1)).map(({ runId }) => runId)).toEqual([second])
      expect(answers()).toBeLessThan(10)
      yield* TestClock.adjust("2 seconds")
      expect((yield* agent(url).acquire(0, 1)).map(({ runId }) => runId)).toEqual([first])
      expect(answers()).toBeLessThan(20)
    }))

  it.effect("are looked for once for all agents of a pool that one commit wakes, and once more after each that is made", () =>
    Effect.gen(function*() {
      const url = yield* server
      const all = yield* Effect.acquireRelease(
        Effect.sync(() => vi.spyOn(StatementSync.prototype, "all")),
        (spied) => Effect.sync(() => spied.mockRestore())
      )
      const looks = () =>
        all.mock.contexts.filter((statement) => String(Object(statement).sourceSQL).includes("FROM stages WHERE NOT")).length
      const polls = yield* Effect.forEach(Array(20).keys(), (n) => Effect.forkChild(agent(url, `agent-${n}`).acquire(10, 1)))
      yield* until(() => looks() === 20)
      yield* person(url).start("demo")
      yield* Effect.raceAll(polls.map(Fiber.join))
      yield* TestClock.adjust("10 seconds")
      expect((yield* Effect.forEach(polls, Fiber.join)).flat()).toHaveLength(1)
      expect(looks() - 20).toBeLessThan(5)
    }))

  it.effect(
    "leave one token and one entry of the audit trail for each agent, however often none of them can keep the stages",
    () =>
      Effect.gen(function*() {
        const { context, url } = yield* Effect.flatMap(directory, (made) => serveOpenly(made))
        const sql = Context.getUnsafe(context, SqlClient.SqlClient)
        yield* Effect.forEach(Array(20).keys(), (number) => person(url).start(`workspace-${number}`))
        const before = yield* sql`SELECT count(*) AS entries FROM audit`
        const offered: Array<string> = []
        for (let poll = 0; poll < 60; poll++) {
          const answer = yield* agent(url, `agent-${poll % 2}`).acquire(0, 100)
          offered.push(...answer.map(({ taskToken }) => taskToken))
          yield* TestClock.adjust("31 seconds")
        }
        expect([offered.length, new Set(offered).size]).toEqual([1200, 40])
        const [{ entries, tokens } = {}] = yield* sql`SELECT count(*) AS entries, (SELECT count(*) FROM taskTokens) AS tokens FROM audit`
        expect([Number(entries) - Number(before[0]?.["entries"]), tokens]).toEqual([40, 40])
        expect((yield* worker(url, { taskToken: offered[0]! }).as("GET", taskPath.assignment)).status).toBe(200)
      }).pipe(withoutRates),
    60_000
  )

  it.live("are all that there is to cancel: of a run that ends before its stage was offered, no agent is told", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).act(yield* person(url).start("demo"), "cancel")
      expect((yield* agent(url).cancellations()).ids).toEqual([])
    }))

  it.live("are nothing more to say of once they are withdrawn: why such a stage waits is not shown", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      const [plan] = yield* agent(url).acquire()
      yield* person(url).act(id, "cancel")
      expect((yield* agent(url).wait(plan!.id, "QuotaExceeded", "The namespace is full.")).status).toBe(204)
      const { stages, status } = yield* person(url).view(id)
      expect([status, stages[0]]).toEqual(["canceled", expect.not.objectContaining({ reason: expect.anything() })])
    }))
})
