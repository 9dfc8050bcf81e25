// What the pool is told of its tasks, and what is held up by a pool that is another one, that is silent or that does not exist.
import { expect, it } from "@effect/vitest"
import { Context, Effect, Exit, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { makePoolReports } from "../../../src/controller/pool/pool-reports.ts"
import { Pool, type PoolError, PoolRefused, PoolUnreachable } from "../../../src/controller/pool/pool.ts"
import { Action, Notice } from "../../../src/core/reconcile/action.ts"
import { plainSeed, success, worldOf } from "../../core/worlds.ts"
import { listening } from "../../http/forward-proxy.ts"
import { directory } from "../../server/live-server.ts"

const { task } = worldOf({ ...plainSeed, life: "failed", pool: true })
const ended = (assignment: string) => Action.ReportResult({ assignment, result: success })
const waits = Notice.ReportWait({ assignment: "run-1.plan.1", reason: "Draining", message: "It waits." })

/** A pool that gives the same answer to everything. */
const answering = (status: number, body: object) =>
  Effect.map(
    listening(createServer((_, response) => response.writeHead(status).end(JSON.stringify(body)))),
    (port) => `http://127.0.0.1:${port}`
  )
const reportsTo = Effect.fnUntraced(function*(url: string) {
  const tokenFile = join(yield* directory, "token")
  writeFileSync(tokenFile, "a-token")
  const pool = Context.get(yield* Layer.build(Pool.layer(url, tokenFile)), Pool)
  return yield* Effect.provideService(makePoolReports, Pool, pool)
})

it.effect("fails to report to a pool that the values do not name, with what a person can do, and holds up no wait for that", () =>
  Effect.gen(function*() {
    const { report, reportWait } = yield* makePoolReports
    expect((yield* Effect.flip(report(task, ended("run-1.plan.1")))).message).toBe(
      "The values name no pool, so the one at http://pool is not told how AgentTask tasks/task ended; set agent.url again, or, if nobody asks for its run any more, delete the task and remove its finalizer scalr.io/report."
    )
    expect(yield* reportWait(task, waits)).toBe(true)
  }))

it.live("does not take a result for told because another pool than its own knows no such stage", () =>
  Effect.gen(function*() {
    const url = yield* answering(404, { error: "not-found", message: "There is no such stage." })
    const { report } = yield* reportsTo(url)
    const reportOf = (from: string) => {
      const pool = Option.getOrThrow(Option.fromUndefinedOr(task.spec.pool))
      return report({ ...task, spec: { ...task.spec, pool: { ...pool, url: from } } }, ended("run-1.plan.1"))
    }
    expect(yield* Effect.flip(reportOf("http://before"))).toMatchObject({
      message:
        `The pool at ${url} does not know the stage of AgentTask tasks/task, which is of the pool at http://before; set agent.url to that one again, or, if nobody asks for its run any more, delete the task and remove its finalizer scalr.io/report.`
    })
    yield* reportOf(url) // the same pool was set up anew and has forgotten the stage
  }).pipe(Effect.scoped))

it.live.each([
  { given: "broke off", status: 400, error: "bad-request" },
  { given: "did not arrive in time", status: 408, error: "request-timeout" }
])("says again why a task waits if the request for it $given", ({ error, status }) =>
  Effect.gen(function*() {
    const url = yield* answering(status, { error, message: "Send it again." })
    const { reportWait } = yield* reportsTo(url)
    expect(yield* reportWait(task, waits)).toBe(false)
  }).pipe(Effect.scoped))

const away = new PoolUnreachable({ url: "http://pool", detail: "connection refused" })
const refused = (status: number, code: string) => new PoolRefused({ url: "http://pool", status, code, detail: "no" })

/** What is told to a pool that answers each message as `answers` says, and the messages that it got. */
const toldTo = Effect.fnUntraced(function*(answers: Readonly<Record<string, Effect.Effect<void, PoolError>>>) {
  const told: Array<string> = []
  const tell = (id: string) => Effect.suspend(() => (told.push(id), answers[id] ?? Effect.void))
  const reports = yield* Effect.provide(makePoolReports, Layer.mock(Pool, { wait: tell, report: tell }))
  /** Lets as many of 10 seconds pass as the effect needs to end. */
  const ended = <A, E>(effect: Effect.Effect<A, E>) =>
    Effect.gen(function*() {
      const telling = yield* Effect.forkChild(effect, { startImmediately: true })
      for (let second = 0; second < 10 && telling.pollUnsafe() === undefined; second++) yield* TestClock.adjust("1 second")
      return telling.pollUnsafe()
    })
  return {
    told,
    wait: (assignment: string) =>
      ended(reports.reportWait(task, Notice.ReportWait({ assignment, reason: "Draining", message: "It waits." }))),
    result: (assignment: string) => ended(reports.report(task, Action.ReportResult({ assignment, result: success })))
  }
})

it.effect("tells a pool the next result however a word on a wait or another result fared, as long as it answers", () =>
  Effect.gen(function*() {
    const { result, told, wait } = yield* toldTo({
      waits: Effect.never,
      away: Effect.fail(away),
      token: Effect.fail(refused(401, "unauthorized")),
      slow: Effect.sleep("9 seconds")
    })
    yield* wait("waits")
    for (const id of ["away", "token", "slow", "last"]) expect(yield* result(id)).toBeDefined()
    expect(told).toEqual(["waits", "away", "token", "slow", "last"])
  }))

it.effect("leaves a pool alone with results once its silence has held up a pass", () =>
  Effect.gen(function*() {
    const { result, told } = yield* toldTo({ slow: Effect.delay(Effect.fail(away), "1001 millis") })
    expect(yield* result("slow")).toEqual(Exit.fail(away))
    expect(yield* result("next")).toMatchObject({ cause: { reasons: [{ error: { _tag: "PoolSilent" } }] } })
    expect(told).toEqual(["slow"])
  }))

it.effect("tells a pool that has taken a result after its rest the next one at once", () =>
  Effect.gen(function*() {
    const { result, told } = yield* toldTo({ silent: Effect.delay(Effect.fail(away), "2 seconds") })
    yield* result("silent")
    yield* TestClock.adjust("30 seconds")
    expect([yield* result("after its rest"), yield* result("at once")]).toEqual([Exit.void, Exit.void])
    expect(told).toEqual(["silent", "after its rest", "at once"])
  }))

it.effect("says nothing of waits to a pool that was silent, until a wait is heard again", () =>
  Effect.gen(function*() {
    const { told, wait } = yield* toldTo({ silent: Effect.never })
    expect(yield* wait("silent")).toEqual(Exit.succeed(false))
    expect(yield* wait("too soon")).toEqual(Exit.succeed(false))
    yield* TestClock.adjust("30 seconds")
    expect([yield* wait("after its rest"), yield* wait("at once")]).toEqual([Exit.succeed(true), Exit.succeed(true)])
    expect(told).toEqual(["silent", "after its rest", "at once"])
  }))

it.effect("says no more why a task waits if the pool refuses that for good, and says the next, because it answers", () =>
  Effect.gen(function*() {
    const { told, wait } = yield* toldTo({ silent: Effect.never, taken: Effect.fail(refused(409, "taken")) })
    yield* wait("silent")
    yield* TestClock.adjust("30 seconds")
    expect([yield* wait("taken"), yield* wait("next")]).toEqual([Exit.succeed(true), Exit.succeed(true)])
    expect(told).toEqual(["silent", "taken", "next"])
  }))
