// What stages left over at the server: the journal is compared with the state when the stage ends, whoever reports that end.
import { describe, expect, it, vi } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import { readFileSync, writeFileSync } from "node:fs"
import { request as call } from "node:http"
import { join } from "node:path"
import { type AuditEntry, auditPath } from "../../../src/schema/api/audit.ts"
import type { JournalEntry, LeftOver } from "../../../src/schema/api/effects.ts"
import type { Assignment } from "../../../src/schema/api/pool-api.ts"
import { statePath } from "../../../src/schema/api/state.ts"
import { taskHeader, taskPath } from "../../../src/schema/api/task-api.ts"
import type { StageResult } from "../../../src/schema/task/stage-result.ts"
import { Rooms } from "../../../src/server/access/bodies.ts"
import { Heap } from "../../../src/server/workspace/state-body.ts"
import { unpack } from "../../../src/worker/volume/archive.ts"
import { openFolder } from "../../../src/worker/volume/folder.ts"
import {
  agent,
  directory,
  evicted,
  failed,
  onTheWay,
  person,
  planWith,
  server,
  succeeded,
  taskUid,
  userToken,
  withChanges,
  worker
} from "../live-server.ts"
import { applying, applyingIn, entry, lost, made, planned } from "./applying.ts"

const killed: StageResult = {
  outcome: "failed",
  reason: "OutOfMemory",
  message: "The engine was killed.",
  exitCode: 137,
  statePushed: true,
  finishedAt: "2026-01-31T12:00:00Z"
}

const stateWith = (...objects: ReadonlyArray<readonly [name: string, id: string]>) => ({
  version: 4,
  serial: 1,
  lineage: "l",
  resources: objects.map(([name, id]) => ({ mode: "managed", type: "time_sleep", name, instances: [{ attributes: { id } }] }))
})
const encrypted = { serial: 1, lineage: "l", meta: {}, encrypted_data: "krIj", encryption_version: "v0" }

/** Settles what is in doubt, and loses the next run in its apply stage too, after it told this of its engine. */
const lostAfter = Effect.fnUntraced(function*(url: string, told: JournalEntry) {
  yield* person(url).settle("demo")
  yield* person(url).start("demo", { "auto-apply": true })
  yield* planWith(url)
  const second = yield* agent(url).take
  yield* worker(url, second).as("POST", taskPath.effects, { entries: [told] })
  yield* agent(url).report(second.id, lost)
})

/** Spies on JSON.parse; the function that it gives returns how often exactly this state has been parsed since. */
const parsesOf = Effect.map(
  Effect.acquireRelease(Effect.sync(() => vi.spyOn(JSON, "parse")), (parse) => Effect.sync(() => parse.mockRestore())),
  (parse) => (state: object) => parse.mock.calls.filter(([text]) => text === JSON.stringify(state)).length
)

/** Room for 10 kB of states in all, small ones included, for which a state waits 100 ms. */
const scarce = Effect.map(Rooms, ({ largeStates, smallStates, ...others }) => ({
  ...others,
  smallStates: { ...smallStates, upTo: 0 },
  largeStates: { ...largeStates, all: 10_000, wait: Duration.millis(100) }
}))

/** Announces a state of `large` bytes that never arrives, so that it holds that room until it is destroyed. */
const filling = (url: string, large: number) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const sent = call(`${url}/api/state/v1/workspaces/demo?ID=a`, {
        method: "POST",
        headers: { authorization: `Bearer ${userToken}`, "content-length": large }
      })
      sent.on("error", () => undefined).flushHeaders() // the connection is closed in the end
      return sent
    }),
    (sent) => Effect.sync(() => sent.destroy())
  )

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

  it.live("parses the state once for all its rescues, when they are looked at and when they are settled", () =>
    Effect.gen(function*() {
      const { append, applier, apply, effects, url } = yield* applying
      const stored = stateWith(["x", "1"])
      yield* applier.pushState(stored, "a", 1)
      yield* agent(url).report(apply.id, lost)
      const late = [append(...made.slice(0, 4))]
      for (const address of ["time_sleep.d", "time_sleep.e"]) {
        yield* person(url).settle("demo")
        yield* person(url).start("demo", { "auto-apply": true })
        yield* planWith(url)
        const next = yield* agent(url).take
        yield* worker(url, next).lock(address)
        yield* agent(url).report(next.id, lost)
        late.push(worker(url, next).as("POST", taskPath.effects, { entries: [entry(1, "done", address, "3")] }))
      }
      yield* Effect.all(late)
      const parses = yield* parsesOf
      const seen = yield* person(url).state("demo")
      expect(seen.pending.map((rescue: { effects: LeftOver }) => rescue.effects.unsavedCount).sort()).toEqual([1, 1, 2])
      expect(parses(stored)).toBe(1)
      expect((yield* person(url).settle("demo")).json.pending).toEqual([])
      expect(parses(stored)).toBe(3) // once more for the look before the decision, and once for the decision
      expect(yield* effects).toMatchObject({ unsavedCount: 2 })
    }))

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

  it.live("reads the state once for all its rescues, as there is room for it, and tells the others when to come again", () =>
    Effect.gen(function*() {
      const rooms = yield* scarce
      const { append, applier, apply, reads, url } = yield* applying.pipe(Effect.provideService(Rooms, rooms))
      yield* applier.pushState(stateWith(["x", "1"]), "a", 1)
      yield* append(...made.slice(0, 2))
      yield* agent(url).report(apply.id, lost)
      yield* lostAfter(url, entry(1, "done", "time_sleep.c", "3"))
      yield* append(...made.slice(2, 4)) // the worker that was lost comes back
      const before = reads()
      expect((yield* person(url).state("demo")).pending.map(({ effects }: { effects: LeftOver }) => effects.unsavedCount)).toEqual([
        2,
        1
      ])
      expect(reads() - before).toBe(1)
      const arriving = yield* filling(url, rooms.largeStates.all)
      const look = person(url).as("GET", statePath.state("demo"))
      yield* Effect.repeat(look, { until: ({ status }) => status === 503 }).pipe(Effect.timeout("20 seconds"))
      arriving.destroy()
      yield* Effect.repeat(look, { until: ({ status }) => status === 200 }).pipe(Effect.timeout("20 seconds"))
    }))

  it.live("is shown after a decision as there is room to look: the decision is told without it too, and is in the audit trail", () =>
    Effect.gen(function*() {
      const rooms = yield* scarce
      const { append, applier, apply, url } = yield* applying.pipe(Effect.provideService(Rooms, rooms))
      yield* applier.pushState(stateWith(["x", "1"]), "a", 1)
      yield* append(...made.slice(0, 2))
      yield* agent(url).report(apply.id, lost)
      const unlock = person(url).as("POST", statePath.unlock("demo"), { by: "me@here", lock: "a" })
      expect((yield* unlock).json.pending).toMatchObject([{ effects: { unsavedCount: 1 } }])
      yield* filling(url, rooms.largeStates.all)
      const look = person(url).as("GET", statePath.state("demo"))
      yield* Effect.repeat(look, { until: ({ status }) => status === 503 }).pipe(Effect.timeout("20 seconds"))
      const { json: { pending: [rescue, ...others] }, status } = yield* unlock
      expect([status, rescue.stage, rescue.effects, others]).toEqual([200, apply.id, undefined, []])
      const { json: { entries } } = yield* person(url).as("GET", auditPath.all)
      expect(entries.filter(({ action }: AuditEntry) => action.endsWith("/unlock"))).toHaveLength(2)
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

  it.live("is shown with its rescue as it stands against the state of now", () =>
    Effect.gen(function*() {
      const { append, apply, url } = yield* applying
      yield* append(...made)
      yield* agent(url).report(apply.id, lost)
      const shown = Effect.map(person(url).as("GET", "/api/agent-job/v1/workspaces/demo/state"), ({ json }) => json.pending[0].effects)
      expect(yield* shown).toMatchObject({ unsavedCount: 2, unknownCount: 1 })
      const address = "/api/state/v1/workspaces/demo"
      yield* person(url).as("PUT", address, { ID: "mine" })
      expect((yield* person(url).as("POST", `${address}?ID=mine`, stateWith(["a", "1"]))).status).toBe(204)
      expect(yield* shown).toMatchObject({ unsavedCount: 1, unsaved: [{ address: "time_sleep.b" }] })
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

describe("the import of what is missing", () => {
  /** A workspace whose apply was lost after these entries, and another run that waits. */
  const doubted = (entries: ReadonlyArray<JournalEntry>, workingDirectory = "", stored = stateWith(["a", "1"])) =>
    Effect.gen(function*() {
      const { append, applier, apply, blobs, id, url, workspaceId } = yield* applyingIn(workingDirectory)
      yield* append(...entries)
      yield* applier.pushState(stored, "a", 1)
      yield* agent(url).report(apply.id, lost)
      const waiting = yield* person(url).start("demo")
      const moveTo = (directory: string) =>
        person(url).as("PATCH", `/api/v2/workspaces/${workspaceId}`, { data: { attributes: { "working-directory": directory } } })
      return { url, id, applier, blobs, waiting, moveTo, import: person(url).as("POST", "/api/agent-job/v1/workspaces/demo/state/import") }
    })
  const pending = (url: string) =>
    Effect.map(person(url).as("GET", "/api/agent-job/v1/workspaces/demo/state"), ({ json }): ReadonlyArray<unknown> => json.pending)
  const importing = succeeded({ changes: { add: 0, change: 0, destroy: 0, import: 2 }, hasChanges: true })
  type Objects = ReadonlyArray<readonly [name: string, id: string]>
  /** Plans, approves and applies the import; its apply ends so, with a state that has these objects. */
  const importedWith = Effect.fnUntraced(function*(result: StageResult, url: string, runId: string, ...objects: Objects) {
    const plan = yield* planWith(url, "the plan", importing)
    expect(plan.runId).toBe(runId)
    expect((yield* person(url).act(runId, "apply")).status).toBe(202)
    const apply = yield* agent(url).take
    expect(apply.runId).toBe(runId)
    const { json } = yield* worker(url, apply).lock("b")
    yield* worker(url, apply).pushState({ ...stateWith(...objects), serial: 2 }, "b", json.epoch)
    yield* worker(url, apply).unlock("b")
    expect((yield* worker(url, apply).result({ ...result, statePushed: true })).status).toBe(204)
  })
  const imported = (url: string, runId: string, ...objects: Objects) => importedWith(succeeded(withChanges), url, runId, ...objects)

  /** Unpacks the archive of a stage as its worker does, and returns the folder. */
  const unpacked = Effect.fnUntraced(function*(url: string, { taskToken }: Pick<Assignment, "taskToken">) {
    const folder = yield* directory
    const archive = yield* Effect.promise(async () => {
      const response = await fetch(`${url}${taskPath.archive}`, {
        headers: { authorization: `Bearer ${taskToken}`, [taskHeader.taskUid]: taskUid }
      })
      return response.arrayBuffer()
    })
    writeFileSync(join(folder, "archive"), Buffer.from(archive))
    yield* Effect.scoped(Effect.flatMap(openFolder(folder), (root) => unpack(join(folder, "archive"), root)))
    return folder
  })

  it.live("is a run of the same configuration with import blocks, for these addresses alone, before everything else of the workspace", () =>
    Effect.gen(function*() {
      const { import: start, url, waiting } = yield* doubted(made)
      const { json, status } = yield* start
      expect([status, json.addresses]).toEqual([200, ["time_sleep.b"]])
      const [assignment, ...others] = yield* agent(url).acquire()
      expect(others).toEqual([])
      expect(assignment).toMatchObject({ runId: json.runId, stage: "plan", options: { targets: ["time_sleep.b"] } })
      const folder = yield* unpacked(url, assignment!)
      expect(readFileSync(join(folder, "main.tf"), "utf8")).toBe("output \"m\" { value = 1 }")
      expect(readFileSync(join(folder, "agent-job-import.tf"), "utf8")).toBe("import {\n  to = time_sleep.b\n  id = \"2\"\n}\n")
      expect((yield* person(url).view(waiting)).queue).toMatchObject({ reason: "StateRescuePending" })
      expect((yield* person(url).view(json.runId)).queue?.reason).toBeUndefined()
    }))

  it.live.each(["environments/prod/", "münchen", "long".repeat(40)])(
    "has its blocks in the working directory %s, in which the run was that it imports for, and plans there",
    (workingDirectory) =>
      Effect.gen(function*() {
        const { import: start, moveTo, url } = yield* doubted(made, workingDirectory)
        expect((yield* moveTo("elsewhere")).status).toBe(200)
        yield* start
        const assignment = yield* agent(url).take
        expect(assignment.workingDirectory).toBe(workingDirectory)
        const folder = yield* unpacked(url, assignment)
        expect(readFileSync(join(folder, workingDirectory, "agent-job-import.tf"), "utf8")).toContain("to = time_sleep.b")
        expect(readFileSync(join(folder, "main.tf"), "utf8")).toBe("output \"m\" { value = 1 }")
      })
  )

  it.live("settles the rescue once nothing is missing any more, and the workspace goes on", () =>
    Effect.gen(function*() {
      const { id, import: start, url, waiting } = yield* doubted([...made.slice(0, 4), entry(5, "closed", "")])
      yield* imported(url, (yield* start).json.runId, ["a", "1"], ["b", "2"])
      expect(yield* pending(url)).toEqual([])
      expect((yield* person(url).view(id)).stages.at(-1)?.effects).toBeUndefined()
      expect((yield* agent(url).take).runId).toBe(waiting)
    }))

  it.live("leaves the rescue to a person when its apply failed, though the state has what was missing", () =>
    Effect.gen(function*() {
      const { import: start, url } = yield* doubted([...made.slice(0, 4), entry(5, "closed", "")])
      yield* importedWith(failed(), url, (yield* start).json.runId, ["a", "1"], ["b", "2"])
      const open = yield* pending(url)
      expect(open).toHaveLength(1)
      expect(open[0]).not.toHaveProperty("effects")
    }))

  it.live("fails its plan where the engine passes over one of its blocks, and so would make that thing once more", () =>
    Effect.gen(function*() {
      const { import: start, url } = yield* doubted(made)
      const { runId } = (yield* start).json
      yield* planWith(url)
      expect(yield* person(url).view(runId)).toMatchObject({
        status: "errored",
        failure: expect.stringMatching(/^The plan imports 0 of 1, and would make the rest once more: /u)
      })
    }))

  it.live("leaves to a person what was made in the place of something that the state has at its address", () =>
    Effect.gen(function*() {
      const entries = [...made.slice(0, 4), entry(5, "started", "time_sleep.c"), entry(6, "done", "time_sleep.c", "3")]
      const { import: start, url } = yield* doubted(entries, "", stateWith(["a", "1"], ["b", "0"]))
      expect((yield* start).json.addresses).toEqual(["time_sleep.c"])
      expect(yield* pending(url)).toMatchObject([
        { effects: { unsaved: [{ address: "time_sleep.b", replaces: true }, { address: "time_sleep.c" }] } }
      ])
    }))

  it.live("leaves what only a person can look for", () =>
    Effect.gen(function*() {
      const { import: start, url } = yield* doubted(made)
      yield* imported(url, (yield* start).json.runId, ["a", "1"], ["b", "2"])
      expect(yield* pending(url)).toMatchObject([{ effects: { unsavedCount: 0, unknown: [{ address: "time_sleep.c" }] } }])
      expect(yield* agent(url).acquire()).toEqual([])
    }))

  it.live("leaves it to a person when a refused state of the stage has come, which may have more", () =>
    Effect.gen(function*() {
      const { applier, import: start, url } = yield* doubted([...made.slice(0, 4), entry(5, "closed", "")])
      const { runId } = (yield* start).json
      yield* applier.pushState({ ...stateWith(["a", "1"], ["b", "2"], ["d", "4"]), serial: 9 }, "a", 1)
      yield* imported(url, runId, ["a", "1"], ["b", "2"])
      expect(yield* pending(url)).toMatchObject([{ stage: expect.any(String) }])
      expect((yield* person(url).settle("demo", { use: (yield* person(url).state("demo")).evidence[0].id })).json.version.serial).toBe(9)
    }))

  it.live("settles the rescue though there is a refused state of the stage, if a person decided on that before the doubt came back", () =>
    Effect.gen(function*() {
      const { applier, import: start, url } = yield* doubted(made.slice(0, 4))
      yield* applier.pushState({ ...stateWith(["a", "1"], ["b", "2"]), serial: 9 }, "a", 1)
      expect((yield* person(url).settle("demo")).json.pending).toEqual([])
      yield* applier.as("POST", taskPath.effects, {
        entries: [entry(5, "started", "time_sleep.c"), entry(6, "done", "time_sleep.c", "3"), entry(7, "closed", "")]
      }) // the worker that was lost comes back
      yield* imported(url, (yield* start).json.runId, ["a", "1"], ["b", "2"], ["c", "3"])
      expect(yield* pending(url)).toEqual([])
    }))

  it.live("ends with its rescue, wherever it is by then: no other apply of the workspace finds it beside itself", () =>
    Effect.gen(function*() {
      const { import: start, url, waiting } = yield* doubted(made)
      const { runId } = (yield* start).json
      yield* planWith(url, "the plan", importing)
      yield* person(url).act(runId, "apply")
      const [offered] = yield* agent(url).acquire()
      expect(offered).toMatchObject({ runId, stage: "apply" })
      expect((yield* person(url).settle("demo")).status).toBe(200)
      expect((yield* person(url).view(runId)).status).toBe("canceled")
      expect((yield* person(url).act(runId, "apply")).status).toBe(409)
      expect((yield* agent(url).take).runId).toBe(waiting)
      expect((yield* worker(url, offered!).lock("late")).status).toBe(401)
    }))

  it.live("is waited for, or stopped first, once its apply is out: until then its rescue stays", () =>
    Effect.gen(function*() {
      const { import: start, url } = yield* doubted(made)
      const { runId } = (yield* start).json
      yield* planWith(url, "the plan", importing)
      yield* person(url).act(runId, "apply")
      const { id } = yield* agent(url).take
      expect(yield* person(url).settle("demo")).toMatchObject({
        status: 409,
        json: { error: "import-runs", message: expect.stringContaining(`or stop it with: agent-job cancel ${runId}`) }
      })
      expect(yield* agent(url).acquire()).toEqual([])
      yield* person(url).act(runId, "cancel")
      yield* agent(url).report(id, { ...failed(), outcome: "cancelled", reason: "Cancelled" })
      expect((yield* person(url).settle("demo")).json.pending).toEqual([])
    }))

  it.live("does not begin beside an apply that was at work before the doubt came", () =>
    Effect.gen(function*() {
      const { append, apply, url } = yield* applying
      yield* agent(url).report(apply.id, lost)
      yield* person(url).settle("demo")
      const second = yield* person(url).start("demo", { "auto-apply": true })
      yield* planWith(url)
      const applier = worker(url, yield* agent(url).take)
      yield* applier.lock("b")
      yield* append(...made.slice(0, 2)) // the worker that was lost comes back
      const start = person(url).as("POST", "/api/agent-job/v1/workspaces/demo/state/import")
      expect(yield* start).toMatchObject({
        status: 409,
        json: { error: "wrong-moment", message: expect.stringContaining(`The run ${second} is still applying`) }
      })
      yield* applier.unlock("b")
      yield* applier.result(succeeded({ ...withChanges, statePushed: true }))
      expect((yield* start).status).toBe(200)
    }))

  it.live("begins beside a plan that is at work and an apply that has not begun, which changes nothing before the doubt is settled", () =>
    Effect.gen(function*() {
      const { append, apply, url } = yield* applying
      yield* agent(url).report(apply.id, lost)
      yield* person(url).settle("demo")
      yield* person(url).start("demo", { "auto-apply": true })
      yield* planWith(url)
      yield* agent(url).take
      yield* person(url).start("demo", { "plan-only": true })
      yield* worker(url, yield* agent(url).take).log(0, "begun")
      yield* append(...made.slice(0, 2)) // the worker that was lost comes back
      expect((yield* person(url).as("POST", "/api/agent-job/v1/workspaces/demo/state/import")).status).toBe(200)
    }))

  it.live("is for whichever rescue has something to import, though an older one has nothing", () =>
    Effect.gen(function*() {
      const { append, apply, url } = yield* applying
      yield* append(...made.slice(0, 2))
      yield* agent(url).report(apply.id, lost)
      yield* lostAfter(url, entry(1, "started", "time_sleep.c"))
      yield* append(...made.slice(2, 4)) // the worker that was lost comes back
      expect(yield* pending(url)).toHaveLength(2)
      expect((yield* person(url).as("POST", "/api/agent-job/v1/workspaces/demo/state/import")).json.addresses).toEqual([
        "time_sleep.a",
        "time_sleep.b"
      ])
    }))

  it.live.each([
    { state: "too large", pushed: stateWith(["a", "1"]), heapBytes: 1024 },
    { state: "encrypted", pushed: encrypted, heapBytes: 2 ** 30 }
  ])("is refused where the server cannot look into the state, which is $state: it would be for what the state has, again and again", ({
    heapBytes,
    pushed
  }) =>
    Effect.gen(function*() {
      const { append, applier, apply, url } = yield* applying.pipe(Effect.provideService(Heap, heapBytes))
      yield* append(...made.slice(0, 4))
      yield* applier.pushState(pushed, "a", 1)
      yield* agent(url).report(apply.id, lost)
      const { json, status } = yield* person(url).as("POST", statePath.import("demo"))
      expect([status, json.error, json.message]).toEqual([
        409,
        "state-unread",
        `The state of demo is encrypted, damaged, or too large for the server to look into, so nobody knows whether it has what ${apply.id} made; import by hand what it lacks, with: agent-job state rescue demo --import-blocks FILE, and then settle with --keep.`
      ])
    }))

  it.live("is refused where the file of the state is damaged, which counts as unread and not as empty", () =>
    Effect.gen(function*() {
      const { append, applier, apply, effects, folder, url } = yield* applying
      yield* append(...made.slice(0, 2))
      yield* applier.pushState(stateWith(["a", "1"]), "a", 1)
      const file = join(folder, "data", "blobs", (yield* person(url).state("demo")).version.sha256)
      const bytes = readFileSync(file)
      writeFileSync(file, bytes.with(-1, bytes.at(-1)! ^ 1))
      yield* agent(url).report(apply.id, lost)
      expect(yield* effects).toMatchObject({ unsavedCount: 1, unread: true })
      expect(yield* pending(url)).toMatchObject([{
        message: expect.stringContaining("The state may already contain some of this: it is encrypted, damaged, or too large"),
        effects: { unsavedCount: 1, unread: true }
      }])
      expect(yield* person(url).as("POST", statePath.import("demo"))).toMatchObject({ status: 409, json: { error: "state-unread" } })
      expect(yield* agent(url).acquire()).toEqual([])
    }))

  it.live("does not begin for a rescue that a person settles while its archive is made", () =>
    Effect.gen(function*() {
      const { blobs, import: start, url, waiting } = yield* doubted(made)
      const { receive } = blobs
      vi.spyOn(blobs, "receive").mockImplementationOnce((bytes, limits) => Effect.tap(receive(bytes, limits), person(url).settle("demo")))
      expect(yield* start).toMatchObject({ status: 409, json: { error: "nothing-pending" } })
      expect((yield* agent(url).acquire()).map(({ runId }) => runId)).toEqual([waiting])
    }))

  it.live("is refused a second time while it runs, and where there is nothing to import", () =>
    Effect.gen(function*() {
      const { import: start, url } = yield* doubted(made)
      const { json } = yield* start
      expect(yield* start).toMatchObject({ status: 409, json: { error: "import-runs" } })
      yield* person(url).act(json.runId, "cancel")
      const both = yield* Effect.all([start, start], { concurrency: "unbounded" })
      expect(both.map(({ status }) => status).sort()).toEqual([200, 409])
      const calm = yield* server
      expect(yield* person(calm).as("POST", "/api/agent-job/v1/workspaces/none/state/import")).toMatchObject({
        status: 409,
        json: { error: "nothing-pending" }
      })
      const unknown = yield* doubted([entry(1, "started", "time_sleep.c")])
      expect(yield* unknown.import).toMatchObject({
        status: 409,
        json: { error: "nothing-to-import", message: expect.stringContaining("agent-job state rescue demo") }
      })
    }))
})
