// What keeps a stage from starting: what is said of it, how long it is waited for, and how a start that is given up ends.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import {
  endOfStart,
  foreignTurn,
  longestStartMillis,
  nextToStart,
  startTrouble,
  troubleOfStart,
  waitsForOthers
} from "../../../src/core/reconcile/start-trouble.ts"
import type { JobSeen, PodSeen } from "../../../src/core/task/observed.ts"
import { plainSeed, policy, worldOf } from "../worlds.ts"
import { container, ended, healthy, seen, waiting } from "./pods.ts"

describe("a quota", () => {
  it.each<readonly [said: string, isQuota: boolean]>([
    ["exceeded quota: tasks, requested: pods=1, used: pods=9, limited: pods=9", true],
    ["status unknown for quota: tasks, resources: pods", true], // the quota is new, and its use is not counted yet
    // The quota never has room for this.
    ["exceeded quota: tasks, requested: limits.memory=64Gi, used: limits.memory=0, limited: limits.memory=32Gi", false],
    // Somebody froze the quota.
    ["exceeded quota: tasks, requested: limits.memory=64Gi, used: limits.memory=0, limited: limits.memory=0", true],
    ["violates PodSecurity", false]
  ])("is waited for, and nothing that is denied, when no Pod can be made: %s", (said, isQuota) => {
    const warning = Option.some({ reason: "FailedCreate", message: `Error creating: pods "p" is forbidden: ${said}` })
    expect(waitsForOthers({ job: Option.none(), pod: Option.none(), warning })).toBe(isQuota)
  })
})

describe("a webhook for Pods that does not answer", () => {
  const failing =
    "Error creating: Internal error occurred: failed calling webhook \"inject.mesh.io\": failed to call webhook: connect: connection refused"
  const start = (words: string) => ({
    job: Option.none(),
    pod: Option.none(),
    warning: Option.some({ reason: "FailedCreate", message: words })
  })

  it("is waited for, and not one that denies the Pod, whatever it says", () =>
    expect([
      failing,
      `(combined from similar events): ${failing}`,
      "Error creating: Timeout: request did not complete within requested timeout - context deadline exceeded",
      `Error creating: admission webhook "a" denied the request: ${failing}`
    ].map((_) => waitsForOthers(start(_)))).toEqual([true, true, true, false]))

  it("is told with what to do, and has denied nothing if the Job ends meanwhile", () => {
    const message = `Kubernetes cannot create the Pod before a webhook answers; see whether that is up: ${failing}`
    expect(Option.getOrThrow(troubleOfStart(start(failing)))).toMatchObject({ reason: "Refused", message, ends: "by others" })
    expect(endOfStart(start(failing))).toEqual({ reason: "StartupTimeout", message })
  })

  it("is not said to be down where some are so slow that the API server's time is over, which names none", () => {
    const late = "Error creating: Timeout: request did not complete within requested timeout - context deadline exceeded"
    const message = `Kubernetes cannot create the Pod in its time; see which webhooks for Pods are slow: ${late}`
    expect(endOfStart(start(late))).toEqual({ reason: "StartupTimeout", message })
  })
})

describe("startTrouble", () => {
  it("is nothing for a Pod on its way", () => {
    expect(startTrouble(healthy)).toEqual(Option.none())
    expect(startTrouble({ ...healthy, worker: waiting("PodInitializing"), runner: waiting("ContainerCreating") })).toEqual(Option.none())
    expect(startTrouble({ ...healthy, install: ended("Completed", 0) })).toEqual(Option.none())
    expect(startTrouble({ ...healthy, install: container({ state: "running" }), others: [["proxy", { ...seen, state: "running" }]] }))
      .toEqual(Option.none())
  })
  it.each(["worker", "runner"])("is nothing for a %s that ended, which is no start any more", (name) => {
    expect(startTrouble({ ...healthy, [name]: ended("Error", 137) })).toEqual(Option.none())
  })
  it.each([
    {
      given: "an image that does not exist",
      pod: { runner: waiting("ImagePullBackOff", "not found") },
      reason: "ImagePull",
      ends: "in time",
      says: "runner"
    },
    ...["ErrImagePull", "RegistryUnavailable", "ImageInspectError", "SignatureValidationFailed"].map((reason) => ({
      given: `an image that does not come (${reason})`,
      pod: { runner: waiting(reason) },
      reason: "ImagePull",
      ends: "in time",
      says: `Container runner cannot get its image yet; check its name, tag and pull secrets: ${reason}`
    })),
    {
      given: "an image whose name is none",
      pod: { worker: waiting("InvalidImageName") },
      reason: "ImagePull",
      ends: "never",
      says: "Container worker can never get its image; correct its name or its pull policy: InvalidImageName"
    },
    {
      given: "an image that no node has and none may pull",
      pod: { worker: waiting("ErrImageNeverPull") },
      reason: "ImagePull",
      ends: "never",
      says: "Container worker can never get its image; correct its name or its pull policy: ErrImageNeverPull"
    },
    ...["CreateContainerError", "RunContainerError", "StartError"].map((reason) => ({
      given: `a worker that cannot start (${reason})`,
      pod: { worker: waiting(reason, "no such device") },
      reason: "InvalidConfiguration",
      ends: "in time",
      says: "Container worker cannot be created: no such device"
    })),
    ...["secret", "configmap"].map((kind) => ({
      given: `a ${kind} that is missing`,
      pod: { worker: waiting("CreateContainerConfigError", `${kind} "creds" not found`) },
      reason: "InvalidConfiguration",
      ends: "in time",
      says: `Container worker cannot be created: ${kind} "creds" not found; make it in the tasks' namespace`
    })),
    ...["PreCreateHookError", "PreStartHookError", "PostStartHookError"].map((reason) => ({
      given: `a sidecar that cannot start (${reason})`,
      pod: {
        worker: waiting("PodInitializing"),
        others: [["proxy", { ...seen, reason, message: "no room in the cpuset" }]] as const
      },
      reason: "InvalidConfiguration",
      ends: "in time",
      says: "Container proxy cannot be created: no room in the cpuset"
    })),
    {
      given: "a runner image without a shell",
      pod: { runner: container({ state: "terminated", reason: "StartError", lastReason: "StartError" }) },
      reason: "InvalidConfiguration",
      ends: "in time",
      says: "/bin/sh"
    },
    {
      given: "a runner image without a shell that was tried for the first time",
      pod: { runner: ended("StartError", 128) },
      reason: "InvalidConfiguration",
      ends: "in time",
      says: "/bin/sh"
    },
    {
      given: "a runner image without a shell that is about to be tried again",
      pod: { runner: container({ reason: "RunContainerError", lastReason: "StartError" }) },
      reason: "InvalidConfiguration",
      ends: "in time",
      says: "/bin/sh"
    },
    {
      given: "a runner image without a shell that was tried often",
      pod: { runner: container({ reason: "CrashLoopBackOff", lastReason: "StartError" }) },
      reason: "InvalidConfiguration",
      ends: "in time",
      says: "/bin/sh"
    },
    {
      given: "an install that failed",
      pod: { install: ended("Error", 1) },
      reason: "InvalidConfiguration",
      ends: "never",
      says: "install"
    },
    { given: "an install whose volume is full", pod: { install: ended("Error", 28) }, reason: "DiskFull", ends: "never", says: "install" },
    {
      given: "an install that could not be started",
      pod: { install: ended("StartError", 128) },
      reason: "InvalidConfiguration",
      ends: "never",
      says: "Container install failed with exit code 128: StartError"
    },
    {
      given: "an init container of a webhook that failed as install does where its volume is full",
      pod: { others: [["vault-agent-init", { ...seen, state: "terminated", reason: "Error", exitCode: Option.some(28) }]] as const },
      reason: "InvalidConfiguration",
      ends: "never",
      says: "Container vault-agent-init failed with exit code 28: Error"
    },
    {
      given: "an init container of a webhook that failed",
      pod: { others: [["vault-agent-init", { ...seen, state: "terminated", reason: "Error", exitCode: Option.some(2) }]] as const },
      reason: "InvalidConfiguration",
      ends: "never",
      says: "Container vault-agent-init failed with exit code 2: Error"
    },
    {
      given: "a sidecar of the values that crashes",
      pod: {
        worker: waiting("PodInitializing"),
        others: [["proxy", { ...seen, reason: "CrashLoopBackOff", message: "back-off" }]] as const
      },
      reason: "InvalidConfiguration",
      ends: "in time",
      says: "Container proxy ends as soon as it starts: back-off"
    },
    {
      given: "an image of ours before one of a sidecar",
      pod: {
        runner: waiting("ImagePullBackOff", "not found"),
        others: [["proxy", { ...seen, reason: "InvalidImageName", message: "" }]] as const
      },
      reason: "ImagePull",
      ends: "in time",
      says: "Container runner"
    },
    {
      given: "no node for it",
      pod: { unschedulable: "0/1 nodes: insufficient memory" },
      reason: "Unschedulable",
      ends: "in time",
      says: "insufficient memory"
    },
    {
      given: "a scheduling gate, as Kubernetes words it, which no node can help",
      pod: { unschedulable: "Scheduling is blocked due to non-empty scheduling gates" },
      reason: "Unschedulable",
      ends: "in time",
      says: "The Pod is kept from all nodes by its spec.schedulingGates; see why the queue or webhook that set them does not remove them."
    }
  ])("explains $given", ({ ends, pod, reason, says }) => {
    const trouble = Option.getOrThrow(startTrouble({ ...healthy, ...pod }))
    expect(trouble).toMatchObject({ reason, ends })
    expect(trouble.message).toContain(says)
  })
})

describe("troubleOfStart", () => {
  it.each(["FailedCreatePodSandBox", "NetworkNotReady"])("says why the node cannot set the Pod up: %s", (reason) => {
    const warning = Option.some({ reason, message: "no addresses\n left" })
    const pod = Option.some({ ...healthy, phase: "Pending" as const, worker: Option.none(), runner: Option.none() })
    const job = worldOf({ ...plainSeed, job: "active" }).job
    expect(Option.getOrThrow(troubleOfStart({ job, pod, warning }))).toEqual({
      reason: "JobCreated",
      message: "Node node cannot set up the Pod yet: no addresses left",
      ends: "in time"
    })
    expect(endOfStart({ job, pod, warning }).reason).toBe("StartupTimeout")
  })
})

describe.each(["Multi-Attach error", "Waiting for detach"])("a volume that another node still has, by the words %s", (begin) => {
  const message = `${begin} for volume "pvc-1" Volume is already used by pod(s) agent-job-network-2-abcde`
  const { job } = worldOf({ ...plainSeed, job: "active" })
  const start = (isSetUp: boolean, words = message) => ({
    job,
    pod: Option.some({ ...healthy, phase: "Pending" as const, worker: Option.none(), runner: Option.none(), isSetUp }),
    warning: Option.some({ reason: "FailedAttachVolume", message: words })
  })

  it("is waited for as long as a node is, and no longer than until the Pod is set up", () =>
    expect([start(false), start(true), start(false, "AttachVolume.Attach failed")].map((_) => longestStartMillis(_, policy))).toEqual([
      900_000,
      180_000,
      180_000
    ]))

  it("is told with who has it, and is no mistake of the configuration", () => {
    const told = `A volume of the Pod was attached to another node when the Pod came, and has to be free there first: ${message}`
    expect(troubleOfStart(start(false))).toEqual(Option.some({ reason: "JobCreated", message: told, ends: "in time" }))
    expect(endOfStart(start(false))).toEqual({ reason: "StartupTimeout", message: told })
  })
})

describe("the token of a pool's stage that is not there yet", () => {
  const { job } = worldOf({ ...plainSeed, job: "active" })
  const start = (secret: string, isSetUp = false) => ({
    job,
    pod: Option.some({ ...healthy, phase: "Pending" as const, worker: Option.none(), runner: Option.none(), isSetUp }),
    warning: Option.some({ reason: "FailedMount", message: `MountVolume.SetUp failed for volume "v" : secret "${secret}" not found` })
  })
  const token = "run-1a-plan-token"

  it("is waited for as long as a node is, and no longer than until the Pod is set up; any other Secret is not", () =>
    expect([start(token), start(token, true), start("creds")].map((_) => longestStartMillis(_, policy))).toEqual([
      900_000,
      180_000,
      180_000
    ]))

  it("is no mistake of the configuration, as any other Secret is", () =>
    expect([token, "creds"].map((secret) => [
      Option.map(troubleOfStart(start(secret)), ({ reason }) => reason),
      endOfStart(start(secret)).reason
    ])).toEqual([
      [Option.some("JobCreated"), "StartupTimeout"],
      [Option.some("InvalidConfiguration"), "InvalidConfiguration"]
    ]))
})

describe("troubleOfStart of a Pod that is set up", () => {
  it.each(["FailedMount", "FailedAttachVolume", "FailedCreatePodSandBox", "NetworkNotReady"])(
    "no longer believes a warning: %s",
    (reason) => {
      const warning = Option.some({ reason, message: "secret \"creds\" not found" })
      const pod = { ...healthy, phase: "Pending" as const, worker: waiting("PodInitializing"), runner: waiting("ContainerCreating") }
      const { job } = worldOf({ ...plainSeed, job: "active" })
      const reasonOfEnd = (isSetUp: boolean) => endOfStart({ job, pod: Option.some({ ...pod, isSetUp }), warning }).message
      expect(reasonOfEnd(false)).toContain("secret \"creds\" not found")
      expect(reasonOfEnd(true)).toMatch(/^Container runner of Pod pod did not start/u)
    }
  )
})

describe("the container that is to start next", () => {
  const [setUp, going, inTurn] = [{ ...healthy, isSetUp: true }, container({ state: "running" }), waiting("PodInitializing")]
  it.each<readonly [given: string, pod: PodSeen, next: Option.Option<string>]>([
    ["nothing has started", { ...setUp, install: inTurn, runner: inTurn, worker: inTurn }, Option.some("install")],
    [
      "install is over",
      { ...setUp, install: ended("Completed", 0), runner: inTurn, worker: inTurn },
      Option.some("runner")
    ],
    ["the runner runs", { ...setUp, install: ended("Completed", 0), runner: going, worker: inTurn }, Option.some("worker")],
    ["install is at work", { ...setUp, install: going, runner: inTurn, worker: inTurn }, Option.none()],
    ["all have started", { ...setUp, install: ended("Completed", 0) }, Option.none()],
    ["the Pod is not set up", { ...healthy, install: inTurn, runner: inTurn, worker: inTurn }, Option.none()]
  ])("is told where %s", (_given, pod, next) => expect(nextToStart(pod)).toEqual(next))

  it.each(["end", "start"] as const)("waits for one of the values or a webhook to %s, which is named instead", (until) => {
    const first = { ...setUp, install: inTurn, runner: inTurn, worker: inTurn, turnOf: Option.some({ name: "vault-init", until }) }
    expect(endOfStart({ job: Option.none(), pod: Option.some(first), warning: Option.none() }).message).toBe(
      `Pod pod did not start within task.startupTimeoutSeconds, because it waits for container vault-init, which the values or a webhook added, to ${until}; see the log of that container, and the events of the Pod.`
    )
    expect(foreignTurn({ ...first, install: ended("Completed", 0), runner: going, worker: going })).toEqual(Option.none()) // it is started again
  })

  it("is named by a start that took too long, with what to raise if its image is slow", () =>
    expect(
      endOfStart({ job: Option.none(), pod: Option.some({ ...setUp, runner: inTurn, worker: inTurn }), warning: Option.none() })
    ).toEqual({
      reason: "StartupTimeout",
      message:
        "Container runner of Pod pod did not start within task.startupTimeoutSeconds; if node node was still pulling its image, as the events of the Pod say, raise that value, else see whether the node answers."
    }))
})

describe("troubleOfStart of a message that has several lines", () => {
  it.each([
    ["FailedMount", "A volume of the Pod cannot be mounted: mount failed: exit status 32"],
    ["FailedCreate", "Kubernetes cannot create the Pod: mount failed: exit status 32"]
  ])("is one line of %s", (reason, says) => {
    const warning = Option.some({ reason, message: "mount failed:\n\texit status 32\n" })
    expect(Option.getOrThrow(troubleOfStart({ job: Option.none(), pod: Option.none(), warning })).message).toBe(says)
  })
  it.each([
    { lacks: "configmap \"files\" not found", next: "make it in the tasks' namespace" },
    {
      lacks: "secret \"run-1a-apply-2-token\" not found",
      next:
        "the controller makes it, and its log says what keeps it from that; if that says nothing, somebody deleted it, so start the run anew"
    },
    { lacks: "secret \"my-token\" not found", next: "make it in the tasks' namespace" }
  ])("says where to make what a volume lacks, unless only the controller can make it: $lacks", ({ lacks, next }) => {
    const warning = Option.some({ reason: "FailedMount", message: `MountVolume.SetUp failed for volume "source" : ${lacks}` })
    expect(Option.getOrThrow(troubleOfStart({ job: Option.none(), pod: Option.none(), warning })).message).toBe(
      `A volume of the Pod cannot be mounted: MountVolume.SetUp failed for volume "source" : ${lacks}; ${next}`
    )
  })
  it("says which account of an identity is missing, as Kubernetes 1.37 words it, and where to make it", () => {
    const forbidden =
      "pods \"agent-job-demo-plan-\" is forbidden: error looking up service account tasks/network-plan: serviceaccount \"network-plan\" not found"
    const warning = Option.some({ reason: "FailedCreate", message: `Error creating: ${forbidden}` })
    expect(Option.getOrThrow(troubleOfStart({ job: Option.none(), pod: Option.none(), warning }))).toEqual({
      reason: "Refused",
      message: `Kubernetes cannot create the Pod: Error creating: ${forbidden}; make it in the tasks' namespace`,
      ends: "in time"
    })
  })
  it("is one line of the scheduler", () =>
    expect(Option.getOrThrow(startTrouble({ ...healthy, unschedulable: "0/1 nodes:\ncpu" })).message).toBe(
      "No node can take the Pod: 0/1 nodes: cpu"
    ))
})

describe("endOfStart", () => {
  const job = worldOf({ ...plainSeed, job: "active" }).job

  it("is out of time while a quota has no room", () => {
    const warning = Option.some({ reason: "FailedCreate", message: "exceeded quota: pods" })
    expect(endOfStart({ job, pod: Option.none(), warning }).reason).toBe("StartupTimeout")
  })
  const begins: PodSeen = {
    ...healthy,
    phase: "Pending",
    worker: waiting("PodInitializing"),
    runner: waiting("ErrImagePull", "no such tag")
  }
  it.each<readonly [given: string, state: JobSeen["state"], pod: Option.Option<PodSeen>, warned: string, reason: string]>([
    ["the Pod that is gone", "failed", Option.none(), "", "NodeLost"],
    ["what kept Kubernetes from making a Pod", "failed", Option.none(), "violates PodSecurity", "Denied"],
    ["the image that the Pod waited for", "failed", Option.some(begins), "", "ImagePull"],
    [
      "the image that a Pod which is not over waits for, though it is being deleted",
      "active",
      Option.some({ ...begins, deleting: true }),
      "",
      "ImagePull"
    ]
  ])("is blamed on %s", (_given, state, pod, warned, reason) => {
    const warning = warned === "" ? Option.none() : Option.some({ reason: "FailedCreate", message: warned })
    expect(endOfStart({ job: Option.map(job, (_) => ({ ..._, state })), pod, warning }).reason).toBe(reason)
  })
  it.each([
    [
      "",
      /^Pod pod has no node, and the time of its Job to start is over; see whether its volume claims are bound \(kubectl get pvc, and their events\), and/u
    ],
    ["node", /^The worker in Pod pod did not take the task .* see whether node node answers,/u]
  ])(
    "names the node, if the Pod has one: %j",
    (node, says) => expect(endOfStart({ job, pod: Option.some({ ...healthy, node }), warning: Option.none() }).message).toMatch(says)
  )
  it.each<readonly [name: string, more: Partial<PodSeen>]>([
    ["install", { install: ended("Unknown", 255) }],
    ["install, which the runtime forgot", { install: ended("ContainerStatusUnknown", 137) }],
    ["one of a webhook", { others: [["vault-agent-init", Option.getOrThrow(ended("Unknown", 255))]] }]
  ])("is blamed on a node that was started anew under an init container, and not on that: %s", (_name, more) => {
    const unbegun: PodSeen = { ...healthy, worker: waiting("PodInitializing"), runner: waiting("PodInitializing"), ...more }
    expect(startTrouble(unbegun)).toEqual(Option.none())
    expect(endOfStart({ job, pod: Option.some({ ...unbegun, phase: "Failed" }), warning: Option.none() })).toEqual({
      reason: "NodeLost",
      message: "Node node, or its container runtime, was started anew under Pod pod."
    })
  })
  it("is not blamed on who suspended a Job that is over", () => {
    const over = Option.map(job, (_) => ({ ..._, state: "failed" as const, suspended: true }))
    expect(troubleOfStart({ job: over, pod: Option.none(), warning: Option.none() })).toEqual(Option.none())
  })
  it("tells a start by what the worker said when it ended, and not by what the Pod waited for before", () => {
    const job = Option.map(worldOf({ ...plainSeed, job: "active" }).job, (_) => ({ ..._, state: "failed" as const }))
    const pod = { ...healthy, worker: container({ state: "terminated", exitCode: Option.some(4), message: "Nobody answers." }) }
    const warning = Option.some({ reason: "FailedMount", message: "secret not found" })
    expect(endOfStart({ job, pod: Option.some(pod), warning })).toEqual({
      reason: "Lost",
      message: "The worker of Pod pod ended with exit code 4 and left no result: Nobody answers."
    })
  })
})
