// What the server reads in a state, and that even the worst state takes no more memory than the server has.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { closeSync, openSync, writeSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { stateLimitBytes } from "../../../src/schema/api/task-api.ts"
import { outputsIn } from "../../../src/server/workspace/state-content.ts"
import { directory } from "../live-server.ts"

const mebibyte = 1024 * 1024
const head = `{"version":4,"terraform_version":"1.12.0","serial":7,"lineage":"l",`
const instances = [`${head}"resources":[{"mode":"managed","type":"t","name":"n","instances":[`, "]}]}"] as const
const bytes = (text: string) => new TextEncoder().encode(text)

describe("a state", () => {
  it.each([
    { given: "has its outputs", text: `${head}"outputs":{"a":{"value":1}}}`, heap: mebibyte, expected: [["a", { value: 1 }]] },
    { given: "may have none", text: `${head}"resources":[]}`, heap: mebibyte, expected: [] },
    {
      given: "that is encrypted shows none",
      text: `{"serial":7,"lineage":"l","encrypted_data":"x"}`,
      heap: mebibyte,
      expected: "encrypted"
    },
    { given: "that is none has none", text: `${head}"outputs":no}`, heap: mebibyte, expected: "no-state" },
    { given: "that has too much in it shows none", text: `${head}"outputs":{}}`, heap: 1024, expected: "too-much" }
  ])("$given", ({ expected, heap, text }) => expect(outputsIn(heap, bytes(text))).toEqual(expected))
})

describe("a number of an output that 64 bits do not hold", () => {
  const printed = (text: string) => JSON.stringify(outputsIn(64 * mebibyte, bytes(text)))

  it("keeps its digits, also inside of a value", () => {
    const outputs = `"a":{"value":12345678901234567890,"type":"number"},"b":{"value":{"c":[1e400,0.1000000000000000055]}}`
    expect(printed(`${head}"outputs":{${outputs}},"resources":[]}`)).toBe(
      `[["a",{"value":12345678901234567890,"type":"number"}],["b",{"value":{"c":[1e400,0.1000000000000000055]}}]]`
    )
  })

  it("does not matter where it is in a resource", () =>
    expect(printed(`${head}"outputs":{"a":{"value":1}},"resources":[1e400,${"1,".repeat(60_000)}1]}`)).toBe(`[["a",{"value":1}]]`))

  it("is not looked for among very many values", () =>
    expect(outputsIn(64 * mebibyte, bytes(`${head}"outputs":{"a":{"value":[${"1,".repeat(100_000)}1e400]}}}`))).toBe("too-many"))
})

describe("the heap that Node chooses in 1 GiB, the limit of the server, with the longest journals in it,", () => {
  const heap = { oldSpace: 512, young: 6 } // MiB; a semi-space is a third of `young` (images/agent-job.Containerfile)
  const flags = [`--max-old-space-size=${heap.oldSpace}`, `--max-semi-space-size=${heap.young / 3}`]

  /** Writes a state with as many items as the server still parses ("most"), or with 2,000,000 values ("more"); returns the file. */
  const stateOf = ([before, after]: readonly [string, string], valuesOfOne: number, one: (at: number) => string, count: "most" | "more") =>
    Effect.map(directory, (folder) => {
      const file = join(folder, "state")
      const written = openSync(file, "w")
      const bytesOfOne = bytes(one(999_999)).byteLength + 1
      const most = Math.min(
        (heap.oldSpace + heap.young) * mebibyte / 2 / (200 * valuesOfOne + 2 * bytesOfOne),
        stateLimitBytes / bytesOfOne
      )
      const [last, piece] = [Math.floor((count === "most" ? most : 2_000_000 / valuesOfOne) * 0.999), 10_000]
      writeSync(written, before)
      for (let from = 0; from < last; from += piece) {
        const some = Array.from({ length: Math.min(piece, last - from) }, (_, at) => one(from + at)).join(",")
        writeSync(written, from === 0 ? some : `,${some}`)
      }
      writeSync(written, after)
      closeSync(written)
      return file
    })
  const parsed = (file: string) => {
    const { status, stdout } = spawnSync(process.execPath, [...flags, fileURLToPath(new URL("../parse-state.ts", import.meta.url)), file], {
      encoding: "utf8"
    })
    return { status, told: stdout === "" ? undefined : JSON.parse(stdout) }
  }

  it.live.each(
    [
      { kind: "keys that no other object has", around: instances, values: 2, one: (at: number) => `{"key-${at}":"value-${at}"}` },
      {
        kind: "keys of one object",
        around: [`${instances[0]}{`, `}${instances[1]}`],
        values: 1,
        one: (at: number) => `"key-${at}":"value-${at}"`
      },
      { kind: "instances", around: instances, values: 3, one: (at: number) => `{"index_key":${at},"a":1}` },
      { kind: "outputs", around: [`${head}"outputs":{`, "}}"], values: 2, one: (at: number) => `"k${at}":{"value":"v${at}"}` },
      { kind: "characters of two bytes", around: instances, values: 1, one: (at: number) => `"Ā${"a".repeat(80_000)}${at}"` }
    ] as const
  )("is enough for the state with the most $kind that is parsed", ({ around, kind, one, values }) =>
    Effect.gen(function*() {
      const file = yield* stateOf(around, values, one, "most")
      const unread = kind === "instances" ? "is read" : expect.anything() // others are all at one address
      expect(parsed(file)).toMatchObject({ status: 0, told: { outputs: expect.any(Number), unread } })
    }))

  it.live("is enough for one with 2,000,000 values, which is not parsed", () =>
    Effect.gen(function*() {
      const file = yield* stateOf(instances, 3, (at) => `{"index_key":${at},"a":1}`, "more")
      expect(parsed(file)).toMatchObject({ status: 0, told: { unread: "too-large", outputs: "too-much" } })
    }))
})
