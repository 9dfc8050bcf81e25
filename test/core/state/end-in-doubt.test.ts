// What an ended task without a pool tells of its state: whether that may lack what the task made, as long as nobody has looked.
import { describe, expect, it } from "@effect/vitest"
import { type Changing, lastInDoubt, leftInDoubt } from "../../../src/core/state/end-in-doubt.ts"
import { WorkspaceName } from "../../../src/schema/names.ts"
import type { AgentTask, Stage } from "../../../src/schema/task/agent-task.ts"
import { noon, plainSeed, worldOf } from "../../core/worlds.ts"

type Result = NonNullable<NonNullable<Changing["status"]>["result"]>

const ended = (result?: Result): Changing => ({
  metadata: {},
  status: { claim: {}, phase: "Failed", ...(result !== undefined && { result }) }
})

describe("leftInDoubt", () => {
  it.each<{ readonly given: string; readonly task: Changing; readonly doubt: boolean }>([
    { given: "a worker that left no result", task: ended(), doubt: true },
    { given: "an engine that was killed", task: ended({ reason: "OutOfMemory", exitCode: 137 }), doubt: true },
    { given: "an engine that crashed", task: ended({ reason: "ExitCode", exitCode: 2 }), doubt: true },
    { given: "an engine that nobody saw end", task: ended({ reason: "Lost" }), doubt: true },
    { given: "a state that is not saved", task: ended({ reason: "ExitCode", exitCode: 1, statePushed: false }), doubt: true },
    { given: "a state that is not saved, by its reason", task: ended({ reason: "StateNotSaved" }), doubt: true },
    { given: "an engine that failed in order", task: ended({ reason: "ExitCode", exitCode: 1 }), doubt: false },
    { given: "a stage that ran no engine", task: ended({ reason: "DigestMismatch" }), doubt: false },
    { given: "success", task: ended({ reason: "Completed", exitCode: 0, statePushed: true }), doubt: false },
    { given: "a task that nobody claimed", task: { metadata: {}, status: { phase: "Failed" } }, doubt: false },
    { given: "a task that goes on", task: { metadata: {}, status: { claim: {}, phase: "Running" } }, doubt: false },
    { given: "a task without a status", task: { metadata: {} }, doubt: false },
    { given: "a deleted task that a finalizer keeps", task: { ...ended(), metadata: { deletionTimestamp: "now" } }, doubt: false },
    { given: "a destroy, of which the next plan sees what it left", task: { ...ended(), spec: { stage: "destroy" } }, doubt: false },
    { given: "a stage of a pool", task: { ...ended(), spec: { pool: {} } }, doubt: false }
  ])("is $doubt of $given", ({ doubt, task }) => expect(leftInDoubt(task)).toBe(doubt))
})

describe("lastInDoubt", () => {
  const { task } = worldOf({ ...plainSeed, stage: "apply", life: "claimed" })
  /** Returns a task that is over, and left a doubt unless it succeeded. */
  const over = (
    at: string,
    { phase = "Failed", stage = "apply", workspace = "one" }: { phase?: string; stage?: Stage; workspace?: string } = {}
  ): AgentTask => ({
    ...task,
    spec: { ...task.spec, stage, workspace: WorkspaceName.make(workspace) },
    status: {
      ...task.status,
      phase,
      claim: { ...task.status.claim!, at },
      ...(phase === "Succeeded" && { result: { outcome: "succeeded", reason: "Completed", message: "", exitCode: 0, finishedAt: at } })
    }
  })
  const [before, later] = ["2025-12-31T12:00:00.000Z", noon]

  it.each<{ readonly given: string; readonly tasks: ReadonlyArray<AgentTask>; readonly count: number }>([
    { given: "the last apply", tasks: [over(later), over(before, { phase: "Succeeded" })], count: 1 },
    {
      given: "one before the last, as an earlier version let others go on",
      tasks: [over(before), over(later, { phase: "Succeeded" })],
      count: 0
    },
    { given: "the last, and a plan that came later", tasks: [over(before), over(later, { phase: "Succeeded", stage: "plan" })], count: 1 },
    { given: "the last and the one before", tasks: [over(before), over(later)], count: 1 },
    { given: "the last of each of two", tasks: [over(before), over(later, { workspace: "two" })], count: 2 }
  ])("is $count where what left a doubt is $given", ({ count, tasks }) => expect(lastInDoubt(tasks)).toHaveLength(count))
})
