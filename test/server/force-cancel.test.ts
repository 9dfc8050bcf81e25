import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { statePath } from "../../src/schema/api/state.ts"
import { taskPath } from "../../src/schema/api/task-api.ts"
import { agent, ask, cancelled, person, planWith, poolToken, server, state, worker } from "./live-server.ts"
import { lost } from "./run/applying.ts"

const actionsOf = (url: string, id: string) =>
  Effect.map(person(url).as("GET", `/api/v2/runs/${id}`), ({ json }) => json.data.attributes.actions)

/** A run in its apply stage whose AgentTask is gone: a person has cancelled the run, and the controller has found nothing to cancel. */
const abandoned = Effect.gen(function*() {
  const url = yield* server
  const id = yield* person(url).start("demo", { "auto-apply": true })
  yield* planWith(url)
  const apply = yield* agent(url).take
  const applier = worker(url, apply)
  const { epoch } = (yield* applier.lock("a")).json
  yield* applier.pushState(state(1), "a", epoch)
  yield* person(url).act(id, "cancel")
  expect(yield* agent(url).reportTaskless(apply.id, cancelled)).toMatchObject({ status: 409, json: { error: "taken" } })
  return { url, id, apply, applier, epoch: Number(epoch) }
})

describe("the end by force", () => {
  it.live("ends an apply that nobody is there to end, in the name of who asked, and leaves its state in doubt", () =>
    Effect.gen(function*() {
      const { apply, id, url } = yield* abandoned
      const next = yield* person(url).start("demo")
      expect(yield* person(url).view(id)).toMatchObject({ status: "applying", cancelAsked: true })
      expect((yield* actionsOf(url, id))["is-force-cancelable"]).toBe(true)
      expect((yield* person(url).act(id, "force-cancel")).status).toBe(202)
      const ended = yield* person(url).view(id)
      expect(ended).toMatchObject({
        status: "errored",
        final: true,
        failure: expect.stringMatching(/^[0-9a-f]{8} ended it by force, .* agent-job state rescue demo$/u)
      })
      expect(ended.stages.at(-1)?.result).toMatchObject({ outcome: "failed", reason: "Lost" })
      expect((yield* person(url).as("GET", statePath.state("demo"))).json).toMatchObject({ pending: [{ stage: apply.id, reason: "Lost" }] })
      expect((yield* person(url).as("GET", "/api/agent-job/v1/audit")).json.entries[0]).toMatchObject({
        kind: "user",
        action: "POST /api/v2/runs/:id/actions/force-cancel",
        object: id
      })
      expect(yield* agent(url).acquire()).toEqual([])
      yield* person(url).settle("demo")
      expect((yield* agent(url).take).runId).toBe(next)
    }))

  it.live("makes evidence of what a worker sends that lives all the same, and takes no other end from it", () =>
    Effect.gen(function*() {
      const { applier, apply, epoch, id, url } = yield* abandoned
      yield* person(url).act(id, "force-cancel")
      expect((yield* applier.pushState(state(2), "a", epoch)).json.error).toBe("stage-over")
      expect((yield* person(url).as("GET", statePath.state("demo"))).json).toMatchObject({
        version: { serial: 1 },
        evidence: [{ stage: apply.id, serial: 2 }]
      })
      expect((yield* applier.result(cancelled)).json.error).toBe("result-exists")
    }))

  it.effect("leaves its cancellation to be heard by a controller that was away, whose answer changes nothing, for 30 days", () =>
    Effect.gen(function*() {
      const { apply, id, url } = yield* abandoned
      yield* person(url).act(id, "force-cancel")
      yield* TestClock.adjust("29 days")
      expect((yield* agent(url).cancellations()).ids).toEqual([apply.id])
      for (const answer of [yield* agent(url).report(apply.id, cancelled), yield* agent(url).reportTaskless(apply.id, cancelled)]) {
        expect(answer.status).toBe(409)
      }
      expect((yield* person(url).view(id)).status).toBe("errored")
      yield* TestClock.adjust("1 day")
      expect((yield* agent(url).cancellations()).ids).toEqual([])
    }))

  it.live("of a plan ends the run as cancelled and leaves nothing in doubt, and its workspace is free", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      yield* agent(url).take
      yield* person(url).act(id, "cancel")
      yield* person(url).act(id, "force-cancel")
      expect(yield* person(url).view(id)).toMatchObject({ status: "canceled", stages: [{ reason: "Lost" }] })
      const next = yield* person(url).start("demo")
      expect((yield* agent(url).take).runId).toBe(next)
    }))

  it.live("again is success and changes nothing", () =>
    Effect.gen(function*() {
      const { id, url } = yield* abandoned
      yield* person(url).act(id, "force-cancel")
      const ended = yield* person(url).view(id)
      expect((yield* person(url).act(id, "force-cancel")).status).toBe(202)
      expect(yield* person(url).view(id)).toEqual(ended)
      expect((yield* actionsOf(url, id))["is-force-cancelable"]).toBe(false)
    }))

  it.live.each(
    [
      { begun: true, actions: [] },
      { begun: true, actions: ["cancel"] },
      { begun: true, actions: ["cancel", "force-cancel"] },
      { begun: false, actions: ["cancel"] },
      { begun: false, actions: ["cancel", "force-cancel"] }
    ] as const
  )(
    "of an apply that never had the lock leaves no doubt, whatever its controller guesses: begun $begun, $actions",
    ({ actions, begun }) =>
      Effect.gen(function*() {
        const url = yield* server
        const id = yield* person(url).start("demo", { "auto-apply": true })
        yield* planWith(url)
        const apply = yield* agent(url).take
        if (begun) yield* worker(url, apply).as("GET", taskPath.assignment)
        for (const action of actions) yield* person(url).act(id, action)
        yield* agent(url).report(apply.id, { ...lost, statePushed: false })
        yield* agent(url).report(apply.id, lost)
        expect((yield* person(url).state("demo")).pending).toEqual([])
      })
  )

  it.live("is nobody's first wish: a run that was not asked to stop goes on, and one that is over stays as it is", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      yield* agent(url).take
      const early = yield* person(url).act(id, "force-cancel")
      expect([early.status, early.json.errors[0].detail]).toEqual([
        409,
        `The run ${id} is planning, and nobody has asked it to stop; ask first: agent-job cancel ${id}`
      ])
      expect(yield* person(url).view(id)).toMatchObject({ status: "planning" })
      expect((yield* actionsOf(url, id))["is-force-cancelable"]).toBe(false)
      const other = yield* person(url).start("other")
      yield* planWith(url)
      yield* person(url).act(other, "discard")
      expect((yield* person(url).act(other, "force-cancel")).json.errors[0].detail).toBe(
        `The run ${other} is discarded, and there is nothing to end.`
      )
      expect((yield* person(url).act("run-none", "force-cancel")).status).toBe(404)
      expect((yield* ask(`${url}/api/v2/runs/${id}/actions/force-cancel`, poolToken, "POST", {})).status).toBe(401)
    }))
})
