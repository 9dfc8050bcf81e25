import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { agent, applying, ask, failed, onTheWay, person, userToken } from "../live-server.ts"

describe("a lock", () => {
  it.live("has 64 KiB at most, since all who want it are shown it", () =>
    Effect.gen(function*() {
      const { address, applier } = yield* applying
      const info = (bytes: number) => ({ ID: "a", Who: "x".repeat(bytes - JSON.stringify({ ID: "a", Who: "" }).length) })
      expect((yield* applier.as("POST", taskPath.lock, info(64 * 1024 + 1))).status).toBe(413)
      expect((yield* ask(address, userToken, "PUT", info(64 * 1024 + 1))).status).toBe(413)
      expect((yield* applier.as("POST", taskPath.lock, info(64 * 1024))).status).toBe(200)
    }))

  it.live("is given again to who has it, refused to others with its holder, and raises the epoch each time", () =>
    Effect.gen(function*() {
      const { address, applier } = yield* applying
      expect((yield* applier.lock("a")).json.epoch).toBe(1)
      expect((yield* applier.lock("a")).json.epoch).toBe(1)
      expect((yield* applier.lock("b")).json).toMatchObject({ error: "locked", ID: "a", Who: "worker" })
      expect((yield* ask(address, userToken, "PUT", { ID: "a" })).status).toBe(423)
      expect((yield* applier.unlock("b")).status).toBe(409)
      expect((yield* applier.unlock("a")).status).toBe(200)
      expect((yield* applier.unlock("a")).status).toBe(200)
      expect((yield* applier.lock("c")).json.epoch).toBe(2)
    }))

  it.live.each([
    { of: "a stage", by: "that stage", id: "a", status: 200, left: undefined, forced: [] },
    { of: "a stage", by: "that stage", id: "b", status: 409, left: "a", forced: [] },
    { of: "a stage", by: "a person", id: "a", status: 200, left: undefined, forced: ["a"] },
    { of: "a stage", by: "a person", id: "b", status: 423, left: "a", forced: [] },
    { of: "a person", by: "a stage", id: "a", status: 409, left: "a", forced: [] },
    { of: "a person", by: "a person", id: "a", status: 200, left: undefined, forced: [] },
    { of: "a person", by: "a person", id: "b", status: 423, left: "a", forced: [] }
  ])(
    "of $of, asked to be opened as $id by $by: $status, by force $forced",
    ({ by, forced, id, left, of, status }) =>
      Effect.gen(function*() {
        const { address, applier, url } = yield* applying
        yield* of === "a stage" ? applier.lock("a") : ask(address, userToken, "PUT", { ID: "a" })
        expect((yield* by === "a person" ? ask(address, userToken, "DELETE", { ID: id }) : applier.unlock(id)).status).toBe(status)
        const { forcedUnlocks, lock } = yield* person(url).state("demo")
        expect([lock?.id, forcedUnlocks.map(({ lockId }: { lockId: string }) => lockId)]).toEqual([left, forced])
      })
  )

  it.live("is not given to a stage that ended while its request was on the way", () =>
    Effect.gen(function*() {
      const { apply, url } = yield* applying
      const late = yield* onTheWay(url, apply, taskPath.lock, JSON.stringify({ ID: "late" }))
      yield* agent(url).report(apply.id, failed("The node is gone."))
      expect(yield* late).toBe(401)
    }))

  it.live("ends with the stage that holds it, so that nobody is stuck behind it", () =>
    Effect.gen(function*() {
      const { address, apply, applier, url } = yield* applying
      yield* applier.lock("a")
      yield* agent(url).report(apply.id, failed("The node is gone."))
      expect((yield* ask(address, userToken, "PUT", { ID: "next" })).json.epoch).toBe(2)
      expect((yield* applier.lock("a")).status).toBe(401)
    }))
})
