// Which finished tasks of an installation are past a limit: any sequence of events gives the same answer as one count of all tasks.
import { describe, expect, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { pastHistory } from "../../../src/controller/world/past-history.ts"
import { mostFinished } from "../../../src/core/reconcile/history.ts"
import { keyOf } from "../../../src/kubernetes/object.ts"
import { Uid, WorkspaceName } from "../../../src/schema/names.ts"
import type { AgentTask } from "../../../src/schema/task/agent-task.ts"
import { plainSeed, type Seed, worldOf } from "../../core/worlds.ts"

/** Returns the task of this number, created in that minute. It is over and reported unless the seed says otherwise. */
const task = (number: number, workspace: string, minute = number, seed: Partial<Seed> = {}): AgentTask => {
  const { task } = worldOf({ ...plainSeed, life: "succeeded", pool: true, reported: true, ...seed })
  return {
    ...task,
    metadata: {
      ...task.metadata,
      name: `task-${number}`,
      uid: Uid.make(`uid-${number}-${minute}`),
      creationTimestamp: new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString()
    },
    spec: { ...task.spec, workspace: WorkspaceName.make(workspace) }
  }
}

/** A history that hears of each task and of each change to it. */
const heard = (limit: number, most: typeof mostFinished) => {
  const history = pastHistory(() => limit, most)
  const tasks = new Map<string, AgentTask>()
  const set = (task: AgentTask, after: Option.Option<AgentTask> = Option.some(task)) => {
    const key = keyOf(task.metadata)
    history.set(key, Option.fromUndefinedOr(tasks.get(key)), after)
    Option.match(after, { onNone: () => tasks.delete(key), onSome: (task) => tasks.set(key, task) })
  }
  const past = () => [...tasks.values()].filter(history.has).map(({ metadata }) => metadata.name).sort()
  return { history, set, past }
}

/** Returns one limit for plans, and the same one for applies and destroys. */
const ofEach = (most: number) => ({ plans: most, applies: most })

describe("the limit of an installation", () => {
  it("lets the oldest of all workspaces go, and no task that may not", () => {
    const { past, set } = heard(5, ofEach(2))
    for (const [number, workspace] of ["a", "b", "c", "b"].entries()) set(task(number, workspace))
    set(task(4, "a", 0, { life: "claimed" }))
    set(task(5, "a", 0, { pool: false }))
    const orphan = task(6, "a", 0, { pool: false })
    const owner = { apiVersion: "scalr.io/v1", kind: "AgentTask", name: "gone", uid: Uid.make("gone"), controller: true }
    set({ ...orphan, metadata: { ...orphan.metadata, ownerReferences: [owner] } })
    expect(past()).toEqual(["task-0", "task-1"])
  })

  it("counts only what its workspace keeps", () => {
    const { past, set } = heard(1, ofEach(2))
    for (const [number, workspace] of ["a", "b", "b", "b"].entries()) set(task(number, workspace))
    expect(past()).toEqual(["task-1", "task-2"])
  })

  it.each(["plan", "apply"] as const)("counts the last %s of a workspace no more once it has gone", (stage) => {
    const { past, set } = heard(5, ofEach(1))
    const [older, newer] = [task(0, "a", 0, { stage }), task(1, "b", 1, { stage })]
    for (const task of [older, newer]) set(task)
    expect(past()).toEqual(["task-0"])
    set(newer, Option.none())
    expect(past()).toEqual([])
  })

  it("names the last that went past it when a task ends, of whatever workspace they are, after a listing of many", () => {
    const { history, set } = heard(5, ofEach(1))
    for (const number of Array(150).keys()) set(task(number, `workspace-${number}`))
    const named = history.keysIn(WorkspaceName.make("workspace-149"))
    expect([named.length, named.at(-1)]).toEqual([20, "tasks/task-148"])
  })

  const Event = Schema.Struct({
    number: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 9 })),
    workspace: Schema.Literals(["a", "b", "c"]),
    minute: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 })),
    stage: Schema.Literals(["plan", "apply", "destroy"]),
    becomes: Schema.Literals(["over", "running", "gone"]),
    asked: Schema.Boolean
  })
  it.prop("says after any events what it says of all that is there at once", [Schema.Array(Event)], ([events]) => {
    const { past, set } = heard(2, ofEach(3))
    const there = new Map<number, AgentTask>()
    for (const { asked, becomes, minute, number, stage, workspace } of events) {
      const next = task(number, workspace, minute, { stage, ...(becomes === "running" && { life: "claimed" }) })
      set(next, becomes === "gone" ? Option.none() : Option.some(next))
      if (becomes === "gone") there.delete(number)
      else there.set(number, next)
      if (asked) past()
    }
    const atOnce = heard(2, ofEach(3))
    for (const task of there.values()) atOnce.set(task)
    expect(past()).toEqual(atOnce.past())
  })

  const Finished = Schema.Struct({
    workspace: Schema.Literals(["a", "b", "c"]),
    minute: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 })),
    stage: Schema.Literals(["plan", "apply", "destroy"])
  })
  it.prop("lets no apply and no destroy go because of plans, whatever their ages and workspaces", [Schema.Array(Finished)], ([all]) => {
    const tasks = all.map(({ minute, stage, workspace }, number) => task(number, workspace, minute, { stage }))
    const applies = tasks.filter(({ spec }) => spec.stage !== "plan")
    const [withPlans, without] = [heard(3, { plans: 1, applies: 4 }), heard(3, { plans: 1, applies: 4 })]
    for (const task of tasks) withPlans.set(task)
    for (const task of applies) without.set(task)
    expect(applies.filter(withPlans.history.has)).toEqual(applies.filter(without.history.has))
  })

  it("keeps the applies of a day before a night of 3,000 plans", () => {
    const { past, set } = heard(20, mostFinished)
    for (const number of Array(3).keys()) set(task(number, `workspace-${number}`, number, { stage: "apply" }))
    for (const number of Array(3_000).keys()) set(task(3 + number, `workspace-${number}`))
    expect([past().length, past().filter((name) => ["task-0", "task-1", "task-2"].includes(name))]).toEqual([2_000, []])
  })
})
