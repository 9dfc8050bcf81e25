// Which Job of a task makes way for another, and that this alone decides on another one: `status.job.replacedFor` says so.
import { describe, expect, it } from "@effect/vitest"
import { plan } from "../../../src/core/reconcile/plan.ts"
import { Uid } from "../../../src/schema/names.ts"
import type { AgentTaskStatus } from "../../../src/schema/task/agent-task.ts"
import { noon, plainSeed, policyOf, type Seed, withJob, worldOf } from "../worlds.ts"

const job = { name: "agent-job-task", uid: Uid.make("job-uid") }

describe("a task that is over", () => {
  it.each<readonly [given: string, seed: Partial<Seed>, phase: string]>([
    ["cancelled", { life: "evicted", job: "none", pod: "none", cancel: true }, "Cancelled"],
    ["denied", { life: "outlasted", job: "none", pod: "none", refusal: "Invalid" }, "Failed"]
  ])("no longer says that its Job makes way, when it is %s meanwhile", (_, seed, phase) => {
    const world = worldOf({ ...plainSeed, ...seed })
    expect(world.task.status.job).toHaveProperty("replacedFor")
    const { status } = plan(policyOf(plainSeed), world, noon)
    expect(status).toMatchObject({ phase, job: { name: "agent-job-task" } })
    expect(status.job).not.toHaveProperty("replacedFor")
  })
})

describe("a task whose last Job is gone", () => {
  const waits: ReadonlyArray<Partial<AgentTaskStatus>> = [
    { reason: "Evicted" },
    { reason: "ImagePull" },
    { reason: "QuotaExceeded" },
    { reason: "WorkspaceBusy", queue: { position: 1, reason: "WorkspaceBusy" } }
  ]
  const after = (status: AgentTaskStatus) => {
    const world = worldOf(plainSeed)
    return plan(policyOf(plainSeed), { ...world, task: { ...world.task, status } }, noon)
  }

  it.each(waits)("has another if that made way for it, whatever it says since ($reason)", (said) => {
    for (const replacedFor of ["LaunchFailed", "QuotaExceeded"] as const) {
      const { actions } = after({ phase: "Starting", launches: 1, job: { ...job, replacedFor }, ...said })
      expect(actions).toMatchObject([{ _tag: "CreateJob" }])
    }
  })

  const vanished = (said: AgentTaskStatus) => {
    const { situation, status } = after({ phase: "Starting", launches: 1, job, ...said })
    expect([situation, status.reason]).toEqual(["its last Job vanished before the claim", "Lost"])
  }

  it.each(waits.filter(({ reason }) => reason !== "QuotaExceeded"))(
    "has lost it if it did not, whatever it says since ($reason)",
    (said) => vanished({ ...said })
  )

  it.each(["QuotaExceeded", "Refused"] as const)("has another, three times, if that one had no Pod (%s)", (reason) => {
    for (const launches of [1, 2, 3]) {
      expect(after({ phase: "Starting", launches, job, reason }).actions).toMatchObject([{ _tag: "CreateJob" }])
    }
    vanished({ launches: 4, reason })
    vanished({ reason, queue: { position: 1, reason } })
  })
})

it("a launch that was to be followed by another is, also where the values allow fewer meanwhile", () => {
  const failed: Seed = { ...plainSeed, job: "failed", jobAgeSeconds: 10, life: "evicted", launches: 2, maxLaunches: 1 }
  const { actions, status } = plan(policyOf(failed), worldOf(failed), noon)
  expect([actions, status.phase]).toMatchObject([[], "Starting"])
})

it("a Job that is counted keeps the hash of the values that it was made with, and has today's if it tells none", () => {
  const seed: Seed = { ...plainSeed, job: "active", jobAgeSeconds: 10 }
  const hashAfter = (configHash: string) => {
    const world = worldOf(seed)
    return plan(policyOf(seed), withJob(world, { configHash }), noon).status.configHash
  }
  expect([hashAfter("earlier"), hashAfter("")]).toEqual(["earlier", policyOf(seed).configHash])
})

it("a Job that is made in the place of another is replaced for nothing", () => {
  for (const life of ["evicted", "outlasted"] as const) {
    const whole: Seed = { ...plainSeed, life, launches: 1, maxLaunches: 3 }
    const { actions, status } = plan(policyOf(whole), worldOf(whole), noon)
    expect([actions.map(({ _tag }) => _tag), status.job, status.launches]).toEqual([["CreateJob"], { name: "agent-job-task" }, 2])
  }
})
