// Words of others, made to fit.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { sentence, shortened } from "../../src/core/sentence.ts"

describe("sentence", () => {
  it.each([["no such image", "no such image."], ["It failed.\n", "It failed."], ["Why?", "Why?"]])("ends %j as one", (words, ended) => expect(sentence(words)).toBe(ended))
})

describe("shortened", () => {
  it.prop("is as it was or ends with …, is no longer than it may be, and has whole characters", [Schema.String, Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 20 }))], ([text, most]) => {
    const words = text.toWellFormed()
    const short = shortened(words, most)
    expect(short === words || short.endsWith("…")).toBe(true)
    expect([short.length <= most, short.isWellFormed(), words.startsWith(short.replace(/…$/u, ""))]).toEqual([true, true, true])
  })
})
