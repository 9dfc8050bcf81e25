import { describe, expect, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { poolId, poolOfId } from "../../../src/schema/api/pools.ts"

describe("the id of a pool", () => {
  it.each([
    { name: "prod", id: "apool-prod" },
    { name: "1a2b3c4d", id: "apool-1a2b3c4d" },
    { name: "team a", id: "apool-team_20a" },
    { name: "a_b/c.d%", id: "apool-a_5Fb_2Fc_2Ed_25" },
    { name: "é", id: "apool-_C3_A9" }
  ])("of $name is $id", ({ id, name }) => expect([poolId(name), poolOfId(id)]).toEqual([id, Option.some(name)]))

  it.prop("gives its name back, and has no character that a path or a stock client refuses", [Schema.String], ([text]) => {
    const name = text.toWellFormed() // as a file that is read as UTF-8 has it
    expect(poolOfId(poolId(name))).toEqual(Option.some(name))
    expect(poolId(name)).toMatch(/^apool-[A-Za-z0-9_-]*$/u)
  })

  it.each(["prod", "ws-1", "apool-a_", "apool-_zz", "apool-_ff"])("is not %s", (id) => expect(poolOfId(id)).toEqual(Option.none()))
})
