import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { answered, askedToDrain, drainAskedAt, isAnswered, notAskedToDrain } from "../../../src/core/scheduling/draining.ts"

const foreign = { "example.com/a": "b" }
const [noon, later] = ["2026-01-01T12:00:00Z", "2026-01-01T13:00:00Z"]

describe("a drain", () => {
  it("is asked for, answered, ended, and leaves nothing behind", () => {
    const asked = askedToDrain(foreign, noon)
    expect([drainAskedAt(asked), isAnswered(asked)]).toEqual([Option.some(noon), false])
    const kept = answered(asked, false)
    expect([drainAskedAt(kept), isAnswered(kept), answered(kept, false)]).toEqual([Option.some(noon), true, kept])
    const ended = notAskedToDrain(kept)
    expect([drainAskedAt(ended), isAnswered(ended)]).toEqual([Option.none(), false])
    expect(answered(ended, false)).toEqual(foreign)
  })

  it("that is asked for twice is the first one", () =>
    expect(askedToDrain(answered(askedToDrain({}, noon), false), later)).toEqual(answered(askedToDrain({}, noon), false)))
  it("is not answered, and its end is, while a Job may still be made", () => {
    const asked = askedToDrain(foreign, noon)
    expect([answered(asked, true), answered(notAskedToDrain(answered(asked, false)), true)]).toEqual([asked, foreign])
  })
  it("that nobody asked for needs no answer", () => expect([answered(foreign, false), isAnswered(foreign)]).toEqual([foreign, true]))
})
