import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { statePath } from "../../../src/schema/api/state.ts"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { applyingLocked, applyingLockedIn, applyingLockedWith, doubted, lost } from "../doubted-state.ts"
import { agent, ask, directory, failed, onTheWay, person, poolToken, state, succeeded, userToken, withChanges } from "../live-server.ts"

/** An apply that holds its lock, with a push of this state begun before that; `arrive` sends the rest of it and gives the status. */
const arriving = (body: object) =>
  Effect.flatMap(
    directory,
    (made) => applyingLockedWith(made, (url, apply) => Effect.orDie(onTheWay(url, apply, taskPath.state, JSON.stringify(body))))
  )

describe("a state that is refused to a stage", () => {
  it.live("is kept as evidence once, with the reason, and can be read by a person alone", () =>
    Effect.gen(function*() {
      const { apply, applier, looked, url } = yield* applyingLocked
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

  it.live.each([
    { given: "another lineage", body: state(2, "other"), lock: "a", epoch: 1, error: "other-lineage" },
    { given: "a lower serial", body: state(0), lock: "a", epoch: 1, error: "old-serial" },
    { given: "another lock", body: state(2), lock: "b", epoch: 1, error: "locked" },
    { given: "an old epoch", body: state(2), lock: "a", epoch: 0, error: "locked" },
    { given: "no epoch", body: state(2), lock: "a", epoch: Number.NaN, error: "locked" }
  ])("for $given is kept", ({ body, epoch, error, lock }) =>
    Effect.gen(function*() {
      const { applier, looked } = yield* applyingLocked
      expect((yield* applier.pushState(body, lock, epoch)).json).toMatchObject({ error, kept: true })
      expect((yield* looked).evidence).toHaveLength(1)
      expect((yield* looked).version.serial).toBe(1)
    }))

  it.live("since it is nested too deep to be parsed is kept as it is, cannot be used, and its stage's end waits for a person", () =>
    Effect.gen(function*() {
      const { apply, applier, looked, settle, url } = yield* applyingLocked
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
      const { applier, looked } = yield* applyingLockedIn(made)
      const files = () => readdirSync(join(made, "data", "blobs")).length
      const before = files()
      for (let serial = 20; serial < 40; serial++) yield* applier.pushState(state(serial), "stranger", 1)
      expect((yield* looked).evidence.map((_: { serial: number }) => _.serial)).toEqual([39, 38, 37, 36, 35, 34, 33, 32])
      expect(files()).toBe(before + 8)
      const { json: { kept, message } } = yield* applier.pushState(state(5), "stranger", 1)
      expect([kept, message]).toEqual([undefined, expect.stringContaining("It is not kept, since states of higher serials are.")])
      expect(files()).toBe(before + 8)
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
      const { applier, looked } = yield* applyingLocked
      yield* applier.unlock("a")
      yield* applier.result(succeeded({ ...withChanges, statePushed: true }))
      expect((yield* applier.pushState(state(9), "a", 1)).status).toBe(401)
      expect((yield* looked).evidence).toEqual([])
    }))
})
