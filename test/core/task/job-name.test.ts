// Names of Jobs: legal, short enough for their Pods, stable, and never the same for two tasks.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { jobName } from "../../../src/core/task/job-name.ts"

const TaskName = Schema.String.check(Schema.isPattern(/^[a-z0-9]([-a-z0-9.]{0,80}[a-z0-9])?$/u))

describe("jobName", () => {
  it.prop("is a DNS label of at most 57 characters", [TaskName], ([task]) => {
    expect(jobName("agent-job", task)).toMatch(/^[a-z0-9]([-a-z0-9]{0,55}[a-z0-9])?$/u)
  })
  it.prop("differs for different tasks", [TaskName, TaskName], ([one, other]) => {
    if (one !== other) expect(jobName("agent-job", one)).not.toBe(jobName("agent-job", other))
  })
  it.each([
    { task: "run-abc-plan", name: "agent-job-run-abc-plan" },
    { task: "a".repeat(50), name: "a".repeat(50) },
    { task: "team.plan", name: "agent-job-team-plan-" }
  ])("calls the Job of $task $name", ({ name, task }) => expect(jobName("agent-job", task).startsWith(name)).toBe(true))
})
