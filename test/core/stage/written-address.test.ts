// An address that is too long for a journal, as the journal and a state have it.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { fromEvent } from "../../../src/core/stage/engine-events.ts"
import { nextEntry } from "../../../src/core/stage/journal.ts"
import { isAddress } from "../../../src/core/stage/resource-address.ts"
import { keyOf, writtenAddress } from "../../../src/core/stage/written-address.ts"
import { leftOverOf } from "../../../src/core/state/left-over.ts"
import { stateObjects } from "../../../src/core/state/state-objects.ts"
import { longestIdentity } from "../../../src/schema/api/effects.ts"

const module = (key: string) => `module.m["${key}"]`
const names = ["a", "b", "c"]
const journalOf = (within: string, indexed = "") =>
  names.flatMap((name, at) =>
    Option.toArray(Option.flatMap(
      fromEvent(JSON.stringify({
        type: "apply_complete",
        hook: { resource: { addr: `${within}.time_sleep.${name}${indexed}` }, action: "create", id_key: "id", id_value: name }
      })),
      (told) => nextEntry(at, told)
    ))
  )
const stateOf = (within: string, of: ReadonlyArray<string>, key?: string) =>
  stateObjects(JSON.stringify({
    version: 4,
    resources: of.map((name) => ({
      mode: "managed",
      type: "time_sleep",
      module: within,
      name,
      instances: [{ attributes: { id: name }, ...(key !== undefined && { index_key: key }) }]
    }))
  }))

describe("a thing with an address that is too long for a journal", () => {
  const long = "k".repeat(1010)
  it.each([
    { kind: "a long key of its module", within: module(long) },
    { kind: "a key that the engine escapes", within: module(String.raw`${long}\u3000`) },
    { kind: "a key of characters of two halves, between which it is cut", within: module("\u{1f600}".repeat(505)) },
    { kind: "a long key of its own", within: module("x"), key: long },
    { kind: "a key of its module that is too long as the engine escapes it", within: module(String.raw`\u00a0`.repeat(171)) },
    {
      kind: "a key of its own that is too long as the engine escapes it",
      within: module("x"),
      key: "\u{e0067}".repeat(103),
      escaped: String.raw`\U000e0067`.repeat(103)
    }
  ])("is told from others, and found in the state, with $kind", ({ key, escaped = key, within }) => {
    const journal = journalOf(within, escaped === undefined ? "" : `["${escaped}"]`)
    expect(new Set(journal.map(({ address }) => address)).size).toBe(3)
    expect(leftOverOf({ journal, state: new Map(), inOrder: true })).toMatchObject({ unsavedCount: 3 })
    expect(leftOverOf({ journal, state: stateOf(within, ["a", "c"], key), inOrder: true }).unsaved.map(({ id }) => id)).toEqual(["b"])
  })

  it("is in the journal with the beginning of its address, which no engine takes for an address", () => {
    const address = writtenAddress(`${module("x")}.time_sleep.${long}`)
    expect(address).toMatch(/^module\.m\["x"\]\.time_sleep\.k{900,}…[0-9a-z]{1,7}$/u)
    expect(address.length).toBeLessThanOrEqual(longestIdentity.address)
    expect(isAddress(address)).toBe(false)
  })

  it("is unsaved where an older worker cut its address and no more", () => {
    const journal = journalOf(module(long)).map((entry) => ({ ...entry, address: `${module(long)}.time_sleep`.slice(0, 1024) }))
    expect(leftOverOf({ journal, state: stateOf(module(long), names), inOrder: true })).toMatchObject({ unsavedCount: 1 })
  })

  it("is as it was with an address of the longest that a journal takes", () => {
    const address = `time_sleep.${"n".repeat(longestIdentity.address - "time_sleep.".length)}`
    expect(writtenAddress(address)).toBe(address)
  })
})

it.each(["00110000", "ffffffff", "0010"])("an address that no engine wrote has a key too, with what is no character in it: %s", (code) => {
  const address = `t.a["\\U${code}"]`
  expect([keyOf(address), writtenAddress(address + "k".repeat(longestIdentity.address)).length]).toEqual([address, longestIdentity.address])
})
