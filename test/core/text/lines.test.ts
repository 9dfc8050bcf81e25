// Lines that another program writes, however they are cut into chunks.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { linesOf, noLine, type Unfinished } from "../../../src/core/text/lines.ts"

const read = (chunks: ReadonlyArray<Uint8Array>, limit: number) => {
  const lines: Array<string> = []
  let unfinished: Unfinished = noLine
  for (const chunk of chunks) {
    const [left, found] = linesOf(unfinished, chunk, limit)
    unfinished = left
    lines.push(...found)
    expect(left.bytes.length).toBeLessThanOrEqual(limit)
  }
  return lines
}
const bytes = (text: string) => new TextEncoder().encode(text)
const cutAt = (all: Uint8Array, sizes: ReadonlyArray<number>) => {
  const chunks: Array<Uint8Array> = []
  let from = 0
  for (const size of sizes) {
    chunks.push(all.subarray(from, from + size))
    from += size
  }
  return [...chunks, all.subarray(from)]
}

describe("linesOf", () => {
  it.prop("gives the same lines however they are cut", [
    Schema.Array(Schema.String),
    Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 })))
  ], ([texts, sizes]) => {
    const lines = texts.map((text) => text.replaceAll("\n", " ").toWellFormed())
    expect(read(cutAt(bytes(lines.map((line) => `${line}\n`).join("")), sizes), 1024 * 1024)).toEqual(lines)
  })
  it("skips a line that is too long, and only that", () => {
    expect(read([bytes("one\n"), bytes("x".repeat(8)), bytes("yyy\ntwo\n"), bytes("x".repeat(20)), bytes("y\nthree\n"), bytes("four")], 10))
      .toEqual(["one", "two", "three"])
  })
  it("takes a line that is just short enough", () => expect(read([bytes("12345"), bytes("67890\n")], 10)).toEqual(["1234567890"]))
})
