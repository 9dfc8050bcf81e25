import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { agent, directory, failed, person, planWith, serve, succeeded, withChanges, worker } from "./live-server.ts"

/** A run in its apply stage, which holds the lock of the state. */
const applying = Effect.gen(function*() {
  const made = yield* directory
  const url = yield* serve(made)
  const id = yield* person(url).start("demo", { "auto-apply": true })
  yield* planWith(url)
  const apply = yield* agent(url).take
  const applier = worker(url, apply)
  yield* applier.lock("a")
  return { made, url, id, apply, applier }
})

const lost = { ...failed("The worker ended without a result."), reason: "Lost" } as const

describe("a rescue", () => {
  it.live("keeps the next stages of its workspace from all agents, and says so to the runs that wait", () =>
    Effect.gen(function*() {
      const { apply, id, url } = yield* applying
      const second = yield* person(url).start("demo")
      const planOnly = yield* person(url).start("demo", { "plan-only": true })
      const offered = yield* agent(url).take // before the end: changes nothing, goes on
      expect(offered.runId).toBe(planOnly)
      yield* agent(url).report(apply.id, lost)
      expect(yield* agent(url).acquire()).toEqual([])
      const { queue, status } = yield* person(url).view(second)
      expect(status).toBe("pending")
      expect(queue).toMatchObject({ position: 1, reason: "StateRescuePending" })
      expect(queue?.message).toContain(`The apply of ${id} ended with Lost`)
      expect(queue?.message).toContain("agent-job state rescue demo")
      expect((yield* person(url).view(id)).failure).toContain("agent-job state rescue demo")
    }))

  it.live("does not keep other workspaces from theirs", () =>
    Effect.gen(function*() {
      const { apply, url } = yield* applying
      yield* agent(url).report(apply.id, lost)
      const other = yield* person(url).start("other")
      expect((yield* agent(url).take).runId).toBe(other)
    }))

  it.live("is not opened by an apply that ended in order with its state pushed", () =>
    Effect.gen(function*() {
      const { applier, url } = yield* applying
      yield* applier.pushState({ version: 4, serial: 1, lineage: "l" }, "a", 1)
      yield* applier.result(succeeded({ ...withChanges, statePushed: true }))
      const next = yield* person(url).start("demo")
      expect((yield* agent(url).take).runId).toBe(next)
    }))
})
