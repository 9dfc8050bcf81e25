// How the Jobs of a task are counted, and which makes way for another, which is what alone decides on another one.
import { describe, expect, it } from "@effect/vitest"
import { Equal, Option } from "effect"
import { quotaPatienceMillis } from "../../../src/core/reconcile/launches.ts"
import { plan } from "../../../src/core/reconcile/plan.ts"
import { jobName } from "../../../src/core/task/job-name.ts"
import type { Observed } from "../../../src/core/task/observed.ts"
import { Uid } from "../../../src/schema/names.ts"
import type { AgentTaskStatus } from "../../../src/schema/task/agent-task.ts"
import { before, noon, perform, plainSeed, policyOf, type Seed, withJob, withStatus, worldOf } from "../worlds.ts"
import { planned } from "./planned.ts"

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
    return plan(policyOf(plainSeed), withStatus(world, status), noon)
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
    const { actions, status } = planned(whole)
    expect([actions.map(({ _tag }) => _tag), status.job, status.launches]).toEqual([["CreateJob"], { name: "agent-job-task" }, 2])
  }
})

describe("plan, of one Job after another", () => {
  it.each(
    [
      { given: "was refused meanwhile", status: { phase: "Queued", reason: "Refused", message: "a webhook does not answer" } },
      { given: "is refused by a quota on Jobs", status: { phase: "Starting", reason: "QuotaExceeded", message: "exceeded quota: jobs" } }
    ] as const
  )("counts a launch for each Job that is made, also for a task that $given", ({ status }) => {
    const whole: Seed = { ...plainSeed, life: "outlasted", launches: 1, maxLaunches: 3 }
    const world = worldOf(whole)
    const { actions, status: { launches } } = plan(policyOf(whole), withStatus(world, { ...world.task.status, ...status }), noon)
    expect([actions.map(({ _tag }) => _tag), launches]).toEqual([["CreateJob"], 2])
  })

  const outlasted: Seed = { ...plainSeed, life: "outlasted", job: "active", launches: 1, maxLaunches: 3, jobAgeSeconds: 10 }
  it.each<
    {
      readonly given: string
      readonly seed: Partial<Seed>
      readonly jobUid?: string
      readonly deleting?: boolean
      readonly launches: number
      readonly actions: ReadonlyArray<string>
    }
  >([
    { given: "that was given up, and got its Pod all the same", seed: { pod: "Pending" }, launches: 2, actions: [] },
    { given: "that was given up, and whose quota has room now", seed: {}, launches: 2, actions: [] },
    { given: "that was given up and fails", seed: { job: "failed", maxLaunches: 2 }, launches: 2, actions: [] },
    { given: "that was given up, and got its Pod while it goes", seed: { pod: "Pending" }, deleting: true, launches: 1, actions: [] },
    { given: "that was given up and waits on", seed: { warning: "quota" }, launches: 1, actions: ["DeleteJob"] },
    {
      given: "that came after the one which was given up, though its maker ended before it could say so",
      seed: { warning: "quota" },
      jobUid: "next",
      launches: 2,
      actions: []
    },
    {
      given: "that came after the one which was counted, though its maker ended before it could say so",
      seed: { life: "starting", warning: "quota" },
      jobUid: "next",
      launches: 2,
      actions: []
    },
    { given: "that is counted", seed: { life: "starting", warning: "quota" }, launches: 1, actions: [] }
  ])("counts each Job once: one $given", ({ actions, deleting = false, jobUid, launches, seed }) => {
    const whole: Seed = { ...outlasted, ...seed }
    const world = worldOf(whole)
    const task = {
      ...world.task,
      status: { ...world.task.status, job: { ...world.task.status.job, name: "agent-job-task", uid: Uid.make("job-uid") } }
    }
    const job = Option.map(world.job, (seen) => ({ ...seen, deleting, uid: Uid.make(jobUid ?? "job-uid") }))
    const decision = plan(policyOf(whole), { ...world, task, job }, noon)
    expect([decision.status.launches, decision.actions.map(({ _tag }) => _tag)]).toEqual([launches, actions])
  })

  it.each<{ readonly given: string; readonly seed: Partial<Seed> }>([
    { given: "fails as the one before", seed: { job: "failed", pod: "Evicted" } },
    { given: "waits for the quota as the one before", seed: { warning: "quota" } }
  ])("counts a Job that $given, and whose maker ended before it could say so; and says nothing twice", ({ seed }) => {
    const whole: Seed = { ...outlasted, life: "starting", maxLaunches: 3, ...seed }
    const world = worldOf(whole)
    const told = perform(world, plan(policyOf(whole), world, noon))
    const again = plan(policyOf(whole), withJob(told, { knownMillis: 0 }), noon)
    expect([told.task.status.launches, Equal.equals(again.status, told.task.status)]).toEqual([1, true])
    const next = plan(policyOf(whole), withJob(told, { uid: Uid.make("next") }), noon)
    expect([next.status.launches, next.status.job?.uid, next.status.message, next.actions]).toEqual([
      2,
      "next",
      told.task.status.message,
      []
    ])
  })

  it("counts a Job that went before a word was said on it, also where the one after it was not told of either, or none comes", () => {
    const launched = (seed: Partial<Seed>) => planned({ maxLaunches: 3, hadJob: true, ...seed }).status.launches
    expect([launched({}), launched({ job: "active", jobAgeSeconds: 10 })]).toEqual([2, 2])
    expect([launched({ maxLaunches: 1 }), launched({ refusal: "Invalid" }), launched({ turn: "busy" })]).toEqual([1, 1, 1])
  })

  it("counts a first launch that failed before it was told of", () => {
    expect(planned({ maxLaunches: 2, job: "failed", pod: "Evicted" }).status).toMatchObject({
      phase: "Starting",
      reason: "Evicted",
      launches: 1,
      job: { name: "agent-job-task" }
    })
  })

  it("leaves a status of an earlier release as it is, which names no UID of the Job that it counts", () => {
    const whole: Seed = { ...plainSeed, life: "quota", job: "active", warning: "quota", jobAgeSeconds: 10 }
    const world = worldOf(whole)
    expect(plan(policyOf(whole), world, noon).status.job).toEqual(world.task.status.job)
  })

  it("names the Job that is there, though one of today's values would have another name", () => {
    const whole: Seed = { ...plainSeed, job: "active", jobAgeSeconds: 10 }
    expect(plan({ ...policyOf(whole), basename: "renamed" }, worldOf(whole), noon).status.job).toEqual({
      name: "agent-job-task",
      uid: "job-uid"
    })
  })

  it.each(
    [
      { given: "no Job was made", dotted: true, status: {}, situation: "its Job's name is to be written down" },
      {
        given: "no Job was made, whose name follows from its own now",
        dotted: false,
        status: {},
        situation: "its Job's name is to be written down"
      },
      { given: "its last Job had that name", dotted: true, status: { phase: "Starting", launches: 1 }, situation: "its turn" }
    ] as const
  )("writes down again what the Job will be called, where other values gave it another name: $given", ({ dotted, situation, status }) => {
    const whole: Seed = { ...plainSeed, dotted, maxLaunches: 2 }
    const world = worldOf(whole)
    const former = withStatus(world, { ...status, job: { name: "renamed-task" } })
    const decision = plan(policyOf(whole), former, noon)
    expect([decision.situation, decision.status.job?.name]).toEqual([
      situation,
      jobName(policyOf(whole).basename, world.task.metadata.name)
    ])
    expect(plan(policyOf(whole), perform(former, decision), noon).situation).not.toBe("its Job's name is to be written down")
  })

  it.each([3600, -3600])(
    "launches again when that is due by the time for which it has known the Job, by a clock that is %i s off",
    (off) => {
      const whole: Seed = { ...plainSeed, life: "starting", launches: 2, maxLaunches: 3, job: "failed", pod: "Evicted" }
      const failed = withJob(worldOf(whole), { createdAt: before(off) })
      const told = perform(failed, plan(policyOf(whole), failed, noon))
      expect(plan(policyOf(whole), withJob(told, { knownMillis: 15_000 }), noon)).toMatchObject({
        actions: [],
        requeueAfterMillis: Option.some(5_000)
      })
      expect(plan(policyOf(whole), withJob(told, { knownMillis: 20_000 }), noon)).toMatchObject({ actions: [{ _tag: "DeleteJob" }] })
    }
  )

  it.each(
    [
      { launches: 1, jobAgeSeconds: 0, again: 5_000 },
      { launches: 1, jobAgeSeconds: 10, again: undefined },
      { launches: 2, jobAgeSeconds: 10, again: 10_000 },
      { launches: 3, jobAgeSeconds: 10, again: 70_000 },
      { launches: 3, jobAgeSeconds: 179, again: undefined }
    ] as const
  )(
    "clears launch $launches that failed away for the next no sooner than it is due: $jobAgeSeconds s old, after $again ms",
    ({ again, jobAgeSeconds, launches }) => {
      const whole: Seed = { ...plainSeed, life: "starting", launches, job: "failed", jobAgeSeconds, pod: "Evicted" }
      const world = perform(worldOf(whole), planned(whole)) // the failure is told first
      expect(plan(policyOf(whole), world, noon)).toMatchObject(
        again === undefined ? { actions: [{ _tag: "DeleteJob" }] } : { actions: [], requeueAfterMillis: Option.some(again) }
      )
    }
  )

  it("tells the pool of a launch that is made again until it has heard that, also once nothing of its Pod is left", () => {
    const whole: Seed = { ...plainSeed, pool: true, life: "evicted", maxLaunches: 2, job: "failed" }
    expect(plan(policyOf(whole), worldOf(whole), noon)).toMatchObject({
      situation: "its Job is to make way for another launch, and has no Pod any more",
      notices: [{ _tag: "ReportWait", reason: "Evicted", message: "It was evicted." }]
    })
  })

  it("clears away for another launch also after words that are too long to be kept whole, and tells them once", () => {
    const whole: Seed = {
      ...plainSeed,
      life: "starting",
      launches: 1,
      maxLaunches: 2,
      pool: true,
      job: "failed",
      jobAgeSeconds: 10,
      pod: "unschedulable"
    }
    const seen = worldOf(whole)
    const wordy = { ...seen, pod: Option.map(seen.pod, (pod) => ({ ...pod, unschedulable: "no ".repeat(5000) })) }
    const said = plan(policyOf(whole), wordy, noon)
    expect(said.notices).toMatchObject([{ _tag: "ReportWait", message: said.status.message }])
    expect(plan(policyOf(whole), perform(wordy, said), noon)).toMatchObject({ actions: [{ _tag: "DeleteJob" }] })
  })

  const refusedFor = (seed: Seed, pod: string, used: number): Observed => ({
    ...worldOf(seed),
    warning: Option.some({
      reason: "FailedCreate",
      message: `Error creating: pods "${pod}" is forbidden: exceeded quota: q, requested: pods=1, used: pods=${used}, limited: pods=9`
    })
  })

  it("writes nothing about a start whose newest warning differs only in what is of one try", () => {
    const whole: Seed = { ...plainSeed, life: "starting", launches: 1, pool: true, job: "active", jobAgeSeconds: 10 }
    const first = refusedFor(whole, "task-7mg4v", 9)
    const said = plan(policyOf(whole), first, noon)
    const told = perform(first, said)
    const again = plan(policyOf(whole), { ...told, warning: refusedFor(whole, "task-cjtfd", 8).warning }, noon)
    expect(said.status.message).toContain("task-7mg4v")
    expect([again.status, again.notices]).toEqual([told.task.status, []])
    const warning = Option.some({ reason: "FailedCreate", message: "Error creating: status unknown for quota: q, resources: pods" })
    expect(plan(policyOf(whole), { ...told, warning }, noon)).toMatchObject({
      status: { reason: "QuotaExceeded", message: expect.stringContaining("status unknown") },
      notices: [{ _tag: "ReportWait", message: expect.stringContaining("status unknown") }]
    })
  })

  it("tells the pool once of a quota for which a Job is made anew, though each Job has words of its own", () => {
    const whole: Seed = { ...plainSeed, life: "starting", launches: 1, pool: true, job: "active", jobAgeSeconds: 10 }
    const waits = refusedFor(whole, "task-7mg4v", 9)
    const told = perform(waits, plan(policyOf(whole), waits, noon))
    const later = withJob({ ...told, warning: refusedFor(whole, "task-cjtfd", 9).warning }, { knownMillis: quotaPatienceMillis })
    const givenUp = perform(later, plan(policyOf(whole), later, noon))
    const deleted = perform(givenUp, plan(policyOf(whole), givenUp, noon))
    expect(plan(policyOf(whole), deleted, noon)).toMatchObject({ actions: [{ _tag: "CreateJob" }], notices: [] })
  })

  it("says that a launch comes again after words of any length, and of its Job that it goes", () => {
    const whole: Seed = { ...plainSeed, life: "starting", launches: 1, job: "failed", pod: "Evicted" }
    const world = worldOf(whole)
    const wordy = { ...world, pod: Option.map(world.pod, (pod) => ({ ...pod, message: "no ".repeat(5000) })) }
    const told = perform(wordy, plan(policyOf(whole), wordy, noon))
    expect(told.task.status.message).toMatch(/… It is launched again\.$/u)
    expect(plan(policyOf(whole), { ...told, pod: Option.none() }, noon).situation).toBe(
      "its Job is to make way for another launch, and has no Pod any more"
    )
  })

  it.each([1, 4])("makes a Job anew that has waited for a quota for a minute, which is no further launch: of %i", (launches) => {
    const whole: Seed = {
      ...plainSeed,
      life: "quota",
      stage: "apply",
      holder: "mine",
      job: "active",
      warning: "quota",
      jobAgeSeconds: 180,
      launches,
      maxLaunches: 1
    }
    const waits = worldOf(whole)
    const givenUp = plan(policyOf(whole), waits, noon)
    expect(givenUp).toMatchObject({
      situation: "its Job has waited for a quota or a webhook for a minute",
      actions: [],
      notices: [],
      status: { reason: "QuotaExceeded", launches: launches - 1 }
    })
    const deleted = plan(policyOf(whole), withJob(perform(waits, givenUp), { knownMillis: 0 }), noon)
    expect([deleted.actions.map(({ _tag }) => _tag), deleted.status]).toEqual([["DeleteJob"], givenUp.status])
    const made = plan(policyOf(whole), perform(perform(waits, givenUp), deleted), noon)
    expect([made.actions.map(({ _tag }) => _tag), made.status.message, made.status.launches]).toEqual([
      ["CreateJob"],
      waits.task.status.message,
      launches
    ])
  })

  it("says that the Job of a failed launch may not be deleted until it is, also under a controller that has just begun to look", () => {
    const seed: Seed = { ...plainSeed, life: "evicted", launches: 1, maxLaunches: 3, job: "failed", jobAgeSeconds: 10, pod: "Failed" }
    const world = worldOf(seed)
    const kept = withStatus(world, { ...world.task.status, reason: "Refused", message: "Cannot delete it." })
    const reason = (job: object) => plan(policyOf(seed), withJob(kept, job), noon).status.reason
    expect([reason({}), reason({ knownMillis: 0 }), reason({ deleting: true })]).toEqual(["Refused", "Refused", "Lost"])
  })

  it("says of a Job that is made anew for a webhook what it said of the one before", () => {
    const waits = worldOf({ ...plainSeed, life: "starting", launches: 1, job: "active", jobAgeSeconds: 4000, warning: "webhook" })
    const givenUp = perform(waits, plan(policyOf(plainSeed), waits, noon))
    const deleted = perform(givenUp, plan(policyOf(plainSeed), givenUp, noon))
    expect(plan(policyOf(plainSeed), deleted, noon)).toMatchObject({
      actions: [{ _tag: "CreateJob" }],
      status: { reason: "Refused", message: expect.stringContaining("before a webhook answers"), launches: 1 }
    })
  })

  it("looks at a Job that waits for a quota when the minute is over", () => {
    const whole: Seed = { ...plainSeed, life: "quota", job: "active", warning: "quota" }
    const again = (knownMillis: number) => plan(policyOf(whole), withJob(worldOf(whole), { knownMillis }), noon).requeueAfterMillis
    expect([again(10_000), again(40_000)]).toEqual([Option.some(10_000), Option.some(20_000)])
  })

  it("takes no launch back, nor counts one, while the Job that was given up goes", () => {
    const world = worldOf({ ...outlasted, warning: "quota" })
    const going = withJob(world, { deleting: true })
    expect(plan(policyOf(outlasted), going, noon)).toMatchObject({ actions: [], status: world.task.status })
    // Somebody's finalizer keeps the Job.
    const stuck = { ...going, warning: Option.none(), pod: worldOf({ ...outlasted, pod: "Pending" }).pod }
    expect(plan(policyOf(outlasted), withJob(stuck, { startingMillis: 4_000_000 }), noon).status).toMatchObject({
      phase: "Failed",
      reason: "StartupTimeout"
    })
    expect(plan(policyOf(outlasted), withJob(going, { startingMillis: 179_999 }), noon)).toMatchObject({
      status: world.task.status,
      requeueAfterMillis: Option.some(10_000)
    })
    expect(plan(policyOf(outlasted), withJob(going, { startingMillis: 180_000 }), noon).status).toMatchObject({
      phase: "Failed",
      reason: "StartupTimeout"
    }) // the quota is still full
  })
})
