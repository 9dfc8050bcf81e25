// Flat facts of whatever a Pod or a Job holds, above all when a node has gone silent.
import { describe, expect, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { jobSeen, podSeen } from "../../../src/core/task/seen.ts"
import { Job, Pod } from "../../../src/schema/kubernetes/kubernetes.ts"

const decodeJob = Schema.decodeUnknownSync(Job)
const decodePod = Schema.decodeUnknownSync(Pod)

const metadata = { name: "pod", uid: "uid", resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z" }
const result = { outcome: "failed", reason: "ExitCode", message: "It failed.", exitCode: 1, finishedAt: "2026-01-01T00:00:00Z" }
const pod = (status: object) => podSeen(decodePod({ metadata, spec: { nodeName: "node" }, status }))
const worker = (message: string) => ({
  containerStatuses: [{ name: "worker", state: { terminated: { exitCode: 1, reason: "Error", message } } }]
})

describe("podSeen", () => {
  it("keeps the other containers that something keeps from starting or that ended the start, by their names, and nothing of the rest", () => {
    const waiting = (name: string, reason: string) => ({ name, state: { waiting: { reason, message: "its words" } } })
    const ended = (name: string, exitCode: number) => ({ name, state: { terminated: { exitCode, reason: "Error", message: "its words" } } })
    const { others } = podSeen(
      decodePod({
        metadata,
        spec: { initContainers: [{ name: "vault-init" }, { name: "done" }, { name: "proxy", restartPolicy: "Always" }, { name: "later" }] },
        status: {
          initContainerStatuses: [
            ended("vault-init", 1),
            ended("done", 0),
            ended("proxy", 143),
            waiting("later", "PodInitializing"),
            waiting("puller", "ErrImagePull"),
            ended("install", 1),
            waiting("runner", "ErrImagePull")
          ],
          containerStatuses: [
            waiting("logs", "ImagePullBackOff"),
            waiting("next", "ContainerCreating"),
            { name: "silent", state: { waiting: {} } },
            ended("aside", 1), // its end does not end the start
            waiting("worker", "ImagePullBackOff"),
            { name: "mesh", state: { running: {} } }
          ]
        }
      })
    )
    expect(others).toMatchObject([
      ["vault-init", { state: "terminated", reason: "Error", message: "its words", exitCode: Option.some(1) }],
      ["puller", { state: "waiting", reason: "ErrImagePull" }],
      ["logs", { state: "waiting", reason: "ImagePullBackOff", message: "its words" }]
    ])
    expect(pod({ containerStatuses: [waiting("worker", "PodInitializing")] }).others).toEqual([])
  })
  const [running, inTurn] = [{ running: {} }, { waiting: { reason: "PodInitializing" } }]
  it.each<readonly [given: string, status: object, turn: object | undefined]>([
    ["an init container of a webhook that runs on", { name: "vault-init", started: true }, { name: "vault-init", until: "end" }],
    ["one whose image is being pulled", { name: "vault-init", state: inTurn }, { name: "vault-init", until: "end" }],
    ["a sidecar whose startup probe fails", { name: "proxy", started: false }, { name: "proxy", until: "start" }],
    ["a sidecar whose image is being pulled", { name: "proxy", started: false, state: inTurn }, { name: "proxy", until: "start" }],
    ["no sidecar that has started", { name: "proxy", started: true }, undefined],
    ["nothing of ours", { name: "install", started: false }, undefined]
  ])("names whose turn it is, and none that waits for it: %s", (_given, status, turn) => {
    const spec = { initContainers: [{ name: "vault-init" }, { name: "proxy", restartPolicy: "Always" }, { name: "install" }] }
    const initContainerStatuses = [
      { name: "before", state: { terminated: { exitCode: 0 } } },
      { state: running, ...status },
      ...["install", "later"].map((name) => ({ name, state: inTurn }))
    ]
    expect(podSeen(decodePod({ metadata, spec, status: { initContainerStatuses } })).turnOf).toEqual(Option.fromUndefinedOr(turn))
  })
  it("names the account of its worker, and none where Kubernetes names none", () => {
    const accountIn = (spec: object) => podSeen(decodePod({ metadata, spec })).account
    expect([accountIn({ serviceAccountName: "network" }), accountIn({})]).toEqual(["network", ""])
  })
  it("names the ordinary containers of others that keep the Pod once the worker has ended", () => {
    const running = (name: string) => ({ name, state: { running: {} } })
    const ended = (name: string) => ({ name, state: { terminated: { exitCode: 137 } } })
    const beside = (worker: object) =>
      pod({ initContainerStatuses: [running("runner"), running("proxy")], containerStatuses: [running("mesh"), ended("done"), worker] })
    expect(beside(running("worker")).keptBy).toEqual([])
    expect(beside(ended("worker")).keptBy).toEqual(["mesh"])
  })
  it.each([["True", true], ["False", false]] as const)(
    "tells whether the kubelet has set the Pod up: %s",
    (status, isSetUp) => expect(pod({ conditions: [{ type: "PodReadyToStartContainers", status }] }).isSetUp).toBe(isSetUp)
  )
  it.each([
    {
      given: "a Pod that is ready",
      conditions: [{ type: "Ready", status: "True" }, { type: "ContainersReady", status: "True" }],
      answers: true
    },
    {
      given: "a Pod that is not ready yet",
      conditions: [{ type: "Ready", status: "False" }, { type: "ContainersReady", status: "False" }],
      answers: true
    },
    {
      given: "a Pod marked not ready though its containers were",
      conditions: [{ type: "Ready", status: "False" }, { type: "ContainersReady", status: "True" }],
      answers: false
    },
    {
      given: "a Pod that waits for a readiness gate, such as one of a load balancer",
      conditions: [{ type: "Ready", status: "False", reason: "ReadinessGatesNotReady" }, { type: "ContainersReady", status: "True" }],
      answers: true
    },
    { given: "a Pod of which nobody knows", conditions: [{ type: "Ready", status: "Unknown" }], answers: false }
  ])("takes $given as a node that answers: $answers", ({ answers, conditions }) => expect(pod({ conditions }).nodeAnswers).toBe(answers))
  it.each([
    { given: "whose containers are all ready", notReady: [], unready: false },
    { given: "whose worker is not", notReady: ["worker"], unready: true },
    { given: "whose runner is not", notReady: ["runner"], unready: true },
    { given: "in which only a sidecar of others is not", notReady: ["proxy", "mesh"], unready: false }
  ])("takes a Pod $given as unready: $unready", ({ notReady, unready }) => {
    const said = (name: string) => ({ name, ready: !notReady.includes(name), state: { running: {} } })
    const ready = { type: "Ready", status: notReady.length === 0 ? "True" : "False" }
    const status = {
      conditions: [ready],
      initContainerStatuses: [said("runner"), said("proxy")],
      containerStatuses: [said("worker"), said("mesh")]
    }
    expect(pod(status).unready).toBe(unready)
  })
  it.each([
    { given: "starts", no: ["Initialized", "Ready", "ContainersReady"], yes: ["PodReadyToStartContainers", "PodScheduled"] },
    { given: "runs", no: ["DisruptionTarget"], yes: ["PodReadyToStartContainers", "Ready", "ContainersReady", "PodScheduled"] }
  ])("takes each condition by its type and its status, of a Pod that $given", ({ no, yes }) => {
    const conditions = [...no.map((type) => ({ type, status: "False" })), ...yes.map((type) => ({ type, status: "True" }))]
    expect(pod({ conditions })).toMatchObject({ nodeAnswers: true, isSetUp: true, unschedulable: "", disruption: "", disruptionReason: "" })
  })
  it.each([
    { said: { reason: "Unschedulable", message: "0/3 nodes are available" }, why: "0/3 nodes are available" },
    { said: { reason: "SchedulingGated" }, why: "SchedulingGated" },
    { said: {}, why: "unschedulable" }
  ])(
    "knows why no node takes it, in the best words that there are: $why",
    ({ said, why }) => expect(pod({ conditions: [{ type: "PodScheduled", status: "False", ...said }] }).unschedulable).toBe(why)
  )
  it("knows whether it is being deleted, and that its worker runs", () => {
    const going = podSeen(decodePod({ metadata: { ...metadata, deletionTimestamp: metadata.creationTimestamp } }))
    expect([going.deleting, pod({}).deleting]).toEqual([true, false])
    expect(pod({ containerStatuses: [{ name: "worker", state: { running: {} } }] }).worker).toMatchObject({ value: { state: "running" } })
  })
  it("knows why Kubernetes disrupts it, and in which words", () => {
    const gone = { type: "DisruptionTarget", status: "True", reason: "DeletionByPodGC", message: "PodGC: node no longer exists" }
    expect(pod({ conditions: [gone] })).toMatchObject({ disruption: gone.message, disruptionReason: gone.reason })
    expect(pod({ conditions: [{ ...gone, status: "False" }] })).toMatchObject({ disruption: "", disruptionReason: "" })
    expect(pod({ conditions: [{ type: gone.type, status: "True", reason: gone.reason }] })).toMatchObject({ disruption: gone.reason })
    expect(pod({ conditions: [{ type: gone.type, status: "True" }] })).toMatchObject({ disruption: "disrupted", disruptionReason: "" })
  })
  it("reads the worker's last words, and nothing into other words", () => {
    expect(pod(worker(JSON.stringify(result))).lastWords).toEqual(Option.some(result))
    for (const words of ["", "panic", "{}", JSON.stringify({ ...result, outcome: "postponed" })]) {
      expect(pod(worker(words)).lastWords).toEqual(Option.none())
    }
    const waiting = { reason: "CrashLoopBackOff", message: JSON.stringify(result) } // words of the kubelet
    expect(pod({ containerStatuses: [{ name: "worker", state: { waiting } }] }).lastWords).toEqual(Option.none())
  })
  it.each([
    { outcome: "succeeded", reason: "Completed" },
    { outcome: "failed", reason: "ExitCode" },
    { outcome: "cancelled", reason: "Cancelled" }
  ])(
    "reads the last words of a newer worker, whose reason is not known here: $outcome",
    ({ outcome, reason }) =>
      expect(pod(worker(JSON.stringify({ ...result, outcome, reason: "FromTomorrow" }))).lastWords).toEqual(
        Option.some({ ...result, outcome, reason })
      )
  )
  it("knows the Job that made it", () => {
    const ownedBy = (kind: string, controller = true) =>
      podSeen(decodePod({ metadata: { ...metadata, ownerReferences: [{ kind, uid: "its-uid", controller }] } })).owner
    expect([ownedBy("Job"), ownedBy("ReplicaSet"), ownedBy("Job", false)]).toEqual([Option.some("its-uid"), Option.none(), Option.none()])
  })
})

describe("jobSeen", () => {
  const job = (status: object, more: object = {}) => jobSeen(decodeJob({ metadata: { ...metadata, ...more }, status }))
  it.each([
    { given: "no condition", conditions: [], state: "active" },
    { given: "a condition that is not true", conditions: [{ type: "Failed", status: "False" }], state: "active" },
    { given: "Complete", conditions: [{ type: "Complete", status: "True" }], state: "complete" },
    { given: "Failed", conditions: [{ type: "Failed", status: "True", reason: "DeadlineExceeded" }], state: "failed" }
  ])("takes $given as $state", ({ conditions, state }) => expect(job({ conditions }).state).toBe(state))
  it("knows whether a Job is being deleted", () =>
    expect([job({}, { deletionTimestamp: metadata.creationTimestamp }), job({})].map((_) => _.deleting)).toEqual([true, false]))
  it("knows whether a Job is suspended", () => {
    const suspended = (status: string) => job({ conditions: [{ type: "Suspended", status, reason: "JobSuspended" }] })
    expect([suspended("True"), suspended("False"), job({})].map((_) => _.suspended)).toEqual([true, false, false])
    expect(suspended("True")).toMatchObject({ state: "active", reason: "" })
  })
  it("knows why a Job is about to fail, while its Pods are still to end", () => {
    const target = { type: "FailureTarget", status: "True", reason: "DeadlineExceeded", message: "Job was active longer than its deadline" }
    const why = { reason: "DeadlineExceeded" }
    expect(job({ conditions: [target] })).toMatchObject({ ...why, state: "active" })
    expect(job({ conditions: [target, { ...target, type: "Failed" }] })).toMatchObject({ ...why, state: "failed" })
    expect(job({ conditions: [{ ...target, status: "False" }] })).toMatchObject({ reason: "", state: "active" })
  })
  it("knows of which configuration it was built, if it says so", () => {
    expect(job({}).configHash).toBe("")
    expect(job({}, { annotations: { "scalr.io/config-hash": "c0ffee", other: "x" } }).configHash).toBe("c0ffee")
  })
})
