// The journals of stages at the server: each entry is stored once and in order, and what comes after the end is accounted for.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { type JournalEntry, journalLimitBytes } from "../../../src/schema/api/effects.ts"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { agent, directory, failed, onTheWay, person, planWith, serve, server, worker } from "../live-server.ts"
import { applying, entry, lost, made, stateWith } from "./applying.ts"

/** Starts a server whose data are in this folder, stores the journal of an apply there, and stops the server; returns the apply. */
const journalled = (folder: string) =>
  Effect.scoped(Effect.gen(function*() {
    const url = yield* serve(folder)
    yield* person(url).start("demo", { "auto-apply": true })
    yield* planWith(url)
    const apply = yield* agent(url).take
    yield* worker(url, apply).as("POST", taskPath.effects, { entries: made })
    return apply
  }))

describe("the journal of a stage", () => {
  it.live("is appended to, and what is repeated is stored once", () =>
    Effect.gen(function*() {
      const { append, apply, effects, url } = yield* applying
      expect((yield* append(...made.slice(0, 2))).json).toEqual({ number: 2 })
      expect((yield* append(...made.slice(0, 2))).json).toEqual({ number: 2 })
      expect((yield* append(...made)).json).toEqual({ number: 5 })
      yield* agent(url).report(apply.id, lost)
      expect(yield* effects).toMatchObject({ unsavedCount: 2, unknownCount: 1 })
    }))

  it.live("is appended to without a look at what is stored of it, also once it is full", () =>
    Effect.gen(function*() {
      const { append, apply, sql } = yield* applying
      const [first, second, third] = made
      yield* append(first!, second!)
      const over = JSON.stringify({ ...first, address: "a".repeat(journalLimitBytes) })
      yield* sql`UPDATE effects SET entry = ${over} WHERE stageId = ${apply.id} AND number = 1`
      yield* append(third!)
      expect(yield* sql`SELECT entry FROM effects WHERE stageId = ${apply.id} AND number = 3`).toEqual([{ entry: JSON.stringify(third) }])
      yield* append(entry(4, "full", ""))
      yield* sql`UPDATE effects SET entry = 'unreadable' WHERE stageId = ${apply.id} AND number = 1`
      expect(yield* append(entry(5, "full", ""))).toMatchObject({ status: 200, json: { number: 5 } })
    }))

  it.live("is taken from a newer worker, whose entries say more than the server knows", () =>
    Effect.gen(function*() {
      const { applier } = yield* applying
      const entries = made.map((one) => ({ ...one, news: true }))
      expect(yield* applier.as("POST", taskPath.effects, { entries })).toMatchObject({ status: 200, json: { number: made.length } })
    }))

  it.live("refuses a gap, and says where it ends", () =>
    Effect.gen(function*() {
      const { append } = yield* applying
      yield* append(...made.slice(0, 1))
      expect(yield* append(...made.slice(2))).toMatchObject({ status: 409, json: { error: "journal-gap", number: 1 } })
      expect(yield* append(entry(2, "done", "a.b"), entry(4, "done", "a.b"))).toMatchObject({
        status: 422,
        json: { message: expect.stringContaining("none was stored; send them again in order") }
      })
    }))

  it.live.each([
    ["no entries", { entries: [] }],
    ["too many entries", { entries: Array.from({ length: 101 }, (_, at) => entry(at + 1, "done", "a.b")) }],
    ["a number past the end", { entries: [entry(40_001, "done", "a.b")] }],
    ["an address that is too long", { entries: [entry(1, "done", "a".repeat(1025))] }],
    ["an unknown kind", { entries: [{ ...entry(1, "done", "a.b"), kind: "undone" }] }]
  ])("refuses %s", (_, body) =>
    Effect.gen(function*() {
      const { applier } = yield* applying
      expect((yield* applier.as("POST", taskPath.effects, body)).status).toBe(422)
    }))

  it.live("is for the worker of an apply or destroy that runs, and for nobody else", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).start("demo", { "auto-apply": true })
      const plan = yield* agent(url).take
      expect(yield* worker(url, plan).as("POST", taskPath.effects, { entries: made })).toMatchObject({
        status: 409,
        json: { error: "wrong-stage", message: expect.stringContaining(`${plan.id} makes nothing`) }
      })
      expect((yield* person(url).as("POST", taskPath.effects, { entries: made })).status).toBe(401)
      yield* worker(url, plan).result(failed())
      expect(yield* worker(url, plan).as("POST", taskPath.effects, { entries: made })).toMatchObject({
        status: 409, // not 401, after which a worker would ask again, because its token may be renewed
        json: { error: "stage-over", message: expect.stringContaining(`${plan.id} is over`) }
      })
      expect((yield* worker(url, { ...plan, taskToken: "no token" }).as("POST", taskPath.effects, { entries: made })).status).toBe(401)
    }))

  it.live("is kept to its limit, up to which its bytes are counted entry by entry", () =>
    Effect.gen(function*() {
      const { append, apply, sql } = yield* applying
      const [fits, comesAfter] = [entry(6, "done", "time_sleep.c", "3"), entry(7, "started", "time_sleep.d")]
      yield* append(...made)
      const bytes = made.reduce((sum, one) => sum + JSON.stringify(one).length, 0)
      expect(yield* sql`SELECT journalBytes FROM effects WHERE stageId = ${apply.id} AND number = ${made.length}`).toEqual([{
        journalBytes: bytes
      }])
      const before = journalLimitBytes - JSON.stringify(fits).length
      yield* sql`UPDATE effects SET journalBytes = ${before} WHERE stageId = ${apply.id} AND number = ${made.length}`
      for (const one of [fits, comesAfter]) yield* append(one)
      expect(yield* sql`SELECT entry FROM effects WHERE stageId = ${apply.id} AND number >= 6`).toEqual(
        [fits, entry(7, "full", "")].map((one) => ({ entry: JSON.stringify(one) }))
      )
    }))

  it.live("outlives a restart of the server", () =>
    Effect.gen(function*() {
      const folder = yield* directory
      const apply = yield* journalled(folder)
      const url = yield* serve(folder)
      yield* agent(url).report(apply.id, lost)
      expect((yield* person(url).view(apply.runId)).stages.at(-1)?.effects).toMatchObject({ unsavedCount: 2, unknownCount: 1 })
    }))
})

describe("the end of a stage", () => {
  it.live("lets the journal be completed afterwards, where it left a doubt, and doubts again what comes after that was settled", () =>
    Effect.gen(function*() {
      const { append, apply, effects, url } = yield* applying
      yield* append(...made.slice(0, 2))
      yield* agent(url).report(apply.id, lost)
      const settle = person(url).settle("demo")
      expect((yield* settle).json.pending).toEqual([])
      expect((yield* append(...made.slice(0, 2))).status).toBe(200)
      expect((yield* person(url).as("GET", "/api/agent-job/v1/workspaces/demo/state")).json.pending).toEqual([])
      expect((yield* append(...made.slice(2))).json).toEqual({ number: 5 })
      expect(yield* effects).toMatchObject({ unsavedCount: 2, unknownCount: 1 })
      expect((yield* person(url).as("GET", "/api/agent-job/v1/workspaces/demo/state")).json.pending).toHaveLength(1)
    }))

  it.live.each(
    [
      { decision: "to keep the stored state", reason: "NodeLost", use: false, left: 2 },
      { decision: "for a refused state, which has one of two things", reason: "NodeLost", use: true, left: 1 },
      { decision: "about an end that is called Lost", reason: "Lost", use: false, left: 2 }
    ] as const
  )(
    "names in the view of its run what came late, without a last word, from a decision $decision, on",
    ({ left, reason, use }) =>
      Effect.gen(function*() {
        const { append, applier, apply, effects, reads, url } = yield* applying
        yield* applier.pushState(stateWith(), "a", 1)
        yield* agent(url).report(apply.id, { ...lost, reason })
        if (use) yield* applier.pushState({ ...stateWith(["a", "1"]), serial: 9 }, "a", 1)
        yield* append(...made.slice(0, 4))
        expect((yield* effects)?.unsavedCount ?? 0).toBe(0)
        const { evidence } = yield* person(url).state("demo")
        const before = reads()
        const settled = yield* person(url).settle("demo", use ? { use: evidence[0].id } : {})
        expect([settled.status, settled.json.pending]).toEqual([200, []])
        expect(reads() - before).toBe(2) // once for the look before the decision, and once for the decision
        expect(yield* effects).toMatchObject({ unsavedCount: left })
      })
  )

  it.live("reads the state at most once for all that comes late, and still names each thing that it lacks", () =>
    Effect.gen(function*() {
      const { append, applier, apply, effects, reads, url } = yield* applying
      yield* applier.pushState(stateWith(["late1", "1"]), "a", 1)
      yield* append(...made.slice(0, 2))
      yield* agent(url).report(apply.id, lost)
      const atEnd = reads()
      for (let n = 1; n <= 20; n++) expect((yield* append(entry(n + 2, "done", `time_sleep.late${n}`, `${n}`))).status).toBe(200)
      expect(reads() - atEnd).toBe(0)
      const shown = (yield* person(url).state("demo")).pending[0].effects
      expect(shown.unsaved.map(({ address }: JournalEntry) => address)).toEqual([
        "time_sleep.a",
        ...Array.from({ length: 19 }, (_, n) => `time_sleep.late${n + 2}`)
      ])
      expect(yield* effects).toMatchObject({ unsavedCount: 1 })
      const closed = { number: 23, kind: "closed", action: "create", address: "" } as const
      const before = reads()
      for (const number of [23, 24, 25]) yield* append({ ...closed, number })
      expect(reads() - before).toBe(1)
      expect(yield* effects).toMatchObject({ unsavedCount: 20 })
      expect(yield* effects).not.toHaveProperty("unseen")
    }))

  it.effect("reads the state for what comes after a decision only where something may be missing, and then once in 5 s", () =>
    Effect.gen(function*() {
      const { append, applier, apply, reads, url } = yield* applying
      yield* applier.pushState(stateWith(["a", "1"], ["b", "2"], ["c", "3"]), "a", 1)
      yield* agent(url).report(apply.id, lost)
      yield* person(url).settle("demo")
      const before = reads()
      const changed = (number: number) => append({ ...entry(number, "done", "time_sleep.a", "1"), action: "update" })
      expect([(yield* changed(1)).status, (yield* changed(2)).status, reads() - before]).toEqual([200, 200, 0])
      const again = (number: number) => append(entry(number, "done", "time_sleep.a", "1"))
      expect([(yield* again(3)).status, reads() - before]).toEqual([200, 1])
      const sooner = yield* again(4)
      expect([sooner.status, sooner.headers.get("retry-after"), reads() - before]).toEqual([503, "5", 1])
      yield* TestClock.adjust("5 seconds")
      expect([(yield* again(4)).status, reads() - before]).toEqual([200, 2])
      expect((yield* person(url).state("demo")).pending).toEqual([])
    }))

  it.live("lets the same entries come again at once where the look at the state came to nothing", () =>
    Effect.gen(function*() {
      const { append, apply, sql, url } = yield* applying
      yield* agent(url).report(apply.id, lost)
      yield* person(url).settle("demo")
      const late = append(entry(1, "done", "time_sleep.a", "1"))
      yield* sql`CREATE TRIGGER broken BEFORE INSERT ON rescues BEGIN SELECT RAISE(ABORT, 'the disk is full'); END`
      const broken = yield* late
      yield* sql`DROP TRIGGER broken`
      expect([broken.json.error, (yield* late).status]).toEqual(["storage", 200])
      expect((yield* person(url).state("demo")).pending).toHaveLength(1)
    }))

  it.live("accounts for what was on the way when it came", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo", { "auto-apply": true })
      yield* planWith(url)
      const apply = yield* agent(url).take
      const late = yield* onTheWay(url, apply, taskPath.effects, JSON.stringify({ entries: made }))
      yield* agent(url).report(apply.id, lost)
      expect(yield* late).toBe(200)
      expect((yield* person(url).view(id)).stages.at(-1)?.effects).toMatchObject({ unsavedCount: 2, unknownCount: 1 })
      expect((yield* person(url).as("GET", "/api/agent-job/v1/workspaces/demo/state")).json.pending).toHaveLength(1)
    }))
})
