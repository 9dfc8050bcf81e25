import { describe, expect, it } from "@effect/vitest"
import { frame, keptStateBytes, unframe } from "../../../src/schema/api/task-api.ts"

const text = (of: string) => new TextEncoder().encode(of)
const [vector, tag] = [text("v".repeat(keptStateBytes.vector)), text("t".repeat(keptStateBytes.tag))]

describe("a kept state", () => {
  it("is a line that names its stage, the vector, the tag and what is hidden", () =>
    expect(new TextDecoder().decode(frame({ stage: "run-1.apply.1", vector, tag, hidden: text("hidden") }))).toBe(
      "agent-job-state/1 run-1.apply.1\nvvvvvvvvvvvvtttttttttttttttthidden"
    ))

  it.each([
    { given: "with a newline in what is hidden", hidden: "a\nb" },
    { given: "with nothing hidden", hidden: "" }
  ])("comes apart as it was put together, $given", ({ hidden }) => {
    const parts = { stage: "run-1.apply.1", vector, tag, hidden: text(hidden) }
    expect(unframe(frame(parts))).toEqual(parts)
  })

  it.each(["", "{\"serial\":1}", "agent-job-state/2 run-1.apply.1\n", " agent-job-state/1 run-1.apply.1\n"])(
    "is nothing that begins otherwise: %j",
    (other) => expect(unframe(text(other))).toBeUndefined()
  )
})
