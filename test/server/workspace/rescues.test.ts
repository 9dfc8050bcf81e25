import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { applyingLocked, doubted, doubtOf, lost } from "../doubted-state.ts"
import { agent, failed, person, planWith, state, succeeded, withChanges, worker } from "../live-server.ts"
import { entry } from "../run/applying.ts"

describe("a rescue", () => {
  it.live("keeps the next stages of its workspace from all agents, and says so to the runs that wait", () =>
    Effect.gen(function*() {
      const { apply, id, url } = yield* applyingLocked
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

  it.live("wakes the agents that wait once it is settled, for the stages that waited for it", () =>
    Effect.gen(function*() {
      const { settle, url } = yield* doubted
      const second = yield* person(url).start("demo")
      const waiting = yield* Effect.forkChild(agent(url).acquire(60), { startImmediately: true })
      yield* settle({})
      const [woken] = yield* Effect.timeout(Fiber.join(waiting), "55 seconds")
      expect(woken?.runId).toBe(second)
    }))

  it.live("does not keep other workspaces from theirs", () =>
    Effect.gen(function*() {
      const { url } = yield* doubted
      const other = yield* person(url).start("other")
      expect((yield* agent(url).take).runId).toBe(other)
    }))

  it.live("that is settled decides on the refused states of its own stage, and on no other's", () =>
    Effect.gen(function*() {
      const { apply, applier, looked, settle, url } = yield* applyingLocked
      yield* applier.pushState(state(9), "a stranger's", 1)
      yield* applier.unlock("a")
      yield* doubtOf(url, "other")
      expect((yield* person(url).settle("other")).status).toBe(200)
      yield* agent(url).report(apply.id, lost)
      expect((yield* looked).pending).toHaveLength(1)
      yield* settle({})
      yield* applier.as("POST", taskPath.effects, { entries: [entry(1, "closed", "")] })
      expect((yield* looked).pending).toEqual([])
    }))

  it.live("is not opened by an apply that ended in order with its state pushed", () =>
    Effect.gen(function*() {
      const { applier, url } = yield* applyingLocked
      yield* applier.result(succeeded({ ...withChanges, statePushed: true }))
      const next = yield* person(url).start("demo")
      expect((yield* agent(url).take).runId).toBe(next)
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
