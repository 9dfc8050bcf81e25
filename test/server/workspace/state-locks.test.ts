import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { statePath } from "../../../src/schema/api/state.ts"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { applyingLocked, lost } from "../doubted-state.ts"
import { agent, applying, ask, failed, onTheWay, person, planWith, state, userToken, worker } from "../live-server.ts"

describe("a lock", () => {
  it.live("has 64 KiB at most, since all who want it are shown it", () =>
    Effect.gen(function*() {
      const { address, applier } = yield* applying
      const info = (bytes: number) => ({ ID: "a", Who: "x".repeat(bytes - JSON.stringify({ ID: "a", Who: "" }).length) })
      expect((yield* applier.as("POST", taskPath.lock, info(64 * 1024 + 1))).status).toBe(413)
      expect((yield* ask(address, userToken, "PUT", info(64 * 1024 + 1))).status).toBe(413)
      expect((yield* applier.as("POST", taskPath.lock, info(64 * 1024))).status).toBe(200)
    }))

  it.live("has nothing in its texts that a terminal obeys, since clients print them as they are, and no such ID", () =>
    Effect.gen(function*() {
      const { address, applier } = yield* applying
      const texts = (control: string) => ({ Who: `a${control}b`, Info: `c${control}d`, Operation: "Apply", Created: `${control}2026` })
      for (const ID of ["a\u001b[2J", "a\nb", "a\u202eb"]) {
        expect((yield* applier.as("POST", taskPath.lock, { ID })).json).toMatchObject({ error: "invalid" })
        expect((yield* ask(address, userToken, "PUT", { ID })).status).toBe(422)
      }
      expect((yield* applier.as("POST", taskPath.lock, { ID: "a", ...texts("\u001b]0;title\u0007") })).status).toBe(200)
      expect((yield* applier.lock("b")).json).toMatchObject({
        ID: "a",
        ...texts("]0;title"),
        message: expect.stringContaining("a]0;titleb")
      })
      expect((yield* applier.as("POST", taskPath.unlock, { ID: "a" })).status).toBe(200)
      expect((yield* ask(address, userToken, "PUT", { ID: "p", ...texts("\u202e") })).status).toBe(200)
      expect((yield* applier.lock("b")).json).toMatchObject({ ID: "p", ...texts("") })
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

describe("a lock that is opened by force", () => {
  it.live("fences its holder: what it writes is kept as evidence, it gets no other lock, and its end waits for a person", () =>
    Effect.gen(function*() {
      const { apply, applier, looked, url } = yield* applyingLocked
      expect((yield* looked).lock).toMatchObject({ id: "a", who: "worker", stage: apply.id, agent: "agent-1", taskUid: "task-uid-1" })
      const unlocked = yield* person(url).as("POST", statePath.unlock("demo"), { by: "me@here", lock: "a" })
      expect(unlocked.json).toMatchObject({
        epoch: 2,
        forcedUnlocks: [{ lockId: "a", holder: apply.id, epoch: 1, forcedBy: expect.stringContaining("me@here") }]
      })
      expect(unlocked.json.lock).toBeUndefined()
      expect((yield* applier.pushState(state(2), "a", 1)).status).toBe(409)
      expect((yield* applier.lock("again")).json.error).toBe("fenced")
      expect((yield* looked).evidence).toMatchObject([{ serial: 2 }])
      yield* agent(url).report(apply.id, lost)
      expect((yield* looked).pending).toHaveLength(1)
    }))

  it.live("is no other workspace's: a lock there stays, and a stage there gets one, which leaves nothing in doubt", () =>
    Effect.gen(function*() {
      const { url } = yield* applyingLocked
      yield* ask(`${url}/api/state/v1/workspaces/another`, userToken, "PUT", { ID: "p" })
      yield* person(url).as("POST", statePath.unlock("demo"), { by: "me@here", lock: "a" })
      expect(yield* person(url).state("another")).toMatchObject({ lock: { id: "p" }, forcedUnlocks: [] })
      yield* person(url).start("other", { "auto-apply": true })
      yield* planWith(url)
      const other = yield* agent(url).take
      expect((yield* worker(url, other).lock("b")).status).toBe(200)
      yield* worker(url, other).unlock("b")
      yield* agent(url).report(other.id, lost)
      expect((yield* person(url).state("other")).pending).toEqual([])
    }))

  it.live("is as open as before where there was none", () =>
    Effect.gen(function*() {
      const { applier, looked, url } = yield* applyingLocked
      yield* applier.unlock("a")
      yield* person(url).as("POST", statePath.unlock("demo"), { by: "me@here", lock: "a" })
      expect(yield* looked).toMatchObject({ epoch: 1, forcedUnlocks: [] })
    }))

  it.live("is the one that the person saw: of another one, taken since, the holder goes on", () =>
    Effect.gen(function*() {
      const { apply, applier, looked, url } = yield* applyingLocked
      yield* applier.unlock("a")
      yield* applier.lock("b")
      const unlocked = yield* person(url).as("POST", statePath.unlock("demo"), { by: "me@here", lock: "a" })
      const message =
        `The state of demo has another lock by now, b of ${apply.id}, which was not opened; look again with: agent-job state show demo`
      expect([unlocked.status, unlocked.json]).toEqual([409, { error: "changed", message }])
      expect(yield* looked).toMatchObject({ epoch: 2, lock: { id: "b" }, forcedUnlocks: [] })
      expect((yield* applier.pushState(state(2), "b", 2)).status).toBe(204)
    }))
})
