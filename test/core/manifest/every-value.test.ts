// Every key takes effect, where the values say and nowhere else.
import { describe, expect, it } from "@effect/vitest"
import { valueKeys } from "../../../src/schema/values-document.ts"
import { changedBy } from "./changes.ts"
import { effects } from "./value-effects.ts"

describe("every value", () => {
  it("has a row", () => expect(effects.map(([key]) => key)).toEqual(valueKeys().map(({ key }) => key)))

  it.each(effects.map(([key, value, changes, beside]) => ({ key, value, changes, beside })))("$key changes $changes", ({ beside, changes, key, value }) =>
    expect(changedBy(key, value, beside)).toBe(changes))

  it("of global reaches the runner, and of agent does not", () => {
    const reached = (section: string) => effects.filter(([key, , changes]) => key.startsWith(section) && changes.includes("runner")).map(([key]) => key)
    expect(reached("agent.")).toEqual(["agent.dataDir"])
    expect(reached("controller.")).toEqual([])
    expect(reached("global.")).toEqual(effects.flatMap(([key]) => /^global\.(?:extraEnv|imageRegistry|proxy|tls\.caBundle(?!.*key))/u.test(key) ? [key] : []))
  })
})
