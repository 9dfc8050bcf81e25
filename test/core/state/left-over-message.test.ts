// What a stage has left behind, as the end of its message.
import { describe, expect, it } from "@effect/vitest"
import { leftOverMessage, madeMessage, withLeft } from "../../../src/core/state/left-over-message.ts"
import type { Effected, JournalEntry, LeftOver } from "../../../src/schema/api/effects.ts"

const effect = (action: Effected["action"], address: string, id?: string): Effected => ({
  action,
  address,
  ...(id !== undefined && { idKey: "id", id })
})
const effects = (unsaved: ReadonlyArray<Effected>, unknown: ReadonlyArray<Effected>): LeftOver => ({
  unsaved,
  unsavedCount: unsaved.length,
  unknown,
  unknownCount: unknown.length
})

describe("leftOverMessage", () => {
  it.each([
    { given: "nothing", says: "", about: effects([], []) },
    {
      given: "one of each",
      says: "Made, but not in the state: t.a [id=1]. Begun, outcome unknown: t.b (create).",
      about: effects([effect("create", "t.a", "1")], [effect("create", "t.b")])
    },
    {
      given: "many",
      says: "Made, but not in the state: t.a0, t.a1, t.a2 and 7 more.",
      about: effects(Array.from({ length: 10 }, (_, at) => effect("create", `t.a${at}`)), [])
    },
    {
      given: "what was planned, unseen",
      says: "Planned, unknown whether it was made: t.a.",
      about: { ...effects([], []), unseen: [effect("create", "t.a")], unseenCount: 1 }
    },
    {
      given: "a full journal, and nothing else",
      says: "Its journal was full, so it may have made more than the state has: look into its log, as for a provider that crashed.",
      about: { ...effects([], []), incomplete: true }
    },
    {
      given: "a full journal",
      says: "Made, but not in the state: t.a. There may be more, since the journal was full.",
      about: { ...effects([effect("create", "t.a")], []), incomplete: true }
    },
    {
      given: "a state that is not looked into",
      says:
        "Made, but not in the state: t.a. The state may already contain some of this: it is encrypted, damaged, or too large for the server to look into.",
      about: { ...effects([effect("create", "t.a")], []), unread: true }
    }
  ])("says of $given: $says", ({ about, says }) => expect(leftOverMessage(about)).toBe(says))

  it("stays short enough to stand beside another message", () => {
    const long = Array.from({ length: 100 }, () => effect("create", "x".repeat(1024), "y".repeat(1024)))
    expect(leftOverMessage(effects(long, long)).length).toBeLessThan(1700)
  })
})

describe("madeMessage", () => {
  const done = (number: number): JournalEntry => ({
    number,
    kind: "done",
    ...effect("create", `t.a${number}`, String(number)),
    action: "create"
  })
  it.each(
    [
      { unread: "not-here", why: "The worker has not seen that state." },
      { unread: "encrypted", why: "The worker cannot look into that state, which the engine encrypted." },
      { unread: "too-large", why: "That state has too much in it for the worker to look into." }
    ] as const
  )("names what was made where the state is $unread, and says why it is not known if that is saved", ({ unread, why }) => {
    expect(madeMessage([done(1), { ...done(2), kind: "started" }], unread)).toBe(
      `Made by this stage; see that the state has it: t.a1 [id=1]. ${why}`
    )
    expect(madeMessage([], unread)).toBe("")
  })
  it("names all that fit beside what happened, since nothing else may name them, and counts the others", () => {
    const many = Array.from({ length: 200 }, (_, at) => done(at + 1))
    const said = madeMessage(many, "encrypted")
    const named = said.match(/\[id=/gu)?.length ?? 0
    expect(said).toContain(`t.a${named} [id=${named}] and ${200 - named} more. The`)
    expect(named).toBeGreaterThan(50)
    expect(withLeft("h".repeat(3000), said)).toContain(said)
    expect(madeMessage(many.slice(0, named), "encrypted")).not.toContain("more")
  })
  it("keeps room for the count, however long the names are", () => {
    const long = { ...done(1), address: "x".repeat(1024), id: "y".repeat(1024) }
    expect(withLeft("h".repeat(3000), madeMessage(Array.from({ length: 9 }, () => long), "encrypted"))).toMatch(
      / and \d more\. .* encrypted\.$/u
    )
  })
})

describe("withLeft", () => {
  it.each([
    { happened: 20, left: 0, of: [20, 0] },
    { happened: 3000, left: 0, of: [2046, 0] },
    { happened: 3000, left: 500, of: [1546, 500] },
    { happened: 3000, left: 1700, of: [1023, 1022] },
    { happened: 20, left: 1700, of: [20, 1700] }
  ])(
    "gives $happened characters of what happened and $left of what is left their room: $of",
    ({ happened, left, of: [first = 0, second = 0] }) =>
      expect(withLeft("h".repeat(happened), "l".repeat(left))).toBe(
        `${"h".repeat(first)}${first < happened ? "…" : ""} ${"l".repeat(second)}${second < left ? "…" : ""}`.trim()
      )
  )

  it("cuts no character in half", () =>
    expect([1, 2].map((shift) => withLeft("h".repeat(shift) + "😀".repeat(2000), "😀".repeat(shift * 400)).isWellFormed())).toEqual([
      true,
      true
    ]))
})
