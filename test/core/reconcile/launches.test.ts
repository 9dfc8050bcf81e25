// Which Job of a task makes way for another: `status.job.replacedFor` says so, and so does the message of an earlier release.
import { describe, expect, it } from "@effect/vitest"
import { Equal, Option } from "effect"
import { asThisReleaseWrites } from "../../../src/core/reconcile/launches.ts"
import { plan } from "../../../src/core/reconcile/plan.ts"
import { Uid } from "../../../src/schema/names.ts"
import type { AgentTaskStatus } from "../../../src/schema/task/agent-task.ts"
import { noon, perform, plainSeed, policyOf, type Seed, withJob, worldOf } from "../worlds.ts"

const job = { name: "agent-job-task", uid: Uid.make("job-uid") }
const quota = "Kubernetes cannot create the Pod: exceeded quota: pods"
const starting: AgentTaskStatus = { phase: "Starting", launches: 1, job }
const evicted: AgentTaskStatus = { ...starting, reason: "Evicted", message: "Pod pod was evicted from node node. It is launched again." }
const outlasted: AgentTaskStatus = { ...starting, reason: "QuotaExceeded", message: `Its Job is made anew. ${quota}` }

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

describe("a status of an earlier release", () => {
  it("that says in its message that a launch came to nothing says so of its Job", () =>
    expect(asThisReleaseWrites(evicted)).toEqual({ ...evicted, job: { ...job, replacedFor: "LaunchFailed" } }))

  it("that says in its message that a Job is given up for a quota says so of that Job, and why in the message", () =>
    expect(asThisReleaseWrites(outlasted)).toEqual({ ...outlasted, message: quota, job: { ...job, replacedFor: "QuotaExceeded" } }))

  it.each<{ readonly given: string; readonly status: AgentTaskStatus }>([
    { given: "other words", status: { ...starting, message: quota } },
    { given: "no Job", status: { phase: "Starting", message: outlasted.message ?? "" } },
    { given: "an end", status: { ...evicted, phase: "Failed" } },
    { given: "the word of this release", status: { ...evicted, job: { ...job, replacedFor: "QuotaExceeded" } } }
  ])("stays as it is with $given", ({ status }) => expect(asThisReleaseWrites(status)).toBe(status))

  it.each<
    { readonly given: string; readonly status: AgentTaskStatus; readonly seed: Partial<Seed>; readonly actions: ReadonlyArray<string> }
  >([
    { given: "evicted", status: evicted, seed: { job: "failed", pod: "none", jobAgeSeconds: 10 }, actions: ["DeleteJob"] },
    {
      given: "given up for a quota",
      status: { ...outlasted, launches: 0 },
      seed: { job: "active", warning: "quota" },
      actions: ["DeleteJob"]
    },
    { given: "cleared away after a quota", status: { ...outlasted, launches: 0 }, seed: {}, actions: ["CreateJob"] }
  ])("is understood: its Job was $given", ({ actions, seed, status }) => {
    const whole: Seed = { ...plainSeed, ...seed }
    const seen = worldOf(whole)
    const world = { ...seen, task: { ...seen.task, status } }
    const decision = plan(policyOf(whole), world, noon)
    expect(decision.actions.map(({ _tag }) => _tag)).toEqual(actions)
    const after = { ...perform(world, decision), job: Option.none(), hadJob: false }
    // The status is rewritten once, and then stays as it is.
    expect(Equal.equals(asThisReleaseWrites(after.task.status), after.task.status)).toBe(true)
  })
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
