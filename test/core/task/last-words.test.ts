// A result in the 4 KiB that the kubelet keeps.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { lastWords, lastWordsBytes } from "../../../src/core/task/last-words.ts"
import { StageResult } from "../../../src/schema/task/stage-result.ts"

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(StageResult))

describe("lastWords", () => {
  it.prop("fit and decode, and lose nothing but the end of the message", [StageResult], ([result]) => {
    const text = lastWords(result)
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(lastWordsBytes)
    const { message, ...rest } = decode(text)
    const { message: whole, ...others } = result
    expect(rest).toEqual(others)
    expect(whole.startsWith(message.replace(/…$/u, ""))).toBe(true)
  })
  it("have no half of a character, which another program would not read back as the same", () => {
    const cut = [0, 1].map((shift) =>
      decode(
        lastWords({
          outcome: "failed",
          reason: "ExitCode",
          message: "a".repeat(shift) + "😀".repeat(1023),
          finishedAt: "2026-01-01T00:00:00Z"
        })
      ).message
    )
    expect(cut.map((message) => message.isWellFormed())).toEqual([true, true])
  })

  it("are cut when control characters make them long", () => {
    const text = lastWords({ outcome: "failed", reason: "ExitCode", message: "\u0001".repeat(2048), finishedAt: "2026-01-01T00:00:00Z" })
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(lastWordsBytes)
    expect(decode(text).message.length).toBeGreaterThan(500)
  })
})
