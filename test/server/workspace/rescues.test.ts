import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Exit, Fiber, Scope } from "effect"
import { readdirSync } from "node:fs"
import { request as call } from "node:http"
import { join } from "node:path"
import type { Assignment } from "../../../src/schema/api/pool-api.ts"
import { statePath, type StateView } from "../../../src/schema/api/state.ts"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { BodyRoom } from "../../../src/server/access/bodies.ts"
import {
  agent,
  ask,
  directory,
  failed,
  onTheWay,
  person,
  planWith,
  poolToken,
  serve,
  state,
  succeeded,
  userToken,
  withChanges,
  worker
} from "../live-server.ts"

const address = (url: string) => `${url}/api/state/v1/workspaces/demo`

/** A run in its apply stage that holds the lock `a` of its state and has pushed the serial 1. `first` runs before it takes the lock. */
const applyingWith = <A>(made: string, first: (url: string, apply: Assignment) => Effect.Effect<A>) =>
  Effect.gen(function*() {
    const url = yield* serve(made)
    const id = yield* person(url).start("demo", { "auto-apply": true })
    yield* planWith(url)
    const apply = yield* agent(url).take
    const arrive = yield* first(url, apply)
    const applier = worker(url, apply)
    yield* applier.lock("a")
    yield* applier.pushState(state(1), "a", 1)
    const looked = Effect.map(person(url).as("GET", statePath.state("demo")), ({ json }) => json)
    const settle = (body: object) => person(url).settle("demo", body)
    return { url, id, apply, applier, arrive, looked, settle }
  })
const applyingIn = (made: string) => applyingWith(made, () => Effect.void)
const applying = Effect.flatMap(directory, applyingIn)

/** The same, with a push of this state begun before; `arrive` sends the rest of it and gives the status. */
const arriving = (body: object) =>
  Effect.flatMap(
    directory,
    (made) => applyingWith(made, (url, apply) => Effect.orDie(onTheWay(url, apply, taskPath.state, JSON.stringify(body))))
  )

/** The next run in its apply stage, which holds the lock `b`. */
const nextApply = Effect.fnUntraced(function*(url: string) {
  yield* person(url).start("demo", { "auto-apply": true })
  yield* planWith(url)
  const apply = yield* agent(url).take
  yield* worker(url, apply).lock("b")
  return apply
})

const lost = { ...failed("The worker ended without a result."), reason: "Lost" } as const

/** The same after the apply was reported as lost while it held the lock. */
const doubted = Effect.gen(function*() {
  const made = yield* applying
  yield* agent(made.url).report(made.apply.id, lost)
  return made
})

/** An apply that was refused a state that the engine encrypted, and then lost; `id` is of that evidence. */
const refusedEncrypted = Effect.fnUntraced(function*(serial: number) {
  const made = yield* applying
  const encrypted = { serial, lineage: "l", meta: {}, encrypted_data: "krIj", encryption_version: "v0" }
  yield* made.applier.pushState(encrypted, "other", 1)
  yield* agent(made.url).report(made.apply.id, lost)
  const [{ id }] = (yield* made.looked).evidence
  return { ...made, encrypted, id }
})

describe("a rescue", () => {
  it.live("keeps the next stages of its workspace from all agents, and says so to the runs that wait", () =>
    Effect.gen(function*() {
      const { apply, id, url } = yield* applying
      const second = yield* person(url).start("demo")
      const planOnly = yield* person(url).start("demo", { "plan-only": true })
      expect((yield* agent(url).take).runId).toBe(planOnly) // taken before the apply is lost
      yield* agent(url).report(apply.id, lost)
      expect(yield* agent(url).acquire()).toEqual([])
      const { queue, status } = yield* person(url).view(second)
      expect(status).toBe("pending")
      expect(queue).toMatchObject({ position: 1, reason: "StateRescuePending" })
      expect(queue?.message).toContain(`The apply of ${id} ended with Lost`)
      expect(queue?.message).toContain("agent-job state rescue demo")
      expect(yield* person(url).view(id)).toMatchObject({ failure: expect.stringContaining("agent-job state rescue demo"), inDoubt: true })
    }))

  it.live("does not keep other workspaces from theirs", () =>
    Effect.gen(function*() {
      const { url } = yield* doubted
      const other = yield* person(url).start("other")
      expect((yield* agent(url).take).runId).toBe(other)
    }))

  it.live("is not opened by an apply that ended in order with its state pushed", () =>
    Effect.gen(function*() {
      const { applier, url } = yield* applying
      yield* applier.result(succeeded({ ...withChanges, statePushed: true }))
      const next = yield* person(url).start("demo")
      expect((yield* agent(url).take).runId).toBe(next)
    }))

  it.live("is settled once, by name, with the stored state; the stage that waited is offered at once, and all of it outlives a restart", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const scope = yield* Scope.make()
      const { apply, id, looked, settle, url } = yield* applyingIn(made).pipe(Scope.provide(scope))
      expect((yield* settle({})).json.error).toBe("nothing-pending")
      yield* agent(url).report(apply.id, lost)
      const next = yield* person(url).start("demo")
      const waiting = yield* Effect.forkChild(agent(url, "waiting").acquire(60))
      yield* Effect.repeat(ask(`${url}/metrics`, undefined), { until: ({ text }) => text.includes("agent_job_server_agents 2") }).pipe(
        Effect.timeout("30 seconds")
      )
      const settled = yield* settle({})
      expect([settled.status, settled.json.pending]).toEqual([200, []])
      expect((yield* Effect.timeout(Fiber.join(waiting), "20 seconds")).map(({ runId }) => runId)).toEqual([next])
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

  it.live("says what it is of", () =>
    Effect.gen(function*() {
      const { url } = yield* doubted
      for (const [path, missing] of [[statePath.rescue("demo"), "pending"], [statePath.unlock("demo"), "lock"]] as const) {
        const message =
          `The request is not as expected at ${missing}: Missing key. If a command line sent it, that is older than the server and cannot say what was seen; use one of the server's version.`
        expect(yield* person(url).as("POST", path, { by: "me@here" })).toMatchObject({ status: 422, json: { error: "invalid", message } })
      }
    }))
})

describe("an apply that was offered before its workspace came into doubt", () => {
  const pending = {
    status: 409,
    json: {
      error: "rescue-pending",
      message:
        "An earlier stage left the state of demo in doubt, so nothing was applied; settle it with `agent-job state rescue demo`, then start the run again."
    }
  }

  it.live("neither begins nor is acknowledged, and ends its run with the reason; a plan may begin", () =>
    Effect.gen(function*() {
      const { applier, looked, settle, url } = yield* doubted
      yield* settle({})
      const next = yield* person(url).start("demo", { "auto-apply": true })
      yield* planWith(url)
      const [offered] = yield* agent(url).acquire()
      const planOnly = yield* person(url).start("demo", { "plan-only": true })
      const [plan] = yield* agent(url, "another").acquire() // the apply is offered to the first again, after a while
      yield* applier.pushState(state(9), "a", 1) // from the worker that was cut off
      expect(yield* worker(url, offered!).as("GET", taskPath.assignment)).toMatchObject(pending)
      expect(yield* worker(url, offered!).lock("b")).toMatchObject(pending)
      expect(yield* agent(url).acknowledge(offered!.id)).toMatchObject(pending)
      expect((yield* person(url).view(next)).status).toBe("confirmed")
      expect((yield* worker(url, plan!).as("GET", taskPath.assignment)).json).toMatchObject({ runId: planOnly })
      yield* agent(url).report(offered!.id, { ...failed(pending.json.message), reason: "StateRescuePending" })
      expect(yield* person(url).view(next)).toMatchObject({ status: "errored", failure: pending.json.message })
      expect((yield* looked).pending).toHaveLength(1)
    }))

  it.live("does not begin when it was acknowledged and waited in its cluster; its run says for what, and ends with the reason", () =>
    Effect.gen(function*() {
      const { applier, settle, url } = yield* doubted
      yield* settle({})
      const next = yield* person(url).start("demo", { "auto-apply": true })
      yield* planWith(url)
      const apply = yield* agent(url).take
      yield* agent(url).wait(apply.id, "ConcurrencyLimit", "5 of 5 tasks run.")
      yield* applier.pushState(state(9), "a", 1) // from the worker that was cut off
      expect(yield* person(url).view(next)).toMatchObject({ status: "applying", queue: { reason: "StateRescuePending" } })
      for (const answer of [yield* worker(url, apply).as("GET", taskPath.assignment), yield* worker(url, apply).lock("b")]) {
        expect(answer).toMatchObject(pending)
      }
      expect((yield* agent(url).acknowledge(apply.id)).status).toBe(204)
      yield* agent(url).report(apply.id, { ...failed(pending.json.message), reason: "StateRescuePending" })
      expect(yield* person(url).view(next)).toMatchObject({ status: "errored", failure: pending.json.message })
    }))

  it.live("goes on when it had begun", () =>
    Effect.gen(function*() {
      const { applier, settle, url } = yield* doubted
      yield* settle({})
      yield* person(url).start("demo", { "auto-apply": true })
      yield* planWith(url)
      const apply = yield* agent(url).take
      yield* worker(url, apply).as("GET", taskPath.assignment)
      yield* applier.pushState(state(9), "a", 1)
      expect((yield* agent(url).acknowledge(apply.id)).status).toBe(204)
      expect((yield* worker(url, apply).lock("b")).status).toBe(200)
    }))
})

describe("a state that is refused to a stage", () => {
  it.live("is kept as evidence once, with the reason, and can be read by a person alone", () =>
    Effect.gen(function*() {
      const { apply, applier, looked, url } = yield* applying
      const refused = yield* applier.pushState(state(1, "l", { resources: ["other"] }), "a", 1)
      expect([refused.status, refused.json.error]).toEqual([409, "old-serial"])
      yield* applier.pushState(state(1, "l", { resources: ["other"] }), "a", 1)
      const { evidence } = yield* looked
      expect(evidence).toMatchObject([{ stage: apply.id, serial: 1, lineage: "l", why: expect.stringContaining("other content") }])
      expect(refused.json.message).toContain(`It is kept as ${evidence[0].id}.`)
      const at = url + statePath.evidence("demo", evidence[0].id)
      expect((yield* ask(at, userToken)).json).toEqual(state(1, "l", { resources: ["other"] }))
      for (const token of [undefined, poolToken, apply.taskToken]) expect((yield* ask(at, token)).status).toBe(401)
      expect((yield* ask(url + statePath.evidence("demo", "ev-none"), userToken)).status).toBe(404)
    }))

  it.live("is given from the disk, however many are read, and waits for room in memory where it is used", () =>
    Effect.gen(function*() {
      const full = {
        smallUpTo: 0,
        small: 0,
        large: 300,
        ofCaller: (yield* BodyRoom).ofCaller,
        answers: { smallUpTo: 0, ofCaller: 0, all: 0 },
        wait: Duration.millis(100),
        arrival: { small: Duration.minutes(1), large: Duration.minutes(1) }
      }
      const { apply, applier, looked, settle, url } = yield* applying.pipe(Effect.provideService(BodyRoom, full))
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
      yield* Effect.repeat(settle({ use: id }), { until: ({ status }) => status === 200 }).pipe(Effect.timeout("20 seconds"))
      expect((yield* looked).version.serial).toBe(2)
    }))

  it.live.each([
    { given: "another lineage", body: state(2, "other"), lock: "a", epoch: 1, error: "other-lineage" },
    { given: "a lower serial", body: state(0), lock: "a", epoch: 1, error: "old-serial" },
    { given: "another lock", body: state(2), lock: "b", epoch: 1, error: "locked" },
    { given: "an old epoch", body: state(2), lock: "a", epoch: 0, error: "locked" },
    { given: "no epoch", body: state(2), lock: "a", epoch: Number.NaN, error: "locked" }
  ])("for $given is kept", ({ body, epoch, error, lock }) =>
    Effect.gen(function*() {
      const { applier, looked } = yield* applying
      expect((yield* applier.pushState(body, lock, epoch)).json).toMatchObject({ error, kept: true })
      expect((yield* looked).evidence).toHaveLength(1)
      expect((yield* looked).version.serial).toBe(1)
    }))

  it.live("since it is nested too deep to be parsed is kept as it is, cannot be used, and its stage's end waits for a person", () =>
    Effect.gen(function*() {
      const { apply, applier, looked, settle, url } = yield* applying
      const push = (body: string) => applier.as("POST", taskPath.state, body, { "x-lock-id": "a", "x-lock-epoch": "1" })
      const deep = `{"version":4,"serial":9,"lineage":"l","deep":${"[".repeat(500)}${"]".repeat(500)}}`
      const why = "The state is nested more than 500 levels deep, more than the server reads; make the values in its configuration flatter."
      const refused = yield* push(deep)
      expect((yield* push("[".repeat(600))).json).toEqual({ error: "invalid", message: why })
      const { evidence, version } = yield* looked
      expect(evidence).toMatchObject([{ stage: apply.id, serial: 9, lineage: "l", sizeBytes: deep.length, why }])
      expect([refused.status, refused.json, version.serial]).toEqual([422, {
        error: "invalid",
        message: `${why} It is kept as ${evidence[0].id}.`,
        kept: true
      }, 1])
      expect((yield* ask(url + statePath.evidence("demo", evidence[0].id), userToken)).text).toBe(deep)
      yield* applier.unlock("a")
      yield* agent(url).report(apply.id, failed())
      expect((yield* looked).pending).toHaveLength(1)
      const used = yield* settle({ use: evidence[0].id })
      expect([used.status, used.json.message]).toEqual([422, why])
      expect((yield* looked).pending).toHaveLength(1)
    }))

  it.live("is bounded to the highest serials of the stage, on the disk too", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const { applier, looked } = yield* applyingIn(made)
      const files = () => readdirSync(join(made, "data", "blobs")).length
      const before = files()
      for (let serial = 20; serial < 40; serial++) yield* applier.pushState(state(serial), "stranger", 1)
      expect((yield* looked).evidence.map((_: { serial: number }) => _.serial)).toEqual([39, 38, 37, 36, 35, 34, 33, 32])
      expect(files()).toBe(before + 8)
      const { json: { kept, message } } = yield* applier.pushState(state(5), "stranger", 1)
      expect([kept, message]).toEqual([undefined, expect.stringContaining("It is not kept, since states of higher serials are.")])
      expect(files()).toBe(before + 8)
    }))

  it.live("becomes the state by --use, with a serial above the stored one and every digit of its numbers, and settles the rescue", () =>
    Effect.gen(function*() {
      const { apply, applier, looked, settle, url } = yield* applying
      const text = "{\"version\":4,\"serial\": 1,\"lineage\":\"l\",\"outputs\":{},\"resources\":[12345678901234567890]}"
      yield* applier.as("POST", taskPath.state, text, { "x-lock-id": "a", "x-lock-epoch": "1" })
      yield* agent(url).report(apply.id, lost)
      const [{ id }] = (yield* looked).evidence
      const used = yield* settle({ use: id })
      expect([used.status, used.json.version.serial, used.json.pending, used.json.version.runId]).toEqual([200, 2, [], apply.runId])
      expect(used.json.settled[0].how).toBe(`${id} is the state now, with the serial 2`)
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
        const { apply, applier, looked, settle, url } = yield* applying
        const text = `{"version":4,"serial": ${serial},"lineage":"l","outputs":{},"resources":[],"serial":700}`
        yield* applier.as("POST", taskPath.state, text, { "x-lock-id": "other", "x-lock-epoch": "1" })
        yield* agent(url).report(apply.id, lost)
        const [{ id }] = (yield* looked).evidence
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
      const { apply, applier, looked, settle, url } = yield* applying
      const text = "{\"version\":4,\"serial\":9,\"lineage\":\"l\",\"resources\":[nothing]}"
      yield* applier.as("POST", taskPath.state, text, { "x-lock-id": "other", "x-lock-epoch": "1" })
      yield* agent(url).report(apply.id, lost)
      const [{ id }] = (yield* looked).evidence
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
      const { apply, applier, looked, settle, url } = yield* applying
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

describe("a stage that is over", () => {
  it.live("can leave its state as evidence when its end left the state in doubt, and nothing else", () =>
    Effect.gen(function*() {
      const { applier, looked } = yield* doubted
      const late = yield* applier.pushState(state(9), "a", 1)
      expect([late.status, late.json.error, late.json.kept]).toEqual([409, "stage-over", true])
      expect((yield* looked).evidence).toMatchObject([{ serial: 9 }])
      expect((yield* looked).version.serial).toBe(1)
      for (const path of [taskPath.assignment, taskPath.archive, taskPath.plan, taskPath.state]) {
        expect((yield* applier.as("GET", path)).status).toBe(401)
      }
      expect((yield* applier.lock("a")).status).toBe(401)
      expect((yield* applier.log(0, "late")).status).toBe(401)
    }))

  it.live("is told that a state is stored which came just before its end", () =>
    Effect.gen(function*() {
      const { applier, looked } = yield* doubted
      expect((yield* applier.pushState(state(1), "a", 1)).status).toBe(204)
      expect((yield* looked).evidence).toEqual([])
    }))

  it.live("opens another rescue with a state that comes after the first was settled, but not with the same again", () =>
    Effect.gen(function*() {
      const { applier, looked, settle, url } = yield* doubted
      yield* settle({})
      yield* applier.pushState(state(9), "a", 1)
      expect((yield* looked).pending).toMatchObject([{
        reason: "StateNotSaved",
        message: expect.stringContaining("sent a state after its end")
      }])
      yield* person(url).start("demo")
      expect(yield* agent(url).acquire()).toEqual([])
      yield* settle({})
      yield* applier.pushState(state(9), "a", 1)
      expect((yield* looked).pending).toEqual([])
    }))

  it.live("opens another rescue with a state that was on the way at its end and arrives after the first was settled, once", () =>
    Effect.gen(function*() {
      const { apply, applier, arrive, looked, settle, url } = yield* arriving(state(9))
      yield* agent(url).report(apply.id, lost)
      yield* settle({})
      expect(yield* arrive).toBe(409)
      expect(yield* looked).toMatchObject({
        version: { serial: 1 },
        evidence: [{ serial: 9, stage: apply.id }],
        pending: [{ reason: "StateNotSaved", stage: apply.id }]
      })
      yield* person(url).start("demo")
      expect(yield* agent(url).acquire()).toEqual([])
      expect((yield* applier.pushState(state(9), "a", 1)).status).toBe(409)
      yield* settle({})
      yield* applier.pushState(state(9), "a", 1)
      expect((yield* looked).pending).toEqual([])
    }))

  it.live("opens no other rescue when what was on the way at its end is the state that is stored", () =>
    Effect.gen(function*() {
      const { apply, arrive, looked, settle, url } = yield* arriving(state(1))
      yield* agent(url).report(apply.id, lost)
      yield* settle({})
      expect(yield* arrive).toBe(204)
      expect(yield* looked).toMatchObject({ version: { serial: 1 }, evidence: [], pending: [] })
    }))

  it.live("can leave nothing when it ended in order", () =>
    Effect.gen(function*() {
      const { applier, looked } = yield* applying
      yield* applier.unlock("a")
      yield* applier.result(succeeded({ ...withChanges, statePushed: true }))
      expect((yield* applier.pushState(state(9), "a", 1)).status).toBe(401)
      expect((yield* looked).evidence).toEqual([])
    }))
})

describe("a lock that is opened by force", () => {
  it.live("fences its holder: what it writes is kept as evidence, it gets no other lock, and its end waits for a person", () =>
    Effect.gen(function*() {
      const { apply, applier, looked, url } = yield* applying
      expect((yield* looked).lock).toMatchObject({ id: "a", who: "worker", stage: apply.id, agent: "agent-1", taskUid: "task-uid-1" })
      const unlocked = yield* person(url).as("POST", statePath.unlock("demo"), { by: "me@here", lock: "a" })
      expect(unlocked.json).toMatchObject({
        epoch: 2,
        forcedUnlocks: [{ lockId: "a", holder: apply.id, epoch: 1, forcedBy: expect.stringContaining("me@here") }]
      })
      expect(unlocked.json.lock).toBeUndefined()
      expect((yield* applier.pushState(state(2), "a", 1)).status).toBe(409)
      expect((yield* applier.lock("again")).json.error).toBe("fenced")
      expect((yield* looked).evidence).toMatchObject([{ serial: 2 }])
      yield* agent(url).report(apply.id, lost)
      expect((yield* looked).pending).toHaveLength(1)
    }))

  it.live("is as open as before where there was none", () =>
    Effect.gen(function*() {
      const { applier, looked, url } = yield* applying
      yield* applier.unlock("a")
      yield* person(url).as("POST", statePath.unlock("demo"), { by: "me@here", lock: "a" })
      expect(yield* looked).toMatchObject({ epoch: 1, forcedUnlocks: [] })
    }))

  it.live("is the one that the person saw: of another one, taken since, the holder goes on", () =>
    Effect.gen(function*() {
      const { apply, applier, looked, url } = yield* applying
      yield* applier.unlock("a")
      yield* applier.lock("b")
      const unlocked = yield* person(url).as("POST", statePath.unlock("demo"), { by: "me@here", lock: "a" })
      const message =
        `The state of demo has another lock by now, b of ${apply.id}, which was not opened; look again with: agent-job state show demo`
      expect([unlocked.status, unlocked.json]).toEqual([409, { error: "changed", message }])
      expect(yield* looked).toMatchObject({ epoch: 2, lock: { id: "b" }, forcedUnlocks: [] })
      expect((yield* applier.pushState(state(2), "b", 2)).status).toBe(204)
    }))
})
