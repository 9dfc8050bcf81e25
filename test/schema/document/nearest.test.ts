import { describe, expect, it } from "@effect/vitest"
import { nearest } from "../../../src/schema/document/nearest.ts"

describe("nearest", () => {
  it.each([
    ["backofLimit", "backoffLimit"],
    ["controler", "controller"],
    ["Image", "image"],
    ["imgae", "image"],
    ["backLimits", "backoffLimit"],
    ["ttlSeconds", "ttlSecondsAfterFinished"],
    ["ttl", "ttlSecondsAfterFinished"],
    ["tt", undefined],
    ["state", undefined],
    ["container", undefined],
    ["zzz", undefined]
  ])(
    "finds for %s %s",
    (word, expected) => expect(nearest(word, ["backoffLimit", "controller", "image", "ttlSecondsAfterFinished"])).toBe(expected)
  )
  it("takes the nearest of several", () => expect(nearest("limit", ["limbo", "limits"])).toBe("limits"))
})
