// The result of a task that ended without a result from its worker, and an end in words that an older CRD has.
import { expect, it } from "@effect/vitest"
import { Option } from "effect"
import { endInPlainReasons, isStoredOf, resultOf } from "../../../src/core/task/task-result.ts"
import { Sha256 } from "../../../src/schema/names.ts"
import type { AgentTaskStatus } from "../../../src/schema/task/agent-task.ts"
import { longestMessage } from "../../../src/schema/task/stage-result.ts"
import { success } from "../worlds.ts"

const sha256 = Sha256.make("0".repeat(64))

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
    { phase: "Cancelled", reason: "Cancelled", outcome: "cancelled", told: "Cancelled" },
    { phase: "Failed", reason: "ImagePull", outcome: "failed", told: "ImagePull" },
    { phase: "Failed", reason: undefined, outcome: "failed", told: "Lost" }
  ] as const
)(
  "has the outcome of the phase, and its reason: $phase, $reason",
  ({ outcome, phase, reason, told }) =>
    expect(resultOf({ phase, ...(reason !== undefined && { reason }) }, "2026-01-01T00:00:00Z")).toEqual({
      outcome,
      reason: told,
      message: "",
      finishedAt: "2026-01-01T00:00:00Z"
    })
)

it("has the time of the end that the status says", () => {
  const [end, later] = ["2026-01-01T00:00:00Z", "2026-01-01T00:05:00Z"]
  expect(resultOf({ phase: "Failed", finishedAt: end }, later).finishedAt).toBe(end)
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
    Option.flatMap(endInPlainReasons({ phase: "Running" }, status), (end) => end(fields))
  expect(written(status, both)).toEqual(Option.some({ phase, reason: plain, result: { ...result, reason: plain } }))
  expect(written(status, both.slice(1))).toEqual(Option.some({ ...status, result: { ...result, reason: plain } }))
  expect(written({ phase, reason: "FromTomorrow" }, both)).toEqual(Option.some({ phase, reason: plain }))
  for (const fields of [[], ["status.queue.reason"]]) expect(written(status, fields)).toEqual(Option.none())
  expect(written({ phase, reason: "FromTomorrow" }, both.slice(1))).toEqual(Option.none())
})

it.each([
  { given: "all of it", stored: success, is: true },
  {
    given: "a part of it",
    stored: { outcome: "succeeded" as const, reason: "Completed", message: "done", finishedAt: success.finishedAt },
    is: true
  },
  { given: "another reason", stored: { ...success, reason: "Lost" }, is: false },
  { given: "another exit code", stored: { ...success, exitCode: 1 }, is: false },
  { given: "another outcome", stored: { ...success, outcome: "failed" as const }, is: false }
])("is what is stored of it if that is $given: $is", ({ is, stored }) => expect(isStoredOf(success, stored)).toBe(is))

it("is what is stored of it, too, without the counts that an older CRD does not have", () => {
  const counts = { add: 1, change: 0, destroy: 0 }
  const result = { ...success, changes: { ...counts, import: 2 } }
  expect([counts, { ...counts, add: 2 }].map((changes) => isStoredOf(result, { ...success, changes }))).toEqual([true, false])
})

it("is what is stored of it, too, with a plain reason in the place of one that an older CRD does not have", () => {
  const result = { ...success, outcome: "failed", reason: "DiskFull" } as const
  expect(["DiskFull", "ExitCode", "Completed"].map((reason) => isStoredOf(result, { ...result, reason }))).toEqual([true, true, false])
})

it.each<{ readonly given: string; readonly before: AgentTaskStatus; readonly after: AgentTaskStatus; readonly ends: boolean }>([
  { given: "the end without a result", before: { phase: "Running" }, after: { phase: "Failed" }, ends: true },
  { given: "the result", before: { phase: "Running" }, after: { phase: "Succeeded", result: success }, ends: true },
  { given: "the result after the end", before: { phase: "Failed" }, after: { phase: "Failed", result: success }, ends: true },
  { given: "news", before: { phase: "Starting" }, after: { phase: "Running" }, ends: false },
  {
    given: "what a follower does after its end",
    before: { phase: "Succeeded", result: success },
    after: { phase: "Succeeded", result: success, latest: { attempt: 2, name: "task-2", sha256 } },
    ends: false
  },
  {
    given: "the same after an end without a result",
    before: { phase: "Cancelled" },
    after: { phase: "Cancelled", latest: { attempt: 2, name: "task-2", sha256 } },
    ends: false
  }
])("is an end, of which an older CRD may store a part, where the write ends the task: $given", ({ after, before, ends }) => {
  expect(Option.isSome(endInPlainReasons(before, after))).toBe(ends)
})
