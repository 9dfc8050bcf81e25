// Messages from elsewhere, made to fit: whole characters, and no more of them than there is room for.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { sentence, shortened, shortenedInBytes, shortName } from "../../../src/core/text/sentence.ts"

const size = (text: string): number => Buffer.byteLength(text)

describe("words of others", () => {
  it("end as a sentence", () => expect([sentence("It failed "), sentence("Why?")]).toEqual(["It failed.", "Why?"]))

  it("that fit stay as they are", () =>
    expect([shortened("ein Kästchen", 12), shortenedInBytes("ein Kästchen", 13)]).toEqual(["ein Kästchen", "ein Kästchen"]))

  it.each([[11, "ein Käh…"], [10, "ein Kä…"], [9, "ein K…"], [8, "ein K…"]])(
    "are cut to whole characters in %i bytes",
    (most, left) => expect(shortenedInBytes("ein Kähkähkäh", most)).toBe(left)
  )

  it("are a name on one line, short, of which a terminal heeds nothing", () =>
    expect([shortName("lock-1"), shortName("a\n  b\u001b[1A\u009b2J\u202e\u2028c"), shortName("d".repeat(101))]).toEqual([
      "lock-1",
      "a   b[1A2J c",
      `${"d".repeat(99)}…`
    ]))

  it.prop("are as they were or end with …, are no longer than they may be, and have whole characters", [
    Schema.String,
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 20 }))
  ], ([text, most]) => {
    const words = text.toWellFormed()
    const short = shortened(words, most)
    expect(short === words || short.endsWith("…")).toBe(true)
    expect([short.length <= most, short.isWellFormed(), words.startsWith(short.replace(/…$/u, ""))]).toEqual([true, true, true])
  })

  it.prop("never take more bytes than there is room for, and lose no more than they must", [
    Schema.String,
    Schema.Int.check(Schema.isBetween({ minimum: 3, maximum: 40 }))
  ], ([words, most]) => {
    const cut = shortenedInBytes(words, most)
    expect(size(cut)).toBeLessThanOrEqual(most)
    if (size(words) > most) expect(size(cut)).toBeGreaterThan(most - 4)
  })
})
