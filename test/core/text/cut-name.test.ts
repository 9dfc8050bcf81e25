// Names that are cut to make room for a suffix.
import { describe, expect, it } from "@effect/vitest"
import { cutName } from "../../../src/core/text/cut-name.ts"

describe("cutName", () => {
  it.each([
    { given: "a name that has room", name: "demo", most: 10, cut: "demo" },
    { given: "a longer one", name: "demonstration", most: 4, cut: "demo" },
    { given: "one whose end would be a dash", name: "demo-plan", most: 5, cut: "demo" },
    { given: "one whose end would be dots and dashes", name: "demo.-.plan", most: 7, cut: "demo" },
    { given: "one with dashes before its end too", name: "my-demo-plan", most: 8, cut: "my-demo" },
    { given: "one that has room and ends so", name: "demo-", most: 10, cut: "demo" }
  ])("shortens $given", ({ cut, most, name }) => expect(cutName(name, most)).toBe(cut))
})
