import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { taskPath } from "../../src/schema/api/task-api.ts"
import type { StageResult } from "../../src/schema/task/stage-result.ts"
import { agent, directory, evicted, failed, person, planWith, serve, sha256, succeeded, worker } from "./live-server.ts"

const planned = Effect.fnUntraced(
  function*(attributes: Record<string, unknown> = {}, plan = succeeded({ changes: { add: 1, change: 0, destroy: 0 }, hasChanges: true })) {
    const made = yield* directory
    const url = yield* serve(made)
    const id = yield* person(url).start("demo", attributes)
    yield* planWith(url, "the plan", plan)
    const isStored = () => readdirSync(join(made, "data", "blobs")).includes(sha256("the plan"))
    return { url, id, me: person(url), isStored }
  }
)

const appliedWith = (result: StageResult) => (url: string, id: string) =>
  Effect.gen(function*() {
    yield* person(url).act(id, "apply")
    const applier = worker(url, yield* agent(url).take)
    expect((yield* applier.as("GET", taskPath.plan)).text).toBe("the plan")
    yield* applier.result(result)
  })

describe("the file of a saved plan", () => {
  it.live.each([
    { end: "applied", by: "", reach: appliedWith(succeeded()) },
    { end: "errored", by: "", reach: appliedWith(failed()) },
    { end: "discarded", by: "", reach: (url: string, id: string) => person(url).act(id, "discard") },
    { end: "discarded", by: " by a cancel", reach: (url: string, id: string) => person(url).act(id, "cancel") }
  ])("is there until its run is $end$by; its seal stays", ({ end, reach }) =>
    Effect.gen(function*() {
      const { id, isStored, me, url } = yield* planned()
      expect(isStored()).toBe(true)
      yield* reach(url, id)
      expect(yield* me.view(id)).toMatchObject({ status: end, planSha256: sha256("the plan") })
      expect(isStored()).toBe(false)
    }))

  it.live("goes with the plan where only that was asked for", () =>
    Effect.gen(function*() {
      const { id, isStored, me } = yield* planned({ "plan-only": true })
      expect([(yield* me.view(id)).status, isStored()]).toEqual(["planned_and_finished", false])
    }))

  it.live("goes with an attempt that came to no result", () =>
    Effect.gen(function*() {
      const { id, isStored, me } = yield* planned({}, evicted)
      expect([(yield* me.view(id)).status, isStored()]).toEqual(["pending", false])
    }))

  it.live("stays while another run has the same", () =>
    Effect.gen(function*() {
      const { id, isStored, me, url } = yield* planned()
      const other = yield* me.start("twin")
      yield* planWith(url)
      yield* me.act(id, "discard")
      expect(isStored()).toBe(true)
      yield* appliedWith(succeeded())(url, other)
      expect(isStored()).toBe(false)
    }))
})
