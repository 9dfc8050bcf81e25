// A journal held against the stored state: everything that was made is in one of the two.
import { describe, expect, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { endedInOrder, needRescue, stageEffects } from "../../src/core/stage-effects.ts"
import { stateObjects } from "../../src/core/state-objects.ts"
import { type JournalEntry, namedLimit } from "../../src/schema/effects.ts"

type Entry = Omit<JournalEntry, "number">
const numbered = (entries: ReadonlyArray<Entry>): ReadonlyArray<JournalEntry> => entries.map((entry, at) => ({ number: at + 1, ...entry }))
const started = (action: Entry["action"], address: string, id?: string): Entry => ({ kind: "started", action, address, ...(id !== undefined && { idKey: "id", id }) })
const done = (action: Entry["action"], address: string, id?: string): Entry => ({ kind: "done", action, address, ...(id !== undefined && { idKey: "id", id }) })
const failed = (action: Entry["action"], address: string): Entry => ({ kind: "failed", action, address })

/** A state with these objects: address to id. */
const stored = (objects: ReadonlyArray<readonly [address: string, id: string, status?: string]>) =>
  stateObjects(JSON.stringify({
    version: 4,
    resources: objects.map(([address, id, status]) => ({ mode: "managed", type: address.split(".")[0], name: address.split(".")[1], instances: [{ attributes: { id }, status }] }))
  }))

const outcome = (entries: ReadonlyArray<Entry>, state: ReturnType<typeof stored>, inOrder = false) => {
  const { unknown, unsaved } = stageEffects(numbered(entries), state, inOrder)
  return { unsaved: unsaved.map(({ address, id }) => `${address}=${id ?? "?"}`), unknown: unknown.map(({ action, address }) => `${action} ${address}`) }
}

describe("stageEffects", () => {
  it.each([
    { given: "a creation that is stored", entries: [started("create", "t.a"), done("create", "t.a", "1")], state: [["t.a", "1"]], unsaved: [], unknown: [] },
    { given: "a creation that is not stored", entries: [started("create", "t.a"), done("create", "t.a", "1")], state: [], unsaved: ["t.a=1"], unknown: [] },
    { given: "a creation without an id that is not stored", entries: [started("create", "t.a"), done("create", "t.a")], state: [], unsaved: ["t.a=?"], unknown: [] },
    { given: "a creation whose end nobody saw", entries: [started("create", "t.a")], state: [], unsaved: [], unknown: ["create t.a"] },
    { given: "a replacement of which the state knows the old one", entries: [started("delete", "t.a", "1"), done("delete", "t.a"), started("create", "t.a"), done("create", "t.a", "2")], state: [["t.a", "1"]], unsaved: ["t.a=2"], unknown: [] },
    { given: "a replacement that makes the new one first", entries: [started("create", "t.a"), done("create", "t.a", "2"), started("delete", "t.a", "1"), done("delete", "t.a")], state: [["t.a", "1"]], unsaved: ["t.a=2"], unknown: [] },
    { given: "a creation that was taken back", entries: [started("create", "t.a"), done("create", "t.a", "1"), started("delete", "t.a", "1"), done("delete", "t.a")], state: [], unsaved: [], unknown: [] },
    { given: "a creation that failed, with nothing stored of it", entries: [started("create", "t.a"), failed("create", "t.a")], state: [], unsaved: [], unknown: ["create t.a"] },
    { given: "a creation that failed, with its rest stored", entries: [started("create", "t.a"), failed("create", "t.a")], state: [["t.a", "1", "tainted"]], unsaved: [], unknown: [] },
    { given: "a change and a destruction whose ends nobody saw", entries: [started("update", "t.a", "1"), started("delete", "t.b", "2")], state: [["t.a", "1"], ["t.b", "2"]], unsaved: [], unknown: ["update t.a", "delete t.b"] },
    { given: "a change that failed", entries: [started("update", "t.a", "1"), failed("update", "t.a")], state: [["t.a", "1"]], unsaved: [], unknown: [] }
  ] as const)("names what is missing of $given", ({ entries, state, unknown, unsaved }) => {
    expect(outcome(entries, stored(state))).toEqual({ unsaved, unknown })
  })

  it("takes the state's word for what was only begun, when the engine ended by itself", () => {
    expect(outcome([started("create", "t.a"), failed("create", "t.a"), started("create", "t.b")], stored([]), true)).toEqual({ unsaved: [], unknown: [] })
  })
  it("names no more than a person reads, and counts the rest", () => {
    const many = Array.from({ length: namedLimit.run + 20 }, (_, at) => [started("create", `t.a${at}`), done("create", `t.a${at}`, String(at))]).flat()
    const { unsaved, unsavedCount } = stageEffects(numbered(many), stored([]), false)
    expect([unsaved.length, unsavedCount]).toEqual([namedLimit.run, namedLimit.run + 20])
  })
  it("says so when the journal was full", () => {
    expect(stageEffects(numbered([{ kind: "full", action: "create", address: "" }]), stored([]), false)).toMatchObject({ incomplete: true })
  })

  const Step = Schema.Struct({ address: Schema.Literals(["t.a", "t.b", "t.c"]), ends: Schema.Literals(["well", "badly"]), replaces: Schema.Boolean })

  it.prop("forgets nothing that exists, wherever the engine died and whichever of its states was the last to be stored", [
    Arbitrary.schema(Schema.Array(Step)), Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 })), Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 }))
  ], ([steps, diesAt, storesAt]) => {
    // The engine and the world: every entry of the journal with what exists after it.
    const journal: Array<Entry> = []
    const worlds: Array<ReadonlyMap<string, string>> = [new Map()]
    const tell = (entry: Entry, change: (world: Map<string, string>) => void = () => {}) => {
      const world = new Map(worlds.at(-1))
      change(world)
      journal.push(entry)
      worlds.push(world)
    }
    steps.forEach(({ address, ends, replaces }, at) => {
      const old = worlds.at(-1)?.get(address)
      if (old !== undefined && !replaces) return
      if (old !== undefined) {
        tell(started("delete", address, old))
        tell(done("delete", address), (world) => void world.delete(address))
      }
      tell(started("create", address))
      if (ends === "badly") tell(failed("create", address))
      else tell(done("create", address, `id${at}`), (world) => void world.set(address, `id${at}`))
    })
    const end = Math.min(diesAt, journal.length)
    const exists = worlds[end] ?? new Map()
    const saved = stored([...worlds[Math.min(storesAt, end)] ?? []])
    const { unsaved } = outcome(journal.slice(0, end), saved)
    for (const [address, id] of exists) {
      const inState = saved.get(address)?.some(({ attributes }) => JSON.stringify(attributes) === JSON.stringify({ id })) === true
      expect(inState !== unsaved.includes(`${address}=${id}`)).toBe(true)
    }
    for (const name of unsaved) expect([...exists].map(([address, id]) => `${address}=${id}`)).toContain(name)
  })
})

describe("endedInOrder", () => {
  it.each([
    [{ exitCode: 0, statePushed: true }, true],
    [{ exitCode: 1, statePushed: true }, true],
    [{ exitCode: 1 }, true],
    [{ exitCode: 1, statePushed: false }, false],
    [{ exitCode: 137, statePushed: true }, false],
    [{ exitCode: 143, statePushed: true }, false],
    [{}, false]
  ])("of %j is %s", (result, expected) => expect(endedInOrder(result)).toBe(expected))
})

describe("needRescue", () => {
  const none = { unsaved: [], unsavedCount: 0, unknown: [], unknownCount: 0 }
  it.each([
    [none, false],
    [{ ...none, unsaved: [{ action: "create", address: "t.a" }], unsavedCount: 1 }, true],
    [{ ...none, unknown: [{ action: "create", address: "t.a" }], unknownCount: 1 }, true],
    [{ ...none, unknown: [{ action: "update", address: "t.a" }], unknownCount: 1 }, false],
    [{ ...none, incomplete: true }, true]
  ] as const)("of %j is %s", (effects, expected) => expect(needRescue(effects)).toBe(expected))
})
