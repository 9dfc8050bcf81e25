// Import blocks for what a stage made and its state does not have.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { importable, importBlocks } from "../../../src/core/state/import-blocks.ts"
import type { Effected } from "../../../src/schema/api/effects.ts"

const made = (address: string, id?: string): Effected => ({ action: "create", address, ...(id !== undefined && { idKey: "id", id }) })
const blocksOf = (unsaved: ReadonlyArray<Effected>, unknown: ReadonlyArray<Effected> = []) =>
  importBlocks({ unsaved, unsavedCount: unsaved.length, unknown, unknownCount: unknown.length })

describe("importBlocks", () => {
  it("have an address and an id each", () =>
    expect(blocksOf([made("time_sleep.a", "1"), made(`module.m["x"].time_sleep.b[2]`, `i-"2"\${x}`)])).toBe(
      `import {\n  to = time_sleep.a\n  id = "1"\n}\n\nimport {\n  to = module.m["x"].time_sleep.b[2]\n  id = "i-\\"2\\"$\${x}"\n}\n`
    ))
  it("are comments where no id is known, and for what may have been made", () =>
    expect(blocksOf([made("t.a")], [made("t.b"), { ...made("t.c"), action: "update" }])).toBe([
      "# t.a was made, but no id of it is known: look for it, and import or remove it by hand.\n",
      "# t.b may have been made: look for it, and import or remove it by hand.\n"
    ].join("\n")))
  it("are comments where the state has something else at the address, beside which the engines pass over a block", () =>
    expect(blocksOf([{ ...made("t.a", "2"), replaces: true }])).toBe(
      "# t.a [id=2] was made, and the state has something else at this address: the old one if this replaced it, or a newer one that a later apply made. If this is the one to keep, take the other out of the state (tofu state rm), and then import this; otherwise remove this by hand.\n"
    ))
  it("are comments for what was planned, unseen", () =>
    expect(importBlocks({ unsaved: [], unsavedCount: 0, unknown: [], unknownCount: 0, unseen: [made("t.a")], unseenCount: 3 })).toBe([
      "# t.a may have been made: look for it, and import or remove it by hand.\n",
      "# 2 more may have been made, which are not listed.\n"
    ].join("\n")))
  it("say how many are not listed", () =>
    expect(importBlocks({ unsaved: [made("t.a")], unsavedCount: 3, unknown: [made("t.b")], unknownCount: 5 }).split("\n")).toEqual(
      expect.arrayContaining(["# 2 more were made, which are not listed.", "# 4 more were begun, which are not listed."])
    ))
  it.each([
    { given: "a missing thing", unsaved: [made("t.a", "1")], first: ["import {\n  to = t.a\n  id = \"1\"\n}\n"] },
    { given: "no missing thing", unsaved: [], first: [] }
  ])(
    "of a full journal say that there may be more, with $given",
    ({ first, unsaved }) =>
      expect(importBlocks({ unsaved, unsavedCount: unsaved.length, unknown: [], unknownCount: 0, incomplete: true })).toBe(
        [
          ...first,
          "# There may be more, since the journal was full: look for what else was made, and import or remove it by hand.\n"
        ].join("\n")
      )
  )
  it.each(["a.b }", "a.b\nresource", `a["\${file(1)}"].b`, "a.b # c", "", "file(\"x\")"])(
    "take %j for no address",
    (address) => expect(blocksOf([made(address, "1")])).not.toContain("import {")
  )

  it.prop("have nothing that an id or an address could add to the configuration", [Schema.String, Schema.String], ([address, id]) => {
    const lines = blocksOf([made(address, id)]).split("\n").filter((line) => line !== "")
    for (const line of lines) expect(line).toMatch(/^(?:import \{|\}|  to = .*|  id = ".*"|#.*)$/u)
    expect(lines.filter((line) => line === "import {").length).toBeLessThanOrEqual(1)
  })

  it.prop("of a known address have its id as one string, whatever is in it", [Schema.String, Schema.String], ([first, second]) => {
    for (const id of [first, `${first}"\n}\n\${${second}\\`]) {
      expect(blocksOf([made("t.a", id)])).toMatch(
        /^import \{\n {2}to = t\.a\n {2}id = "(?:[^"\\\n$%]|\\.|\$\$\{|%%\{|[$%](?!\{))*"\n\}\n$/u
      )
    }
  })
})

describe("importable", () => {
  it("is what has an id and an address of its own, as many as one plan takes", () => {
    expect(
      importable([
        made("t.a", "1"),
        made("t.b"),
        { ...made("t.e", "5"), replaces: true },
        made("t.c }", "3"),
        made(`t.d["${"x".repeat(600)}"]`, "4")
      ]).map(({ address }) => address)
    ).toEqual(["t.a"])
    expect(importable(Array.from({ length: 100 }, (_, at) => made(`t.a${at}`, "1")))).toHaveLength(64)
  })
})
