import { describe, expect, it, vi } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber } from "effect"
import { SqlClient, Statement } from "effect/sql"
import { TestClock } from "effect/testing"
import { StatementSync } from "node:sqlite"
import { RunEvent } from "../../../src/core/run/run-machine.ts"
import { carriesOut, specOf } from "../../../src/core/task/intake.ts"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { Assignments } from "../../../src/server/run/assignments.ts"
import { Runs } from "../../../src/server/run/runs.ts"
import { Rescues } from "../../../src/server/workspace/rescues.ts"
import { Workspaces } from "../../../src/server/workspace/workspaces.ts"
import { until } from "../../until.ts"
import { agent, directory, evicted, inStores, person, serveOpenly, server, withoutRates, worker } from "../live-server.ts"
import { type Offering, offering } from "./offering.ts"

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

describe("an assignment", () => {
  it.effect("is offered to another agent again when it was not acknowledged for 30 seconds", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      expect((yield* agent(url, "one").acquire()).map((_) => _.id)).toEqual([`${id}.plan.1`])
      expect(yield* agent(url, "two").acquire()).toEqual([])
      yield* TestClock.adjust("29 seconds")
      expect(yield* agent(url, "two").acquire()).toEqual([])
      yield* TestClock.adjust("1 second")
      const [again] = yield* agent(url, "two").acquire()
      expect(again?.id).toBe(`${id}.plan.1`)
      yield* agent(url, "two").acknowledge(`${id}.plan.1`)
      yield* TestClock.adjust("1 hour")
      expect(yield* agent(url, "one").acquire()).toEqual([])
    }))

  it.effect("is offered to the same agent again after 2 seconds, with the same token", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).start("demo")
      const [first] = yield* agent(url).acquire()
      expect(yield* agent(url).acquire()).toEqual([])
      yield* TestClock.adjust("2 seconds")
      const [second] = yield* agent(url).acquire()
      expect(second?.id).toBe(first?.id)
      expect(second?.taskToken).toBe(first?.taskToken)
      expect((yield* worker(url, second!).as("GET", taskPath.assignment)).status).toBe(200)
    }))

  it.effect("has the working directory that its workspace had when the run was started, at each offer", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const id = yield* me.workspace("demo", { "working-directory": "live" })
      const moveTo = (to: string) => me.as("PATCH", `/api/v2/workspaces/${id}`, { data: { attributes: { "working-directory": to } } })
      yield* me.start("demo")
      const [first] = yield* agent(url).acquire()
      expect((yield* moveTo("elsewhere")).status).toBe(200)
      yield* TestClock.adjust("2 seconds")
      const [second] = yield* agent(url).acquire()
      const { taskToken, ...again } = second ?? expect.fail("it is offered again")
      expect(first).toMatchObject({ ...again, workingDirectory: "live" })
      expect(carriesOut(specOf(first ?? expect.fail("it was offered"), url), second ?? expect.fail())).toBe(true)
      expect((yield* worker(url, { taskToken }).as("GET", taskPath.assignment)).json.workingDirectory).toBe("live")
    }))

  it.effect("is offered to an agent that cannot keep it twice as late each time, and never later than to another", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).start("demo")
      expect(yield* agent(url).acquire()).toHaveLength(1)
      for (const seconds of [2, 4, 8, 16, 30, 30]) {
        yield* TestClock.adjust(`${seconds - 1} seconds`)
        expect(yield* agent(url).acquire()).toEqual([])
        yield* TestClock.adjust("1 second")
        expect(yield* agent(url).acquire()).toHaveLength(1)
      }
    }))

  it.effect("waits no longer because the clock was set back: neither an offer nor the next attempt", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      yield* TestClock.adjust("1 hour")
      yield* agent(url, "one").acquire()
      yield* TestClock.setTime(0)
      expect((yield* agent(url, "two").acquire()).map((_) => _.id)).toEqual([`${id}.plan.1`])
      expect(yield* agent(url, "one").acquire()).toEqual([])
      yield* TestClock.adjust("1 hour")
      yield* agent(url, "two").report(`${id}.plan.1`, evicted)
      expect(yield* agent(url).acquire()).toEqual([])
      yield* TestClock.setTime(0)
      expect((yield* agent(url).acquire()).map((_) => _.id)).toEqual([`${id}.plan.2`])
    }))

  it.live("is offered again within a poll that waits that long, without any commit", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).start("demo")
      const [first] = yield* agent(url).acquire()
      expect((yield* agent(url).acquire(30)).map(({ id }) => id)).toEqual([first?.id])
    }))

  it.live("wakes a waiting agent with the commit that makes it", () =>
    Effect.gen(function*() {
      const url = yield* server
      const waiting = yield* Effect.forkChild(agent(url).acquire(60))
      const id = yield* person(url).start("demo")
      const [woken] = yield* Fiber.join(waiting)
      expect(woken?.id).toBe(`${id}.plan.1`)
    }))

  it.live("is empty when the wait is over", () =>
    Effect.gen(function*() {
      const url = yield* server
      expect(yield* agent(url).acquire(1)).toEqual([])
    }))

  it.live.each<
    { readonly given: string; readonly meanwhile: (made: Offering) => Effect.Effect<unknown, unknown, Runs | Rescues | Workspaces> }
  >([
    { given: "it was withdrawn", meanwhile: ({ id }) => Effect.flatMap(Runs, (runs) => runs.step(id, RunEvent.Cancel())) },
    {
      given: "a rescue of its workspace was opened",
      meanwhile: ({ stageId, workspaceId }) =>
        Effect.flatMap(Rescues, (rescues) => rescues.open({ workspaceId, stageId, reason: "StateNotSaved", message: "in doubt" }))
    },
    {
      given: "its workspace was bound to another pool",
      meanwhile: ({ workspaceId }) => Effect.flatMap(Workspaces, (workspaces) => workspaces.update(workspaceId, { pool: "other" }))
    }
  ])("is not offered when $given while an agent was asking", ({ meanwhile }) =>
    Effect.gen(function*() {
      const { acquire } = yield* Assignments
      const changed = yield* Effect.cached(Effect.provide(meanwhile(yield* offering), yield* Effect.context<Runs | Rescues | Workspaces>()))
      /** What agent-1 is given when `meanwhile` happens after `acquire` has looked for open stages and before it makes the offer. */
      const asked = yield* Effect.provideService(
        acquire({ name: "agent-1", pool: "p", tokenHash: "" }, 0, 10),
        Statement.CurrentTransformer,
        (statement) =>
          Effect.as(statement.compile()[0].startsWith("UPDATE stages SET \"agent\"") ? Effect.orDie(changed) : Effect.void, statement)
      )
      expect(asked).toEqual([])
    }).pipe(inStores))

  it.live("is never given to two of many agents at once", () =>
    Effect.gen(function*() {
      const url = yield* server
      const workspaceIds = yield* Effect.forEach(["a", "b", "c", "d", "e", "f"], (name) => person(url).start(name))
      const given = yield* Effect.all(Array.from({ length: 12 }, (_, n) => agent(url, `agent-${n}`).acquire(0, 1)), {
        concurrency: "unbounded"
      })
      expect(given.flat().map((_) => _.runId).sort()).toEqual([...workspaceIds].sort())
    }))

  it.effect("is offered to one of two agents that both look for it before either has it", () =>
    Effect.gen(function*() {
      const { stageId } = yield* offering
      const [assignments, sql] = [yield* Assignments, yield* SqlClient.SqlClient]
      const ended = yield* Deferred.make<void>()
      const busy = yield* Effect.forkChild(sql.withTransaction(Deferred.await(ended)), { startImmediately: true })
      const agents = yield* Effect.forEach(["one", "two"], (name) =>
        Effect.forkChild(assignments.acquire({ name, pool: "pool", tokenHash: "" }, 0, 1), { startImmediately: true }))
      yield* Deferred.succeed(ended, undefined)
      yield* Fiber.join(busy)
      expect(
        (yield* Fiber.joinAll(agents)).flat().map(({ id }) =>
          id
        )
      ).toEqual([stageId])
    }).pipe(inStores))
})

describe("the answer to an agent", () =>
  it.effect("ends after 4 MiB of targets, which a hundred stages may have many times over; the others come next", () =>
    Effect.gen(function*() {
      const url = yield* server
      const longest = Array.from({ length: 64 }, (_, at) => `a.b${at}`.padEnd(512, "日"))
      for (const name of ["one", "two", "three"]) {
        for (const _ of Array(8).keys()) {
          yield* person(url).start(name, { "plan-only": true, "target-addrs": longest, "replace-addrs": longest })
        }
      }
      const [first, second] = [yield* agent(url).acquire(0, 100), yield* agent(url).acquire(0, 100)]
      expect([first.length, second.length]).toEqual([22, 2])
    })))
