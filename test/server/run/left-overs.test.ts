// What stages left over at the server: the journal is compared with the state when the stage ends, whoever reports that end.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import type { StageResult } from "../../../src/schema/task/stage-result.ts"
import { Heap } from "../../../src/server/workspace/state-body.ts"
import { agent, evicted, failed, person, planWith, server, succeeded, withChanges, worker } from "../live-server.ts"
import { applying, encrypted, entry, lost, made, planned, stateWith } from "./applying.ts"

const killed: StageResult = {
  outcome: "failed",
  reason: "OutOfMemory",
  message: "The engine was killed.",
  exitCode: 137,
  statePushed: true,
  finishedAt: "2026-01-31T12:00:00Z"
}

describe("the end of a stage", () => {
  it.live("names what was made and is not in the state, though the worker is gone, and opens a rescue", () =>
    Effect.gen(function*() {
      const { append, applier, apply, effects, id, url } = yield* applying
      yield* append(...made)
      yield* applier.pushState(stateWith(["a", "1"]), "a", 1)
      yield* agent(url).report(apply.id, lost)
      expect(yield* effects).toEqual({
        unsaved: [{ action: "create", address: "time_sleep.b", idKey: "id", id: "2" }],
        unsavedCount: 1,
        unknown: [{ action: "create", address: "time_sleep.c" }],
        unknownCount: 1
      })
      const waiting = yield* person(url).view(yield* person(url).start("demo"))
      expect(waiting.queue).toMatchObject({ reason: "StateRescuePending" })
      expect(waiting.queue?.message).toContain(
        "Made, but not in the state: time_sleep.b [id=2]. Begun, outcome unknown: time_sleep.c (create)); look at it"
      )
      expect((yield* person(url).view(id)).failure).toContain("agent-job state rescue demo")
    }))

  it.live("names it too when the worker lived and gave the lock back", () =>
    Effect.gen(function*() {
      const { append, applier, effects, url } = yield* applying
      yield* append(...made.slice(0, 4))
      yield* applier.pushState(stateWith(["a", "1"]), "a", 1)
      yield* applier.unlock("a")
      yield* applier.result(killed)
      expect(yield* effects).toMatchObject({ unsavedCount: 1, unknownCount: 0 })
      expect((yield* person(url).view(yield* person(url).start("demo"))).queue).toMatchObject({ reason: "StateRescuePending" })
    }))

  it.live.each([
    { given: "an engine that was killed after its last push", result: killed, entries: made.slice(0, 4) },
    { given: "an engine that failed by itself", result: { ...failed(), statePushed: true }, entries: made }
  ])("names nothing of $given when the state has all that was made", ({ entries, result }) =>
    Effect.gen(function*() {
      const { append, applier, effects, url } = yield* applying
      yield* append(...entries)
      yield* applier.pushState(stateWith(["a", "1"], ["b", "2"]), "a", 1)
      yield* applier.unlock("a")
      yield* applier.result(result)
      expect(yield* effects).toBeUndefined()
      const next = yield* person(url).start("demo")
      expect((yield* agent(url).take).runId).toBe(next)
    }))

  it.live.each([
    { given: "a state that it can look into", pushed: stateWith(["a", "1"], ["b", "2"]) },
    { given: "an encrypted state", pushed: encrypted }
  ])(
    "names of an end in order, with $given, only the creations that a provider gave no answer about, and waits",
    ({ pushed }) =>
      Effect.gen(function*() {
        const { append, applier, effects, url } = yield* applying
        yield* append(
          ...made,
          entry(6, "started", "time_sleep.d"),
          entry(7, "failed", "time_sleep.c"),
          entry(8, "failed", "time_sleep.d"),
          {
            ...entry(9, "failed", "time_sleep.d"),
            unanswered: true
          }
        )
        yield* applier.pushState(pushed, "a", 1)
        yield* applier.unlock("a")
        yield* applier.result({ ...failed(), exitCode: 1, statePushed: true })
        expect(yield* effects).toEqual({
          unsaved: [],
          unsavedCount: 0,
          unknown: [{ action: "create", address: "time_sleep.d" }],
          unknownCount: 1
        })
        expect((yield* person(url).view(yield* person(url).start("demo"))).queue).toMatchObject({ reason: "StateRescuePending" })
      })
  )

  it.live.each([
    { end: "that was in order", result: { ...failed(), statePushed: true }, left: undefined },
    { end: "that was not", result: killed, left: { unsavedCount: 2, unknownCount: 1, unread: true } }
  ])("can look into no encrypted state: of an end $end it names $left", ({ left, result }) =>
    Effect.gen(function*() {
      const { append, applier, effects } = yield* applying
      yield* append(...made)
      yield* applier.pushState(encrypted, "a", 1)
      yield* applier.unlock("a")
      yield* applier.result(result)
      expect(yield* effects).toEqual(left === undefined ? undefined : expect.objectContaining(left))
    }))

  it.live.each([
    { end: "that was in order", result: { ...failed(), statePushed: true }, left: undefined },
    { end: "that was not", result: killed, left: { unsavedCount: 2, unread: true } }
  ])(
    "looks into no state that is too large for it: of an end $end it names $left, and says why",
    ({ left, result }) =>
      Effect.gen(function*() {
        const { append, applier, effects, url } = yield* applying.pipe(Effect.provideService(Heap, 1024))
        yield* append(...made.slice(0, 4))
        yield* applier.pushState(stateWith(["a", "1"], ["b", "2"]), "a", 1)
        yield* applier.unlock("a")
        yield* applier.result(result)
        expect(yield* effects).toEqual(left === undefined ? undefined : expect.objectContaining(left))
        const why = "The state may already contain some of this: it is encrypted, damaged, or too large for the server to look into"
        const { pending } = yield* person(url).state("demo")
        expect(pending).toEqual(left === undefined ? [] : [expect.objectContaining({ message: expect.stringContaining(why) })])
      })
  )

  it.live("that has longer names than there is memory for is taken to its end, and says that there may be more", () =>
    Effect.gen(function*() {
      const { append, apply, effects, url } = yield* applying
      const long = (at: number) => `${at}`.padEnd(1000, "€")
      const batch = (from: number) => Array.from({ length: 100 }, (_, at) => entry(from + at, "done", long(from + at), long(from + at)))
      const [fitting, sent] = [2700, 3000] // an entry has 6 kB, so 16 MiB have room for 2790
      for (let from = 1; from <= sent; from += 100) expect((yield* append(...batch(from))).status).toBe(200)
      expect((yield* append(entry(sent + 1, "done", "time_sleep.a", "1"))).json).toEqual({ number: sent + 1 })
      yield* agent(url).report(apply.id, lost)
      const left = yield* effects
      expect(left).toMatchObject({ incomplete: true })
      expect(left?.unsavedCount).toBeGreaterThan(fitting)
      expect(left?.unsavedCount).toBeLessThan(sent)
    }))

  it.live("takes success at its word, and keeps no journal of it", () =>
    Effect.gen(function*() {
      const { append, applier, effects } = yield* applying
      yield* append(...made)
      yield* applier.pushState(stateWith(), "a", 1)
      yield* applier.unlock("a")
      yield* applier.result(succeeded({ ...withChanges, statePushed: true }))
      expect(yield* effects).toBeUndefined()
    }))
})

describe("what a plan wants to be made", () => {
  const names = (found: ReadonlyArray<{ readonly address: string }> | undefined) => found?.map(({ address }) => address)
  it.live("is named when the worker of its apply vanished with what it saw, and is waited for", () =>
    Effect.gen(function*() {
      const { append, applier, apply, effects, url } = yield* applying
      yield* append(...made.slice(0, 1))
      yield* applier.pushState(stateWith(["b", "2"]), "a", 1)
      yield* person(url).start("other", { "plan-only": true })
      yield* planWith(url)
      yield* agent(url).report(apply.id, lost)
      const said = yield* effects
      expect([names(said?.unknown), names(said?.unseen), said?.unseenCount]).toEqual([["time_sleep.a"], ["time_sleep.c"], 1])
      const state = yield* person(url).as("GET", "/api/agent-job/v1/workspaces/demo/state")
      expect(names(state.json.pending[0].effects.unseen)).toEqual(["time_sleep.c"])
      expect(state.json.pending[0].message).toContain("Planned, unknown whether it was made: time_sleep.c")
    }))

  it.live("is no matter once the worker has told all of its engine, however late", () =>
    Effect.gen(function*() {
      const { append, apply, effects, url } = yield* applying
      yield* append(...made.slice(0, 2))
      yield* agent(url).report(apply.id, lost)
      expect((yield* effects)?.unseenCount).toBe(2)
      yield* append(entry(3, "started", "time_sleep.b"))
      expect((yield* person(url).state("demo")).pending[0].effects.unseenCount).toBe(1)
      yield* append(entry(4, "closed", ""))
      expect((yield* effects)?.unseenCount).toBeUndefined()
    }))

  it.live("is no matter to an apply that gave the lock back", () =>
    Effect.gen(function*() {
      const { applier, apply, effects, url } = yield* applying
      yield* applier.unlock("a")
      yield* agent(url).report(apply.id, lost)
      expect(yield* effects).toBeUndefined()
    }))

  it.effect("is what the last one wants, where one before it was disrupted", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo", { "auto-apply": true })
      const first = yield* agent(url).take
      yield* worker(url, first).as("POST", taskPath.effects, { entries: planned.slice(0, 2) })
      yield* agent(url).report(first.id, evicted)
      yield* TestClock.adjust("5 seconds")
      yield* planWith(url, "the plan", succeeded(withChanges), [entry(1, "planned", "time_sleep.z")])
      const apply = yield* agent(url).take
      yield* worker(url, apply).lock("a")
      yield* agent(url).report(apply.id, lost)
      expect(names((yield* person(url).view(id)).stages.at(-1)?.effects?.unseen)).toEqual(["time_sleep.z"])
    }))

  it.live("is all that a plan stage may say, and nothing that an apply may", () =>
    Effect.gen(function*() {
      const { append } = yield* applying
      expect(yield* append(...planned)).toMatchObject({
        status: 409,
        json: { error: "wrong-stage", message: expect.stringContaining("plans nothing") }
      })
    }))
})
