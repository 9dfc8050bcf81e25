import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { Sha256 } from "../../src/schema/names.ts"
import { doubtOf } from "./doubted-state.ts"
import { agent, cancelled, failed, person, planWith, server, sha256, state, succeeded, withChanges, worker } from "./live-server.ts"

const wanted = { number: 1, kind: "planned", action: "create", address: "time_sleep.a" } as const
/** The end of an apply whose state went to the server that there was before a restore. */
const saved = succeeded({ statePushed: true, stateDigest: Sha256.make(sha256(JSON.stringify(state(8)))) })

/** A server that is restored from a copy with a confirmed apply that no agent had been offered, and has run since. */
const restored = Effect.fnUntraced(function*(attributes: Record<string, unknown> = {}) {
  const url = yield* server
  const id = yield* person(url).start("demo", { "auto-apply": true, ...attributes })
  yield* planWith(url, "the plan", succeeded(withChanges), [wanted])
  const doubts = Effect.map(person(url).state("demo"), ({ pending }) => pending)
  return { url, id, doubts, stageId: (yield* person(url).view(id)).stages.at(-1)!.id }
})

/** The same, cancelled, and an agent without a task of it was the first to answer. */
const answeredByAnother = Effect.gen(function*() {
  const made = yield* restored()
  yield* person(made.url).act(made.id, "cancel")
  const [own, other] = [agent(made.url, "own"), agent(made.url, "other")]
  expect((yield* other.cancellations()).ids).toEqual([made.stageId])
  expect((yield* other.reportTaskless(made.stageId, cancelled)).status).toBe(204)
  expect(yield* made.doubts).toEqual([])
  return { ...made, own, other }
})

describe("an apply that is cancelled before this server has offered it, and may have run before a restore", () => {
  it.live.each([{ stage: "apply" }, { stage: "destroy" }])(
    "is asked for its result, which leaves the state of its $stage in doubt",
    ({ stage }) =>
      Effect.gen(function*() {
        const { doubts, id, stageId, url } = yield* restored({ "is-destroy": stage === "destroy" })
        yield* person(url).act(id, "cancel")
        expect((yield* agent(url).cancellations()).ids).toEqual([`${id}.${stage}.1`])
        expect((yield* agent(url).report(stageId, saved)).status).toBe(204)
        expect(yield* doubts).toMatchObject([{ stage: stageId, effects: { unseen: [{ address: "time_sleep.a" }] } }])
        expect(yield* person(url).view(id)).toMatchObject({ status: "canceled", inDoubt: true })
        expect((yield* agent(url).cancellations()).ids).toEqual([])
        const next = yield* person(url).start("demo", { "auto-apply": true })
        expect(yield* agent(url).acquire()).toEqual([])
        expect((yield* person(url).view(next)).queue?.reason).toBe("StateRescuePending")
      })
  )

  it.live("is over at once for its run and its workspace, though nobody ever answers", () =>
    Effect.gen(function*() {
      const { id, url } = yield* restored()
      const next = yield* person(url).start("demo")
      yield* person(url).act(id, "cancel")
      expect((yield* person(url).view(id)).status).toBe("canceled")
      expect((yield* agent(url).take).runId).toBe(next)
    }))

  it.live("is not asked for where it is a plan, which changes nothing", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).act(yield* person(url).start("demo"), "cancel")
      expect(yield* agent(url).cancellations()).toEqual({ ids: [], next: 0 })
    }))
})

describe("a cancelled apply that an agent without its task says was never run", () => {
  it.effect("stays asked for, since its task may be in another cluster, until that has spoken, for 30 days at most", () =>
    Effect.gen(function*() {
      const { own, stageId } = yield* answeredByAnother
      expect((yield* own.cancellations()).ids).toEqual([stageId])
      yield* TestClock.adjust("30 days")
      expect((yield* own.cancellations()).ids).toEqual([])
    }))

  it.live("has the result that its task reports after that, whose doubt stands, while its run stays cancelled", () =>
    Effect.gen(function*() {
      const { doubts, id, other, own, stageId, url } = yield* answeredByAnother
      yield* doubtOf(url, "another") // which is no doubt of this one
      expect((yield* own.report(stageId, saved)).status).toBe(204)
      expect(yield* doubts).toMatchObject([{ stage: stageId, reason: "Completed", effects: { unseenCount: 1 } }])
      const { inDoubt, stages, status } = yield* person(url).view(id)
      expect([status, inDoubt, stages.at(-1)]).toMatchObject(["canceled", true, { result: { outcome: "succeeded" } }])
      expect((yield* own.cancellations()).ids).toEqual([])
      expect((yield* own.report(stageId, saved)).status).toBe(204)
      expect((yield* own.report(stageId, failed())).json.error).toBe("result-exists")
      expect((yield* other.reportTaskless(stageId, cancelled)).json.error).toBe("taken")
      expect(yield* doubts).toHaveLength(1)
    }))

  it.live("has it also if the task took the stage first, as when its agent was about to answer an offer", () =>
    Effect.gen(function*() {
      const { doubts, own, stageId } = yield* answeredByAnother
      expect((yield* own.acknowledge(stageId)).status).toBe(204)
      expect((yield* own.report(stageId, saved)).status).toBe(204)
      expect(yield* doubts).toMatchObject([{ stage: stageId }])
    }))

  it.live("has no other end by the word of a second agent without its task, nor by that of a task that had not begun", () =>
    Effect.gen(function*() {
      const { doubts, id, own, stageId, url } = yield* answeredByAnother
      expect((yield* own.reportTaskless(stageId, saved)).json.error).toBe("result-exists")
      expect((yield* own.report(stageId, { ...cancelled, message: "The task was cancelled in time." })).json.error).toBe("result-exists")
      expect((yield* person(url).view(id)).stages.at(-1)?.result).toEqual(cancelled)
      expect(yield* doubts).toEqual([])
    }))
})

describe("an apply that a person ended by force, and that had not begun in the copy", () => {
  it.live("is in doubt once its task is back and says that it ran, in the name of that person still", () =>
    Effect.gen(function*() {
      const { doubts, id, stageId, url } = yield* restored()
      yield* agent(url).take
      for (const act of ["cancel", "force-cancel"] as const) yield* person(url).act(id, act)
      expect(yield* doubts).toEqual([])
      expect((yield* agent(url).report(stageId, saved)).status).toBe(204)
      expect(yield* doubts).toMatchObject([{ stage: stageId }])
      expect(yield* person(url).view(id)).toMatchObject({ status: "errored", failure: expect.stringContaining("ended it by force") })
    }))
})

describe("a plan that an agent without its task says was never run", () => {
  it.live("keeps that end, and its run goes on from there", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      const [plan] = yield* agent(url).acquire()
      yield* agent(url, "other").reportTaskless(plan!.id, failed())
      expect((yield* worker(url, plan!).result(succeeded(withChanges))).json.error).toBe("result-exists")
      expect((yield* person(url).view(id)).status).toBe("errored")
    }))
})
