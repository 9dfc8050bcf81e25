// The parts of a worker with the real server behind the fault proxy: the server has what it acknowledged, once, whatever was lost.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Option, Scope } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { taskPath } from "../../src/schema/api/task-api.ts"
import { Log } from "../../src/worker/engine/log-shipper.ts"
import { TaskApi } from "../../src/worker/network/task-api.ts"
import { StateDelivery } from "../../src/worker/state/state-delivery.ts"
import { agent, ask, directory, person, planWith, serve, succeeded, taskUid, userToken } from "../server/live-server.ts"
import { ended, started } from "../server/process.ts"
import { neverStops } from "../worker/never-stops.ts"
import { podSettings } from "../worker/pod-settings.ts"
import { noTaskStatus, saved } from "../worker/pool-parts.ts"
import { type FaultProxy, faultProxy } from "./proxy.ts"
import type { Fault, Match } from "./rule.ts"

interface Worker {
  readonly proxy: FaultProxy
  /** The address of the server itself, without the proxy. */
  readonly url: string
  readonly run: string
  readonly parts: Layer.Layer<TaskApi | StateDelivery>
}

/** Starts a run and returns a worker that applies it, with its server behind the proxy. */
const applying = (url: string): Effect.Effect<Worker, never, Scope.Scope> =>
  Effect.gen(function*() {
    const run = yield* person(url).start("demo", { "auto-apply": true })
    yield* planWith(url)
    const { taskToken } = yield* agent(url).take
    const proxy = yield* faultProxy({ upstream: { url } })
    const place = yield* Effect.acquireRelease(Effect.sync(() => mkdtempSync(join(tmpdir(), "faults-"))), (made) =>
      Effect.sync(() => rmSync(made, { recursive: true })))
    const tokenFile = join(place, "token")
    writeFileSync(tokenFile, taskToken)
    const stop = neverStops()
    const settings = Layer.orDie(podSettings(place, place, { AGENT_JOB_TOKEN_FILE: tokenFile, AGENT_JOB_POOL_PATIENCE: "20 seconds" }))
    const parts = StateDelivery.layer.pipe(
      Layer.provide(noTaskStatus),
      Layer.provideMerge(Layer.orDie(TaskApi.layer(proxy.url, taskUid))),
      Layer.provide(Layer.merge(settings, stop))
    )
    return { proxy, url, run, parts: Layer.fresh(parts) }
  })

const state = (serial: number) => Buffer.from(JSON.stringify({ version: 4, serial, lineage: "one", outputs: {}, resources: [] }))
const lines = Array.from({ length: 40 }, (_, at) => `line ${at}\n`)
const result = succeeded({ statePushed: true, stateDigest: saved(state(4)).digest })

/** Sends what a worker sends to its server from the lock to the result of an apply. `disturb` runs before each push of a state. */
const wholeStage = (disturb: (at: number) => Effect.Effect<void> = () => Effect.void) =>
  Effect.gen(function*() {
    const { appendLog, patiently, tellResult } = yield* TaskApi
    const delivery = yield* StateDelivery
    const log = yield* Layer.build(Log.layer({ secrets: [], parts: [], ship: Option.some(appendLog), print: () => Effect.void }))
    const { flush, line } = yield* Effect.provide(Log, log)
    yield* delivery.lock({ ID: "engine", Operation: "OperationTypeApply", Who: "worker" })
    for (let serial = 1; serial <= 4; serial++) {
      yield* disturb(serial)
      yield* Effect.forEach(lines.slice((serial - 1) * 10, serial * 10), (text) => line(text.trimEnd()), { discard: true })
      yield* delivery.push(state(serial))
    }
    yield* delivery.unlock({ ID: "engine" })
    const settled = yield* delivery.settle(Option.none())
    yield* delivery.giveBack
    yield* flush("20 seconds")
    yield* patiently(tellResult(result))
    return settled
  }).pipe(Effect.scoped)

/** Returns what the server has of the run afterwards. */
const kept = Effect.fnUntraced(function*(url: string, run: string) {
  const view = yield* person(url).view(run)
  const stage = view.stages.find((_) => _.stage === "apply")
  const log = yield* ask(stage?.logUrl ?? "", undefined)
  const { json } = yield* ask(`${url}/api/state/v1/workspaces/demo`, userToken)
  return { status: view.status, serial: json.serial, log: /line 0\n[^\u0003]*/u.exec(log.text)?.[0] }
})
const whole = { status: "applied", serial: 4, log: lines.join("") }

/** Every kind of request that a worker sends while it applies. */
const requests: ReadonlyArray<Match> = [
  { resource: taskPath.lock },
  { resource: taskPath.state, method: "POST" },
  { resource: taskPath.log },
  { resource: taskPath.unlock },
  { resource: taskPath.result }
]
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
        const { parts, proxy, run, url } = yield* Effect.flatMap(Effect.flatMap(directory, serve), applying)
        yield* proxy.rules(...requests.map((match) => ({ match, times: 2, fault })))
        expect(yield* Effect.provide(wholeStage(), parts)).toEqual(saved(state(4)))
        expect(yield* kept(url, run)).toEqual(whole)
        for (const { method, resource } of requests) {
          expect(proxy.seen.some((_) => _.fault === fault.does && _.resource === resource && _.method === (method ?? "POST"))).toBe(true)
        }
      }).pipe(Effect.scoped)
  )

  it.live("F20 wait out a partition in the middle, and answers that come drop by drop", () =>
    Effect.gen(function*() {
      const { parts, proxy, run, url } = yield* Effect.flatMap(Effect.flatMap(directory, serve), applying)
      yield* proxy.rules({ match: {}, times: Infinity, fault: { does: "drip", bytes: 1, everyMillis: 1 } })
      const partition = (at: number) =>
        at === 3 ? Effect.andThen(proxy.down, Effect.forkDetach(Effect.delay(proxy.up, "2 seconds"))) : Effect.void
      yield* Effect.provide(wholeStage((at) => Effect.asVoid(partition(at))), parts)
      expect(yield* kept(url, run)).toEqual(whole)
    }).pipe(Effect.scoped))

  it.live("F19 go on when the server is killed in the middle and started again on its data", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const { child, url } = yield* started(made)
      const { parts, proxy, run } = yield* applying(url)
      const scope = yield* Effect.scope
      let now = url
      const restart = Effect.gen(function*() {
        now = (yield* Scope.provide(started(made), scope)).url
        yield* proxy.leadTo(now)
      })
      const kill = (at: number) =>
        at !== 3 ? Effect.void : Effect.andThen(Effect.promise(() => ended(child, "SIGKILL")), Effect.asVoid(Effect.forkDetach(restart)))
      yield* Effect.provide(wholeStage(kill), parts)
      expect(yield* kept(now, run)).toEqual(whole)
    }).pipe(Effect.scoped))
})
