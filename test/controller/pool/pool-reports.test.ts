// What the pool is told of its tasks, and what is held up by a pool that is another one, that is silent or that does not exist.
import { expect, it } from "@effect/vitest"
import { Context, Effect, Layer, Option } from "effect"
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
      "The values name no pool, so the one at http://pool is not told how AgentTask tasks/task ended; set agent.url again, or remove the finalizer scalr.io/report from the task if nobody asks for its run any more."
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
        `The pool at ${url} does not know the stage of AgentTask tasks/task, which is of the pool at http://before; set agent.url to that one again, or remove the finalizer scalr.io/report from the task if nobody asks for its run any more.`
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

it.effect("tells a pool the next result however a word on a wait or another result fared, as long as it answers", () =>
  Effect.gen(function*() {
    const away = new PoolUnreachable({ url: "http://pool", detail: "connection refused" })
    const noToken = new PoolRefused({ url: "http://pool", status: 401, code: "unauthorized", detail: "no such token" })
    const told: Array<string> = []
    const pool = Layer.mock(Pool, {
      wait: () => Effect.never,
      report: (id) =>
        Effect.suspend((): Effect.Effect<void, PoolError> => {
          told.push(id)
          return id === "slow" ? Effect.sleep("10 seconds") : id === "away" ? Effect.fail(away) : Effect.fail(noToken)
        })
    })
    const { report, reportWait } = yield* Effect.provide(makePoolReports, pool)
    yield* Effect.forkChild(reportWait(task, waits))
    yield* TestClock.adjust("2 seconds")
    for (const id of ["away", "token", "slow", "last"]) {
      const telling = yield* Effect.forkChild(Effect.exit(report(task, ended(id))))
      yield* TestClock.adjust("10 seconds")
      expect(telling.pollUnsafe()).toBeDefined()
    }
    expect(told).toEqual(["away", "token", "slow", "last"])
  }))
