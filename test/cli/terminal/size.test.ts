import { describe, expect, it } from "@effect/vitest"
import { size } from "../../../src/cli/terminal/size.ts"

describe("size", () => {
  it.each([[0, "0 B"], [999, "999 B"], [1300, "1.3 kB"], [2_500_000, "2.5 MB"]])(
    "%d bytes are %s",
    (bytes, said) => expect(size(bytes)).toBe(said)
  )
})
