import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { agent, person, server } from "../live-server.ts"

describe("the offers to an agent", () => {
  it.effect("are as many as it asks for, the oldest first", () =>
    Effect.gen(function*() {
      const url = yield* server
      const ids = yield* Effect.forEach(["one", "two", "three"], (name) => person(url).start(name))
      const offered = Effect.map(agent(url).acquire(0, 2), (all) => all.map(({ runId }) => runId))
      expect([yield* offered, yield* offered]).toEqual([ids.slice(0, 2), ids.slice(2)])
    }))

  it.live("are all that there is to cancel: of a run that ends before its stage was offered, no agent is told", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).act(yield* person(url).start("demo"), "cancel")
      expect((yield* agent(url).cancellations()).ids).toEqual([])
    }))

  it.live("are nothing more to say of once they are withdrawn: why such a stage waits is not shown", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      const [plan] = yield* agent(url).acquire()
      yield* person(url).act(id, "cancel")
      expect((yield* agent(url).wait(plan!.id, "QuotaExceeded", "The namespace is full.")).status).toBe(204)
      const { stages, status } = yield* person(url).view(id)
      expect([status, stages[0]]).toEqual(["canceled", expect.not.objectContaining({ reason: expect.anything() })])
    }))
})
