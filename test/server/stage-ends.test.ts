import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { once } from "node:events"
import { request } from "node:http"
import { taskHeader, taskPath } from "../../src/schema/task-api.ts"
import { agent, directory, evicted, person, planWith, serve, sha256, succeeded, taskUid, withChanges, worker } from "./live-server.ts"

const server = Effect.flatMap(directory, serve)

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
      while ((yield* person(url).view(id)).stages[0]?.status !== "running") yield* Effect.sleep("10 millis") // its token was good
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

describe("a plan's result", () => {
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
