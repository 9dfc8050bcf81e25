import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { once } from "node:events"
import { request } from "node:http"
import { poolPath } from "../../../src/schema/api/pool-api.ts"
import { statePath } from "../../../src/schema/api/state.ts"
import { taskHeader, taskPath } from "../../../src/schema/api/task-api.ts"
import { Sha256 } from "../../../src/schema/names.ts"
import {
  agent,
  ask,
  cancelled,
  evicted,
  failed,
  person,
  planWith,
  server,
  sha256,
  succeeded,
  taskUid,
  userToken,
  withChanges,
  worker
} from "../live-server.ts"
import { lost } from "./applying.ts"

describe("a plan that was disrupted", () => {
  it.effect("is planned again three times, later each time, and every attempt says why", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      for (const [index, seconds] of [5, 20, 80].entries()) {
        const plan = yield* agent(url).take
        expect(plan).toMatchObject({ id: `${id}.plan.${index + 1}`, attempt: index + 1 })
        yield* agent(url).report(plan.id, evicted)
        yield* agent(url).report(plan.id, evicted)
        const message =
          `The Pod had to leave its node during tofu plan; nothing was changed. It is planned again ${seconds} seconds later, as attempt ${
            index + 2
          }.`
        expect(yield* person(url).view(id)).toMatchObject({ status: "pending", queue: { position: 1, message } })
        yield* TestClock.adjust(`${seconds - 1} seconds`)
        expect(yield* agent(url).acquire()).toEqual([])
        yield* TestClock.adjust("1 second")
      }
      yield* agent(url).report((yield* agent(url).take).id, evicted)
      const { failure, stages, status } = yield* person(url).view(id)
      expect([status, failure]).toEqual(["errored", evicted.message])
      expect(stages.map(({ attempt, reason }) => [attempt, reason])).toEqual([1, 2, 3, 4].map((attempt) => [attempt, "Evicted"]))
    }))

  it.live("wakes a waiting agent when its time has come, without any commit", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      yield* agent(url).report((yield* agent(url).take).id, evicted)
      expect((yield* agent(url).acquire(30)).map((_) => _.id)).toEqual([`${id}.plan.2`])
    }))

  it.effect("stores the plan of its next attempt, not of the one that was lost, whose token is over", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo", { "auto-apply": true })
      const first = yield* agent(url).take
      yield* worker(url, first).savePlan("a plan that nobody reported")
      yield* agent(url).report(first.id, { ...evicted, reason: "Lost" })
      yield* TestClock.adjust("5 seconds")
      expect((yield* worker(url, first).savePlan("late")).status).toBe(401)
      expect((yield* planWith(url)).attempt).toBe(2)
      const apply = yield* agent(url).take
      expect([apply.id, apply.planSha256]).toEqual([`${id}.apply.1`, sha256("the plan")])
    }))

  it.live("stores no plan that was still on its way when its stage ended", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      const first = yield* agent(url).take
      const late = request(url + taskPath.plan, {
        method: "PUT",
        headers: { authorization: `Bearer ${first.taskToken}`, [taskHeader.taskUid]: taskUid, [taskHeader.digest]: sha256("late") }
      })
      const answered = once(late, "response")
      late.write("la")
      // A stage is running once the server has accepted its token.
      while ((yield* person(url).view(id)).stages[0]?.status !== "running") yield* Effect.sleep("10 millis")
      yield* agent(url).report(first.id, evicted)
      late.end("te")
      expect((yield* Effect.promise(() => answered))[0].statusCode).toBe(401)
      expect((yield* person(url).view(id)).planSha256).toBeUndefined()
    }))

  it.effect("is not planned again once somebody cancelled: neither before its end nor while it waits", () =>
    Effect.gen(function*() {
      const url = yield* server
      const before = yield* person(url).start("one")
      const plan = yield* agent(url).take
      yield* person(url).act(before, "cancel")
      yield* agent(url).report(plan.id, evicted)
      const waiting = yield* person(url).start("two")
      yield* agent(url).report((yield* agent(url).take).id, evicted)
      yield* person(url).act(waiting, "cancel")
      for (const id of [before, waiting]) expect((yield* person(url).view(id)).status).toBe("canceled")
      yield* TestClock.adjust("1 hour")
      expect(yield* agent(url).acquire()).toEqual([])
    }))

  it.effect("holds its workspace until it is planned, and an apply is never made again", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo", { "auto-apply": true })
      const next = yield* person(url).start("demo")
      yield* agent(url).report((yield* agent(url).take).id, evicted)
      expect((yield* person(url).view(next)).queue?.blockedBy).toBe(id)
      yield* TestClock.adjust("5 seconds")
      yield* planWith(url)
      yield* agent(url).report((yield* agent(url).take).id, evicted)
      expect((yield* person(url).view(id)).status).toBe("errored")
      yield* TestClock.adjust("1 hour")
      expect((yield* agent(url).acquire()).map(({ runId }) => runId)).toEqual([next])
    }))
})

describe("an apply whose confirmed state is not here, as the server is restored from a copy that is older", () => {
  const wanted = { number: 1, kind: "planned", action: "create", address: "time_sleep.a" } as const
  const state = { version: 4, serial: 1, lineage: "l", outputs: {}, resources: [] }
  /** A server that has no state of an apply that an agent took, like a copy of its database from before the apply pushed a state. */
  const restored = Effect.gen(function*() {
    const url = yield* server
    yield* person(url).as("POST", statePath.push("another"), state)
    const id = yield* person(url).start("demo", { "auto-apply": true })
    yield* planWith(url, "the plan", succeeded(withChanges), [wanted])
    const apply = yield* agent(url).take
    return { url, id, apply, applier: worker(url, apply) }
  })

  it.live.each([
    { end: "succeeded", result: succeeded({ statePushed: true }), status: "applied" },
    { end: "failed in order", result: { ...failed(), statePushed: true }, status: "errored" },
    { end: "was cancelled in order", result: { ...cancelled, exitCode: 1, statePushed: true }, status: "canceled" }
  ])("waits for a person if it $end, and names what its plan was to make", ({ result, status }) =>
    Effect.gen(function*() {
      const { apply, id, url } = yield* restored
      const next = yield* person(url).start("demo", { "auto-apply": true })
      yield* agent(url).report(apply.id, result)
      expect(yield* agent(url).acquire()).toEqual([])
      expect((yield* person(url).view(next)).queue?.reason).toBe("StateRescuePending")
      const { inDoubt, stages, status: ended } = yield* person(url).view(id)
      expect([ended, inDoubt, stages.at(-1)?.effects?.unseen]).toEqual([status, true, [{ action: "create", address: "time_sleep.a" }]])
      const { pending: [rescue] } = yield* person(url).state("demo")
      expect(rescue).toMatchObject({ stage: apply.id, effects: { unseenCount: 1 } })
      expect(rescue.message).toContain(
        `The apply of ${id} ended with ${result.reason}: its last state was saved, but the server does not have it, as in a copy that was made before`
      )
      yield* person(url).settle("demo")
      expect((yield* agent(url).take).runId).toBe(next)
      expect((yield* person(url).view(id)).stages.at(-1)?.effects?.unseenCount).toBe(1)
    }))

  it.live("waits for a person also where the copy has its lock as held", () =>
    Effect.gen(function*() {
      const { applier, apply, url } = yield* restored
      yield* applier.lock("a")
      yield* agent(url).report(apply.id, succeeded({ statePushed: true }))
      const { lock, pending } = yield* person(url).state("demo")
      expect([lock, pending[0]]).toMatchObject([undefined, { stage: apply.id, effects: { unseenCount: 1 } }])
    }))

  it.live.each(["is offered again", "is cancelled"])(
    "waits for a person if nobody knows how it ended, and it $0",
    (how) =>
      Effect.gen(function*() {
        const url = yield* server
        const id = yield* person(url).start("demo", { "auto-apply": true })
        yield* planWith(url, "the plan", succeeded(withChanges), [wanted])
        const apply = (yield* person(url).view(id)).stages.at(-1)?.id ?? ""
        yield* how === "is cancelled" ? person(url).act(id, "cancel") : agent(url).take
        yield* agent(url).report(apply, { ...lost, statePushed: false })
        expect((yield* person(url).state("demo")).pending).toMatchObject([
          { stage: apply, effects: { unseenCount: 1 }, message: expect.stringContaining("NodeLost: the state may lack") }
        ])
      })
  )

  it.live("takes the state that a person brings, which then is one of its run", () =>
    Effect.gen(function*() {
      const { apply, id, url } = yield* restored
      yield* agent(url).report(apply.id, succeeded({ statePushed: true }))
      const { json } = yield* person(url).as("POST", statePath.bring("demo"), JSON.stringify(state))
      expect((yield* person(url).settle("demo", { use: json.evidence[0].id })).status).toBe(200)
      expect(yield* person(url).state("demo")).toMatchObject({ version: { runId: id }, pending: [] })
    }))

  const bodyOf = (serial: number) => JSON.stringify({ ...state, serial })
  const saved = (serial: number) => succeeded({ statePushed: true, stateDigest: Sha256.make(sha256(bodyOf(serial))) })
  /** The same, like a copy from after the apply pushed its first state, and before it pushed another. */
  const restoredMeanwhile = Effect.gen(function*() {
    const made = yield* restored
    yield* made.applier.lock("a")
    yield* made.applier.pushState({ ...state, serial: 1 }, "a", 1)
    return made
  })

  it.live("waits for a person though an earlier state of it is here, and is at rest once the last one is brought", () =>
    Effect.gen(function*() {
      const { apply, id, url } = yield* restoredMeanwhile
      for (let times = 0; times < 2; times++) expect((yield* agent(url).report(apply.id, saved(2))).status).toBe(204)
      const { evidence, lock, pending, version } = yield* person(url).state("demo")
      expect([evidence, lock, pending, version]).toMatchObject([[], undefined, [{ stage: apply.id, effects: { unseenCount: 1 } }], {
        serial: 1
      }])
      expect(yield* agent(url).acquire()).toEqual([])
      const { json } = yield* person(url).as("POST", statePath.bring("demo"), bodyOf(2))
      expect((yield* person(url).settle("demo", { use: json.evidence[0].id })).status).toBe(200)
      expect(yield* person(url).state("demo")).toMatchObject({ version: { runId: id, serial: 2 }, pending: [] })
    }))

  it.live("is believed by its earlier state if its worker, of an earlier release, does not say which was the last", () =>
    Effect.gen(function*() {
      const { apply, url } = yield* restoredMeanwhile
      yield* agent(url).report(apply.id, succeeded({ statePushed: true }))
      expect((yield* person(url).state("demo")).pending).toEqual([])
    }))

  it.live("is believed if a person has pushed its last state meanwhile, and others after it", () =>
    Effect.gen(function*() {
      const { applier, apply, url } = yield* restoredMeanwhile
      yield* applier.unlock("a")
      const address = `${url}/api/state/v1/workspaces/demo`
      yield* ask(address, userToken, "PUT", { ID: "b" })
      for (const serial of [2, 3]) expect((yield* ask(`${address}?ID=b`, userToken, "POST", bodyOf(serial))).status).toBe(204)
      yield* ask(address, userToken, "DELETE", { ID: "b" })
      yield* agent(url).report(apply.id, saved(2))
      expect((yield* person(url).state("demo")).pending).toEqual([])
    }))

  it.live("waits for a person where only another workspace has that state", () =>
    Effect.gen(function*() {
      const { apply, url } = yield* restored
      const address = `${url}/api/state/v1/workspaces/other`
      yield* ask(address, userToken, "PUT", { ID: "b" })
      expect((yield* ask(`${address}?ID=b`, userToken, "POST", bodyOf(2))).status).toBe(204)
      yield* agent(url).report(apply.id, saved(2))
      expect((yield* person(url).state("demo")).pending).toMatchObject([{ stage: apply.id }])
    }))

  it.live("is believed if it wrote no state, since there was nothing to change", () =>
    Effect.gen(function*() {
      const { applier, url } = yield* restored
      yield* applier.lock("a")
      yield* applier.unlock("a")
      yield* applier.result(succeeded({ changes: { add: 0, change: 0, destroy: 0 } }))
      expect((yield* person(url).state("demo")).pending).toEqual([])
    }))

  it.live("is believed if its state came, though the body is gone since", () =>
    Effect.gen(function*() {
      const { applier, url } = yield* restored
      yield* applier.lock("a")
      for (let serial = 1; serial <= 7; serial++) yield* applier.pushState({ ...state, serial }, "a", 1)
      yield* applier.unlock("a")
      yield* applier.result(saved(1))
      expect((yield* person(url).state("demo")).pending).toEqual([])
    }))
})

describe("a plan's result", () => {
  it.live.each([
    { name: "taskUid", value: "", length: "at least 1" },
    { name: "taskUid", value: "u".repeat(65), length: "at most 64" },
    { name: "agent", value: "a".repeat(254), length: "at most 253" }
  ])(
    "is refused where the $name of its query has not the length that one has, $length, and the stage waits on",
    ({ length, name, value }) =>
      Effect.gen(function*() {
        const url = yield* server
        const id = yield* person(url).start("demo")
        const { json, status } = yield* agent(url).post(`${poolPath.result(`${id}.plan.1`)}?${name}=${value}`, cancelled)
        expect([status, json.message]).toEqual([
          422,
          `The request is not as expected at ${name}: Expected a value with a length of ${length}.`
        ])
        expect(yield* agent(url).acquire()).toMatchObject([{ id: `${id}.plan.1` }])
      })
  )

  it.live("ends the run as errored when the plan it speaks of is not the one stored", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      const plan = yield* agent(url).take
      yield* worker(url, plan).savePlan("the plan")
      yield* worker(url, plan).result(succeeded({ ...withChanges, planDigest: "0".repeat(64) as never }))
      expect(yield* person(url).view(id)).toMatchObject({ status: "errored", failure: expect.stringContaining("saved plan") })
    }))

  it.live("makes the apply stage by itself with auto-apply, named destroy for a run that destroys", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo", { "auto-apply": true, "is-destroy": true })
      expect((yield* planWith(url)).options).toEqual({ destroy: true })
      expect((yield* agent(url).take).id).toBe(`${id}.destroy.1`)
      expect((yield* person(url).view(id)).status).toBe("applying")
    }))
})
