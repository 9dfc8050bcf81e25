// What is said of a start, when it is looked at again, and when it is given up.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { plan } from "../../../src/core/reconcile/plan.ts"
import type { ContainerSeen } from "../../../src/core/task/observed.ts"
import { Uid } from "../../../src/schema/names.ts"
import { before, noon, plainSeed, policyOf, type Seed, withJob, withPod, withStatus, worldOf } from "../worlds.ts"
import { planned } from "./planned.ts"

describe("plan, of a start", () => {
  it("leaves a start that goes well to the claim, and looks again when that is late: not at all those of a second at once", () => {
    const whole: Seed = { ...plainSeed, job: "active" }
    const world = worldOf(whole)
    const times = Array.from({ length: 100 }, (_, index) => {
      const uid = Uid.make(`uid-${index}`)
      const task = { ...world.task, metadata: { ...world.task.metadata, uid } }
      const { requeueAfterMillis, status } = plan(policyOf(whole), { ...world, task }, noon)
      expect(status).toEqual(task.status)
      return Option.getOrThrow(requeueAfterMillis)
    })
    expect([Math.min(...times) >= 3000, Math.max(...times) < 4000]).toEqual([true, true])
    expect(new Set(times.map((time) => Math.floor(time / 100))).size).toBe(10) // some in each tenth of the second
  })

  it.each(
    [
      { jobAgeSeconds: 0, again: 5_000 },
      { jobAgeSeconds: 10, again: 10_000 },
      { jobAgeSeconds: 179, again: 1_000 } // when the start is overdue
    ] as const
  )(
    "looks again at a start of $jobAgeSeconds s after $again ms",
    ({ again, jobAgeSeconds }) =>
      expect(planned({ life: "starting", job: "active", jobAgeSeconds }).requeueAfterMillis).toEqual(Option.some(again))
  )

  it("tells of a start that takes longer than most, though its clock says that the Job is to be made in five minutes", () => {
    const whole: Seed = { ...plainSeed, job: "active" }
    const seen = withJob(worldOf(whole), { createdAt: before(-300) })
    expect([0, 2_999, 3_000].map((knownMillis) => plan(policyOf(whole), withJob(seen, { knownMillis }), noon).status.phase)).toEqual([
      undefined,
      undefined,
      "Starting"
    ])
  })

  it.each([3600, -3600])("ends no start by a clock that is %i s off, but by the time for which its Pod may have started", (off) => {
    const whole: Seed = { ...plainSeed, life: "starting", job: "active", jobAgeSeconds: 0 }
    const seen = withJob(worldOf(whole), { createdAt: before(off), knownMillis: 4_000_000 })
    const after = (startingMillis: number) => plan(policyOf(whole), withJob(seen, { startingMillis }), noon).situation
    expect([after(0), after(179_999), after(180_000)]).toEqual(["its Job is there", "its Job is there", "its Pod did not start in time"])
  })

  it("ends no start that waits for a quota, however long it took before", () => {
    const whole: Seed = { ...plainSeed, life: "starting", job: "active", warning: "quota" }
    expect(plan(policyOf(whole), withJob(worldOf(whole), { startingMillis: 4_000_000 }), noon)).toMatchObject({
      situation: "its Job is there",
      status: { phase: "Starting", reason: "QuotaExceeded" }
    })
  })

  it("gives a Pod that no node can take a time of its own, before that of its start", () => {
    const whole: Seed = { ...plainSeed, life: "starting", launches: 1, job: "active", pod: "unschedulable" }
    const after = (startingMillis: number, nodeWaitSeconds = 900) =>
      plan({ ...policyOf(whole), nodeWaitSeconds }, withJob(worldOf(whole), { startingMillis }), noon)
    expect([after(899_999), after(900_000), after(900_000, 3600)].map(({ status }) => status.phase)).toEqual([
      "Starting",
      "Failed",
      "Starting"
    ])
    expect(after(899_000).requeueAfterMillis).toEqual(Option.some(1_000))
    const going = withJob(worldOf(whole), { deleting: true, startingMillis: 180_000 }) // no node that comes helps it
    expect(plan(policyOf(whole), going, noon).situation).toBe("its Job is deleted, and does not go")
  })

  it.each<readonly [jobAgeSeconds: Seed["jobAgeSeconds"], says: string]>([
    [10, "its Pod is starting."],
    [
      179,
      "its Pod has no node yet; see whether its volume claims are bound (kubectl get pvc, and their events), and whether the scheduler is up."
    ],
    [
      180,
      "its Pod has no node yet; see whether its volume claims are bound (kubectl get pvc, and their events), and whether the scheduler is up."
    ]
  ])("gives a Pod without a node of which the scheduler says nothing that time too: after %i s it says %s", (jobAgeSeconds, says) => {
    const whole: Seed = { ...plainSeed, life: "starting", launches: 1, job: "active", pod: "Pending", jobAgeSeconds }
    const { status } = plan(policyOf(whole), withPod(worldOf(whole), { node: "" }), noon)
    expect(status).toMatchObject({ phase: "Starting", reason: "JobCreated", message: `Job agent-job-task was created; ${says}` })
  })

  it("gives that time to no Pod that goes", () => {
    const whole: Seed = { ...plainSeed, life: "starting", launches: 1, job: "active", pod: "Pending", jobAgeSeconds: 180 }
    expect(plan(policyOf(whole), withPod(worldOf(whole), { node: "", deleting: true }), noon).status.reason).toBe("StartupTimeout")
  })

  it("goes on with a Pod that a quota has room for by now, and looks at it as seldom as at any other", () => {
    const seed: Seed = { ...plainSeed, life: "starting", job: "active", pod: "Pending", hadPod: true, warning: "quota", jobAgeSeconds: 179 }
    expect(plan(policyOf(seed), worldOf(seed), noon)).toMatchObject({
      situation: "its Job is there",
      requeueAfterMillis: Option.some(60_000)
    })
  })

  it("says of a Job that is suspended what resumes it", () => {
    expect(planned({ life: "starting", launches: 1, job: "suspended", jobAgeSeconds: 4000 }).status.message).toBe(
      "Its Job is suspended, by a queue such as Kueue or by hand; it starts once the Job's spec.suspend is false."
    )
  })

  it.each<readonly [seed: Partial<Seed>, says: string]>([
    [{ pod: "Pending" }, "Job agent-job-task was created; its Pod is starting."],
    [{ jobAgeSeconds: 179 }, "Job agent-job-task was created; its Pod is starting."],
    [{ jobAgeSeconds: 179, pod: "Pending" }, "Job agent-job-task was created; its Pod pod is starting on node node."],
    [{ pod: "Pending", jobDeleting: true }, "Job agent-job-task is being deleted; its Pod pod is still there."],
    [{ job: "suspended", jobDeleting: true }, "Job agent-job-task is being deleted; a finalizer keeps it."]
  ])("says of a start what is there of it, and where: %o", (seed, says) => {
    expect(planned({ life: "starting", launches: 1, job: "active", jobAgeSeconds: 10, ...seed }).status).toMatchObject({
      phase: "Starting",
      reason: "JobCreated",
      message: says
    })
  })

  it("says of a start which container is to start next, as its image may be slow", () => {
    const seed: Seed = { ...plainSeed, life: "starting", launches: 1, job: "active", jobAgeSeconds: 179, pod: "Pending" }
    const world = worldOf(seed)
    const waits: ContainerSeen = { state: "waiting", reason: "PodInitializing", message: "", exitCode: Option.none(), lastReason: "" }
    const pod = Option.map(world.pod, (_) => ({ ..._, isSetUp: true, worker: Option.some(waits) }))
    expect(plan(policyOf(seed), { ...world, pod }, noon).status.message).toBe(
      "Job agent-job-task was created; its Pod pod is starting on node node, which may still be pulling the image of container worker."
    )
    const behind = Option.map(pod, (_) => ({ ..._, turnOf: Option.some({ name: "vault-init", until: "end" as const }) }))
    expect(plan(policyOf(seed), { ...world, pod: behind }, noon).status.message).toBe(
      "Job agent-job-task was created; its Pod pod is starting on node node and waits for container vault-init, which the values or a webhook added, to end."
    )
  })

  it("goes on saying where the Pod starts, so that a controller whose clock is behind takes nothing back", () => {
    const seed: Seed = { ...plainSeed, life: "starting", launches: 1, job: "active", pod: "Pending" }
    const { status } = planned({ ...seed, jobAgeSeconds: 179 })
    const young = worldOf({ ...seed, jobAgeSeconds: 10 })
    expect(plan(policyOf(seed), withStatus(young, status), noon).status).toEqual(status)
  })

  it("says of a Pod that did not start in time which node to look at: one that fell silent leaves no trace in a Pod that was never ready", () => {
    expect(planned({ life: "starting", job: "active", jobAgeSeconds: 180, pod: "Pending" }).status).toMatchObject({
      phase: "Failed",
      reason: "StartupTimeout",
      message:
        "The worker in Pod pod did not take the task within task.startupTimeoutSeconds; see whether node node answers, and what the events of Job and Pod say. Nothing was run."
    })
  })

  it.each<readonly [pod: Seed["pod"], node: string, says: string]>([
    ["none", "", "a finalizer keeps it; remove what is in its metadata.finalizers"],
    ["Pending", "", "its Pod pod is still there; check what keeps it"],
    ["Pending", "node-1", "its Pod pod is still there; check node node-1"]
  ])("says of a Job that was deleted and does not go what keeps it: Pod %s, node %j", (pod, node, says) => {
    const whole: Seed = { ...plainSeed, life: "starting", job: "active", jobDeleting: true, jobAgeSeconds: 180, pod }
    expect(plan(policyOf(whole), withPod(worldOf(whole), { node }), noon).status.message).toBe(
      `Job agent-job-task was deleted, but ${says}, then run the task again. Nothing was run.`
    )
  })

  it("says of a Pod that is larger than its quota what it asks for, and where to ask for less", () => {
    const { status } = planned({ stage: "apply", life: "starting", job: "active", jobAgeSeconds: 180, warning: "smallQuota" })
    expect(status.message).toBe(
      "The Pod can never fit into quota q: it asks for 64Gi of limits.memory (the quota allows 32Gi); ask for less in jobTemplate.runner.resources of the task, or in task.runner.resources and task.worker.resources of the values, or raise the quota. Nothing was run."
    )
  })

  it("ends Kubernetes' words as a sentence before it goes on", () => {
    expect(planned({ life: "starting", job: "active", jobAgeSeconds: 4000, pod: "unschedulable" }).status.message).toBe(
      "No node can take the Pod: 0/1 nodes are available. Nothing was run."
    )
  })

  it("says of a Job that was denied for too long who denied it, and what to do", () => {
    expect(planned({ refusal: "Denied", deniedSeconds: 180 }).status.message).toBe(
      "the server's words. It was denied for 180 s (task.startupTimeoutSeconds); correct that, and run the task again. Nothing was run."
    )
  })

  it("says of a Job that is gone no more than is known: a controller that was away may have missed its end", () => {
    expect(planned({ life: "starting", launches: 1 }).status.message).toBe(
      "Its Job disappeared before a worker took the task: somebody deleted it, or it ended and was removed after task.job.ttlSecondsAfterFinished. Nothing was run; run the task again."
    )
  })
})
