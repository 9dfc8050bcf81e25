// What is done with a task that is over, and said of it: it stays as it is, but for what the pool, its Job and a newer look need.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { plan } from "../../../src/core/reconcile/plan.ts"
import { conditionsAfter } from "../../../src/core/task/status.ts"
import { before, noon, plainSeed, policyOf, type Seed, success, withStatus, worldOf } from "../worlds.ts"
import { kept } from "./cases/claimed.ts"
import { planned } from "./planned.ts"

describe("plan, of a task that is over", () => {
  it.each(
    [
      { given: "a cancel which came too late", seed: {}, situation: "over" },
      {
        given: "a change that means nothing, while it follows its source",
        seed: { source: "known", follows: "plan" },
        situation: "over, and it follows its source"
      }
    ] as const
  )("says of a task that is over that it saw $given", ({ seed, situation }) => {
    const whole: Seed = { ...plainSeed, life: "succeeded", ...seed }
    const world = worldOf(whole)
    const told = { phase: "Succeeded", reason: "Completed", message: "Done." } as const
    const conditions = conditionsAfter(world.task.status, { ...told, generation: 1, now: noon })
    const status = { ...world.task.status, ...told, conditions }
    const later = { ...world, task: { ...world.task, metadata: { ...world.task.metadata, generation: 7 }, status } }
    const seen = {
      ...status,
      observedGeneration: 7,
      conditions: conditions.map((condition) => ({ ...condition, observedGeneration: 7 }))
    }
    const decision = plan(policyOf(whole), later, noon)
    expect(decision).toMatchObject({ situation, actions: [] })
    expect(decision.status).toEqual(seen)
    const half = { ...later.task, status: { ...later.task.status, observedGeneration: 7 } } // as an earlier version left it
    expect(plan(policyOf(whole), { ...later, task: half }, noon).status).toEqual(seen)
  })

  it("takes no word of a condition that only a newer version knows for one of another task", () => {
    const world = worldOf({ ...plainSeed, life: "succeeded" })
    const told = { phase: "Succeeded", reason: "Completed", message: "Its attempt: done.", generation: 1, now: noon } as const
    const moonlit = { type: "Moonlit", status: "True", reason: "NodeUnreachable", message: "", lastTransitionTime: noon }
    const status = { ...world.task.status, observedGeneration: 1, conditions: [...conditionsAfter({}, told), moonlit] }
    expect(plan(policyOf(plainSeed), withStatus(world, status), noon).status).toEqual(status)
  })

  it("tells the pool of a result whose reason only a newer version knows, in a reason that both know", () => {
    const whole: Seed = { ...plainSeed, life: "succeeded", pool: true }
    const seen = worldOf(whole)
    const task = {
      ...seen.task,
      status: {
        ...seen.task.status,
        reason: "Moonstruck",
        result: { ...success, outcome: "failed" as const, reason: "Moonstruck", message: "It was the moon." }
      }
    }
    const decision = plan(policyOf(whole), { ...seen, task }, noon)
    expect(decision.actions).toMatchObject([{
      _tag: "ReportResult",
      result: { outcome: "failed", reason: "ExitCode", message: "It was the moon." }
    }])
    expect(decision.status.result).toBe(task.status.result)
  })

  it("deletes the Job of a worker with a result that another container keeps from its end, 90 s after the result was seen, whatever its node's clock says", () => {
    const whole: Seed = { ...plainSeed, ...kept, life: "succeeded", worker: "Completed" }
    const world = worldOf(whole)
    for (const finishedAgo of [-60, 90, 3600]) {
      const over = withStatus(world, { ...world.task.status, finishedAt: before(finishedAgo) })
      const after = (seconds: number) => plan(policyOf(whole), { ...over, overMillis: seconds * 1000 }, noon)
      expect(after(0)).toMatchObject({ situation: "over", actions: [], requeueAfterMillis: Option.some(90_000) })
      expect(after(89)).toMatchObject({ situation: "over", actions: [], requeueAfterMillis: Option.some(1_000) })
      expect(after(90)).toMatchObject({ situation: "over, but its Job goes on", actions: [{ _tag: "DeleteJob" }] })
    }
  })

  it("looks at the Job of a task that is over when it may be left over", () => {
    const again = (job: Seed["job"]) => planned({ life: "succeeded", job }).requeueAfterMillis
    expect([again("active"), again("complete")]).toEqual([Option.some(89_000), Option.none()])
  })

  it("says how long a task ran, and not of one that never began", () => {
    const duration = (life: Seed["life"]) => planned({ life, cancel: true }).status.duration
    expect([duration("claimed"), duration("new")]).toEqual(["1m0s", undefined])
  })
})
