import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Scope } from "effect"
import { request as call } from "node:http"
import { statePath, statesPath, type StateView } from "../../../src/schema/api/state.ts"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { Rooms } from "../../../src/server/access/bodies.ts"
import { applyingLocked, applyingLockedIn, doubted, lost, nextApply } from "../doubted-state.ts"
import { agent, ask, directory, failed, person, serve, state, succeeded, userToken, withChanges, worker } from "../live-server.ts"

const address = (url: string) => `${url}${statesPath}demo`

/** An apply that was refused this state, sent under a lock, and then lost; `id` is of that evidence. */
const refused = Effect.fnUntraced(function*(text: string, lock = "other") {
  const made = yield* applyingLocked
  yield* made.applier.as("POST", taskPath.state, text, { "x-lock-id": lock, "x-lock-epoch": "1" })
  yield* agent(made.url).report(made.apply.id, lost)
  const [{ id }] = (yield* made.looked).evidence
  return { ...made, id }
})

/** The same of a state that the engine encrypted. */
const refusedEncrypted = Effect.fnUntraced(function*(serial: number) {
  const encrypted = { serial, lineage: "l", meta: {}, encrypted_data: "krIj", encryption_version: "v0" }
  return { ...yield* refused(JSON.stringify(encrypted)), encrypted }
})

describe("a rescue", () => {
  it.live("is settled once, by name, with the stored state; the stage that waited is offered at once, and all of it outlives a restart", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const scope = yield* Scope.make()
      const { apply, id, looked, settle, url } = yield* applyingLockedIn(made).pipe(Scope.provide(scope))
      expect((yield* settle({})).json.error).toBe("nothing-pending")
      yield* agent(url).report(apply.id, lost)
      const next = yield* person(url).start("demo")
      const waiting = yield* Effect.forkChild(agent(url, "waiting").acquire(60))
      yield* Effect.repeat(ask(`${url}/metrics`, undefined), { until: ({ text }) => text.includes("agent_job_server_agents 2") }).pipe(
        Effect.timeout("5 minutes")
      )
      const settled = yield* settle({})
      expect([settled.status, settled.json.pending]).toEqual([200, []])
      expect((yield* Effect.timeout(Fiber.join(waiting), "55 seconds")).map(({ runId }) => runId)).toEqual([next])
      expect((yield* settle({})).status).toBe(409)
      expect((yield* person(url).view(id)).inDoubt).toBeUndefined()
      const before = yield* looked
      expect(before.settled).toMatchObject([{
        stage: apply.id,
        reason: "Lost",
        settledBy: expect.stringMatching(/^[0-9a-f]{8}, me@here$/u),
        how: "the stored state is kept"
      }])
      expect(before.version.serial).toBe(1)
      yield* Scope.close(scope, Exit.void)
      const after = yield* serve(made)
      expect((yield* person(after).as("GET", statePath.state("demo"))).json).toEqual(before)
    }))
})

describe("what a person decides", () => {
  /** The part of a decision that says what the person saw, so that the server refuses the decision if that has changed. */
  const seen = ({ evidence, pending, version }: Pick<StateView, "evidence" | "pending" | "version">) => ({
    pending: pending.map(({ id }) => id),
    journals: Object.fromEntries(pending.map(({ id, journal }) => [id, journal])),
    evidence: evidence[0]?.id,
    version: version?.id
  })
  const changed = (what: string) => ({
    status: 409,
    json: {
      error: "changed",
      message: `Since you looked at demo, ${what}, so nothing was settled now; look again with: agent-job state rescue demo`
    }
  })

  it.live("passes over no state that came since the look, neither the first nor a newer one, and settles nothing then", () =>
    Effect.gen(function*() {
      const { apply, applier, looked, settle } = yield* doubted
      const before = seen(yield* looked)
      yield* applier.pushState(state(7), "a", 1)
      const between = yield* looked
      expect(yield* settle(before)).toMatchObject(changed(`the state ${between.evidence[0].id} of ${apply.id} is new`))
      yield* applier.pushState(state(8), "a", 1)
      const [newest, older] = (yield* looked).evidence
      expect(yield* settle({ ...seen(between), use: older.id })).toMatchObject(changed(`the state ${newest.id} of ${apply.id} is new`))
      expect(yield* looked).toMatchObject({ version: { serial: 1 }, pending: [{ stage: apply.id }] })
    }))

  it.live("is of no doubt that came since the look, nor of one that is settled", () =>
    Effect.gen(function*() {
      const { apply, applier, looked, settle, url } = yield* doubted
      const first = seen(yield* looked)
      yield* settle({})
      const second = yield* nextApply(url)
      yield* agent(url).report(second.id, lost)
      expect(yield* settle(first)).toMatchObject(changed(`what ${second.id} left in doubt is new, ${first.pending[0]} is settled`))
      yield* applier.pushState(state(9), "a", 1)
      const { evidence: [{ id }], pending: [again] } = yield* looked
      expect([again.stage, (yield* settle({ use: id })).json]).toMatchObject([apply.id, {
        version: { serial: 9 },
        pending: [{ stage: second.id }]
      }])
      expect((yield* settle({})).json.pending).toEqual([])
    }))

  it.live("puts a refused state over none that was stored since the look, of a run that had begun before the doubt came or of a person, nor keeps one that nobody saw", () =>
    Effect.gen(function*() {
      const { applier, looked, settle, url } = yield* doubted
      yield* settle({})
      const second = yield* nextApply(url)
      yield* worker(url, second).pushState(state(2), "b", 2)
      yield* applier.pushState(state(3), "a", 1) // from the worker that was cut off
      const before = yield* looked
      yield* worker(url, second).pushState(state(9), "b", 2)
      yield* worker(url, second).unlock("b")
      yield* worker(url, second).result(succeeded({ ...withChanges, statePushed: true }))
      const { version: { id } } = yield* looked
      const refused = changed(`the stored state is another, ${id} with the serial 9`)
      expect(yield* settle({ ...seen(before), use: before.evidence[0].id })).toMatchObject(refused)
      expect(yield* settle(seen(before))).toMatchObject(refused)
      const between = yield* looked
      yield* ask(address(url), userToken, "PUT", { ID: "mine" })
      yield* ask(`${address(url)}?ID=mine`, userToken, "POST", state(10))
      yield* ask(address(url), userToken, "DELETE", { ID: "mine" })
      const { pending, version } = yield* looked
      expect(yield* settle({ ...seen(between), use: between.evidence[0].id })).toMatchObject(
        changed(`the stored state is another, ${version.id} with the serial 10`)
      )
      expect([version.serial, pending.length, (yield* settle({})).json.pending]).toEqual([10, 1, []])
    }))

  const creation = (number: number, address: string) => ({
    entries: [{ number, kind: "done", action: "create", address, idKey: "id", id: `${number}` }]
  })

  it.live("passes over nothing that was told since the look, which is in doubt until somebody has seen it", () =>
    Effect.gen(function*() {
      const { apply, applier, looked, settle } = yield* doubted
      const none = seen(yield* looked)
      yield* applier.as("POST", taskPath.effects, creation(1, "time_sleep.a"))
      const first = seen(yield* looked)
      const refused = changed(`the journal of ${apply.id} has new entries`)
      expect(yield* settle(none)).toMatchObject(refused)
      yield* applier.as("POST", taskPath.effects, creation(2, "time_sleep.b"))
      expect(yield* settle(first)).toMatchObject(refused)
      const second = yield* looked
      expect(second.pending).toMatchObject([{ stage: apply.id, journal: 2, effects: { unsavedCount: 2 } }])
      yield* applier.as("POST", taskPath.effects, creation(2, "time_sleep.b")) // comes again, since its answer was lost
      expect((yield* settle(seen(second))).json.pending).toEqual([])
      yield* applier.as("POST", taskPath.effects, creation(3, "time_sleep.c"))
      expect((yield* looked).pending).toMatchObject([{ stage: apply.id, effects: { unsavedCount: 3 } }])
    }))

  it.live("uses no state of a stage that has told more since the look", () =>
    Effect.gen(function*() {
      const { apply, applier, looked, settle } = yield* doubted
      yield* applier.pushState(state(7), "a", 1)
      const before = yield* looked
      yield* applier.as("POST", taskPath.effects, creation(1, "time_sleep.a"))
      expect(yield* settle({ ...seen(before), use: before.evidence[0].id })).toMatchObject(
        changed(`the journal of ${apply.id} has new entries`)
      )
      expect(yield* looked).toMatchObject({ version: { serial: 1 }, pending: [{ stage: apply.id }] })
    }))

  it.live("is taken without a word of the journals, as an older command line sends it", () =>
    Effect.gen(function*() {
      const { applier, looked, settle } = yield* doubted
      yield* applier.as("POST", taskPath.effects, creation(1, "time_sleep.a"))
      const { journals: _, ...older } = seen(yield* looked)
      expect((yield* settle({ ...older, journals: undefined })).json.pending).toEqual([])
    }))

  it.live("says what it is of, and nothing that the server would pass over", () =>
    Effect.gen(function*() {
      const { url } = yield* doubted
      const rescue = [statePath.rescue("demo"), "pending", { pending: [] }] as const
      const unlock = [statePath.unlock("demo"), "lock", { lock: "a" }] as const
      for (const [path, key, said] of [rescue, unlock]) {
        const refused = (why: string) => {
          const message =
            `The request is not as expected at ${why}. If a command line sent it, that is of another version; use one of the server's version.`
          return { status: 422, json: { error: "invalid", message } }
        }
        const send = (decision: object) => person(url).as("POST", path, { by: "me@here", ...decision })
        expect(yield* send({})).toMatchObject(refused(`${key}: Missing key`))
        expect(yield* send({ ...said, moon: "full" })).toMatchObject(refused("moon: Expected no excess property"))
      }
    }))
})

describe("a state that is refused to a stage", () => {
  it.live("is given from the disk, however many are read, and waits for room in memory where it is used", () =>
    Effect.gen(function*() {
      const { largeStates, smallStates, ...others } = yield* Rooms
      const full = {
        ...others,
        smallStates: { ...smallStates, upTo: 0 },
        largeStates: { ...largeStates, all: 300, wait: Duration.millis(100) }
      }
      const { apply, applier, looked, settle, url } = yield* applyingLocked.pipe(Effect.provideService(Rooms, full))
      const large = JSON.stringify(state(2)).padEnd(299)
      yield* applier.as("POST", taskPath.state, large, { "x-lock-id": "stranger", "x-lock-epoch": "1" })
      yield* applier.unlock("a")
      yield* agent(url).report(apply.id, failed())
      const { evidence: [{ id }] } = yield* looked
      const arriving = call(`${address(url)}?ID=a`, {
        method: "POST",
        headers: { authorization: `Bearer ${userToken}`, "content-length": 10 }
      })
      arriving.on("error", () => undefined) // the connection is closed in the end
      yield* Effect.acquireRelease(Effect.sync(() => arriving.flushHeaders()), () => Effect.sync(() => arriving.destroy()))
      yield* Effect.repeat(settle({ use: id }), { until: ({ status }) => status === 503 })
      const read = yield* ask(url + statePath.evidence("demo", id), userToken)
      expect([read.text, read.headers.get("content-length")]).toEqual([large, "299"])
      arriving.destroy()
      yield* Effect.repeat(settle({ use: id }), { until: ({ status }) => status === 200 }).pipe(Effect.timeout("5 minutes"))
      expect((yield* looked).version.serial).toBe(2)
    }))

  it.live("becomes the state by --use, with a serial above the stored one, an epoch of its own and every digit, and settles the rescue", () =>
    Effect.gen(function*() {
      const text = "{\"version\":4,\"serial\": 1,\"lineage\":\"l\",\"outputs\":{},\"resources\":[12345678901234567890]}"
      const { apply, id, settle, url } = yield* refused(text, "a")
      const used = yield* settle({ use: id })
      expect([used.status, used.json.version.serial, used.json.pending, used.json.version.runId]).toEqual([200, 2, [], apply.runId])
      expect([used.json.epoch, used.json.settled[0].how]).toEqual([2, `${id} is the state now, with the serial 2`])
      expect((yield* ask(address(url), userToken)).text).toBe(text.replace("\"serial\": 1", "\"serial\": 2"))
      yield* person(url).start("demo")
      expect(yield* agent(url).acquire()).toHaveLength(1)
    }))

  it.live("becomes no state where the engine encrypted it with a serial that had to be raised, since no engine could read it then", () =>
    Effect.gen(function*() {
      const { apply, id, looked, settle } = yield* refusedEncrypted(1)
      const used = yield* settle({ use: id })
      expect([used.status, used.json.message]).toEqual([
        422,
        expect.stringContaining(
          `The engine encrypted the state ${id} with its serial, so that cannot be raised; where its key is, write it`
        )
      ])
      expect(yield* looked).toMatchObject({ version: { serial: 1 }, pending: [{ stage: apply.id }] })
    }))

  it.live("becomes the state though the engine encrypted it, where its serial is above the stored one", () =>
    Effect.gen(function*() {
      const { encrypted, id, settle, url } = yield* refusedEncrypted(2)
      expect((yield* settle({ use: id })).json.version.serial).toBe(2)
      expect((yield* ask(address(url), userToken)).json).toEqual(encrypted)
    }))

  it.live.each([
    { given: "is above the stored one", serial: 9, told: 9 },
    { given: "would be raised", serial: 1, told: 2 }
  ])(
    "becomes no state where it has a second serial further down, also where the first $given, and nothing is settled",
    ({ serial, told }) =>
      Effect.gen(function*() {
        const text = `{"version":4,"serial": ${serial},"lineage":"l","outputs":{},"resources":[],"serial":700}`
        const { apply, id, looked, settle } = yield* refused(text)
        const used = yield* settle({ use: id })
        expect([used.status, used.json.message]).toEqual([
          422,
          expect.stringContaining(`The state was to have the serial ${told} and says 700 further down`)
        ])
        expect(yield* looked).toMatchObject({ version: { serial: 1 }, pending: [{ stage: apply.id }] })
      })
  )

  it.live("becomes no state where it is no JSON, which is seen as it is read whole, and its name is told", () =>
    Effect.gen(function*() {
      const text = "{\"version\":4,\"serial\":9,\"lineage\":\"l\",\"resources\":[nothing]}"
      const { id, looked, settle } = yield* refused(text)
      const used = yield* settle({ use: id })
      expect([used.status, used.json.message]).toEqual([
        422,
        expect.stringContaining(
          `The state ${id} is not JSON as the engines write it, so it cannot be the state of demo and nothing was settled`
        )
      ])
      expect((yield* looked).pending).toHaveLength(1)
    }))

  it.live("becomes no state once the rescue of its stage is settled: another run has stored newer ones since", () =>
    Effect.gen(function*() {
      const { apply, applier, looked, settle, url } = yield* doubted
      yield* applier.pushState(state(9), "a", 1)
      yield* settle({})
      const second = yield* nextApply(url)
      yield* worker(url, second).pushState(state(2), "b", 2)
      yield* agent(url).report(second.id, lost)
      const [{ id }] = (yield* looked).evidence
      const message =
        `The state ${id} is of ${apply.id}, which has nothing in doubt now, so newer states may have been stored since; see what is still in doubt with: agent-job state rescue demo`
      expect(yield* settle({ use: id })).toMatchObject({ status: 409, json: { error: "not-in-doubt", message } })
      expect(yield* looked).toMatchObject({ version: { serial: 2 }, pending: [{ stage: second.id }] })
    }))

  it.live("becomes no state in another line, or while somebody has the lock, and nothing is settled then", () =>
    Effect.gen(function*() {
      const { apply, applier, looked, settle, url } = yield* applyingLocked
      yield* applier.pushState(state(7, "other"), "a", 1)
      yield* agent(url).report(apply.id, lost)
      const [{ id }] = (yield* looked).evidence
      expect((yield* settle({ use: id })).json.error).toBe("other-lineage")
      yield* ask(address(url), userToken, "PUT", { ID: "mine" })
      expect((yield* settle({ use: id })).json.error).toBe("locked")
      expect((yield* settle({ use: "ev-none" })).status).toBe(404)
      expect((yield* looked).pending).toHaveLength(1)
      expect((yield* looked).version.serial).toBe(1)
    }))
})
