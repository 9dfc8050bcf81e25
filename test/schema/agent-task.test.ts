// An AgentTask is read here exactly when the API server stores it: else nobody would work on it, or say why.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { AgentTaskSpec } from "../../src/schema/agent-task.ts"

const accepts = (target: string) =>
  Schema.is(AgentTaskSpec)({ workspace: "demo", stage: "plan", source: { inline: { "main.tf": "" } }, options: { targets: [target] } })

describe("a text of an AgentTask", () => {
  it.each([
    { given: "512 letters", target: "a".repeat(512), accepted: true },
    { given: "513 letters", target: "a".repeat(513), accepted: false },
    { given: "512 characters of two code units each", target: "😀".repeat(512), accepted: true },
    { given: "513 characters of two code units each", target: "😀".repeat(513), accepted: false }
  ])("of at most 512 characters may have $given: $accepted", ({ accepted, target }) => expect(accepts(target)).toBe(accepted))
})
