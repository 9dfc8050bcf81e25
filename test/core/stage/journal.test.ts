// The journal of a stage and what it adds up to.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { changesOf, nextEntry, plannedEntries } from "../../../src/core/stage/journal.ts"
import { journalLimit } from "../../../src/schema/api/effects.ts"

const told = (kind: "started" | "done" | "failed", action: "create" | "update" | "delete") => ({ kind, action, address: "a.b" })

describe("nextEntry", () => {
  it("counts from 1", () =>
    expect(nextEntry(0, told("started", "create"))).toEqual(Option.some({ number: 1, ...told("started", "create") })))
  it("ends the journal with a word of its own when it is full", () => {
    expect(nextEntry(journalLimit - 1, told("done", "create"))).toEqual(
      Option.some({ number: journalLimit, kind: "full", action: "create", address: "" })
    )
    expect(nextEntry(journalLimit, told("done", "create"))).toEqual(Option.none())
  })
})

describe("plannedEntries", () => {
  it("say what will be made, and that it takes another's place", () =>
    expect(
      plannedEntries(Option.some([{ address: "a.b", replaces: false }, { address: "a.c", replaces: true }])).map((
        { action, address, kind }
      ) => `${kind} ${action} ${address}`)
    ).toEqual([
      "planned create a.b",
      "planned delete a.c",
      "planned create a.c"
    ]))
  it("say that there is more than they say when the plan could not be read", () =>
    expect(plannedEntries(Option.none())).toEqual([{ kind: "full", action: "create", address: "" }]))
})

describe("changesOf", () => {
  it("counts what the engine was done with", () => {
    const entries = [
      told("started", "create"),
      told("done", "create"),
      told("done", "create"),
      told("started", "update"),
      told("done", "update"),
      told("done", "delete"),
      told("started", "create"),
      told("failed", "create")
    ]
    expect(changesOf(entries.map((entry, at) => ({ number: at + 1, ...entry })))).toEqual(
      Option.some({ add: 2, change: 1, destroy: 1 })
    )
  })
  it("are none of an apply that did nothing", () => expect(changesOf([])).toEqual(Option.some({ add: 0, change: 0, destroy: 0 })))
  it("are not known of a journal that is full, which does not tell of the last ones", () =>
    expect(changesOf([{ number: 1, ...told("done", "create") }, { number: 2, kind: "full", action: "create", address: "" }])).toEqual(
      Option.none()
    ))
})
