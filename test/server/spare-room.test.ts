// What goes on and what waits while the server's disk has little room left, which one workspace may have filled.
import { expect, it } from "@effect/vitest"
import { Clock, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { statePath } from "../../src/schema/api/state.ts"
import { taskPath } from "../../src/schema/api/task-api.ts"
import { tfePath } from "../../src/schema/api/tfe-api.ts"
import { until } from "../until.ts"
import { agent, archiveOf, ask, directory, person, planToken, planWith, serve, state, succeeded, userToken, worker } from "./live-server.ts"
import { diskWith } from "./room.ts"
import { entry } from "./run/applying.ts"

const left = 100 * 1024 * 1024

it.live("an apply at work saves its log, its states, its journal and its result, also where a refused state has to be kept", () =>
  Effect.gen(function*() {
    const disk = yield* diskWith(1e9)
    const url = yield* Effect.flatMap(directory, serve)
    const me = person(url)
    const run = yield* me.start("demo", { "auto-apply": true })
    yield* planWith(url)
    const applier = worker(url, yield* agent(url).take)
    const { epoch } = (yield* applier.lock("a")).json
    disk.freeBytes = left
    expect((yield* applier.log(0, "applying")).status).toBe(200)
    expect((yield* applier.pushState(state(1), "a", epoch)).status).toBe(204)
    expect((yield* applier.pushState(state(2), "a stranger's", epoch)).status).toBe(409)
    expect((yield* applier.as("POST", taskPath.effects, { entries: [entry(1, "done", "time_sleep.a", "1")] })).status).toBe(200)
    expect((yield* applier.unlock("a")).status).toBe(200)
    expect((yield* applier.result(succeeded())).status).toBe(204)
    expect((yield* ask(`${url}/api/state/v1/workspaces/demo`, userToken)).json).toEqual(state(1))
    expect((yield* me.as("GET", statePath.state("demo"))).json.evidence).toMatchObject([{ serial: 2 }])
    expect((yield* me.view(run)).status).toBe("applied")
    expect((yield* ask(`${url}/readyz`, undefined)).status).toBe(200)
  }))

it.live("nothing begins: what would is told so, a run that waits says why, and all goes on once there is room", () =>
  Effect.gen(function*() {
    const disk = yield* diskWith(1e9)
    const url = yield* Effect.flatMap(directory, serve)
    const [me, planner] = [person(url), person(url, planToken)]
    const workspaceId = yield* me.workspace("demo")
    yield* me.start("working", { "plan-only": true })
    const working = worker(url, yield* agent(url).take)
    expect((yield* working.log(0, "begun")).status).toBe(200)
    const waiting = yield* me.start("waiting")
    disk.freeBytes = left
    const kept = expect.stringContaining("that it keeps for the states of runs at work")
    expect((yield* planner.run(workspaceId, { "plan-only": true })).json.errors).toMatchObject([{ status: "503", detail: kept }])
    expect((yield* working.log(5, ", and more")).json).toEqual({ error: "storage", message: kept })
    expect(yield* agent(url).acquire()).toEqual([])
    expect((yield* me.view(waiting)).queue).toMatchObject({ message: kept })
    disk.freeBytes = 1e9
    expect((yield* working.log(5, ", and more")).json).toEqual({ offset: 15 })
    expect((yield* agent(url).acquire()).map(({ runId }) => runId)).toEqual([waiting])
  }))

it.live("an archive or a saved plan that is larger than the room beside that is refused by what its request says of its length", () =>
  Effect.gen(function*() {
    const disk = yield* diskWith(1e9)
    const url = yield* Effect.flatMap(directory, serve)
    const me = person(url)
    const workspaceId = yield* me.workspace("demo")
    yield* me.start("demo")
    const planner = worker(url, yield* agent(url).take)
    disk.freeBytes = 128 * 1024 * 1024 + 3
    const asked = { data: { type: "configuration-versions", attributes: {} } }
    const version = yield* me.as("POST", tfePath.configurationVersions(workspaceId), asked)
    const link = url + new URL(version.json.data.attributes["upload-url"]).pathname
    const upload = ask(link, undefined, "PUT", archiveOf({ a: "b" }))
    expect([(yield* upload).status, (yield* planner.savePlan("plan")).status]).toEqual([503, 503])
    disk.freeBytes = 1e9
    expect([(yield* upload).status, (yield* planner.savePlan("plan")).status]).toEqual([204, 204])
  }))

it.effect("an agent that waits for work gets it soon after there is room, which nothing tells it", () =>
  Effect.gen(function*() {
    const disk = yield* diskWith(1e9)
    const url = yield* Effect.flatMap(directory, serve)
    const run = yield* person(url).start("demo")
    disk.freeBytes = left
    disk.asked = 0
    const waiting = yield* Effect.forkChild(agent(url).acquire(60), { startImmediately: true })
    yield* until(() => disk.asked > 0)
    disk.freeBytes = 1e9
    yield* Effect.forkChild(Effect.forever(Effect.andThen(TestClock.adjust("1 second"), Effect.yieldNow)))
    expect((yield* Fiber.join(waiting)).map(({ runId }) => runId)).toEqual([run])
    expect(yield* Clock.currentTimeMillis).toBeLessThan(50_000)
  }))
