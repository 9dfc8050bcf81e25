// Variables that were set for one run and that its configuration does not declare.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { undeclaredVariable } from "../../../src/core/stage/undeclared-variable.ts"

describe("a variable of a run", () => {
  it("that its configuration declares is well set", () =>
    expect(undeclaredVariable(["region", "zones"], ["zones", "region", "other"])).toEqual(Option.none()))

  it("is looked for once, however many are set and declared", () => {
    const many = (count: number) => Array.from({ length: count }, (_, at) => `name${at}`)
    expect(undeclaredVariable(many(100_000), many(200_000).reverse())).toEqual(Option.none())
  })

  it.each([
    {
      given: "one is near",
      declared: ["zones", "region"],
      says: "This run sets the variable regoin, which its configuration does not declare; did you mean region?"
    },
    {
      given: "one is near, beside a name that no engine has",
      declared: [`regoin${"n".repeat(30_000_000)}`, "zones", "region"],
      says: "This run sets the variable regoin, which its configuration does not declare; did you mean region?"
    },
    {
      given: "none is near",
      declared: ["zones"],
      says: "This run sets the variable regoin, which its configuration does not declare; declare it there, or leave it out."
    }
  ])(
    "that its configuration does not declare is named, the first of several, with what may have been meant if $given",
    ({ declared, says }) => expect(undeclaredVariable(["zones", "regoin", "another"], declared)).toEqual(Option.some(says))
  )
})
