import { describe, expect, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { engineHead } from "../../../src/core/state/state-head.ts"
import { isNone, obstacleTo } from "../../../src/core/state/state-succession.ts"
import { StateMark } from "../../../src/schema/task/seal.ts"

const at = (serial: number, lineage = "l") => ({ lineage, serial })
const highest = 2 ** 52

describe("a serial", () => {
  const written = (serial: number) => new TextEncoder().encode(`{"version":4,"serial":${serial},"lineage":"l"}`)
  const inHead = (serial: number) => Option.getOrUndefined(engineHead(written(serial)))?.serial
  it.prop(
    "that a first state may have is read from its head",
    [Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: highest }))],
    ([serial]) => expect([obstacleTo(undefined, at(serial)), inHead(serial)]).toEqual([undefined, serial])
  )
  it.each([10 ** 15 - 1, 10 ** 15, highest])(
    "of %d may be had, and is read from its head",
    (serial) => expect([obstacleTo(undefined, at(serial)), inHead(serial)]).toEqual([undefined, serial])
  )
})

describe("a state", () => {
  it.each([
    { given: "is the first with any serial", before: undefined, next: at(0), obstacle: undefined },
    { given: "is the first with any lineage, of which its head may say none", before: undefined, next: at(7, ""), obstacle: undefined },
    { given: "follows with the next serial", before: at(7), next: at(8), obstacle: undefined },
    { given: "follows with a serial left out", before: at(7), next: at(70), obstacle: undefined },
    { given: "does not follow with the same serial", before: at(7), next: at(7), obstacle: "old-serial" },
    { given: "does not follow with a lower serial", before: at(7), next: at(6), obstacle: "old-serial" },
    { given: "does not follow one of another lineage", before: at(7), next: at(8, "m"), obstacle: "other-lineage" },
    { given: "of another lineage is told so before its serial is", before: at(7), next: at(6, "m"), obstacle: "other-lineage" },
    { given: "has 2^52 as its serial at most", before: at(7), next: at(highest), obstacle: undefined },
    { given: "does not begin above 2^52", before: undefined, next: at(highest + 1), obstacle: "invalid" },
    { given: "does not go above 2^52 at one step", before: at(7), next: at(highest + 1), obstacle: "invalid" },
    { given: "goes on above 2^52 by a million at most", before: at(highest), next: at(highest + 1_000_000), obstacle: undefined },
    { given: "goes on by no more than a million", before: at(highest), next: at(highest + 1_000_001), obstacle: "invalid" }
  ])("$given", ({ before, next, obstacle }) => expect(obstacleTo(before, next)?.error).toBe(obstacle))

  it.each([
    {
      error: "invalid",
      before: at(7),
      next: at(highest + 1),
      message:
        "The state has the serial 4503599627370497; above 4503599627370496 none is taken, so that others can follow it. Push it with a lower one."
    },
    {
      error: "other-lineage",
      before: at(7, "a-b"),
      next: at(8, "c-d"),
      message:
        "The state has the lineage c-d, the workspace's has a-b, so it belongs to another workspace and is not stored; push it to that one, or see \"A state of another lineage\" in docs/state.md."
    },
    {
      error: "old-serial",
      before: at(7),
      next: at(6),
      message: "The state has the serial 6, the workspace's is at 7 with other content; read it again first."
    }
  ])(
    "that may not follow is told why: $error",
    (row) => expect(obstacleTo(row.before, row.next)).toEqual({ error: row.error, message: row.message })
  )

  it.prop("always leaves one that may follow it", [StateMark], ([mark]) => {
    if (obstacleTo(undefined, mark) !== undefined) return // no state is stored that could not be the first, or follow another
    expect(obstacleTo(mark, { ...mark, serial: mark.serial + 1 })).toBeUndefined()
  })
})

it.each([
  { state: "what the engines print where they find none", mark: at(0, ""), expected: true },
  { state: "one with the serial 0", mark: at(0), expected: false },
  { state: "one whose head says no lineage", mark: at(7, ""), expected: false }
])("of $state, tells whether it is none: $expected", ({ expected, mark }) => expect(isNone(mark)).toBe(expected))
