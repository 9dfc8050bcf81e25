// What the table of situations answers, case by case: what was seen, what is done, what the status says.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { plan, rows } from "../../../src/core/reconcile/plan.ts"
import { noon, plainSeed, policyOf, type Seed, withStatus, worldOf } from "../worlds.ts"
import { claimed } from "./cases/claimed.ts"
import { over } from "./cases/over.ts"
import { start } from "./cases/start.ts"
import { waiting } from "./cases/waiting.ts"
import { planned } from "./planned.ts"

const cases = [...over, ...claimed, ...start, ...waiting]

describe("plan", () => {
  it.each(cases)(
    "answers $given",
    ({ actions, phase, seed, situation, reason = worldOf({ ...plainSeed, ...seed }).task.status.reason }) => {
      const decision = planned(seed)
      expect({
        situation: decision.situation,
        actions: [...decision.actions, ...decision.notices].map(({ _tag }) => _tag),
        phase: decision.status.phase,
        reason: decision.status.reason
      }).toEqual({ situation, actions, phase, reason })
    }
  )

  it("has cases for the rows of its table, in their order", () => {
    const covered = [...new Set(cases.map(({ situation }) => situation))]
    expect(["in a phase of a newer version", ...covered]).toEqual([...rows.map(({ situation }) => situation), "its turn"])
  })

  it.each([{ life: "claimed", type: "Warning" }, { life: "new", type: "Normal" }] as const)(
    "warns of a failure, and of no cancel: $life",
    ({ life, type }) => expect(planned({ life, cancel: true }).notices).toMatchObject([{ _tag: "Emit", type }])
  )

  it.each<Partial<Seed>>([
    {},
    { stage: "apply" },
    { cancel: true },
    { deleted: true, pool: true },
    { life: "starting", job: "failed" },
    { life: "claimed", stage: "apply" },
    { life: "claimed", pod: "Failed", lastWords: true }
  ])("leaves a task in a phase that only a newer version knows alone: %j", (seed) => {
    const whole: Seed = { ...plainSeed, ...seed }
    const world = worldOf(whole)
    const status = { ...world.task.status, phase: "Moonlit" }
    expect(plan(policyOf(whole), withStatus(world, status), noon)).toEqual({
      situation: "in a phase of a newer version",
      recheck: undefined,
      actions: [],
      status,
      notices: [],
      requeueAfterMillis: Option.none()
    })
  })
})
