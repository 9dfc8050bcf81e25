// What is said of a task that a worker has claimed, when it is looked at again, and how its Pod is ended once its worker has died.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { plan } from "../../../src/core/reconcile/plan.ts"
import type { Observed } from "../../../src/core/task/observed.ts"
import { noon, perform, plainSeed, policyOf, type Seed, withJob, withPod, withStatus, worldOf } from "../worlds.ts"
import { kept } from "./cases/claimed.ts"
import { planned } from "./planned.ts"

describe("plan, of a task that is claimed", () => {
  it("looks again and again at a claimed task whose node is silent, so that its alert does not end before the silence", () => {
    const whole: Seed = { ...plainSeed, life: "claimed", job: "active", pod: "silent", worker: "running" }
    const silent = perform(worldOf(whole), planned(whole))
    expect(silent.task.status.conditions).toContainEqual(expect.objectContaining({ type: "Stalled", status: "True" })) // a person is needed
    expect(plan(policyOf(whole), silent, noon)).toMatchObject({
      situation: "claimed, and its node does not answer",
      requeueAfterMillis: Option.some(120_000)
    })
  })

  it("goes on saying of a silent node that it may have the only copy of the newest state", () => {
    const onDisk = "The newest state may not be saved: then nothing but the disk of that node has it, so keep that."
    const whole: Seed = { ...plainSeed, life: "unsaved", job: "active", pod: "silent", worker: "running" }
    const silent = perform(worldOf(whole), planned(whole))
    expect(silent.task.status.message).toContain(onDisk)
    expect(plan(policyOf(whole), silent, noon).status).toEqual(silent.task.status)
    expect(planned({ ...whole, life: "claimed" }).status.message).not.toContain(onDisk)
  })

  it("looks again and again at a claimed task whose newest state is not saved, so that its alert lasts as long", () => {
    expect(planned({ life: "unsaved", job: "active", pod: "Running", worker: "running" })).toMatchObject({
      situation: "claimed, and its newest state is not saved",
      requeueAfterMillis: Option.some(120_000)
    })
  })

  it("says of a cancel that the worker may not hear of it, where no value names its account any more, and what to do", () => {
    const whole: Seed = { ...plainSeed, life: "claimed", job: "active", pod: "Running", worker: "running", cancel: true }
    const world = worldOf(whole)
    const said = (account: string) =>
      plan(policyOf(whole), { ...world, pod: Option.map(world.pod, (pod) => ({ ...pod, account })) }, noon).status
    expect(said("network")).toMatchObject({
      phase: "Running",
      reason: "Stopping",
      message:
        "A cancel was asked for, but the worker may not hear of it: its account network is no account of tasks any more. Let the values name it again (task.identities, or the account of all tasks), or delete Pod pod, which interrupts the engine once too."
    })
    const interrupted = "A cancel was asked for; the engine is interrupted once and saves its state."
    expect([said("agent-job-task").message, said("").message]).toEqual([interrupted, interrupted])
  })

  it("reports a result that it took from the termination message, which the pool may not have heard", () => {
    const whole: Seed = {
      ...plainSeed,
      pool: true,
      life: "claimed",
      job: "complete",
      pod: "Succeeded",
      worker: "Completed",
      lastWords: true
    }
    const ended = perform(worldOf(whole), plan(policyOf(whole), worldOf(whole), noon))
    expect(plan(policyOf(whole), ended, noon).actions).toMatchObject([{
      _tag: "ReportResult",
      assignment: "run-1.plan.1",
      result: { outcome: "succeeded" }
    }])
  })

  it("waits two minutes for the Pod of a claim to be ready, and then says it until it is", () => {
    const whole: Seed = { ...plainSeed, life: "claimed", job: "active", pod: "unready", worker: "running" }
    const after = (unreadySeconds: Seed["unreadySeconds"], more: Partial<Seed> = {}) => planned({ ...whole, ...more, unreadySeconds })
    expect(after(119)).toMatchObject({ situation: "claimed", status: { reason: "Claimed" }, requeueAfterMillis: Option.some(1_000) })
    expect(after(119, { cancel: true })).toMatchObject({ status: { reason: "Stopping" }, requeueAfterMillis: Option.some(1_000) })
    const told = after(120)
    expect(told).toMatchObject({
      situation: "claimed, and its Pod has not been ready for two minutes",
      status: {
        phase: "Running",
        reason: "PodNotReady",
        message: expect.stringMatching(
          /^Pod pod has not been ready for two minutes: node node died, or .+ probe does not reach the worker\. /u
        ),
        conditions: expect.arrayContaining([expect.objectContaining({ type: "Stalled", status: "False" })])
      },
      requeueAfterMillis: Option.some(120_000)
    })
    expect(after(120, { cancel: true }).situation).toBe(told.situation)
    const anew = perform({ ...worldOf(whole), unreadyMillis: 0 }, told) // another controller leads, which has just begun to look
    expect(plan(policyOf(whole), anew, noon).status).toEqual(told.status)
    const ready = { ...anew, pod: worldOf({ ...whole, pod: "Running" }).pod }
    expect(plan(policyOf(whole), ready, noon).status.reason).toBe("Claimed")
    const back = withStatus(anew, { ...anew.task.status, reason: "NodeUnreachable" })
    expect(plan(policyOf(whole), back, noon).status.reason).toBe("Claimed") // its kubelet answers again, and has not asked the worker yet
  })

  it("says first what the Pod says of its runner, where that is why it is not ready", () => {
    const whole: Seed = { ...plainSeed, life: "claimed", job: "active", pod: "unready", worker: "running", unreadySeconds: 120 }
    expect(planned({ ...whole, runner: "ImagePullBackOff" }).status).toMatchObject({
      reason: "PodNotReady",
      message: expect.stringMatching(
        /^Container runner cannot get its image yet; check its name, tag and pull secrets: ImagePullBackOff\. Pod pod has not been ready/u
      )
    })
  })

  it("says the same, to the pool too, for as long as the kubelet waits ever longer to start the runner again", () => {
    const whole: Seed = { ...plainSeed, life: "claimed", pool: true, job: "active", pod: "unready", worker: "running", unreadySeconds: 120 }
    const waiting = (wait: string) => ({
      runner: Option.some(
        {
          state: "waiting",
          reason: "CrashLoopBackOff",
          message: `back-off ${wait} restarting failed container=runner pod=pod_tasks(pod-uid)`,
          exitCode: Option.none(),
          lastReason: "Error"
        } as const
      )
    })
    const world = withPod(worldOf(whole), waiting("20s"))
    const told = plan(policyOf(whole), world, noon)
    expect(told).toMatchObject({ status: { message: expect.stringContaining("back-off 20s") }, notices: [{ _tag: "ReportWait" }] })
    const later = plan(policyOf(whole), withPod(perform(world, told), waiting("40s")), noon)
    expect(later).toMatchObject({ situation: told.situation, status: told.status, notices: [] })
  })

  it("ends a Pod that another container keeps once its worker has died, and calls the task lost for that once its engine is over", () => {
    const whole: Seed = { ...plainSeed, ...kept, pool: true, holder: "mine" }
    const decide = (world: Observed) => plan(policyOf(whole), world, noon)
    const soon = worldOf({ ...whole, unreadySeconds: 119 })
    expect(decide(soon).requeueAfterMillis).toEqual(Option.some(1_000))
    const told = decide(worldOf({ ...whole, unreadySeconds: 120 }))
    const says =
      "The worker of Pod pod ran out of memory; raise task.worker.resources.limits.memory. Its Pod is kept by container istio-proxy, so its Job is to be deleted; if the Pod stays, see whether the Job has metadata.finalizers, and look at node node."
    expect(told.status).toMatchObject({ phase: "Running", reason: "OutOfMemory", message: says })
    expect(told.notices).toMatchObject([{ _tag: "ReportWait", reason: "PodNotReady", message: says }]) // the pool shows it while the run goes on
    const written = perform({ ...soon, unreadyMillis: 0 }, told) // another controller leads, which has just begun to look
    const deletes = decide(written)
    expect(deletes.actions).toMatchObject([{ _tag: "DeleteJob", uid: "job-uid" }])
    expect(deletes).toMatchObject({ status: told.status, notices: [], requeueAfterMillis: Option.some(120_000) })
    const refused = decide({ ...written, refusal: worldOf({ ...whole, refusal: "deletion" }).refusal })
    expect(refused).toMatchObject({ actions: [], status: told.status, notices: [{ _tag: "Emit", message: "the server's words" }] })
    const going = withPod(withJob(written, { deleting: true }), { deleting: true, keptBy: [] })
    expect(decide(going)).toMatchObject({ actions: [], status: told.status })
    const silent = withPod(going, { nodeAnswers: false })
    expect(decide(silent).status.reason).toBe("NodeUnreachable")
    const message = `${says} Look at the state before the next run.`
    const over = withPod(going, { runner: worldOf({ ...whole, runner: "Completed" }).pod.pipe(Option.flatMap(({ runner }) => runner)) })
    expect(decide(over).status).toMatchObject({ phase: "Failed", reason: "OutOfMemory", message })
    expect(decide({ ...going, job: Option.none(), pod: Option.none() }).status).toMatchObject({
      phase: "Failed",
      reason: "OutOfMemory",
      message
    })
  })

  it("leaves a Pod whose runner still ends the engine, where nothing else keeps it", () => {
    const whole: Seed = { ...plainSeed, ...kept, kept: false, unreadySeconds: 120 }
    expect(plan(policyOf(whole), worldOf(whole), noon)).toMatchObject({
      situation: "claimed, and its Pod has not been ready for two minutes",
      actions: []
    })
  })

  it("leaves a Pod that is being deleted to end by itself, whatever else is in it", () => {
    const world = worldOf({ ...plainSeed, ...kept, unreadySeconds: 120 })
    expect(plan(policyOf(plainSeed), withPod(world, { deleting: true }), noon)).toMatchObject({
      actions: [],
      status: { reason: "PodNotReady" }
    })
  })

  it.each(["claimed", "unsaved"] as const)(
    "tells the pool that a node answers again until it has heard that, of a task that is %s, also what another lead may have told of",
    (life) => {
      const whole: Seed = { ...plainSeed, life, pool: true, job: "active", pod: "Running", worker: "running" }
      const silent = { reason: "NodeUnreachable", message: "Node node does not answer." } as const
      const unready = { reason: "PodNotReady", message: "Pod pod has not been ready." } as const
      for (const reportedWait of [Option.some(silent), Option.some(unready), Option.none()]) {
        const unheard = { ...worldOf(whole), reportedWait }
        const told = plan(policyOf(whole), unheard, noon)
        expect(told.notices).toMatchObject([{ _tag: "ReportWait", reason: "Claimed", message: "Running in Pod pod on node node." }])
        expect(told.status).toEqual(unheard.task.status)
        expect(plan(policyOf(whole), perform(unheard, told), noon).notices).toEqual([])
      }
      const runs = { reason: "Claimed", message: "Running in Pod pod on node node." } as const
      expect(plan(policyOf(whole), { ...worldOf(whole), reportedWait: Option.some(runs) }, noon).notices).toEqual([])
    }
  )

  it("tells the pool that its Pod is no longer starting, and what the worker waits for, which cannot tell a server that it does not reach", () => {
    const whole: Seed = { ...plainSeed, life: "claimed", pool: true, job: "active", pod: "Running", worker: "running" }
    const starting = { reason: "JobCreated", message: "Job agent-job-task was created; its Pod is starting." } as const
    const world = { ...worldOf(whole), reportedWait: Option.some(starting) }
    const says = (message?: string) => {
      const status = { ...world.task.status, ...(message !== undefined && { message }) }
      return plan(policyOf(whole), withStatus(world, status), noon).notices
    }
    expect(says()).toMatchObject([{ _tag: "ReportWait", reason: "Claimed", message: "Running in Pod pod on node node." }])
    expect(says("The server does not answer.")).toMatchObject([{ reason: "Claimed", message: "The server does not answer." }])
  })

  it("says again that a task runs whose node was silent and answers", () => {
    const whole: Seed = { ...plainSeed, life: "claimed", job: "active", pod: "Running", worker: "running" }
    const world = worldOf(whole)
    const status = { ...world.task.status, reason: "NodeUnreachable", message: "Node node does not answer." }
    expect(plan(policyOf(whole), withStatus(world, status), noon).status).toMatchObject({
      phase: "Running",
      reason: "Claimed",
      message: "Running in Pod pod on node node."
    })
  })

  it.each(
    [
      { stage: "apply", says: "The Pod is gone and left no result. Look at the state before the next run." },
      { stage: "plan", says: "The Pod is gone and left no result. Nothing was changed." }
    ] as const
  )(
    "says in the message of a lost $stage what a person should look at",
    ({ says, stage }) => expect(planned({ stage, life: "claimed" }).status.message).toBe(says)
  )
})
