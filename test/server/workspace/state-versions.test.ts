import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { statePath } from "../../../src/schema/api/state.ts"
import { taskHeader, taskPath } from "../../../src/schema/api/task-api.ts"
import { tfePath } from "../../../src/schema/api/tfe-api.ts"
import { Heap } from "../../../src/server/workspace/state-body.ts"
import { sealed } from "../../../src/worker/state/stranded-states.ts"
import {
  agent,
  applying,
  ask,
  directory,
  failed,
  person,
  planWith,
  serve,
  server,
  sha256,
  state,
  succeeded,
  userToken,
  withChanges,
  worker
} from "../live-server.ts"

describe("a state of a stage", () => {
  it.live("needs the current lock and its epoch", () =>
    Effect.gen(function*() {
      const { applier } = yield* applying
      expect((yield* applier.pushState(state(1), "a", 1)).status).toBe(409)
      const { epoch } = (yield* applier.lock("a")).json
      expect(epoch).toBe(1)
      expect((yield* applier.pushState(state(1), "b", epoch)).status).toBe(409)
      expect((yield* applier.pushState(state(1), "a", epoch + 1)).status).toBe(409)
      expect((yield* applier.as("POST", taskPath.state, JSON.stringify(state(1)), { [taskHeader.lockId]: "a" })).status).toBe(409)
      expect((yield* applier.pushState(state(1), "a", epoch)).status).toBe(204)
    }))

  it.live("never falls in its serial, keeps its lineage, and takes the same body again", () =>
    Effect.gen(function*() {
      const { applier } = yield* applying
      const { epoch } = (yield* applier.lock("a")).json
      const push = (body: unknown) =>
        Effect.map(applier.pushState(body, "a", epoch), ({ json, status }) => json === undefined ? status : json.error)
      expect(yield* push(state(5))).toBe(204)
      expect(yield* push(state(5))).toBe(204)
      expect(yield* push(state(5, "l", { resources: [1] }))).toBe("old-serial")
      expect(yield* push(state(4))).toBe("old-serial")
      expect(yield* push(state(6, "l-2"))).toBe("other-lineage")
      expect(yield* push(state(6))).toBe(204)
      expect((yield* applier.as("GET", taskPath.state)).json.serial).toBe(6)
    }))

  it.live("has a serial that others can follow", () =>
    Effect.gen(function*() {
      const { applier } = yield* applying
      const { epoch } = (yield* applier.lock("a")).json
      const push = (serial: number) =>
        Effect.map(applier.pushState(state(serial), "a", epoch), ({ json, status }) => json === undefined ? status : [status, json.message])
      const highest = 2 ** 52
      const refused = (
        serial: number,
        above: number
      ) => [
        422,
        `The state has the serial ${serial}; above ${above} none is taken, so that others can follow it. Push it with a lower one.`
      ]
      expect(yield* push(Number.MAX_SAFE_INTEGER)).toEqual(refused(Number.MAX_SAFE_INTEGER, highest))
      expect(yield* push(highest)).toBe(204)
      expect(yield* push(highest + 1)).toBe(204)
      expect(yield* push(Number.MAX_SAFE_INTEGER)).toEqual(refused(Number.MAX_SAFE_INTEGER, highest + 1_000_001))
    }))

  it.live("puts its damaged file right when it is sent again, also where it is kept as evidence", () =>
    Effect.gen(function*() {
      const { applier, made, url } = yield* applying
      const { epoch } = (yield* applier.lock("a")).json
      const push = (lockId: string) => Effect.map(applier.pushState(state(1), lockId, epoch), ({ status }) => status)
      const damage = Effect.sync(() => writeFileSync(join(made, "data", "blobs", sha256(JSON.stringify(state(1)))), "damaged"))
      expect(yield* push("a stranger's")).toBe(409)
      yield* damage
      expect(yield* push("a stranger's")).toBe(409)
      const { evidence } = (yield* person(url).as("GET", statePath.state("demo"))).json
      expect((yield* person(url).as("GET", statePath.evidence("demo", evidence[0].id))).json).toEqual(state(1))
      expect(yield* push("a")).toBe(204)
      yield* damage
      expect((yield* applier.as("GET", taskPath.state)).status).toBe(503)
      expect(yield* push("a")).toBe(204)
      expect((yield* applier.as("GET", taskPath.state)).json).toEqual(state(1))
    }))

  it.live("is refused when the body is not what its digest says, or no state at all", () =>
    Effect.gen(function*() {
      const { applier } = yield* applying
      const { epoch } = (yield* applier.lock("a")).json
      const headers = { [taskHeader.lockId]: "a", [taskHeader.lockEpoch]: String(epoch) }
      for (const body of [JSON.stringify(state(1)), JSON.stringify(state(1)).replace("{", "[")]) {
        const torn = yield* applier.as("POST", taskPath.state, body, { ...headers, [taskHeader.digest]: "0".repeat(64) })
        expect([torn.status, torn.json.error]).toEqual([409, "digest-mismatch"])
      }
      expect((yield* applier.as("POST", taskPath.state, "{ half", headers)).status).toBe(422)
      expect((yield* applier.as("GET", taskPath.state)).status).toBe(404)
    }))

  it.live("is stored and served however many values it has, though the server has no memory to look into them, and says so", () =>
    Effect.gen(function*() {
      const { applier, url } = yield* applying.pipe(Effect.provideService(Heap, 1024))
      const { epoch } = (yield* applier.lock("a")).json
      const many = { version: 4, serial: 1, lineage: "l", outputs: { p: { value: 1, type: "number" } } }
      expect((yield* applier.pushState(many, "a", epoch)).status).toBe(204)
      expect((yield* applier.as("GET", taskPath.state)).json).toEqual(many)
      const outputs = yield* person(url).as("GET", tfePath.outputs(yield* person(url).workspace("demo")))
      expect([outputs.status, outputs.json.errors[0].detail]).toEqual([
        413,
        expect.stringMatching(
          /^The state (sv-\w+) with the serial 1 is too large for the server to look into, .* \/api\/v2\/state-versions\/\1\/download\.$/u
        )
      ])
    }))

  it.live("of a late writer is refused once a person has taken the lock over", () =>
    Effect.gen(function*() {
      const { address, applier, url } = yield* applying
      const { epoch } = (yield* applier.lock("a")).json
      yield* applier.pushState(state(1), "a", epoch)
      expect((yield* ask(address, userToken, "DELETE", { ID: "a" })).status).toBe(200)
      expect((yield* ask(address, userToken, "PUT", { ID: "mine", Who: "me" })).json.epoch).toBe(epoch + 2)
      const late = yield* applier.pushState(state(2), "a", epoch)
      expect([late.status, late.json.ID, late.json.Who]).toEqual([409, "mine", "me"])
      expect((yield* applier.pushState(state(2), "mine", epoch + 2)).status).toBe(409)
      expect((yield* applier.unlock("mine")).status).toBe(409)
      expect((yield* ask(`${url}/api/state/v1/workspaces/demo`, userToken)).json.serial).toBe(1)
    }))

  it.live("is neither locked nor written by a plan", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).start("demo")
      const planner = worker(url, yield* agent(url).take)
      expect((yield* planner.lock("p")).json.error).toBe("wrong-stage")
      expect((yield* person(url).as("GET", statePath.state("demo"))).json.lock).toBeUndefined()
      expect((yield* planner.pushState(state(1), "p", 0)).json).toMatchObject({
        error: "wrong-stage",
        message: expect.stringMatching(/^The plan stage run-\w+\.plan\.1 writes no state;/u)
      })
    }))
})

describe("the states of one stage", () => {
  const pushed = (from: number, to: number, { applier }: Effect.Success<typeof applying>, epoch: number, lineage = "l") =>
    Effect.forEach(
      Array.from({ length: to - from + 1 }, (_, at) => from + at),
      (serial) => Effect.map(applier.pushState(state(serial, lineage), "a", epoch), ({ status }) => expect(status).toBe(204)),
      { discard: true }
    )
  const storedOf = (made: string, serials: ReadonlyArray<number>, lineage = "l") => {
    const files = new Set(readdirSync(join(made, "data", "blobs")))
    return serials.filter((serial) => files.has(sha256(JSON.stringify(state(serial, lineage)))))
  }

  it.live("are kept up to the last five, however often it locks, those of the stage before beside them", () =>
    Effect.gen(function*() {
      const run = yield* applying
      yield* run.applier.lock("a")
      yield* pushed(1, 1, run, 1)
      const { id } = (yield* person(run.url).state("demo")).version
      const asked = Effect.map(person(run.url).as("GET", `/api/v2/state-versions/${id}`), ({ status }) => status)
      expect(yield* asked).toBe(200)
      yield* pushed(2, 7, run, 1)
      expect([yield* asked, storedOf(run.made, [1, 2, 3, 4, 5, 6, 7])]).toEqual([404, [3, 4, 5, 6, 7]])
      yield* run.applier.unlock("a")
      yield* run.applier.lock("a")
      yield* pushed(8, 10, run, 2)
      expect(storedOf(run.made, [3, 4, 5, 6, 7, 8, 9, 10])).toEqual([6, 7, 8, 9, 10])
      yield* run.applier.unlock("a")
      yield* run.applier.result(succeeded({ statePushed: true }))
      yield* person(run.url).start("demo", { "auto-apply": true })
      yield* planWith(run.url)
      const next = { ...run, applier: worker(run.url, yield* agent(run.url).take) }
      yield* next.applier.lock("a")
      yield* pushed(11, 16, next, 3)
      expect(storedOf(run.made, [5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16])).toEqual([6, 7, 8, 9, 10, 12, 13, 14, 15, 16])
      expect((yield* ask(run.address, userToken)).json.serial).toBe(16)
    }))

  it.live("of a person are those of one lock", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const url = yield* serve(made)
      const push = (address: string, serial: number, lock: string) =>
        Effect.map(ask(`${address}?ID=${lock}`, userToken, "POST", state(serial)), ({ status }) => expect(status).toBe(204))
      for (const [name, lock, serials] of [["demo", "a", [1, 2, 3, 4, 5, 6]], ["demo", "b", [7, 8]], ["other", "c", [9]]] as const) {
        const address = `${url}/api/state/v1/workspaces/${name}`
        yield* ask(address, userToken, "PUT", { ID: lock })
        for (const serial of serials) yield* push(address, serial, lock)
        yield* ask(address, userToken, "DELETE", { ID: lock })
      }
      expect(storedOf(made, [1, 2, 3, 4, 5, 6, 7, 8, 9])).toEqual([2, 3, 4, 5, 6, 7, 8, 9])
    }))

  it.live("go from the disk only where nothing else has the same bytes", () =>
    Effect.gen(function*() {
      const run = yield* applying
      yield* run.applier.lock("a")
      yield* run.applier.pushState(state(1), "a stranger's", 1) // becomes evidence
      yield* pushed(1, 7, run, 1)
      expect(storedOf(run.made, [1, 2, 3])).toEqual([1, 3])
    }))

  it.live("are known to have been stored when one that went comes again late", () =>
    Effect.gen(function*() {
      const run = yield* applying
      const key = Buffer.from(String((yield* run.applier.as("GET", taskPath.assignment)).json.keptStateKey), "hex")
      yield* run.applier.lock("a")
      yield* pushed(1, 7, run, 1)
      yield* run.applier.unlock("a")
      yield* run.applier.result(succeeded({ ...withChanges, statePushed: true }))
      const bring = (serial: number) =>
        person(run.url).as("POST", statePath.bring("demo"), sealed(run.apply.id, key, Buffer.from(JSON.stringify(state(serial)))))
      const pending = Effect.map(person(run.url).as("GET", statePath.state("demo")), ({ json }) => json.pending.length)
      expect([(yield* bring(1)).status, yield* pending]).toEqual([409, 0])
      expect([(yield* bring(8)).status, yield* pending]).toEqual([200, 1])
    }))
})

describe("the state API for people", () => {
  it.live("serves the stock http backend: lock, write, read, unlock, with the token as basic password", () =>
    Effect.gen(function*() {
      const url = yield* server
      const address = `${url}/api/state/v1/workspaces/moved`
      const basic = { authorization: `Basic ${Buffer.from(`anybody:${userToken}`).toString("base64")}` }
      const as = (method: string, path: string, body?: unknown) => ask(path, undefined, method, body, basic)
      expect((yield* as("GET", address)).status).toBe(404)
      expect((yield* as("PUT", address, { ID: "x", Who: "me@here" })).status).toBe(200)
      const second = yield* as("PUT", address, { ID: "y" })
      expect([second.status, second.json]).toEqual([423, {
        ID: "x",
        Who: "me@here",
        error: "locked",
        message: "The state of moved is locked by me@here (x); wait, or unlock it."
      }])
      expect((yield* as("POST", `${address}?ID=y`, state(1))).status).toBe(423)
      expect((yield* as("POST", address, state(1))).status).toBe(423)
      expect((yield* as("POST", `${address}?ID=x`, state(1))).status).toBe(204)
      expect((yield* as("GET", address)).json).toEqual(state(1))
      expect((yield* as("DELETE", address, { ID: "y" })).status).toBe(423)
      expect((yield* as("DELETE", address, { ID: "x" })).status).toBe(200)
      expect((yield* as("POST", `${address}?ID=x`, state(2))).status).toBe(409)
      expect((yield* as("PUT", `${url}/api/state/v1/workspaces/a%2Fb`, { ID: "x" })).status).toBe(422)
    }))

  it.live("locks and unlocks by the backend's own methods too, at its own addresses alone", () =>
    Effect.gen(function*() {
      const url = yield* server
      const address = `${url}/api/state/v1/workspaces/moved`
      const lock = (method: string, ID: string) => Effect.map(ask(address, userToken, method, { ID }), ({ status }) => status)
      expect([yield* lock("LOCK", "x"), yield* lock("LOCK", "y"), yield* lock("UNLOCK", "x"), yield* lock("PUT", "y")])
        .toEqual([200, 423, 200, 200])
      expect((yield* ask(`${url}/api/v2/workspaces/none/vars/none`, userToken, "UNLOCK")).status).toBe(404)
      expect((yield* ask(url, userToken, "LOCK")).status).toBe(404)
    }))

  it.live("opens no lock for a request that names none, as force-unlock of terraform, and says what opens it", () =>
    Effect.gen(function*() {
      const address = `${yield* server}/api/state/v1/workspaces/moved`
      yield* ask(address, userToken, "PUT", { ID: "x" })
      for (const body of [undefined, {}]) {
        const refused = yield* ask(address, userToken, "UNLOCK", body)
        expect([refused.status, refused.json.message]).toEqual([
          422,
          "The request names no lock, so none was opened; see who has it, and open it, with: agent-job state unlock moved --force"
        ])
      }
      expect((yield* ask(address, userToken, "PUT", { ID: "y" })).json.ID).toBe("x")
    }))

  it.live("takes no state under the lock of a stage, whose id it tells, so that the apply's own next push is taken", () =>
    Effect.gen(function*() {
      const { address, applier } = yield* applying
      yield* applier.lock("a")
      yield* applier.pushState(state(1), "a", 1)
      const held = (yield* ask(address, userToken, "PUT", { ID: "mine" })).json.ID
      expect([held, (yield* ask(`${address}?ID=${held}`, userToken, "POST", state(9))).status]).toEqual(["a", 423])
      expect((yield* applier.pushState(state(2), "a", 1)).status).toBe(204)
      expect((yield* ask(address, userToken)).json.serial).toBe(2)
    }))

  it.live("shows the state that a run has written", () =>
    Effect.gen(function*() {
      const { address, applier, id, url } = yield* applying
      yield* applier.lock("a")
      yield* applier.pushState(state(3), "a", 1)
      yield* applier.result(succeeded({ ...withChanges, statePushed: true }))
      expect((yield* ask(address, userToken)).json.serial).toBe(3)
      expect((yield* person(url).view(id)).status).toBe("applied")
    }))
})

describe("a state that a person brings", () => {
  const bringing = Effect.gen(function*() {
    const url = yield* server
    const push = (body: object, replace?: string) =>
      person(url).as("POST", `${statePath.push("demo")}${replace === undefined ? "" : `?replace=${replace}`}`, body)
    const stored = Effect.map(person(url).as("GET", statePath.state("demo")), ({ json }) => json.version)
    return { url, push, stored }
  })

  it.live("makes its workspace, and follows the stored one, each under an epoch of its own", () =>
    Effect.gen(function*() {
      const { push, stored } = yield* bringing
      expect((yield* push(state(6))).json).toMatchObject({ epoch: 1, version: { serial: 6, lineage: "l" } })
      expect((yield* push(state(7))).json).toMatchObject({ epoch: 2, version: { serial: 7, lineage: "l" } })
      expect((yield* push(state(7))).status).toBe(200)
      const { json, status } = yield* push(state(6))
      expect([status, json.error, (yield* stored).serial]).toEqual([409, "old-serial", 7])
    }))

  it.live("is told what a workspace can be called", () =>
    Effect.gen(function*() {
      const { url } = yield* bringing
      const { json, status } = yield* person(url).as("POST", statePath.push("w".repeat(91)), state(1))
      expect([status, json.message]).toEqual([422, expect.stringContaining("at most 90 characters")])
      expect((yield* person(url).as("POST", statePath.push("w".repeat(90)), state(1))).status).toBe(200)
    }))

  it.live("makes no workspace where it is refused", () =>
    Effect.gen(function*() {
      const { push, url } = yield* bringing
      expect((yield* push({ no: "state" })).status).toBe(422)
      expect((yield* push(state(1), "sv-of-another")).json.error).toBe("changed")
      const none = yield* push(state(0, "")) // with one stored, a first plan would no longer say that the old place may have a state
      expect([none.status, none.json.message]).toEqual([422, expect.stringContaining("prints where it finds no state")])
      expect((yield* person(url).as("GET", statePath.state("demo"))).status).toBe(404)
    }))

  it.live("takes the place of one of another lineage, which the person names and which stays as a version", () =>
    Effect.gen(function*() {
      const { push, stored, url } = yield* bringing
      yield* push(state(7, "wrong"))
      const before = yield* stored
      const refused = yield* push(state(3, "right"))
      expect([refused.status, refused.json.error]).toEqual([409, "other-lineage"])
      expect(refused.json.message).toContain(`with: agent-job state push demo FILE --replace ${before.id}`)
      expect((yield* push(state(3, "right"), "sv-another")).json.error).toBe("changed")
      expect((yield* stored).id).toBe(before.id)
      expect((yield* push(state(3, "right"), before.id)).json.version).toMatchObject({ serial: 3, lineage: "right" })
      expect((yield* push(state(4, "right"))).status).toBe(200)
      expect((yield* ask(`${url}/api/v2/state-versions/${before.id}/download`, userToken)).json).toEqual(state(7, "wrong"))
      const { json } = yield* person(url).as("GET", "/api/agent-job/v1/workspaces/demo/audit")
      expect(JSON.stringify(json)).toContain("/state/push")
    }))

  it.live("of the stored lineage has to follow it, also where it is to replace it", () =>
    Effect.gen(function*() {
      const { push, stored } = yield* bringing
      yield* push(state(7))
      expect((yield* push(state(6), (yield* stored).id)).json.error).toBe("old-serial")
    }))

  it.live("of a lineage that was replaced follows the last one of it, or is that one: no plan is applied to another state than its own", () =>
    Effect.gen(function*() {
      const { push, stored, url } = yield* bringing
      yield* push(state(7))
      yield* person(url).as("POST", statePath.push("another"), state(9))
      yield* push(state(3, "other"), (yield* stored).id)
      const { id } = yield* stored
      for (const wrong of [state(6), state(7, "l", { terraform_version: "1.0.0" })]) {
        expect((yield* push(wrong, id)).json.error).toBe("old-serial")
      }
      expect((yield* push(state(7), id)).json.version).toMatchObject({ serial: 7, lineage: "l" })
      yield* push(state(4, "other"), (yield* stored).id)
      expect((yield* push(state(8), (yield* stored).id)).json.version).toMatchObject({ serial: 8, lineage: "l" })
    }))

  it.live("waits for its moment: no run holds the workspace, nobody the lock, and nothing is in doubt", () =>
    Effect.gen(function*() {
      const { address, applier, apply, id, url } = yield* applying
      const push = Effect.map(person(url).as("POST", statePath.push("demo"), state(9, "right")), ({ json, status }) => [status, json.error])
      expect(yield* push).toEqual([409, "wrong-moment"])
      yield* applier.lock("a")
      expect(yield* push).toEqual([409, "locked"])
      yield* agent(url).report(apply.id, { ...failed(), reason: "NodeLost" })
      expect([(yield* person(url).view(id)).status, yield* push]).toEqual(["errored", [409, "rescue-pending"]])
      const { json } = yield* person(url).as("POST", statePath.push("demo"), state(9, "right"))
      expect(json.message).toContain("with the engine's http backend, which locks it")
      expect((yield* ask(address, userToken)).status).toBe(404)
    }))
})
