// The result of a task that ended without a result from its worker, and an end in words that an older CRD has.
import { expect, it } from "@effect/vitest"
import { Option } from "effect"
import { endInPlainReasons, resultOf } from "../../../src/core/task/task-result.ts"
import type { AgentTaskStatus } from "../../../src/schema/task/agent-task.ts"
import { longestMessage } from "../../../src/schema/task/stage-result.ts"

it("has the status's message, cut between two characters, so that the API server gives back what was written", () => {
  const messages = [0, 1].map((shift) =>
    resultOf({ phase: "Failed", message: "a".repeat(shift) + "😀".repeat(longestMessage) }, "2026-01-01T00:00:00Z").message
  )
  expect(messages.map((message) => message.isWellFormed() && message.endsWith("…") && message.length <= longestMessage)).toEqual([
    true,
    true
  ])
})

it.each(
  [
    { phase: "Succeeded", outcome: "succeeded", plain: "Completed" },
    { phase: "Failed", outcome: "failed", plain: "ExitCode" },
    { phase: "Cancelled", outcome: "cancelled", plain: "Cancelled" }
  ] as const
)("has a plain reason where an older CRD does not have the one that was meant, and there alone: $phase", ({ outcome, phase, plain }) => {
  const result = { outcome, reason: "FromTomorrow", message: "It ended.", finishedAt: "2026-01-01T00:00:00Z" } as const
  const status = { phase, reason: "FromTomorrow", result }
  const both = ["status.reason", "status.result.reason"]
  const written = (status: AgentTaskStatus, fields: ReadonlyArray<string>) =>
    Option.flatMap(endInPlainReasons(status), (end) => end(fields))
  expect(written(status, both)).toEqual(Option.some({ phase, reason: plain, result: { ...result, reason: plain } }))
  expect(written(status, both.slice(1))).toEqual(Option.some({ ...status, result: { ...result, reason: plain } }))
  expect(written({ phase, reason: "FromTomorrow" }, both)).toEqual(Option.some({ phase, reason: plain }))
  for (const fields of [[], ["status.queue.reason"]]) expect(written(status, fields)).toEqual(Option.none())
  expect(written({ phase, reason: "FromTomorrow" }, both.slice(1))).toEqual(Option.none())
  expect(endInPlainReasons({ ...status, phase: "Running" })).toEqual(Option.none())
})
