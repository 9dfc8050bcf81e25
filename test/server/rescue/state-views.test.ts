import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { statePath, statesPath } from "../../../src/schema/api/state.ts"
import { WorkspaceName } from "../../../src/schema/names.ts"
import { Bodies } from "../../../src/server/access/bodies.ts"
import { StateViews } from "../../../src/server/rescue/state-views.ts"
import { Workspaces } from "../../../src/server/workspace/workspaces.ts"
import { applyingLocked, doubted } from "../doubted-state.ts"
import { ada, inStores, person, server, sha256, state } from "../live-server.ts"

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
