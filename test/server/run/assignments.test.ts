import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { poolPath } from "../../../src/schema/api/pool-api.ts"
import { taskHeader, taskPath } from "../../../src/schema/api/task-api.ts"
import { applyingLocked } from "../doubted-state.ts"
import { agent, cancelled, failed, person, planWith, server, succeeded, withChanges, worker } from "../live-server.ts"

describe("an assignment", () => {
  it.live("that ended in order takes no other result, whatever doubt that tells of", () =>
    Effect.gen(function*() {
      const { apply, applier, looked, url } = yield* applyingLocked
      yield* applier.unlock("a")
      yield* applier.result(succeeded({ ...withChanges, statePushed: true }))
      const other = yield* agent(url).report(apply.id, { ...failed(), statePushed: false })
      expect(other).toMatchObject({ status: 409, json: { error: "result-exists" } })
      expect((yield* looked).pending).toEqual([])
    }))

  it.live("takes acknowledgements and results again, but no other result", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo", { "plan-only": true })
      const plan = yield* agent(url).take
      expect((yield* agent(url).acknowledge(plan.id)).status).toBe(204)
      const result = succeeded(withChanges)
      expect((yield* worker(url, plan).result(result)).status).toBe(204)
      expect((yield* worker(url, plan).result(result)).status).toBe(204)
      expect((yield* agent(url).report(plan.id, { ...result, changes: { destroy: 0, add: 1, change: 0 } })).status).toBe(204)
      const other = yield* agent(url).report(plan.id, failed())
      expect([other.status, other.json]).toEqual([409, {
        error: "result-exists",
        message: `The stage ${plan.id} has another result already, which is kept; look at it with: agent-job get ${id}`
      }])
      expect((yield* agent(url).acknowledge(plan.id)).status).toBe(204)
      expect((yield* person(url).view(id)).status).toBe("planned_and_finished")
    }))

  it.live("counts as arrived once its token is used, though the acknowledgement was lost", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      const [plan] = yield* agent(url).acquire()
      yield* worker(url, plan!).as("GET", taskPath.assignment)
      expect((yield* person(url).view(id)).status).toBe("planning")
      expect(yield* agent(url).acquire()).toEqual([])
    }))

  it.live("says why it has not started, until it does", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      const plan = yield* agent(url).take
      yield* agent(url).wait(plan.id, "ConcurrencyLimit", "5 of 5 tasks run.")
      expect(yield* person(url).view(id)).toMatchObject({
        queue: { message: "5 of 5 tasks run." },
        stages: [{ reason: "ConcurrencyLimit", status: "offered" }]
      })
      yield* worker(url, plan).as("GET", taskPath.assignment)
      const view = yield* person(url).view(id)
      expect([view.queue, view.stages[0]?.status]).toEqual([undefined, "running"])
    }))

  it.live.each([
    { given: "it answers again", reason: "Claimed", message: "Running in Pod p on node n." },
    { given: "it stops", reason: "Stopping", message: "A cancel was asked for." }
  ])(
    "says while it runs that its node does not answer or its Pod is not ready, until its agent says that $given",
    ({ message, reason }) =>
      Effect.gen(function*() {
        const url = yield* server
        const id = yield* person(url).start("demo")
        const plan = yield* agent(url).take
        yield* worker(url, plan).as("GET", taskPath.assignment)
        const queueAfter = Effect.fnUntraced(function*(reason: string, message: string) {
          expect((yield* agent(url).wait(plan.id, reason, message)).status).toBe(204)
          const { queue, stages } = yield* person(url).view(id)
          return [queue, stages[0]?.status]
        })
        expect(yield* queueAfter("ConcurrencyLimit", "It came late.")).toEqual([undefined, "running"])
        for (
          const doubt of [
            { reason: "NodeUnreachable", message: "Node n does not answer." },
            { reason: "PodNotReady", message: "Pod p has not been ready for two minutes." }
          ]
        ) {
          expect(yield* queueAfter(doubt.reason, doubt.message)).toEqual([{ position: 1, ...doubt }, "running"])
          expect(yield* queueAfter(reason, message)).toEqual([undefined, "running"])
        }
      })
  )

  it.live("is unknown when no run made it", () =>
    Effect.gen(function*() {
      const url = yield* server
      for (
        const answer of [
          yield* agent(url).acknowledge("run-x.plan.1"),
          yield* agent(url).report("run-x.plan.1", failed()),
          yield* agent(url).wait("run-x.plan.1", "a", "b")
        ]
      ) {
        expect(answer.status).toBe(404)
      }
    }))
})

describe("a stage that two agents were offered", () => {
  /** An apply that agent one was slow to acknowledge, so that agent two was offered it as well. */
  const offeredTwice = Effect.gen(function*() {
    const url = yield* server
    const run = yield* person(url).start("demo", { "auto-apply": true })
    yield* planWith(url)
    const one = agent(url, "one", "uid-of-one")
    const two = agent(url, "two", "uid-of-two")
    const [first] = yield* one.acquire()
    yield* TestClock.adjust("30 seconds")
    const [second] = yield* two.acquire()
    if (first === undefined || second === undefined) throw new Error("expected two offers")
    expect(second.id).toBe(first.id)
    return { url, run, id: first.id, one, two, first: worker(url, first, "uid-of-one"), second: worker(url, second, "uid-of-two") }
  })
  const taken = expect.objectContaining({
    status: 409,
    json: { error: "taken", message: expect.stringContaining("Another agent has the stage") }
  })

  it.effect("belongs to whose acknowledgement came first: the other can neither fetch, lock, wait nor end it", () =>
    Effect.gen(function*() {
      const { first, id, one, run, second, two, url } = yield* offeredTwice
      expect((yield* two.acknowledge(id)).status).toBe(204)
      expect(yield* one.acknowledge(id)).toEqual(taken)
      expect((yield* two.acknowledge(id)).status).toBe(204)
      for (const path of [taskPath.assignment, taskPath.archive, taskPath.plan, taskPath.state]) {
        expect(yield* first.as("GET", path)).toEqual(taken)
      }
      expect((yield* second.as("GET", taskPath.plan)).text).toBe("the plan")
      expect(yield* first.lock("one")).toEqual(taken)
      const { json: { epoch } } = yield* second.lock("two")
      expect(yield* first.log(0, "one")).toEqual(taken)
      expect(yield* one.wait(id, "ImagePull", "one waits")).toEqual(taken)
      expect(yield* first.result(failed())).toEqual(taken)
      expect(yield* one.report(id, failed())).toEqual(taken)
      expect(yield* one.reportTaskless(id, cancelled)).toEqual(taken)
      expect((yield* person(url).view(run)).status).toBe("applying")
      expect((yield* second.pushState({ version: 4, serial: 1, lineage: "a" }, "two", epoch)).status).toBe(204)
      expect((yield* second.result(succeeded())).status).toBe(204)
      expect((yield* two.report(id, succeeded())).status).toBe(204)
      expect(yield* one.report(id, failed())).toEqual(taken)
      expect((yield* person(url).view(run)).status).toBe("applied")
    }))

  it.effect("is had by the agent whose acknowledgement came first, though another was offered it later, and is silent once that is", () =>
    Effect.gen(function*() {
      const { id, one, run, two, url } = yield* offeredTwice
      const shown = Effect.map(person(url).view(run), ({ queue, stages }) => ({ agent: stages.at(-1)?.agent, waits: queue?.message }))
      expect((yield* shown).agent).toBe("two")
      expect((yield* one.post(poolPath.acknowledge(id), { agent: "one", taskUid: "uid-of-one" })).status).toBe(204)
      expect(yield* shown).toEqual({ agent: "one", waits: "Agent one has the stage and is about to start its Pod." })
      yield* TestClock.adjust("2 minutes")
      yield* two.acquire()
      expect((yield* shown).waits).toContain("Agent one has the stage, but has not been heard since")
    }))

  it.effect("belongs to whose worker came first, where no acknowledgement arrived in time", () =>
    Effect.gen(function*() {
      const { first, id, one, run, second, two, url } = yield* offeredTwice
      expect((yield* first.as("GET", taskPath.assignment)).status).toBe(200)
      expect(yield* two.acknowledge(id)).toEqual(taken)
      expect(yield* second.as("GET", taskPath.assignment)).toEqual(taken)
      expect((yield* one.post(poolPath.acknowledge(id), { agent: "one", taskUid: "uid-of-one" })).status).toBe(204)
      expect((yield* person(url).view(run)).stages.at(-1)?.agent).toBe("one")
    }))

  it.effect("belongs to exactly one of two that acknowledge and start at the same moment", () =>
    Effect.gen(function*() {
      const { first, id, one, second, two } = yield* offeredTwice
      const answers = yield* Effect.all([
        one.acknowledge(id),
        first.as("GET", taskPath.assignment),
        second.as("GET", taskPath.assignment),
        two.acknowledge(id)
      ], { concurrency: "unbounded" })
      const [byOne, startedByOne, startedByTwo, byTwo] = answers.map(({ status }) => status < 300)
      expect([startedByOne, startedByTwo]).toEqual([byOne, byTwo])
      expect(byOne).not.toBe(byTwo)
    }))

  it.effect("is ended by an agent without a task only while it belongs to none", () =>
    Effect.gen(function*() {
      const { first, id, run, two, url } = yield* offeredTwice
      expect((yield* two.reportTaskless(id, cancelled)).status).toBe(204)
      expect((yield* two.reportTaskless(id, cancelled)).status).toBe(204)
      expect((yield* first.as("GET", taskPath.assignment)).status).toBe(401)
      expect((yield* person(url).view(run)).status).toBe("canceled")
    }))

  it.effect("is not begun by who does not say for which task", () =>
    Effect.gen(function*() {
      const { first, id, one, url } = yield* offeredTwice
      expect((yield* first.as("GET", taskPath.plan, undefined, { [taskHeader.taskUid]: "" })).status).toBe(422)
      expect((yield* one.post(poolPath.acknowledge(id), {})).status).toBe(422)
      expect((yield* person(url).view(id.split(".")[0] ?? "")).stages.at(-1)?.status).toBe("offered")
    }))
})
