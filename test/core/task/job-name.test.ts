// Names of Jobs: legal, short enough for their Pods, stable, and never the same for two tasks.
import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { isPlain, jobName, longestPlainTaskName } from "../../../src/core/task/job-name.ts"

const TaskName = Schema.String.check(Schema.isPattern(/^[a-z0-9]([-a-z0-9.]{0,250}[a-z0-9])?$/u))
const End = Schema.String.check(Schema.isPattern(/^[a-z0-9]{1,9}$/u))
const toTheCut = { arbitrary: { size: 100 } } // half of the names are longer than 57 characters then; by default none is longer than 10

describe("jobName", () => {
  it.prop("is a DNS label of at most 57 characters", [TaskName], ([task]) => {
    expect(jobName("agent-job", task)).toMatch(/^[a-z0-9]([-a-z0-9]{0,55}[a-z0-9])?$/u)
  }, toTheCut)
  it.prop("differs for different tasks, also where only the ends of long names do", [TaskName, End, End], ([stem, one, other]) => {
    if (one !== other) expect(jobName("agent-job", `${stem}-${one}`)).not.toBe(jobName("agent-job", `${stem}-${other}`))
  }, toTheCut)
  it.each([41, 47])("differs for a task of %i characters and one whose name has the basename before that", (length) => {
    const task = "a".repeat(length)
    expect(jobName("agent-job", `agent-job-${task}`)).not.toBe(jobName("agent-job", task))
    expect(jobName("agent-job", `agent-job-${task}`)).toMatch(/^agent-job-a{37,}-[a-z0-9]{1,7}$/u)
  })
  it("drops the basename first, and then cuts the end, of what is longer than 57 characters", () => {
    expect([47, 48, 57].map((length) => jobName("agent-job", "a".repeat(length)))).toEqual([
      `agent-job-${"a".repeat(47)}`,
      "a".repeat(48),
      "a".repeat(57)
    ])
    expect(jobName("agent-job", "a".repeat(58))).toMatch(/^a{40,}-[a-z0-9]{1,7}$/u)
    expect(jobName("agent-job", "a".repeat(253)).length).toBe(57)
  })
  it.each(["agent-job", "a", "another-installation"])(
    "is plain up to the length that policies are told, after the basename %s",
    (basename) => {
      const most = longestPlainTaskName(basename)
      expect([most, most + 1].map((length) => isPlain(basename, "t".repeat(length)))).toEqual([true, false])
    }
  )
  it.each([
    { task: "run-abc-plan", name: "agent-job-run-abc-plan" },
    { task: "a".repeat(50), name: "a".repeat(50) },
    { task: "team.plan", name: "agent-job-team-plan-" }
  ])("calls the Job of $task $name", ({ name, task }) => expect(jobName("agent-job", task).startsWith(name)).toBe(true))
})
