// A journal compared with the stored state: everything that was made is in one of the two.
import { describe, expect, it } from "@effect/vitest"
import { Arbitrary, Option, Predicate, Schema } from "effect"
import { closing, plannedEntries } from "../../../src/core/stage/journal.ts"
import { endedInOrder, leftOverOf, needRescue, unansweredOf } from "../../../src/core/state/left-over.ts"
import { stateObjects } from "../../../src/core/state/state-objects.ts"
import { type JournalEntry, namedLimit } from "../../../src/schema/api/effects.ts"

type Entry = Omit<JournalEntry, "number">
const numbered = (entries: ReadonlyArray<Entry>): ReadonlyArray<JournalEntry> => entries.map((entry, at) => ({ number: at + 1, ...entry }))
const started = (action: Entry["action"], address: string, id?: string): Entry => ({
  kind: "started",
  action,
  address,
  ...(id !== undefined && { idKey: "id", id })
})
const done = (action: Entry["action"], address: string, id?: string): Entry => ({
  kind: "done",
  action,
  address,
  ...(id !== undefined && { idKey: "id", id })
})
const failed = (action: Entry["action"], address: string): Entry => ({ kind: "failed", action, address })
const unanswered = (address: string): Entry => ({ ...failed("create", address), unanswered: true })

/** Returns the objects of a state with these addresses, ids and statuses. */
const stored = (objects: ReadonlyArray<readonly [address: string, id: string, status?: string]>) =>
  stateObjects(JSON.stringify({
    version: 4,
    resources: objects.map(([address, id, status]) => ({
      mode: "managed",
      type: address.split(".")[0],
      name: address.split(".")[1],
      instances: [{ attributes: { id }, status }]
    }))
  }))

const outcome = (entries: ReadonlyArray<Entry>, state: ReturnType<typeof stored>, inOrder = false) => {
  const { unknown, unsaved } = leftOverOf({ journal: numbered(entries), state, inOrder })
  return {
    unsaved: unsaved.map(({ address, id }) => `${address}=${id ?? "?"}`),
    unknown: unknown.map(({ action, address }) => `${action} ${address}`)
  }
}

describe("leftOverOf", () => {
  it("tells what was made in the place of something that the state has", () =>
    expect(
      leftOverOf({
        journal: numbered([done("create", "t.a", "2"), done("create", "t.b", "3")]),
        state: stored([["t.a", "1"]]),
        inOrder: false
      }).unsaved.map(({ address, replaces }) => [address, replaces])
    ).toEqual([["t.a", true], ["t.b", undefined]]))

  it.each(
    [
      {
        given: "a creation that is stored",
        entries: [started("create", "t.a"), done("create", "t.a", "1")],
        state: [["t.a", "1"]],
        unsaved: [],
        unknown: []
      },
      {
        given: "a creation that is not stored",
        entries: [started("create", "t.a"), done("create", "t.a", "1")],
        state: [],
        unsaved: ["t.a=1"],
        unknown: []
      },
      {
        given: "a creation without an id that is not stored",
        entries: [started("create", "t.a"), done("create", "t.a")],
        state: [],
        unsaved: ["t.a=?"],
        unknown: []
      },
      { given: "a creation whose end nobody saw", entries: [started("create", "t.a")], state: [], unsaved: [], unknown: ["create t.a"] },
      {
        given: "a replacement of which the state knows the old one",
        entries: [started("delete", "t.a", "1"), done("delete", "t.a"), started("create", "t.a"), done("create", "t.a", "2")],
        state: [["t.a", "1"]],
        unsaved: ["t.a=2"],
        unknown: []
      },
      {
        given: "a replacement that makes the new one first",
        entries: [started("create", "t.a"), done("create", "t.a", "2"), started("delete", "t.a", "1"), done("delete", "t.a")],
        state: [["t.a", "1"]],
        unsaved: ["t.a=2"],
        unknown: []
      },
      {
        given: "a replacement that makes the new one first, without their ids",
        entries: [started("create", "t.a"), done("create", "t.a"), started("delete", "t.a"), done("delete", "t.a")],
        state: [],
        unsaved: ["t.a=?"],
        unknown: []
      },
      {
        given: "a creation that was taken back",
        entries: [started("create", "t.a"), done("create", "t.a", "1"), started("delete", "t.a", "1"), done("delete", "t.a")],
        state: [],
        unsaved: [],
        unknown: []
      },
      {
        given: "a creation that failed, with nothing stored of it",
        entries: [started("create", "t.a"), failed("create", "t.a")],
        state: [],
        unsaved: [],
        unknown: ["create t.a"]
      },
      {
        given: "a creation that failed, with its rest stored",
        entries: [started("create", "t.a"), failed("create", "t.a")],
        state: [["t.a", "1", "tainted"]],
        unsaved: [],
        unknown: []
      },
      {
        given: "a creation whose end nobody saw, in the place of one that failed before",
        entries: [started("create", "t.a")],
        state: [["t.a", "1", "tainted"]],
        unsaved: [],
        unknown: ["create t.a"]
      },
      {
        given: "a change and a destruction whose ends nobody saw",
        entries: [started("update", "t.a", "1"), started("delete", "t.b", "2")],
        state: [["t.a", "1"], ["t.b", "2"]],
        unsaved: [],
        unknown: ["update t.a", "delete t.b"]
      },
      {
        given: "a change that failed",
        entries: [started("update", "t.a", "1"), failed("update", "t.a")],
        state: [["t.a", "1"]],
        unsaved: [],
        unknown: []
      }
    ] as const
  )("names what is missing of $given", ({ entries, state, unknown, unsaved }) => {
    expect(outcome(entries, stored(state))).toEqual({ unsaved, unknown })
  })

  it("takes the state's word for what was only begun, when the engine ended by itself", () => {
    expect(outcome([started("create", "t.a"), failed("create", "t.a"), started("create", "t.b")], stored([]), true)).toEqual({
      unsaved: [],
      unknown: []
    })
  })
  it.each(
    [
      {
        given: "a creation, and not the one that its API refused",
        entries: [started("create", "t.a"), started("create", "t.b"), failed("create", "t.a"), failed("create", "t.b"), unanswered("t.b")],
        state: [],
        unknown: ["create t.b"]
      },
      {
        given: "the creation of what takes the place of a tainted one, which the state has again",
        entries: [started("create", "t.a"), failed("create", "t.a"), unanswered("t.a")],
        state: [["t.a", "1", "tainted"]],
        unknown: ["create t.a"]
      },
      {
        given: "a creation in a log that tells of no failure beside it, and not the one that its API refused",
        entries: [started("create", "t.a"), started("create", "t.b"), unanswered("t.b")],
        state: [],
        unknown: ["create t.b"]
      },
      {
        given: "a change in a log that tells of no failure beside it, which the next refresh sees",
        entries: [started("update", "t.a", "1"), unanswered("t.a")],
        state: [["t.a", "1"]],
        unknown: []
      },
      {
        given: "a change, which the next refresh sees",
        entries: [started("update", "t.a", "1"), failed("update", "t.a"), unanswered("t.a")],
        state: [["t.a", "1"]],
        unknown: []
      },
      {
        given: "a destruction, which the next refresh sees",
        entries: [started("delete", "t.a", "1"), failed("delete", "t.a"), unanswered("t.a")],
        state: [["t.a", "1"]],
        unknown: []
      }
    ] as const
  )("names as unknown what its provider gave no answer about, however the engine ended: $given", ({ entries, state, unknown }) => {
    expect(outcome(entries, stored(state), true)).toEqual({ unsaved: [], unknown })
    expect(outcome(entries, stored(state)).unknown).toEqual(expect.arrayContaining([...unknown]))
  })
  it.each(
    [
      { given: "with its id", made: done("create", `module.m["***"].t.a["***2"]`, "1"), unsaved: 0 },
      { given: "with another id", made: done("create", `module.m["***"].t.a["***2"]`, "2"), unsaved: 1 },
      { given: "in the module of the key that is known", made: done("create", `module.m["x"].t.a["***2"]`, "1"), unsaved: 0 },
      { given: "in a module of another key", made: done("create", `module.m["y"].t.a["***2"]`, "1"), unsaved: 1 },
      { given: "of another resource", made: done("create", `module.m["***"].t.b["***2"]`, "1"), unsaved: 1 },
      { given: "without an id, which had a secret too", made: done("create", `module.m["***"].t.a["***2"]`), unsaved: 1 },
      { given: "at another address without a secret", made: done("create", `module.m["x"].t.a["other"]`, "1"), unsaved: 1 }
    ] as const
  )("finds a thing whose keys were secrets in the state by its resource and its id: $given", ({ made, unsaved }) => {
    const instances = [{ index_key: "say \"x\"", attributes: { id: "1" } }]
    const state = stateObjects(
      JSON.stringify({ version: 4, resources: [{ module: `module.m["x"]`, mode: "managed", type: "t", name: "a", instances }] })
    )
    expect(leftOverOf({ journal: numbered([made]), state, inOrder: true }).unsavedCount).toBe(unsaved)
  })

  it("knows the resource of such a thing with a number too", () => {
    const state = stateObjects(
      JSON.stringify({
        version: 4,
        resources: [{
          module: `module.m["x"]`,
          mode: "managed",
          type: "t",
          name: "a",
          instances: [{ index_key: 0, attributes: { id: "1" } }]
        }]
      })
    )
    const made = ["a[0]", "a[1]", "b[0]"].map((name) => done("create", `module.m["***"].t.${name}`, "1"))
    expect(leftOverOf({ journal: numbered(made), state, inOrder: true }).unsaved.map(({ address }) => address)).toEqual([
      `module.m["***"].t.a[1]`,
      `module.m["***"].t.b[0]`
    ])
  })

  it("looks for such a thing in a state that means harm without going through its quotes again and again", () => {
    const instances = Array.from({ length: 20_000 }, (_, index_key) => ({ index_key, attributes: { id: "1" } }))
    const state = stateObjects(
      JSON.stringify({ version: 4, resources: [{ module: `m."${"\\\"".repeat(490)}`, mode: "managed", type: "t", name: "a", instances }] })
    )
    const begun = performance.now()
    expect(leftOverOf({ journal: numbered([done("create", `t.b["***"]`, "1")]), state, inOrder: true }).unsavedCount).toBe(1)
    expect(performance.now() - begun).toBeLessThan(2000) // some milliseconds, or six seconds
  })

  it("names no more than a person reads, and counts the rest", () => {
    const many = Array.from(
      { length: namedLimit.run + 20 },
      (_, at) => [started("create", `t.a${at}`), done("create", `t.a${at}`, String(at))]
    ).flat()
    const { unsaved, unsavedCount } = leftOverOf({ journal: numbered(many), state: stored([]), inOrder: false })
    expect([unsaved.length, unsavedCount]).toEqual([namedLimit.run, namedLimit.run + 20])
  })

  it.each([
    { begun: 1, unseenCount: 1 },
    { begun: 2, unseenCount: undefined }
  ])(
    "knows how many of those whose keys were secrets were not begun, if $begun were, whatever their numbers are",
    ({ begun, unseenCount }) => {
      const planned = numbered(["***", "***2"].map((key) => ({ kind: "planned", action: "create", address: `t.a["${key}"]` })))
      // The apply began with a change of another one, which so has no number.
      const journal = numbered([
        done("update", `t.a["***"]`),
        ...["***2", "***3"].slice(0, begun).map((key) => started("create", `t.a["${key}"]`))
      ])
      expect(leftOverOf({ journal, planned, state: new Map(), inOrder: false }).unseenCount).toBe(unseenCount)
    }
  )
  it.each([false, true])("says so when the journal was full, whether the engine ended in order or not: %s", (inOrder) => {
    expect(leftOverOf({ journal: numbered([{ kind: "full", action: "create", address: "" }]), state: stored([]), inOrder }))
      .toMatchObject({ incomplete: true })
    expect(leftOverOf({ journal: numbered([started("create", "t.a")]), state: stored([]), inOrder })).not.toHaveProperty("incomplete")
  })
  it("says nothing of the full journal of a destroy that ended in order, which makes nothing that no state has", () => {
    const journal = numbered([done("delete", "t.a"), { kind: "full", action: "delete", address: "" }])
    const known = { journal, state: stored([]), onlyDestroys: true }
    expect(leftOverOf({ ...known, inOrder: true })).not.toHaveProperty("incomplete")
    expect(leftOverOf({ ...known, inOrder: false })).toMatchObject({ incomplete: true })
  })

  it("says so when it is not known what was to be made, unless the engine ended in order or closed its journal", () => {
    const incomplete = (entries: ReadonlyArray<Entry>, creations: Parameters<typeof plannedEntries>[0], inOrder = false) =>
      leftOverOf({ journal: numbered(entries), planned: numbered(plannedEntries(creations)), state: stored([]), inOrder }).incomplete
    const [unknown, known] = [Option.none(), Option.some([{ address: "t.a", replaces: false }])]
    expect([incomplete([], unknown), incomplete([closing], unknown), incomplete([], unknown, true), incomplete([], known)]).toEqual([
      true,
      undefined,
      undefined,
      undefined
    ])
  })
  it("names what was made and changed after that", () => {
    const [made, changed] = [[started("create", "t.a"), done("create", "t.a", "1")], [
      started("update", "t.a", "1"),
      done("update", "t.a", "1")
    ]]
    expect(outcome([...made, ...changed], stored([])).unsaved).toEqual(["t.a=1"])
  })

  const unseen = (entries: ReadonlyArray<Entry>, state: ReturnType<typeof stored>, inOrder = false) =>
    leftOverOf({
      journal: numbered(entries),
      state,
      inOrder,
      planned: numbered(plannedEntries(Option.some([{ address: "t.a", replaces: false }, { address: "t.b", replaces: true }])))
    }).unseen?.map(({ address }) => address)

  it.each(
    [
      { given: "nothing", entries: [], state: [], names: ["t.a", "t.b"] },
      { given: "the beginning of one, whose end is another matter", entries: [started("create", "t.a")], state: [], names: ["t.b"] },
      {
        given: "that something made way for its successor",
        entries: [started("delete", "t.b", "1"), done("delete", "t.b")],
        state: [],
        names: ["t.a", "t.b"]
      },
      {
        given: "nothing, though the state has one, and of the other what it replaces",
        entries: [],
        state: [["t.a", "1"], ["t.b", "1"]],
        names: ["t.b"]
      },
      { given: "the end of the engine", entries: [closing], state: [], names: undefined }
    ] as const
  )(
    "names what was to be made of an apply that told $given: $names",
    ({ entries, names, state }) => expect(unseen(entries, stored(state))).toEqual(names)
  )
  it("names nothing that was to be made when the engine ended by itself", () => expect(unseen([], stored([]), true)).toBeUndefined())

  it.each([
    { why: "of which only a part arrived", wants: ["t.b"], made: "t.a" },
    { why: "from before a variable became sensitive, whose value is a key", wants: [`t.a["eu-west"]`], made: `t.a["***"]` }
  ])("names what was made though it is not in a plan $why", ({ made, wants }) => {
    const planned = numbered(plannedEntries(Option.some(wants.map((address) => ({ address, replaces: false })))))
    const journal = numbered([started("create", made), done("create", made, "1"), closing])
    expect(leftOverOf({ journal, planned, state: stored([]), inOrder: false }).unsaved).toMatchObject([{ address: made }])
  })

  const Step = Schema.Struct({
    address: Schema.Literals(["t.a", "t.b", "t.c"]),
    ends: Schema.Literals(["well", "badly"]),
    replaces: Schema.Boolean
  })

  it.prop("forgets nothing that exists, wherever the engine died and whichever of its states was the last to be stored", [
    Arbitrary.schema(Schema.Array(Step)),
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 })),
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 }))
  ], ([steps, diesAt, storesAt]) => {
    // Simulates the engine: `journal` has every entry, and `worlds` has what exists before the first entry and after each one.
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
      const inState = saved.get(address)?.some((object) =>
        Predicate.hasProperty(object, "attributes") && JSON.stringify(object.attributes) === JSON.stringify({ id })
      ) === true
      expect(inState !== unsaved.includes(`${address}=${id}`)).toBe(true)
    }
    for (const name of unsaved) expect([...exists].map(([address, id]) => `${address}=${id}`)).toContain(name)
  })
})

describe("leftOverOf, of an apply that went on unseen", () => {
  const Made = Schema.Struct({ before: Schema.Boolean, newFirst: Schema.Boolean })
  it.prop(
    "forgets nothing that exists, wherever the engine died, wherever its journal broke off, and whichever of its states was the last to be stored",
    [
      Arbitrary.schema(Schema.Array(Made).check(Schema.isMaxLength(6))),
      ...[0, 1, 2].map(() => Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 })))
    ],
    ([resources, diesAt = 0, heardTo = 0, storesAt = 0]) => {
      const old = new Map(resources.flatMap(({ before }, at) => before ? [[`t.a${at}`, [`old${at}`]] as const] : []))
      const worlds: Array<ReadonlyMap<string, ReadonlyArray<string>>> = [old]
      const journal: Array<Entry> = []
      const tell = (entry: Entry, ids?: ReadonlyArray<string>) => {
        journal.push(entry)
        worlds.push(ids === undefined ? worlds.at(-1) ?? old : new Map([...worlds.at(-1) ?? [], [entry.address, ids]]))
      }
      resources.forEach(({ before, newFirst }, at) => {
        const address = `t.a${at}`
        const destroy = (left: ReadonlyArray<string>) => {
          tell(started("delete", address, `old${at}`))
          tell(done("delete", address), left)
        }
        if (before && !newFirst) destroy([])
        tell(started("create", address))
        tell(done("create", address, `new${at}`), [...before && newFirst ? [`old${at}`] : [], `new${at}`])
        if (before && newFirst) destroy([`new${at}`])
      })
      const end = Math.min(diesAt, journal.length)
      const flat = (world: ReadonlyMap<string, ReadonlyArray<string>> = old) =>
        [...world].flatMap(([address, ids]) => ids.map((id) => [address, id] as const))
      const saved = stored(flat(worlds[Math.min(storesAt, end)]))
      const planned = numbered(plannedEntries(Option.some(resources.map(({ before }, at) => ({ address: `t.a${at}`, replaces: before })))))
      const { unknown, unsaved, unseen = [] } = leftOverOf({
        journal: numbered(journal.slice(0, Math.min(heardTo, end))),
        state: saved,
        inOrder: false,
        planned
      })
      for (const [address, id] of flat(worlds[end])) {
        const inState = saved.get(address)?.some((object) =>
          Predicate.hasProperty(object, "attributes") && JSON.stringify(object.attributes) === JSON.stringify({ id })
        ) === true
        const named = unsaved.some((_) =>
          _.address === address && _.id === id
        ) ||
          [...unknown, ...unseen].some((_) => _.address === address)
        expect(inState || named, `${address} with ${id}`).toBe(true)
      }
    }
  )
})

describe("endedInOrder", () => {
  it.each([
    [{ exitCode: 0, statePushed: true }, true],
    [{ exitCode: 1, statePushed: true }, true],
    [{ exitCode: 1 }, true],
    [{ exitCode: 1, statePushed: false }, false],
    [{ exitCode: 2, statePushed: true }, false],
    [{ exitCode: 11, statePushed: true }, false],
    [{ exitCode: 137, statePushed: true }, false],
    [{ exitCode: 143, statePushed: true }, false],
    [{}, false]
  ])("of %j is %s", (result, expected) => expect(endedInOrder(result)).toBe(expected))
})

describe("needRescue", () => {
  const none = { unsaved: [], unsavedCount: 0, unknown: [], unknownCount: 0 }
  it.each(
    [
      [none, false],
      [{ ...none, unsaved: [{ action: "create", address: "t.a" }], unsavedCount: 1 }, true],
      [{ ...none, unknown: [{ action: "create", address: "t.a" }], unknownCount: 1 }, true],
      [{ ...none, unknown: [{ action: "update", address: "t.a" }], unknownCount: 1 }, false],
      [{ ...none, unseen: [{ action: "create", address: "t.a" }], unseenCount: 1 }, true],
      [{ ...none, incomplete: true }, true]
    ] as const
  )("of %j is %s", (effects, expected) => expect(needRescue(effects)).toBe(expected))
})

describe("unansweredOf", () => {
  it("names the creations that a provider gave no answer about, and nothing that an engine which ended in order has put into its state", () =>
    expect(
      unansweredOf({
        journal: numbered([
          done("create", "a.made", "1"),
          started("create", "a.open"),
          started("create", "a.odd"),
          failed("create", "a.odd"),
          unanswered("a.odd")
        ])
      })
    ).toEqual({
      unsaved: [],
      unsavedCount: 0,
      unknown: [{ action: "create", address: "a.odd" }],
      unknownCount: 1
    }))
})
