import { describe, expect, it } from "@effect/vitest"
import { leftOver } from "../../../src/cli/run/left-over.ts"

const none = { unsaved: [], unsavedCount: 0, unknown: [], unknownCount: 0 }

describe("what a stage left", () => {
  it("is named, with how many more there are", () =>
    expect(
      leftOver({
        ...none,
        unsaved: [{ action: "create", address: "time_sleep.a", idKey: "id", id: "1" }],
        unsavedCount: 5,
        unknown: [{ action: "delete", address: "time_sleep.b" }],
        unknownCount: 1
      })
    ).toEqual([
      "Made, but not in the state:",
      "  time_sleep.a [id=1]",
      "  and 4 more",
      "Begun, outcome unknown; look whether it is there:",
      "  time_sleep.b (delete)"
    ]))
  it("may be more than the journal could hold", () =>
    expect(leftOver({ ...none, unseen: [{ action: "create", address: "time_sleep.a" }], unseenCount: 1, incomplete: true })).toEqual([
      "Planned, unknown whether it was made; look whether it is there:",
      "  time_sleep.a",
      "There may be more, since the journal was full."
    ]))
  it("says that the state may have some of it where nobody looked into that", () =>
    expect(leftOver({ ...none, unread: true })).toEqual([
      "The state may already contain some of this: it is encrypted, damaged, or too large for the server to look into."
    ]))
  it("is nothing of a stage whose state has it all", () => expect(leftOver(none)).toEqual([]))
})
