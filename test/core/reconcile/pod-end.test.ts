// What is said of a Pod that ends: whether it is over, who saw it end, and why it left no result.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { endOf, isEndSeen, isEngineOver, isPodOver } from "../../../src/core/reconcile/pod-end.ts"
import { endOfStart } from "../../../src/core/reconcile/start-trouble.ts"
import type { PodSeen } from "../../../src/core/task/observed.ts"
import { plainSeed, worldOf } from "../worlds.ts"
import { container, ended, healthy, waiting } from "./pods.ts"

/** What the kubelet makes of a Pod that it does not admit: it writes no status of any container. */
const refused = { phase: "Failed", worker: Option.none(), runner: Option.none(), install: Option.none() } satisfies Partial<PodSeen>

describe("isPodOver", () => {
  it.each([
    { given: "a running worker", pod: {}, over: false },
    { given: "a worker that ended, whatever the runner does", pod: { worker: ended("Completed", 0) }, over: true },
    { given: "a runner that ended while the worker runs", pod: { runner: ended("OOMKilled", 137) }, over: false },
    { given: "a Pod that Kubernetes calls Succeeded", pod: { phase: "Succeeded" as const }, over: true },
    { given: "an evicted Pod", pod: { phase: "Failed" as const, reason: "Evicted" }, over: true }
  ])("says of $given: $over", ({ over, pod }) => expect(isPodOver({ ...healthy, ...pod })).toBe(over))
})

describe("isEngineOver", () => {
  it.each<readonly [given: string, pod: Partial<PodSeen>, over: boolean]>([
    ["a worker that runs", {}, false],
    ["a worker that died, whose runner still ends the engine", { worker: ended("Error", 1) }, false],
    ["worker and runner that ended", { worker: ended("Error", 1), runner: ended("Completed", 0) }, true],
    ["a Pod that Kubernetes gave up with its node, whatever was last seen of its runner", { phase: "Failed" }, true]
  ])("says of %s: %s", (_given, pod, over) => expect(isEngineOver({ ...healthy, ...pod })).toBe(over))
})

describe("endOf", () => {
  it.each([
    { given: "an eviction", pod: { reason: "Evicted", message: "low on memory" }, reason: "Evicted" },
    ...["OutOfcpu", "OutOfmemory", "OutOfpods", "NodeShutdown", "NodeAffinity", "UnexpectedAdmissionError"].map((reason) => ({
      given: `a kubelet that refuses it (${reason})`,
      pod: { ...refused, reason },
      reason: "Evicted"
    })),
    ...[
      { when: "its volumes are not mounted", install: waiting("PodInitializing") },
      { when: "they are unmounted, and nobody knows whether its first container ran", install: ended("ContainerStatusUnknown", 137) }
    ].map(({ install, when }) => ({
      given: `a kubelet that gives it up when its node has no room for its volumes, while ${when}`,
      pod: {
        phase: "Failed" as const,
        reason: "VolumeAttachmentLimitExceeded",
        install,
        worker: waiting("PodInitializing"),
        runner: waiting("PodInitializing")
      },
      reason: "Evicted"
    })),
    {
      given: "a scheduler that needs its place for another",
      pod: {
        deleting: true,
        disruption: "default-scheduler: preempting to accommodate a higher priority pod",
        worker: ended("Error", 143)
      },
      reason: "Evicted"
    },
    { given: "a kubelet that needs its place for another", pod: { phase: "Failed" as const, reason: "Preempting" }, reason: "Evicted" },
    ...["Shutdown", "Terminated"].map((reason) => ({
      given: `a node that shuts down (${reason})`,
      pod: { phase: "Failed" as const, reason, worker: ended("Error", 143), runner: ended("Completed", 0) },
      reason: "Evicted"
    })),
    { given: "a drain of its node", pod: { disruption: "Eviction API: evicting", worker: ended("Error", 1) }, reason: "Evicted" },
    { given: "somebody who deleted it", pod: { deleting: true, worker: ended("Error", 1) }, reason: "Evicted" },
    {
      given: "a worker out of memory on a Pod that is deleted",
      pod: { deleting: true, worker: ended("OOMKilled", 137) },
      reason: "OutOfMemory"
    },
    {
      given: "a node that no longer exists",
      pod: {
        phase: "Failed" as const,
        deleting: true,
        disruption: "PodGC: node no longer exists",
        disruptionReason: "DeletionByPodGC",
        worker: waiting("ContainerCreating")
      },
      reason: "NodeLost"
    },
    {
      given: "a node that no longer exists, and had not begun",
      pod: { ...refused, deleting: true, disruption: "PodGC: node no longer exists", disruptionReason: "DeletionByPodGC" },
      reason: "NodeLost"
    },
    { given: "a node out of service", pod: { phase: "Failed" as const, deleting: true }, reason: "NodeLost" },
    {
      given: "a node out of service whose Pods had to leave it",
      pod: {
        phase: "Failed" as const,
        deleting: true,
        disruption: "Taint manager: deleting due to NoExecute taint",
        disruptionReason: "DeletionByTaintManager"
      },
      reason: "NodeLost"
    },
    {
      given: "a Pod that had to leave, and whose end its kubelet saw",
      pod: {
        phase: "Failed" as const,
        deleting: true,
        disruption: "Taint manager: deleting due to NoExecute taint",
        disruptionReason: "DeletionByTaintManager",
        worker: ended("Error", 137),
        runner: ended("Completed", 0)
      },
      reason: "Evicted"
    },
    {
      given: "a node out of service on which the engine was still to end",
      pod: { phase: "Failed" as const, deleting: true, worker: ended("Error", 1) },
      reason: "NodeLost"
    },
    {
      given: "a Pod that its kubelet gave up, whatever was last seen of its worker",
      pod: { phase: "Failed" as const, deleting: true, reason: "Terminated" },
      reason: "Evicted"
    },
    {
      given: "a node that was started anew under its worker",
      pod: { phase: "Failed" as const, worker: ended("Unknown", 255), runner: ended("Unknown", 255) },
      reason: "NodeLost"
    },
    {
      given: "a node that was started anew, and whose runtime forgot its worker",
      pod: { phase: "Failed" as const, worker: ended("ContainerStatusUnknown", 137), runner: ended("ContainerStatusUnknown", 137) },
      reason: "NodeLost"
    },
    {
      given: "a deletion that removed the worker before its end was seen",
      pod: {
        phase: "Failed" as const,
        deleting: true,
        worker: ended("ContainerStatusUnknown", 137),
        runner: ended("Completed", 0)
      },
      reason: "Evicted"
    },
    {
      given: "a worker whose node was started anew after its own end",
      pod: { phase: "Failed" as const, worker: ended("Error", 1), runner: ended("Unknown", 255) },
      reason: "Lost"
    },
    { given: "a worker out of memory", pod: { worker: ended("OOMKilled", 137) }, reason: "OutOfMemory" },
    {
      given: "a runner out of memory in its former life",
      pod: { worker: ended("Error", 1), runner: container({ state: "running", lastReason: "OOMKilled" }) },
      reason: "OutOfMemory"
    },
    { given: "a worker that just ended", pod: { worker: ended("Completed", 0) }, reason: "Lost" }
  ])("blames $given on $reason", ({ pod, reason }) => expect(endOf(Option.some({ ...healthy, ...pod }), Option.none()).reason).toBe(reason))
  it("adds what the worker said last, on one line, unless that is a result that cannot be read", () => {
    const said = (message: string) =>
      endOf(Option.some({ ...healthy, worker: container({ state: "terminated", exitCode: Option.some(4), message }) }), Option.none())
        .message
    expect(said("Cannot get AgentTask t/a: nobody answers;\n check the network.")).toBe(
      "The worker of Pod pod ended with exit code 4 and left no result: Cannot get AgentTask t/a: nobody answers; check the network."
    )
    expect(said("")).toBe("The worker of Pod pod ended with exit code 4 and left no result.")
    expect(said("{\"outcome\":\"postponed\"}")).toBe("The worker of Pod pod ended with exit code 4 and left no result.")
  })
  it("tells on one line why a Pod was evicted", () =>
    expect(endOf(Option.some({ ...healthy, phase: "Failed", reason: "Evicted", message: "low on:\n\tmemory\n" }), Option.none()).message)
      .toBe(
        "Pod pod was evicted from node node: low on: memory"
      ))
  it("tells why a Pod was evicted by the reason alone where the kubelet has no words for it", () =>
    expect(endOf(Option.some({ ...healthy, phase: "Failed", reason: "Preempting" }), Option.none()).message).toBe(
      "Pod pod was evicted from node node: Preempting"
    ))
  // These are the kubelet's words, with the blank at their end.
  it.each([
    {
      said: "Usage of EmptyDir volume \"data\" exceeds the limit \"20Gi\". ",
      reason: "DiskFull",
      next: " Raise persistence.emptyDir.sizeLimit."
    },
    {
      said: "Usage of EmptyDir volume \"private\" exceeds the limit \"20Gi\". ",
      reason: "DiskFull",
      next: " Raise persistence.emptyDir.sizeLimit."
    },
    { said: "Usage of EmptyDir volume \"scratch\" exceeds the limit \"1Gi\". ", reason: "DiskFull", next: "" },
    {
      said: "Container worker exceeded its local ephemeral storage limit \"1Gi\". ",
      reason: "DiskFull",
      next: " Raise limits.ephemeral-storage of its containers, such as in task.runner.resources."
    },
    {
      said: "Pod ephemeral local storage usage exceeds the total limit of containers 2Gi. ",
      reason: "DiskFull",
      next: " Raise limits.ephemeral-storage of its containers, such as in task.runner.resources."
    },
    {
      said:
        "The node was low on resource: ephemeral-storage. Threshold quantity: 10Gi, available: 9Gi. Container runner was using 5Gi, request is 0, has larger consumption of ephemeral-storage. ",
      reason: "Evicted",
      next: ""
    }
  ])("blames an eviction on $reason, begun or not: $said", ({ next, reason, said }) => {
    const end = { reason, message: `Pod pod was evicted from node node: ${said.trim()}${next}` }
    const pod = { ...healthy, phase: "Failed", reason: "Evicted", message: said } as const
    expect(endOf(Option.some(pod), Option.none())).toEqual(end)
    const unbegun = { ...pod, install: ended("Error", 137), worker: waiting("PodInitializing"), runner: waiting("PodInitializing") }
    expect(endOfStart({ job: Option.none(), pod: Option.some(unbegun), warning: Option.none() })).toEqual(end)
  })
  it("says which node refused a Pod, and why", () => {
    const said = (pod: Partial<PodSeen>) => endOf(Option.some({ ...healthy, ...refused, ...pod }), Option.none()).message
    expect(said({ reason: "OutOfcpu", message: "Pod was rejected: Node didn't have enough resource: cpu." })).toBe(
      "Pod pod was refused by node node: Pod was rejected: Node didn't have enough resource: cpu."
    )
    expect(said({ reason: "NodeAffinity" })).toBe("Pod pod was refused by node node: NodeAffinity")
  })
  it("does not call it refused if its worker has begun", () =>
    expect(endOf(Option.some({ ...healthy, phase: "Failed", reason: "Odd", worker: ended("Error", 1) }), Option.none()).reason).toBe(
      "Lost"
    ))
  it("blames the deadline of the Job although the Pod was deleted for it, and the Job is not Failed before the Pod is over", () => {
    const job = Option.map(worldOf({ ...plainSeed, job: "active" }).job, (_) => ({ ..._, reason: "DeadlineExceeded" }))
    const pod = Option.some({ ...healthy, deleting: true, worker: ended("Error", 1) })
    expect(endOf(pod, job).reason).toBe("DeadlineExceeded")
    expect(endOfStart({ job, pod, warning: Option.none() }).reason).toBe("DeadlineExceeded")
  })
  it("calls a Pod that is gone a lost node", () => expect(endOf(Option.none(), Option.none()).reason).toBe("NodeLost"))
})

describe("the end of a Pod", () => {
  const over: PodSeen = { ...healthy, phase: "Failed", worker: ended("Error", 1), runner: ended("Completed", 0) }
  it.each<readonly [given: string, pod: PodSeen, isSeen: boolean]>([
    ["every container was seen to end", over, true],
    ["it was refused by its node, which says why", { ...healthy, ...refused, reason: "OutOfcpu" }, true],
    ["it never had a node", { ...healthy, ...refused, node: "" }, true],
    ["it goes on", { ...over, phase: "Running" }, false],
    ["its worker was last seen to run", { ...over, worker: container({ state: "running" }) }, false],
    ["its runner was last seen to run", { ...over, runner: container({ state: "running" }) }, false],
    ["its node is gone", { ...over, disruptionReason: "DeletionByPodGC" }, false],
    ["no kubelet has said anything of it", { ...healthy, ...refused }, false]
  ])("is seen, or not, where %s", (_given, pod, isSeen) => expect(isEndSeen(pod)).toBe(isSeen))
})
