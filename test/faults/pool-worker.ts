// What the workers of a run's plan and apply send to the real server, by the parts of the real worker, through the fault proxy.
// Every kind of request of the task API is among it; who adds a route adds its request here.
// Used by server.test.ts.
import { Effect, Layer, Option, type Scope } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { closing } from "../../src/core/stage/journal.ts"
import { taskPath } from "../../src/schema/api/task-api.ts"
import { Sha256 } from "../../src/schema/names.ts"
import { makeJournal } from "../../src/worker/engine/journal.ts"
import { Log } from "../../src/worker/engine/log-shipper.ts"
import { TaskApi } from "../../src/worker/network/task-api.ts"
import { Settings } from "../../src/worker/settings.ts"
import { StateDelivery } from "../../src/worker/state/state-delivery.ts"
import { carryStrandedStates, strand } from "../../src/worker/state/stranded-states.ts"
import { agent, failed, person, planWith, sha256, succeeded, taskUid, withChanges, worker } from "../server/live-server.ts"
import { temporaryFolder } from "../temporary-folder.ts"
import { neverStops } from "../worker/never-stops.ts"
import { podSettings } from "../worker/pod-settings.ts"
import { noTaskStatus, saved } from "../worker/pool-parts.ts"
import { type FaultProxy, faultProxy } from "./proxy.ts"

export interface PoolRun {
  readonly proxy: FaultProxy
  /** The address of the server itself, without the proxy. */
  readonly url: string
  readonly run: string
  /** The folder that all tasks share. It has a state of the workspace `left`, whose stage could not deliver it. */
  readonly cache: string
}

/** Leaves a state of a stage that is over in the shared folder. */
const leaveState = Effect.fnUntraced(function*(url: string, cache: string) {
  yield* person(url).start("left", { "auto-apply": true })
  yield* planWith(url)
  const apply = yield* agent(url).take
  const leaver = worker(url, apply)
  const { json: { keptStateKey } } = yield* leaver.as("GET", taskPath.assignment)
  yield* leaver.result({ ...failed(), reason: "StateNotSaved", statePushed: false })
  yield* Effect.orDie(strand(cache, { id: apply.id, keptStateKey }, state(7)))
})

/** Starts a run of the workspace `demo`, which applies by itself, with its server behind the proxy. */
export const poolRun = (url: string): Effect.Effect<PoolRun, never, Scope.Scope> =>
  Effect.gen(function*() {
    const cache = yield* temporaryFolder("cache")
    yield* leaveState(url, cache)
    const run = yield* person(url).start("demo", { "auto-apply": true })
    return { proxy: yield* faultProxy({ upstream: { url } }), url, run, cache }
  })

/** The parts of a worker of the stage that is offered next. */
const nextWorker = ({ cache, proxy, url }: PoolRun) =>
  Layer.unwrap(Effect.gen(function*() {
    const place = yield* temporaryFolder("faults")
    const tokenFile = join(place, "token")
    writeFileSync(tokenFile, (yield* agent(url).take).taskToken)
    const settings = podSettings(place, place, {
      AGENT_JOB_TOKEN_FILE: tokenFile,
      AGENT_JOB_POOL_PATIENCE: "20 seconds",
      AGENT_JOB_CACHE_DIR: cache
    })
    return StateDelivery.layer.pipe(
      Layer.provide(noTaskStatus),
      Layer.provideMerge(Layer.orDie(TaskApi.layer(proxy.url, taskUid))),
      Layer.provideMerge(Layer.merge(settings, neverStops()))
    )
  })).pipe(Layer.fresh)

const state = (serial: number) => Buffer.from(JSON.stringify({ version: 4, serial, lineage: "one", outputs: {}, resources: [] }))
export const lastState = saved(state(4))
export const lines = Array.from({ length: 40 }, (_, at) => `line ${at}\n`)
/** What the plan announces and the apply makes; no state has it. */
export const addresses = Array.from({ length: 40 }, (_, at) => `time_sleep.a[${at}]`)

/** The log and the journal of a stage, as its worker sends them. */
const telling = Effect.gen(function*() {
  const { appendEffects, appendLog } = yield* TaskApi
  const shipping = Log.layer({ secrets: [], parts: [], ship: Option.some(appendLog), print: () => Effect.void })
  const log = yield* Effect.provide(Log, yield* Layer.build(shipping))
  return { log, journal: yield* makeJournal(log, Option.some(appendEffects)) }
})

const plan = Effect.gen(function*() {
  const { details, download, patiently, state, storePlan, tellResult } = yield* TaskApi
  const { privateDirectory } = yield* Settings
  const { journal } = yield* telling
  const { archiveSha256 } = yield* details
  // each of these is a stage that comes later
  yield* Effect.repeat(carryStrandedStates, { until: (remarks) => remarks.length === 0, times: 5 })
  yield* download("archive", join(privateDirectory, "archive"), archiveSha256)
  yield* patiently(state)
  for (const address of addresses) journal.add({ kind: "planned", action: "create", address })
  const file = join(privateDirectory, "plan")
  writeFileSync(file, "the plan")
  const planDigest = Sha256.make(sha256("the plan"))
  yield* storePlan(file, planDigest)
  yield* journal.flush("20 seconds")
  yield* patiently(tellResult(succeeded({ ...withChanges, planDigest })))
}).pipe(Effect.scoped)

/** An apply whose engine fails at its end, so that the server has to look into the journal. */
const apply = (disturb: (at: number) => Effect.Effect<void>) =>
  Effect.gen(function*() {
    const { details, download, patiently, tellResult } = yield* TaskApi
    const { privateDirectory } = yield* Settings
    const delivery = yield* StateDelivery
    const { journal, log } = yield* telling
    const { planSha256 = "" } = yield* details
    yield* download("plan", join(privateDirectory, "plan"), planSha256)
    yield* delivery.lock({ ID: "engine", Operation: "OperationTypeApply", Who: "worker" })
    for (let serial = 1; serial <= 4; serial++) {
      yield* disturb(serial)
      const [from, to] = [(serial - 1) * 10, serial * 10]
      yield* Effect.forEach(lines.slice(from, to), (text) => log.line(text.trimEnd()), { discard: true })
      for (const address of addresses.slice(from, to)) journal.add({ kind: "done", action: "create", address, idKey: "id", id: address })
      yield* delivery.push(state(serial))
    }
    yield* delivery.unlock({ ID: "engine" })
    const settled = yield* delivery.settle(Option.none())
    journal.add(closing)
    yield* journal.flush("20 seconds")
    yield* delivery.giveBack
    yield* log.flush("20 seconds")
    yield* patiently(tellResult({ ...failed(), statePushed: true, stateDigest: lastState.digest }))
    return settled
  }).pipe(Effect.scoped)

/** Plans and applies the run; returns what became of its last state. `disturb` runs before each push of a state. */
export const planAndApply = (of: PoolRun, disturb: (at: number) => Effect.Effect<void> = () => Effect.void) =>
  Effect.andThen(Effect.provide(plan, nextWorker(of)), Effect.provide(apply(disturb), nextWorker(of)))
