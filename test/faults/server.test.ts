// The parts of a worker with the real server behind the fault proxy: the server has what it acknowledged, once, whatever was lost.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Scope } from "effect"
import { ask, directory, person, serve } from "../server/live-server.ts"
import { ended, started } from "../server/process.ts"
import { registered } from "../server/registered.ts"
import { addresses, lastState, lines, planAndApply, poolRun } from "./pool-worker.ts"
import type { Fault, Match } from "./rule.ts"

/** Returns what the server has of the run afterwards, and of the state that another stage had to leave. */
const kept = Effect.fnUntraced(function*(url: string, run: string) {
  const view = yield* person(url).view(run)
  const stage = view.stages.find((_) => _.stage === "apply")
  const log = yield* ask(`${stage?.logUrl}?wait=0`, undefined)
  const { lock, pending, version } = yield* person(url).state("demo")
  const { evidence } = yield* person(url).state("left")
  return {
    stages: view.stages.map((_) => _.status),
    log: /line 0\n[^\u0003]*/u.exec(log.text)?.[0],
    serial: version.serial,
    lock,
    journal: pending.map((_: { readonly journal: number }) => _.journal),
    made: stage?.effects?.unsaved.map(({ address }) => address),
    left: evidence.map((_: { readonly serial: number }) => _.serial)
  }
})
const whole = {
  stages: ["finished", "errored"],
  log: lines.join(""),
  serial: 4,
  lock: undefined,
  journal: [addresses.length + 1],
  made: addresses,
  left: [7]
}

/** Every kind of request that a worker sends, as the server's own routes have them. */
const kinds = Effect.runSync(Effect.cached(Effect.scoped(Effect.map(
  registered,
  (routes) =>
    routes.flatMap((route): ReadonlyArray<Match> => {
      const [method = "", resource = ""] = route.split(" ")
      return resource.startsWith("/api/task/") ? [{ method, resource }] : []
    })
))))
const faults: ReadonlyArray<Fault> = [
  { does: "dropBefore" },
  { does: "dropAfter" },
  { does: "truncate", bytes: 0 },
  { does: "delay", millis: 300 },
  { does: "status", code: 500 },
  { does: "status", code: 429, headers: { "retry-after": "1" } },
  { does: "status", code: 502 }
]

describe.concurrent("a worker and its server", () => {
  it.live.each(faults.map((fault) => ({ fault })))(
    "F20 F3 lose nothing and double nothing when $fault meets each kind of request twice",
    ({ fault }) =>
      Effect.gen(function*() {
        const run = yield* Effect.flatMap(Effect.flatMap(directory, serve), poolRun)
        const all = yield* kinds
        yield* run.proxy.rules(...all.map((match) => ({ match, times: 2, fault })))
        expect(yield* planAndApply(run)).toEqual(lastState)
        expect(yield* kept(run.url, run.run)).toEqual(whole)
        const met = run.proxy.seen.filter((_) => _.fault === fault.does)
        expect(all.filter(({ method, resource }) => !met.some((_) => _.method === method && _.resource === resource))).toEqual([])
      }).pipe(Effect.scoped)
  )

  it.live("F20 wait out a partition in the middle, and answers that come drop by drop", () =>
    Effect.gen(function*() {
      const run = yield* Effect.flatMap(Effect.flatMap(directory, serve), poolRun)
      const { proxy } = run
      yield* proxy.rules({ match: {}, times: Infinity, fault: { does: "drip", bytes: 1, everyMillis: 1 } })
      const partition = (at: number) =>
        at === 3 ? Effect.andThen(proxy.down, Effect.forkDetach(Effect.delay(proxy.up, "2 seconds"))) : Effect.void
      yield* planAndApply(run, (at) => Effect.asVoid(partition(at)))
      expect(yield* kept(run.url, run.run)).toEqual(whole)
    }).pipe(Effect.scoped))

  it.live("F19 go on when the server is killed in the middle and started again on its data", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const { child, url } = yield* started(made)
      const run = yield* poolRun(url)
      const scope = yield* Effect.scope
      let now = url
      const restart = Effect.gen(function*() {
        now = (yield* Scope.provide(started(made), scope)).url
        yield* run.proxy.leadTo(now)
      })
      const kill = (at: number) =>
        at !== 3 ? Effect.void : Effect.andThen(Effect.promise(() => ended(child, "SIGKILL")), Effect.asVoid(Effect.forkDetach(restart)))
      yield* planAndApply(run, kill)
      expect(yield* kept(now, run.run)).toEqual(whole)
    }).pipe(Effect.scoped))
})
