// From what the API server stores to flat facts, whatever a Pod or a Job holds, and above all when a node has gone silent.
import { describe, expect, it } from "@effect/vitest"
import { Option, Result } from "effect"
import { projectJob, projectPod, projectTask } from "../../../src/controller/world/project.ts"
import { plan } from "../../../src/core/reconcile/plan.ts"
import { noon, plainSeed, policy, worldOf } from "../../core/worlds.ts"

const metadata = {
  name: "pod",
  uid: "uid",
  resourceVersion: "1",
  creationTimestamp: "2026-01-01T00:00:00Z",
  labels: { "scalr.io/task-uid": "task" },
  ownerReferences: [{ kind: "AgentTask", uid: "task", controller: true }]
}
const result = { outcome: "failed", reason: "ExitCode", message: "It failed.", exitCode: 1, finishedAt: "2026-01-01T00:00:00Z" }
const pod = (status: object) => Result.getOrThrow(projectPod({ metadata, spec: { nodeName: "node" }, status })).seen
const worker = (message: string) => ({
  containerStatuses: [{ name: "worker", state: { terminated: { exitCode: 1, reason: "Error", message } } }]
})

describe("projectPod", () => {
  it("finds the task by its label and the containers by their names, sidecars too", () => {
    const projected = Result.getOrThrow(
      projectPod({
        metadata,
        status: {
          initContainerStatuses: [{
            name: "runner",
            state: { running: {} },
            lastState: { terminated: { exitCode: 137, reason: "OOMKilled" } }
          }]
        }
      })
    )
    expect(projected.taskUid).toEqual(Option.some("task"))
    expect(projected.seen.runner).toMatchObject(Option.some({ state: "running", lastReason: "OOMKilled" }))
    expect(projected.seen.worker).toEqual(Option.none())
  })
  it("keeps the other containers that something keeps from starting or that ended the start, by their names, and nothing of the rest", () => {
    const waiting = (name: string, reason: string) => ({ name, state: { waiting: { reason, message: "its words" } } })
    const ended = (name: string, exitCode: number) => ({ name, state: { terminated: { exitCode, reason: "Error", message: "its words" } } })
    const { others } = Result.getOrThrow(
      projectPod({
        metadata,
        spec: { initContainers: [{ name: "vault-init" }, { name: "done" }, { name: "proxy", restartPolicy: "Always" }, { name: "later" }] },
        status: {
          initContainerStatuses: [ended("vault-init", 1), ended("done", 0), ended("proxy", 143), waiting("later", "PodInitializing")],
          containerStatuses: [
            waiting("logs", "ImagePullBackOff"),
            waiting("next", "ContainerCreating"),
            ended("aside", 1), // its end does not end the start
            waiting("worker", "ImagePullBackOff"),
            { name: "mesh", state: { running: {} } }
          ]
        }
      })
    ).seen
    expect(others).toMatchObject([
      ["vault-init", { state: "terminated", reason: "Error", message: "its words", exitCode: Option.some(1) }],
      ["logs", { state: "waiting", reason: "ImagePullBackOff", message: "its words" }]
    ])
    expect(pod({ containerStatuses: [waiting("worker", "PodInitializing")] }).others).toEqual([])
  })
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
  it("knows why Kubernetes disrupts it, and in which words", () => {
    const gone = { type: "DisruptionTarget", status: "True", reason: "DeletionByPodGC", message: "PodGC: node no longer exists" }
    expect(pod({ conditions: [gone] })).toMatchObject({ disruption: gone.message, disruptionReason: gone.reason })
    expect(pod({ conditions: [{ ...gone, status: "False" }] })).toMatchObject({ disruption: "", disruptionReason: "" })
    expect(pod({ conditions: [{ type: gone.type, status: "True" }] })).toMatchObject({ disruption: "disrupted", disruptionReason: "" })
  })
  it("reads the worker's last words, and nothing into other words", () => {
    expect(pod(worker(JSON.stringify(result))).lastWords).toEqual(Option.some(result))
    for (const words of ["", "panic", "{}", JSON.stringify({ ...result, outcome: "postponed" })]) {
      expect(pod(worker(words)).lastWords).toEqual(Option.none())
    }
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
    const ownedBy = (kind: string) =>
      Result.getOrThrow(projectPod({ metadata: { ...metadata, ownerReferences: [{ kind, uid: "its-uid", controller: true }] } })).seen.owner
    expect([ownedBy("Job"), ownedBy("ReplicaSet")]).toEqual([Option.some("its-uid"), Option.none()])
  })
  it("fails on what is no Pod instead of guessing", () => expect(Result.isFailure(projectPod({ metadata: {} }))).toBe(true))
})

describe("projectTask", () => {
  const task = (given: object) =>
    projectTask({
      metadata: { ...metadata, namespace: "tasks", generation: 1 },
      spec: { workspace: "demo", stage: "plan", source: { configMap: { name: "a" } }, ...given }
    }).spec
  it("keeps no text that its worker alone reads: of inline files, variables and a backend's configuration", () => {
    const [long, secret] = ["x".repeat(60_000), { name: "token", valueFrom: { secretKeyRef: { name: "s", key: "k" } } }]
    const given = {
      source: { inline: { "main.tf": long } },
      variables: [{ name: "a", value: long, sensitive: true }, secret],
      backend: { type: "s3", config: { bucket: long.slice(0, 4096) } }
    }
    expect(task(given)).toMatchObject({
      source: { inline: {} },
      variables: [{ name: "a", value: "", sensitive: true }, secret],
      backend: { type: "s3", config: {} }
    })
    expect(JSON.stringify(task(given))).not.toContain("xx")
  })
  it("keeps all else as it is", () => {
    expect(task({})).toEqual({ workspace: "demo", stage: "plan", source: { configMap: { name: "a" } } })
    expect(task({ variables: [], backend: { type: "http" } })).toMatchObject({ variables: [], backend: { type: "http" } })
  })
  it("keeps what only a newer version knows of a status, so that a report writes it again: what is written once stays whole", () => {
    const digest = "0".repeat(64)
    const status = {
      phase: "Succeeded",
      claim: { podUid: "p", nonce: "n", epoch: 1, at: noon, fromTomorrow: 1 },
      source: { revision: "main@sha1:1", url: "http://flux/a", sha256: digest, fromTomorrow: { a: [1] } },
      result: { outcome: "succeeded", reason: "FromTomorrow", message: "It went well.", finishedAt: noon, fromTomorrow: "x" },
      fromTomorrow: true
    }
    const read = projectTask({
      metadata: { ...metadata, namespace: "tasks", finalizers: ["scalr.io/pool"] },
      spec: {
        workspace: "demo",
        stage: "apply",
        source: { pool: { archiveSha256: digest } },
        plan: { sha256: digest },
        pool: { url: "http://pool", runId: "run-a", tokenSecret: { name: "t" } }
      },
      status
    })
    const written = plan(policy, { ...worldOf(plainSeed), task: read, job: Option.none(), pod: Option.none() }, noon)
    expect(written).toMatchObject({ situation: "over, and the pool does not know", status: { ...status, reportedAt: noon } })
  })
})

describe("projectJob", () => {
  const job = (status: object, more: object = {}) => Result.getOrThrow(projectJob({ metadata: { ...metadata, ...more }, status })).seen
  it.each([
    { given: "no condition", conditions: [], state: "active" },
    { given: "a condition that is not true", conditions: [{ type: "Failed", status: "False" }], state: "active" },
    { given: "Complete", conditions: [{ type: "Complete", status: "True" }], state: "complete" },
    { given: "Failed", conditions: [{ type: "Failed", status: "True", reason: "DeadlineExceeded" }], state: "failed" }
  ])("takes $given as $state", ({ conditions, state }) => expect(job({ conditions }).state).toBe(state))
  it("knows whether a Job is suspended", () => {
    const suspended = (status: string) => job({ conditions: [{ type: "Suspended", status, reason: "JobSuspended" }] })
    expect([suspended("True"), suspended("False"), job({})].map((_) => _.suspended)).toEqual([true, false, false])
    expect(suspended("True")).toMatchObject({ state: "active", reason: "" })
  })
  it("knows why a Job is about to fail, while its Pods are still to end", () => {
    const target = { type: "FailureTarget", status: "True", reason: "DeadlineExceeded", message: "Job was active longer than its deadline" }
    const why = { reason: "DeadlineExceeded", message: "Job was active longer than its deadline" }
    expect(job({ conditions: [target] })).toMatchObject({ ...why, state: "active" })
    expect(job({ conditions: [target, { ...target, type: "Failed" }] })).toMatchObject({ ...why, state: "failed" })
    expect(job({ conditions: [{ ...target, status: "False" }] })).toMatchObject({ reason: "", message: "", state: "active" })
  })
  it("knows of which configuration it was built, if it says so", () => {
    expect(job({}).configHash).toBe("")
    expect(job({}, { annotations: { "scalr.io/config-hash": "c0ffee", other: "x" } }).configHash).toBe("c0ffee")
  })
  it.each([
    { given: "its controller is an AgentTask", ownerReferences: metadata.ownerReferences, taskUid: Option.some("task") },
    {
      given: "its controller is another thing",
      ownerReferences: [{ kind: "CronJob", uid: "other", controller: true }],
      taskUid: Option.none()
    },
    { given: "it only mentions the task", ownerReferences: [{ kind: "AgentTask", uid: "task" }], taskUid: Option.none() },
    { given: "it is a copy, which has the labels alone", ownerReferences: [], taskUid: Option.none() }
  ])("knows whose it is by its controller: $given", ({ ownerReferences, taskUid }) => {
    expect(metadata.labels).toMatchObject({ "scalr.io/task-uid": "task" })
    expect(Result.getOrThrow(projectJob({ metadata: { ...metadata, ownerReferences } })).taskUid).toEqual(taskUid)
  })
})
