import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { onTestFinished, vi } from "vitest"
import { fit, table } from "../../../src/cli/terminal/table.ts"

describe("a table", () => {
  it("keeps its columns straight under wide characters and combining marks", () =>
    expect(table(["NAME", "STATUS"], [["café", "applied"], ["日本", "planned"], ["cafe\u0301", "errored"]])).toEqual([
      "NAME   STATUS",
      "café   applied",
      "日本   planned",
      "cafe\u0301   errored"
    ]))
  it("shows an empty cell as a dash and ends no line in spaces", () =>
    expect(table(["A", "LONG HEADING"], [["", "x"], ["yy", ""]])).toEqual(["A    LONG HEADING", "-    x", "yy   -"]))
  it("has one line for each row, also of a message that has several", () =>
    expect(table(["A", "B"], [["MountVolume failed:\r\n\texit status 32\n", "a  b"]])).toEqual([
      "A                                    B",
      "MountVolume failed: exit status 32   a  b"
    ]))
  it("may have more rows than a function may have arguments", () =>
    expect(table(["A"], Array.from({ length: 150_000 }, () => ["x"]))).toHaveLength(150_001))
  it("asks for the rules of letters only where it has some beyond ASCII", () => {
    const rules = vi.spyOn(Intl.Segmenter.prototype, "segment")
    onTestFinished(() => rules.mockRestore())
    table(["NAME", "STATUS"], [["cafe", "applied"]])
    expect(rules).not.toHaveBeenCalled()
    table(["NAME", "STATUS"], [["café", "applied"]])
    expect(rules).toHaveBeenCalled()
  })
  it("has its heading alone when there are no rows", () => expect(table(["A", "B"], [])).toEqual(["A   B"]))
})

describe("a text that is fitted", () => {
  it.each([["short", 5, "short"], ["longer", 5, "long…"], ["日本語", 5, "日本…"], ["日本語", 4, "日…"], ["", 3, ""]])(
    "%s into %d cells is %s",
    (text, width, fitted) => expect(fit(text, width)).toBe(fitted)
  )
  it.prop(
    "of plain characters has one of them in each cell",
    [Schema.String.check(Schema.isPattern(/^[ -~]{0,40}$/u)), Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 40 }))],
    ([text, width]) => fit(text, width) === (text.length <= width ? text : `${text.slice(0, width - 1)}…`)
  )
  it("has as many characters without a width as somebody put there, in good time", () => {
    const invisible = "\u200b".repeat(65_000)
    expect(fit(`${invisible}longer`, 5)).toBe(`${invisible}long…`)
  })
})
