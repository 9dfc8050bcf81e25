// From the pool's assignment to an AgentTask, and from the assignment's id back to the task's name.
import { describe, expect, it } from "@effect/vitest"
import { Equal, Option, Schema } from "effect"
import {
  belongsToAssignment,
  carriesOut,
  isRunnable,
  specOf,
  taskName,
  taskNameOfId,
  tokenSecretName,
  tokenSecretPattern
} from "../../../src/core/task/intake.ts"
import { Assignment, assignmentId } from "../../../src/schema/api/pool-api.ts"
import { AgentTaskSpec } from "../../../src/schema/task/agent-task.ts"

describe("an assignment", () => {
  it.prop("finds its task again by its id", [Assignment], ([assignment]) => {
    if (assignment.attempt < 1) return
    const id = `${assignment.runId}.${assignment.stage}.${assignment.attempt}`
    expect(taskNameOfId(id)).toEqual(Option.some(taskName(assignment)))
  })
  it.prop(
    "has a name of its own in each attempt",
    [Assignment],
    ([assignment]) => taskName({ ...assignment, attempt: assignment.attempt + 1 }) !== taskName(assignment)
  )
  it.prop(
    "keeps its token in a Secret that is known by its name, when that is not the controller's to give",
    [Assignment],
    ([assignment]) =>
      new RegExp(tokenSecretPattern, "u").test(tokenSecretName(taskName({ ...assignment, attempt: Math.abs(assignment.attempt) })))
  )
  it.each(["my-run-1-plan-token", "run-1-plan-token-2", "run-1-test-token", "run-1-plan-2x-token"])(
    "has no token in a Secret of another name: %s",
    (name) => expect(new RegExp(tokenSecretPattern, "u").test(name)).toBe(false)
  )
  it.prop("becomes a spec that the API server takes, if it may run at all", [Assignment], ([assignment]) => {
    const { archiveSha256, id, planSha256, runId, stage, taskToken, workspace } = assignment
    if (!isRunnable(assignment)) return
    const spec = specOf({
      archiveSha256,
      id,
      runId,
      stage,
      taskToken,
      workspace,
      attempt: 1,
      ...(planSha256 !== undefined && { planSha256 })
    }, "http://pool")
    expect(Option.isSome(Schema.decodeUnknownOption(AgentTaskSpec)(spec))).toBe(true)
  })
  it.prop("hands on all that a run asks for", [Assignment], ([assignment]) => {
    const { engine, options, planSha256, workingDirectory } = assignment
    const asked = { engine, options, plan: planSha256 && { sha256: planSha256 }, workingDirectory }
    const given = Object.fromEntries(Object.entries(asked).filter(([, value]) => value !== undefined))
    const { attempt: _attempt, pool: _pool, source: _source, stage: _stage, workspace: _workspace, ...spec } = specOf(
      assignment,
      "http://pool"
    )
    expect(spec).toEqual(given)
  })
  it.prop(
    "knows its own task, cancelled or from another URL of the pool, from every other",
    [Assignment, Assignment],
    ([assignment, other]) => {
      const spec = specOf(assignment, "http://pool")
      const id = assignmentId(assignment.runId, assignment.stage, assignment.attempt)
      expect(
        [spec, { ...spec, cancel: true }, specOf(assignment, "http://moved")].map((
          _
        ) => [carriesOut(_, assignment), belongsToAssignment(_, id)])
      )
        .toEqual(Array(3).fill([true, true]))
      expect([{ ...spec, jobTemplate: {} }, { ...spec, source: { inline: {} } }].map((_) => carriesOut(_, assignment))).toEqual([
        false,
        false
      ])
      const ids = [assignmentId(assignment.runId, assignment.stage, assignment.attempt + 1), `of-another-${id}`]
      expect(ids.map((_) => belongsToAssignment(spec, _))).toEqual([false, false])
      const { attempt: _attempt, ...first } = spec
      expect(belongsToAssignment(first, assignmentId(assignment.runId, assignment.stage, 1))).toBe(true)
      const { pool: _, ...strangers } = spec
      expect([carriesOut(strangers, assignment), belongsToAssignment(strangers, id)]).toEqual([false, false])
      expect(carriesOut(specOf(other, "http://pool"), assignment)).toBe(Equal.equals(specOf(other, ""), specOf(assignment, "")))
    }
  )
  it("finds the task of a stage that only a newer version knows", () => {
    expect(taskNameOfId("run-1.refresh.2")).toEqual(Option.some("run-1-refresh-2"))
    expect(belongsToAssignment({ stage: "refresh", attempt: 2, pool: { runId: "run-1" } }, "run-1.refresh.2")).toBe(true)
  })
  it.each(["", "run-1.plan", "run-1.plan.x", "run-1.Other.1", "../run-1.plan.1"])("is not found by the id %j", (id) => {
    expect(taskNameOfId(id)).toEqual(Option.none())
  })
  it.each(
    [
      ["plan", undefined, true],
      ["plan", "a", false],
      ["apply", undefined, false],
      ["apply", "a", true],
      ["destroy", undefined, false]
    ] as const
  )(
    "to %s with plan %s may run: %s",
    (stage, digest, expected) => {
      const planSha256 = digest === undefined
        ? {}
        : { planSha256: Schema.decodeUnknownSync(Assignment.fields.archiveSha256)(digest.repeat(64)) }
      const plain = { id: "", runId: "run-1", workspace: "demo", stage, attempt: 1, archiveSha256: "b".repeat(64), taskToken: "" }
      expect(isRunnable({ ...Schema.decodeUnknownSync(Assignment)(plain), ...planSha256 })).toBe(expected)
    }
  )
})
