// A result as the controller reads it from what the kubelet keeps of it.
import { describe, expect, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { decodeLastWords, lastWords, lastWordsBytes } from "../../../src/core/task/last-words.ts"
import { Sha256 } from "../../../src/schema/names.ts"
import { longestMessage, StageResult } from "../../../src/schema/task/stage-result.ts"

const decode = Schema.decodeUnknownSync(Schema.fromJsonString(StageResult))

/** What the kubelet keeps of each termination message of a Pod (MaxPodTerminationMessageLogLength): it cuts at a byte. */
const keptOf = (words: string, containers: number): string =>
  Buffer.from(words).subarray(0, Math.min(4 * 1024, Math.floor(12 * 1024 / containers))).toString()

/** Decodes what the kubelet of a Pod with so many containers keeps of the result. */
const kept = (result: StageResult, containers: number): StageResult =>
  Option.getOrThrow(decodeLastWords(keptOf(lastWords(result), containers)))

describe("lastWords", () => {
  it.prop(
    "decode whole in a Pod with up to three containers, and with up to 28 but for the end of their message",
    [StageResult, Schema.Int.check(Schema.isBetween({ minimum: 4, maximum: 28 })), Schema.Literals(["ä", "\"", "\\", "\u0001", "😀", "x"])],
    ([result, many, filler]) => {
      const long = { ...result, message: `${result.message}${filler.repeat(longestMessage)}`.slice(0, longestMessage).toWellFormed() }
      expect(kept(long, 3)).toEqual(decode(lastWords(long)))
      const { message, ...rest } = kept(long, many)
      const { message: whole, ...others } = long
      expect(rest).toEqual(others)
      expect(whole.startsWith(message.replace(/…$/u, ""))).toBe(true)
    }
  )

  it("decode wherever they are cut behind the beginning of their message", () => {
    const message = "a\\\\\"\n\u0001ä😀 b"
    const text = Buffer.from(lastWords({ outcome: "failed", reason: "ExitCode", finishedAt: "2026-01-01T00:00:00Z", message }))
    const from = text.indexOf("\"message\":\"") + "\"message\":\"".length + 1
    const cuts = Array.from({ length: text.length - from }, (_, at) => text.subarray(0, from + at).toString())
    const told = cuts.map((cut) => Option.map(decodeLastWords(cut), (result) => result.message.replace(/…$/u, "")))
    expect(told.map((words) => Option.exists(words, (words) => message.startsWith(words) && words.isWellFormed()))).toEqual(
      cuts.map(() => true)
    )
  })

  it.prop("fit and decode, and lose nothing but the end of the message", [
    StageResult,
    Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: longestMessage }))
  ], ([{ message: part, ...stage }, count]) => {
    const result = { ...stage, message: part.repeat(count).slice(0, longestMessage).toWellFormed() }
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
    expect(decode(text).message.length).toBeGreaterThan(100)
  })

  it("have the place of a state that is not saved of a Pod with twelve containers, whatever else is known and left over", () => {
    const digest = Sha256.make("a".repeat(64))
    const place = `The last state is kept, encrypted, as /var/lib/scalr-agent/cache/kept-states/run-${"r".repeat(63)}.destroy.1.${
      "d".repeat(12)
    }.state on the volume that tasks share. The next stage of another workspace of the pool takes it to the server, which has not confirmed it yet; or bring that file: agent-job state rescue NAME --file FILE.`
    const { message, ...rest } = kept({
      outcome: "failed",
      reason: "StateNotSaved",
      message: `${place} ${"Nobody answers. ".repeat(90)}`,
      exitCode: 255,
      changes: { add: 10_000, change: 10_000, destroy: 10_000 },
      hasChanges: true,
      planDigest: digest,
      statePushed: false,
      stateDigest: digest,
      finishedAt: "2026-01-01T00:00:00.000Z"
    }, 12)
    expect(message.startsWith(place)).toBe(true)
    expect(rest).toMatchObject({ reason: "StateNotSaved", exitCode: 255, planDigest: digest, statePushed: false, stateDigest: digest })
  })
})
