import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import { readdirSync } from "node:fs"
import { request } from "node:http"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { gzipSync } from "node:zlib"
import { statePath } from "../../src/schema/api/state.ts"
import { taskHeader, taskPath } from "../../src/schema/api/task-api.ts"
import { agent, archiveOf, ask, directory, person, planWith, serve, server, succeeded, taskUid, userToken, worker } from "./live-server.ts"
import { ended, started } from "./process.ts"

const state = (serial: number) => ({ version: 4, serial, lineage: "l", outputs: {}, resources: [{ filler: "x".repeat(20_000) }] })

/** Starts a server in a process of its own, and an apply there that holds the lock `a`. */
const applyingIn = Effect.fnUntraced(function*(made: string) {
  const { child, url } = yield* started(made)
  yield* person(url).start("demo", { "auto-apply": true })
  yield* planWith(url)
  const apply = yield* agent(url).take
  const applier = worker(url, apply)
  const { epoch } = (yield* applier.lock("a")).json
  return { child, url, apply, applier, epoch }
})

/** How much of a kind is stored, and how many entries the audit trail has of it. */
const counted = (made: string) => {
  const database = new DatabaseSync(join(made, "data", "agent-job.sqlite"))
  const found = database.prepare(`SELECT (SELECT count(*) FROM runs) AS runs, (SELECT count(*) FROM stateVersions) AS states,
    (SELECT count(*) FROM audit WHERE action = 'POST /api/v2/runs') AS runEntries,
    (SELECT count(*) FROM audit WHERE action = 'POST /api/task/v1/state') AS stateEntries`).get()
  database.close()
  return found
}

describe("what was acknowledged", () =>
  it.live("survives SIGKILL in the middle of state pushes, log appends and new runs, and nothing is there without its entry", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const { applier, apply, child, epoch, url } = yield* applyingIn(made)
      const acknowledged = { serial: 0, log: 0, runs: 0, refused: 0 }
      const lost = () => undefined // the server died before it answered
      const push = async () => {
        for (let serial = 1;; serial++) {
          const answer = await Effect.runPromise(applier.pushState(state(serial), "a", epoch)).catch(lost)
          if (answer?.status !== 204) return
          acknowledged.serial = serial
        }
      }
      const refuse = async () => {
        for (let serial = 1;; serial++) {
          const answer = await Effect.runPromise(applier.pushState(state(serial), "a stranger's", epoch)).catch(lost)
          if (answer?.status !== 409) return
          acknowledged.refused = serial
        }
      }
      const append = async () => {
        for (;;) {
          const answer = await Effect.runPromise(applier.log(acknowledged.log, "x".repeat(1000))).catch(lost)
          if (answer?.status !== 200) return
          acknowledged.log = answer.json.offset
        }
      }
      const create = async () => {
        const workspaceId = await Effect.runPromise(person(url).workspace("demo"))
        for (;;) {
          const answer = await Effect.runPromise(person(url).run(workspaceId)).catch(lost)
          if (answer?.status !== 201) return
          acknowledged.runs++
        }
      }
      const writers = Promise.all([push(), refuse(), append(), create()])
      yield* Effect.promise(async () => {
        const deadline = Date.now() + 300_000
        while (Math.min(...Object.values(acknowledged)) < 20 && Date.now() < deadline) await (await fetch(`${url}/healthz`)).text()
        await ended(child, "SIGKILL")
        await writers
      })
      expect(Math.min(...Object.values(acknowledged))).toBeGreaterThanOrEqual(20)
      const { runEntries, runs, stateEntries, states } = counted(made) ?? {}
      expect([runEntries, stateEntries]).toEqual([runs, states])

      const after = yield* serve(made)
      const stored = (yield* ask(`${after}/api/state/v1/workspaces/demo`, userToken)).json
      expect(stored.serial).toBeGreaterThanOrEqual(acknowledged.serial)
      expect(stored).toEqual(state(stored.serial))
      const { evidence } = (yield* person(after).as("GET", statePath.state("demo"))).json
      expect(evidence[0].serial).toBeGreaterThanOrEqual(acknowledged.refused)
      expect((yield* person(after).as("GET", statePath.evidence("demo", evidence[0].id))).json).toEqual(state(evidence[0].serial))
      expect((yield* worker(after, apply).log(0, "")).json.offset).toBeGreaterThanOrEqual(acknowledged.log)
      const listed = (yield* person(after).as("GET", "/api/agent-job/v1/runs?workspace=demo")).json.runs
      expect(listed.length).toBeGreaterThanOrEqual(Math.min(100, acknowledged.runs + 1))
      expect((yield* worker(after, apply).pushState(state(stored.serial + 1), "a", epoch)).status).toBe(204)
    })))

describe("a state that is half sent", () =>
  it.live("is nowhere after SIGKILL, and the one before it is whole", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const { applier, apply, child, epoch, url } = yield* applyingIn(made)
      yield* applier.pushState(state(1), "a", epoch)
      const body = JSON.stringify(state(2))
      const half = request(url + taskPath.state, {
        method: "POST",
        headers: {
          authorization: `Bearer ${apply.taskToken}`,
          [taskHeader.taskUid]: taskUid,
          [taskHeader.lockId]: "a",
          [taskHeader.lockEpoch]: String(epoch),
          "content-length": body.length
        }
      })
      const answer = new Promise((resolve) => half.on("response", () => resolve("answered")).on("error", () => resolve("broken")))
      yield* Effect.promise(() => new Promise<void>((resolve) => void half.write(body.slice(0, 15_000), () => resolve())))
      yield* Effect.promise(() => ended(child, "SIGKILL"))
      expect(yield* Effect.promise(() => answer)).toBe("broken")

      const after = yield* serve(made)
      expect((yield* ask(`${after}/api/state/v1/workspaces/demo`, userToken)).json).toEqual(state(1))
      expect((yield* person(after).as("GET", statePath.state("demo"))).json.evidence).toEqual([])
      expect((yield* worker(after, apply).pushState(state(2), "a", epoch)).status).toBe(204)
    })))

describe("a full disk", () => {
  it.live("refuses a state and a refused state alike, so that the worker keeps it, and has the one before", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const { child, url } = yield* started(made, 1024)
      yield* person(url).start("demo", { "auto-apply": true })
      yield* planWith(url)
      const apply = yield* agent(url).take
      const applier = worker(url, apply)
      const { epoch } = (yield* applier.lock("a")).json
      expect((yield* applier.pushState(state(1), "a", epoch)).status).toBe(204)
      const large = { ...state(2), resources: [{ filler: "x".repeat(1_200_000) }] }
      for (const id of ["a", "a stranger's"]) {
        expect((yield* applier.pushState(large, id, epoch)).json).toMatchObject({
          error: "storage",
          message: expect.stringContaining("disk is full")
        })
      }
      expect((yield* ask(`${url}/api/state/v1/workspaces/demo`, userToken)).json).toEqual(state(1))
      expect((yield* person(url).as("GET", statePath.state("demo"))).json.evidence).toEqual([])
      yield* Effect.promise(() => ended(child, "SIGTERM"))
      const roomy = yield* serve(made)
      expect((yield* worker(roomy, apply).pushState(large, "a", epoch)).status).toBe(204)
    }))

  it.live("makes the server say that it is not ready, and is not filled by the question", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const { child, url } = yield* started(made, 512)
      const { json, status } = yield* ask(`${url}/readyz`, undefined)
      expect([status, json.message]).toEqual([503, expect.stringContaining("disk is full")])
      expect(readdirSync(join(made, "data", "blobs"))).toEqual([])
      yield* Effect.promise(() => ended(child, "SIGTERM"))
      expect((yield* ask(`${yield* serve(made)}/readyz`, undefined)).status).toBe(200)
    }))

  it.live("is one clear sentence, loses nothing that was acknowledged, and ends with the room", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const { child, url } = yield* started(made, 1024)
      const me = person(url)
      const id = yield* me.start("demo", { "plan-only": true })
      const plan = yield* agent(url).take
      const shipper = worker(url, plan)
      const big = yield* me.upload(yield* me.workspace("demo"), gzipSync(randomBytes(2 * 1024 * 1024)))
      expect([big.status, big.answer.json.errors[0].detail]).toEqual([503, expect.stringContaining("disk is full")])

      let end = 0
      let refusal = yield* shipper.log(end, "x".repeat(64 * 1024))
      while (refusal.status === 200) {
        end = refusal.json.offset
        refusal = yield* shipper.log(end, "x".repeat(64 * 1024))
      }
      expect([refusal.status, refusal.json.error]).toEqual([503, "storage"])
      expect(end).toBeGreaterThan(0)
      const logUrl = (yield* me.view(id)).stages[0]!.logUrl
      expect([(yield* ask(`${logUrl}?offset=${end}`, undefined)).text.length, (yield* ask(`${logUrl}?offset=${end + 1}`, undefined)).text])
        .toEqual([1, ""])
      expect((yield* ask(`${url}/healthz`, undefined)).status).toBe(200)

      expect(yield* Effect.promise(() => ended(child, "SIGTERM"))).toBe(0)
      const roomy = yield* serve(made)
      expect((yield* worker(roomy, plan).log(end, "more")).status).toBe(200)
    }))
})

describe("what is stored once", () =>
  it.live("is whole after the request that brought it broke off", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const version = yield* me.upload(yield* me.workspace("demo"), archiveOf({ a: "b" }))
      const controller = new AbortController()
      const broken = fetch(version.uploadUrl, {
        method: "PUT",
        signal: controller.signal,
        duplex: "half",
        body: new ReadableStream({
          pull: (stream) => {
            stream.enqueue(randomBytes(1000))
            controller.abort()
          }
        })
      } as RequestInit).then(() => "answered", () => "broken")
      expect(yield* Effect.promise(() => broken)).toBe("broken")
      expect((yield* ask(version.uploadUrl, undefined, "PUT", archiveOf({ a: "b" }))).status).toBe(204)
      yield* me.run(yield* me.workspace("demo"), { "plan-only": true }, version.id)
      const plan = yield* agent(url).take
      expect((yield* worker(url, plan).result(succeeded({ hasChanges: false }))).status).toBe(204)
    })))
