import { describe, expect, it, vi } from "@effect/vitest"
import { Deferred, Duration, Effect } from "effect"
import { request as call } from "node:http"
import { type AuditEntry, auditPath } from "../../../src/schema/api/audit.ts"
import type { LeftOver } from "../../../src/schema/api/effects.ts"
import { statePath, statesPath } from "../../../src/schema/api/state.ts"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { WorkspaceName } from "../../../src/schema/names.ts"
import { Bodies, Rooms } from "../../../src/server/access/bodies.ts"
import { StateViews } from "../../../src/server/rescue/state-views.ts"
import { Workspaces } from "../../../src/server/workspace/workspaces.ts"
import { applyingLocked, doubted } from "../doubted-state.ts"
import { ada, agent, inStores, person, planWith, server, sha256, state, userToken, worker } from "../live-server.ts"
import { applying, entry, lost, lostAfter, made, stateWith } from "../run/applying.ts"

const address = `${statesPath}demo`
const size = (body: object) => ({ sha256: sha256(JSON.stringify(body)), sizeBytes: JSON.stringify(body).length })
const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT/u)

describe("the view of a state", () => {
  it.live("has what is stored, its lock, what is in doubt, what was refused and which locks were opened by force", () =>
    Effect.gen(function*() {
      const { apply, applier, looked, url } = yield* doubted
      yield* applier.pushState(state(9), "a", 1)
      yield* person(url).as("PUT", address, { ID: "first", Who: "me" })
      yield* person(url).as("POST", statePath.unlock("demo"), { by: "me@here", lock: "first" })
      yield* person(url).as("PUT", address, { ID: "second", Who: "me", Operation: "push" })
      const { version } = yield* looked
      expect(yield* looked).toEqual({
        workspace: "demo",
        version: { id: version.id, serial: 1, lineage: "l", ...size(state(1)), runId: apply.runId, createdAt: time },
        epoch: 4,
        lock: { id: "second", who: "me", operation: "push" },
        pending: [{
          id: expect.stringMatching(/^res-/u),
          stage: apply.id,
          reason: "Lost",
          message: expect.stringContaining(`The apply of ${apply.runId} ended with Lost`),
          journal: 0,
          openedAt: time
        }],
        settled: [],
        evidence: [{
          id: expect.stringMatching(/^ev-/u),
          stage: apply.id,
          serial: 9,
          lineage: "l",
          ...size(state(9)),
          why: `The stage ${apply.id} is over, so its state is not stored.`,
          receivedAt: time,
          storedVersion: version.id
        }],
        forcedUnlocks: [{ lockId: "first", holder: "person", epoch: 2, forcedBy: expect.stringMatching(/, me@here$/u), forcedAt: time }]
      })
    }))

  it.live("of a workspace that is not there is none, nor is a refused state that it does not have", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).workspace("demo")
      expect((yield* person(url).as("GET", statePath.state("demo"))).json).toEqual({
        workspace: "demo",
        epoch: 0,
        pending: [],
        settled: [],
        evidence: [],
        forcedUnlocks: []
      })
      expect((yield* person(url).as("GET", statePath.state("other"))).status).toBe(404)
      expect((yield* person(url).as("GET", statePath.evidence("demo", "ev-none"))).status).toBe(404)
    }))

  it.live("has no refused state of another workspace, which is neither shown nor used", () =>
    Effect.gen(function*() {
      const { applier, url } = yield* applyingLocked
      yield* applier.pushState(state(2), "another", 1)
      const { id } = (yield* person(url).state("demo")).evidence[0]
      yield* person(url).workspace("other")
      expect((yield* person(url).as("GET", statePath.evidence("other", id))).status).toBe(404)
      expect((yield* person(url).as("GET", statePath.evidence("demo", id))).json).toEqual(state(2))
    }))

  it.live("waits for no other state that its token reads where nothing is in doubt", () =>
    inStores(Effect.gen(function*() {
      const [bodies, views, workspaces] = [yield* Bodies, yield* StateViews, yield* Workspaces]
      yield* workspaces.ensure(WorkspaceName.make("demo"))
      const reads = yield* Deferred.make<void>()
      yield* Effect.forkScoped(bodies.room(ada, 1, Effect.andThen(Deferred.succeed(reads, undefined), Effect.never)))
      yield* Deferred.await(reads)
      expect(yield* Effect.timeout(views.view("demo", ada), "30 seconds")).toMatchObject({ workspace: "demo", pending: [] })
    })))
})

/** Spies on JSON.parse; the function that it gives returns how often exactly this state has been parsed since. */
const parsesOf = Effect.map(
  Effect.acquireRelease(Effect.sync(() => vi.spyOn(JSON, "parse")), (parse) => Effect.sync(() => parse.mockRestore())),
  (parse) => (state: object) => parse.mock.calls.filter(([text]) => text === JSON.stringify(state)).length
)

/** Room for 10 kB of states in all, small ones included, for which a state waits 100 ms. */
const scarce = Effect.map(Rooms, ({ largeStates, smallStates, ...others }) => ({
  ...others,
  smallStates: { ...smallStates, upTo: 0 },
  largeStates: { ...largeStates, all: 10_000, wait: Duration.millis(100) }
}))

/**
 * Announces a state of `large` bytes that never arrives, so that it holds that room until it is destroyed. Where the room is not free in
 * time, because of the looks of a test on a busy machine, it is refused, and announced again.
 */
const filling = (url: string, large: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      let ended = false
      const announce = () => {
        const sent = call(`${url}/api/state/v1/workspaces/demo?ID=a`, {
          method: "POST",
          headers: { authorization: `Bearer ${userToken}`, "content-length": large }
        })
        sent.on("error", () => undefined) // the connection is closed in the end
        sent.on("response", () => {
          sent.destroy()
          if (!ended) last = announce()
        })
        sent.flushHeaders()
        return sent
      }
      let last = announce()
      return {
        destroy: () => {
          ended = true
          last.destroy()
        }
      }
    }),
    (arriving) => Effect.sync(arriving.destroy)
  )

describe("the end of a stage", () => {
  it.live("parses the state once for all its rescues, when they are looked at and when they are settled", () =>
    Effect.gen(function*() {
      const { append, applier, apply, effects, url } = yield* applying
      const stored = stateWith(["x", "1"])
      yield* applier.pushState(stored, "a", 1)
      yield* agent(url).report(apply.id, lost)
      const late = [append(...made.slice(0, 4))]
      for (const address of ["time_sleep.d", "time_sleep.e"]) {
        yield* person(url).settle("demo")
        yield* person(url).start("demo", { "auto-apply": true })
        yield* planWith(url)
        const next = yield* agent(url).take
        yield* worker(url, next).lock(address)
        yield* agent(url).report(next.id, lost)
        late.push(worker(url, next).as("POST", taskPath.effects, { entries: [entry(1, "done", address, "3")] }))
      }
      yield* Effect.all(late)
      const parses = yield* parsesOf
      const seen = yield* person(url).state("demo")
      expect(seen.pending.map((rescue: { effects: LeftOver }) => rescue.effects.unsavedCount).sort()).toEqual([1, 1, 2])
      expect(parses(stored)).toBe(1)
      expect((yield* person(url).settle("demo")).json.pending).toEqual([])
      expect(parses(stored)).toBe(3) // once more for the look before the decision, and once for the decision
      expect(yield* effects).toMatchObject({ unsavedCount: 2 })
    }))

  it.live("reads the state once for all its rescues, as there is room for it, and tells the others when to come again", () =>
    Effect.gen(function*() {
      const rooms = yield* scarce
      const { append, applier, apply, reads, url } = yield* applying.pipe(Effect.provideService(Rooms, rooms))
      yield* applier.pushState(stateWith(["x", "1"]), "a", 1)
      yield* append(...made.slice(0, 2))
      yield* agent(url).report(apply.id, lost)
      yield* lostAfter(url, entry(1, "done", "time_sleep.c", "3"))
      yield* append(...made.slice(2, 4)) // the worker that was lost comes back
      const before = reads()
      expect((yield* person(url).state("demo")).pending.map(({ effects }: { effects: LeftOver }) => effects.unsavedCount)).toEqual([
        2,
        1
      ])
      expect(reads() - before).toBe(1)
      const arriving = yield* filling(url, rooms.largeStates.all)
      const look = person(url).as("GET", statePath.state("demo"))
      yield* Effect.repeat(look, { until: ({ status }) => status === 503 }).pipe(Effect.timeout("5 minutes"))
      arriving.destroy()
      yield* Effect.repeat(look, { until: ({ status }) => status === 200 }).pipe(Effect.timeout("5 minutes"))
    }))

  it.live("is shown after a decision as there is room to look: the decision is told without it too, and is in the audit trail", () =>
    Effect.gen(function*() {
      const rooms = yield* scarce
      const { append, applier, apply, url } = yield* applying.pipe(Effect.provideService(Rooms, rooms))
      yield* applier.pushState(stateWith(["x", "1"]), "a", 1)
      yield* append(...made.slice(0, 2))
      yield* agent(url).report(apply.id, lost)
      const unlock = person(url).as("POST", statePath.unlock("demo"), { by: "me@here", lock: "a" })
      expect((yield* unlock).json.pending).toMatchObject([{ effects: { unsavedCount: 1 } }])
      yield* filling(url, rooms.largeStates.all)
      const look = person(url).as("GET", statePath.state("demo"))
      yield* Effect.repeat(look, { until: ({ status }) => status === 503 }).pipe(Effect.timeout("5 minutes"))
      const { json: { pending: [rescue, ...others] }, status } = yield* unlock
      expect([status, rescue.stage, rescue.effects, others]).toEqual([200, apply.id, undefined, []])
      const { json: { entries } } = yield* person(url).as("GET", auditPath.all)
      expect(entries.filter(({ action }: AuditEntry) => action.endsWith("/unlock"))).toHaveLength(2)
    }))

  it.live("is shown with its rescue as it stands against the state of now", () =>
    Effect.gen(function*() {
      const { append, apply, url } = yield* applying
      yield* append(...made)
      yield* agent(url).report(apply.id, lost)
      const shown = Effect.map(person(url).as("GET", "/api/agent-job/v1/workspaces/demo/state"), ({ json }) => json.pending[0].effects)
      expect(yield* shown).toMatchObject({ unsavedCount: 2, unknownCount: 1 })
      const address = "/api/state/v1/workspaces/demo"
      yield* person(url).as("PUT", address, { ID: "mine" })
      expect((yield* person(url).as("POST", `${address}?ID=mine`, stateWith(["a", "1"]))).status).toBe(204)
      expect(yield* shown).toMatchObject({ unsavedCount: 1, unsaved: [{ address: "time_sleep.b" }] })
    }))
})
