// Mistakes that servers of this kind have made elsewhere: each title says what happened there, and its test shows that it does not here.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { stateLimitBytes, taskPath } from "../../src/schema/api/task-api.ts"
import type { StageResult } from "../../src/schema/task/stage-result.ts"
import { agent, cancelled, failed, person, planWith, server, sha256, succeeded, withChanges, worker } from "./live-server.ts"

const evicted: StageResult = { ...failed("The Pod had to leave its node during tofu plan; nothing was changed."), reason: "Evicted" }

/** The ends of a run, with what leads a new run to each. */
const ends: ReadonlyArray<
  { readonly end: string; readonly reach: (url: string, id: string) => Effect.Effect<unknown>; readonly settings?: object }
> = [
  {
    end: "applied",
    settings: { "auto-apply": true },
    reach: (url) => Effect.andThen(planWith(url), applying(url, succeeded({ statePushed: true })))
  },
  { end: "errored", settings: {}, reach: (url) => Effect.flatMap(agent(url).take, ({ id }) => agent(url).report(id, failed())) },
  {
    end: "errored",
    settings: { "auto-apply": true },
    reach: (url) => Effect.andThen(planWith(url), applying(url, { ...failed(), statePushed: true }))
  },
  {
    end: "planned_and_finished",
    settings: { "auto-apply": true },
    reach: (url) => planWith(url, "nothing", succeeded({ hasChanges: false }))
  },
  { end: "discarded", reach: (url, id) => Effect.andThen(planWith(url), person(url).act(id, "discard")) },
  { end: "canceled", reach: (url, id) => person(url).act(id, "cancel") },
  {
    end: "canceled",
    reach: (url, id) =>
      Effect.flatMap(agent(url).take, (plan) => Effect.andThen(person(url).act(id, "cancel"), agent(url).report(plan.id, cancelled)))
  },
  { end: "discarded", reach: (url, id) => Effect.andThen(planWith(url), person(url).act(id, "cancel")) }
]

/** Ends the apply that waits with `result`. The worker unlocks first if that is a failure, because a held lock would leave it in doubt. */
const applying = Effect.fnUntraced(function*(url: string, result: StageResult) {
  const apply = yield* agent(url).take
  const { epoch } = (yield* worker(url, apply).lock("l-1")).json
  yield* worker(url, apply).pushState({ version: 4, serial: 1, lineage: "l" }, "l-1", epoch)
  if (result.outcome === "failed") yield* worker(url, apply).unlock("l-1")
  yield* worker(url, apply).result(result)
})

describe("here not:", () => {
  it.live("agents raced for one stage, and two of them ran it", () =>
    Effect.gen(function*() {
      const url = yield* server
      const { id } = yield* Effect.andThen(
        person(url).start("demo"),
        Effect.map(agent(url).acquire(), ([plan]) => ({ id: plan?.id ?? "" }))
      )
      const agents = Array.from({ length: 64 }, (_, at) => agent(url, `agent-${at}`, `task-${at}`))
      const answers = yield* Effect.all(agents.map(({ acknowledge }) => acknowledge(id)), { concurrency: "unbounded" })
      expect(answers.map(({ status }) => status).sort()).toEqual([204, ...Array(63).fill(409)])
      const again = yield* Effect.all(agents.map(({ acknowledge }) => acknowledge(id)), { concurrency: "unbounded" })
      expect(again.map(({ status }) => status)).toEqual(answers.map(({ status }) => status)) // the same agent still has it
    }))

  it.live("two words on the end of a stage were both taken, and the later one won", () =>
    Effect.gen(function*() {
      const url = yield* server
      for (let round = 0; round < 20; round++) {
        const id = yield* person(url).start(`demo-${round}`, { "plan-only": true })
        const plan = yield* agent(url).take
        const bodies = [succeeded(withChanges), failed(`Round ${round}.`)]
        const reports = Array.from({ length: 16 }, (_, at) => {
          const body = bodies[at % 2] ?? failed()
          return Effect.map(
            at % 4 < 2 ? worker(url, plan).result(body) : agent(url).report(plan.id, body),
            ({ status }) => ({ body, status })
          )
        })
        const answers = yield* Effect.all(reports, { concurrency: "unbounded" })
        const kept = (yield* person(url).view(id)).stages[0]?.result
        expect(answers.map(({ body, status }) => status === (body.outcome === kept?.outcome ? 204 : 409))).toEqual(Array(16).fill(true))
        expect((yield* agent(url).report(plan.id, bodies.find(({ outcome }) => outcome !== kept?.outcome) ?? failed())).status).toBe(409)
        expect((yield* person(url).view(id)).stages[0]?.result).toEqual(kept)
      }
    }))

  it.live("a stage was reported as failed, came back and succeeded, and nobody knew which was true", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo", { "auto-apply": true })
      const plan = yield* agent(url).take
      yield* worker(url, plan).savePlan("the plan")
      yield* agent(url).report(plan.id, failed("The Pod is gone."))
      const before = yield* person(url).view(id)
      expect(before).toMatchObject({ status: "errored", final: true, failure: "The Pod is gone." })
      expect((yield* worker(url, plan).result(succeeded(withChanges))).status).toBe(409)
      expect((yield* person(url).act(id, "apply")).status).toBe(409)
      expect(yield* person(url).view(id)).toEqual(before)
      expect(yield* agent(url).acquire()).toEqual([])
    }))

  it.live("a cancelled run was given out again", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      const [offered] = yield* agent(url).acquire()
      yield* person(url).act(id, "cancel")
      expect((yield* agent(url).acknowledge(offered?.id ?? "")).status).toBe(204) // an agent that is late hears of the end, not of an error
      expect((yield* agent(url).cancellations()).ids).toEqual([offered?.id])
      expect((yield* worker(url, offered ?? { taskToken: "" }).as("GET", "/api/task/v1/assignment")).status).toBe(401)
      expect(yield* agent(url).acquire()).toEqual([])
      expect((yield* person(url).view(id)).status).toBe("canceled")
    }))

  it.effect("a stage whose start failed was tried again at once, and again", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).start("demo")
      yield* agent(url).acquire()
      expect(yield* agent(url).acquire()).toEqual([]) // the agent could not make a task, and asks again at once
      yield* TestClock.adjust("2 seconds")
      const plan = yield* agent(url).take
      yield* agent(url).report(plan.id, evicted)
      expect(yield* agent(url).acquire()).toEqual([])
      yield* TestClock.adjust("5 seconds")
      expect(yield* agent(url).acquire()).toHaveLength(1)
    }))

  it.live.each(ends)(
    "a run ended as $end and kept its workspace, or the lock of its state",
    ({ end, reach, settings = {} }) =>
      Effect.gen(function*() {
        const url = yield* server
        const id = yield* person(url).start("demo", { ...settings })
        yield* reach(url, id)
        expect(yield* person(url).view(id)).toMatchObject({ status: end, final: true })
        const address = `${url}/api/state/v1/workspaces/demo`
        expect((yield* person(url).as("PUT", address, { ID: "person" })).status).toBe(200)
        yield* person(url).as("DELETE", address, { ID: "person" })
        const next = yield* person(url).start("demo")
        expect((yield* agent(url).take).runId).toBe(next)
      })
  )

  it.live("the result, plan or log of another attempt was taken for this one's", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      const first = yield* agent(url).take
      yield* worker(url, first).log(0, "of the first\n")
      yield* worker(url, first).savePlan("of the first")
      yield* agent(url).report(first.id, evicted)
      const [second = first] = yield* agent(url).acquire(30)
      expect([first.attempt, second.attempt]).toEqual([1, 2])
      yield* worker(url, second).log(0, "of the second\n")
      expect((yield* worker(url, first).log(13, "late\n")).status).toBe(401)
      expect((yield* worker(url, first).savePlan("late")).status).toBe(401)
      expect((yield* worker(url, first).result(succeeded(withChanges))).status).toBe(409)
      yield* worker(url, second).savePlan("of the second")
      yield* worker(url, second).result(succeeded(withChanges))
      const run = yield* person(url).view(id)
      expect(run).toMatchObject({
        status: "planned",
        planSha256: sha256("of the second"),
        stages: [{ attempt: 1, result: evicted }, { attempt: 2, result: { outcome: "succeeded" } }]
      })
      expect((yield* person(url).as("POST", `/api/v2/runs/${id}/actions/apply`, { seal: sha256("of the first") })).status).toBe(409)
      expect((yield* person(url).as("POST", `/api/v2/runs/${id}/actions/apply`, { seal: sha256("of the second") })).status).toBe(202)
      const apply = yield* agent(url).take
      expect([apply.planSha256, (yield* worker(url, apply).as("GET", "/api/task/v1/plan")).text]).toEqual([
        sha256("of the second"),
        "of the second"
      ])
    }))

  it.live("a plan or a state of 64 MiB did not fit into the object of Kubernetes that had to hold it", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).start("demo", { "auto-apply": true })
      const plan = "p".repeat(stateLimitBytes)
      yield* planWith(url, plan)
      const apply = yield* agent(url).take
      expect(JSON.stringify(apply).length).toBeLessThan(4096) // all that the AgentTask and its Secret are made of
      const fetched = yield* worker(url, apply).as("GET", taskPath.plan)
      expect([apply.planSha256, sha256(fetched.text)]).toEqual([sha256(plan), sha256(plan)])
      const { epoch } = (yield* worker(url, apply).lock("l-1")).json
      const small = { version: 4, serial: 1, lineage: "l", resources: [], padding: "" }
      const state = { ...small, padding: "s".repeat(stateLimitBytes - JSON.stringify(small).length) }
      expect((yield* worker(url, apply).pushState(state, "l-1", epoch)).status).toBe(204)
      const stored = yield* person(url).as("GET", `${url}/api/state/v1/workspaces/demo`)
      expect(sha256(stored.text)).toBe(sha256(JSON.stringify(state)))
    }))
})
