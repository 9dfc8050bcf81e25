import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { answered, drainAskedAt, isAnswered, withDrainAsked, withoutDrainAsked } from "../../../src/core/scheduling/draining.ts"

const foreign = { "example.com/a": "b" }
const [noon, later] = ["2026-01-01T12:00:00Z", "2026-01-01T13:00:00Z"]

describe("a drain", () => {
  it("is asked for, answered, ended, and leaves nothing behind", () => {
    const asked = withDrainAsked(foreign, noon)
    expect([drainAskedAt(asked), isAnswered(asked)]).toEqual([Option.some(noon), false])
    const kept = answered(asked, false)
    expect([drainAskedAt(kept), isAnswered(kept), answered(kept, false)]).toEqual([Option.some(noon), true, kept])
    const ended = withoutDrainAsked(kept)
    expect([drainAskedAt(ended), isAnswered(ended)]).toEqual([Option.none(), false])
    expect(answered(ended, false)).toEqual(foreign)
  })

  it("that is asked for twice is the first one", () =>
    expect(withDrainAsked(answered(withDrainAsked({}, noon), false), later)).toEqual(answered(withDrainAsked({}, noon), false)))
  it("is not answered, and its end is, while a Job may still be made", () => {
    const asked = withDrainAsked(foreign, noon)
    expect([answered(asked, true), answered(withoutDrainAsked(answered(asked, false)), true)]).toEqual([asked, foreign])
  })
  it("that nobody asked for needs no answer", () => expect([answered(foreign, false), isAnswered(foreign)]).toEqual([foreign, true]))
})
