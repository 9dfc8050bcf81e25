import { describe, expect, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { withSerial } from "../../src/core/next-serial.ts"

const Written = Schema.Struct({
  version: Schema.Int,
  terraform_version: Schema.String,
  serial: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e9 })),
  lineage: Schema.String,
  resources: Schema.Array(Schema.Unknown)
})

describe("a state with another serial", () => {
  it.prop(
    "has that serial, and all else as it was",
    [Written, Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1e9 }))],
    ([state, serial]) => {
      const text = JSON.stringify(state, null, 2)
      const changed = withSerial(text, serial)
      if (state.terraform_version.includes("\"serial\"")) return // no engine calls itself so
      expect(Option.getOrThrow(changed)).toBe(JSON.stringify({ ...state, serial }, null, 2))
    }
  )
  it("keeps every digit of large numbers", () =>
    expect(withSerial("{\"serial\":7,\"n\":12345678901234567890}", 8)).toEqual(Option.some("{\"serial\":8,\"n\":12345678901234567890}")))
  it.each(["not JSON", "[]", "{}", "{\"resources\":{\"serial\":1},\"serial\":2}", "{\"serial\":\"1\"}"])(
    "is none where an engine did not write it: %s",
    (text) => expect(Option.isNone(withSerial(text, 9))).toBe(true)
  )
})
