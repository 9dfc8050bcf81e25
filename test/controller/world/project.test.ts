// From what the API server stores to flat facts, and to the task that they belong to.
import { describe, expect, it } from "@effect/vitest"
import { Option, Result } from "effect"
import { projectJob, projectPod, projectTask } from "../../../src/controller/world/project.ts"
import { attemptOf } from "../../../src/core/reconcile/attempts.ts"
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
  it("fails on what is no Pod instead of guessing", () => expect(Result.isFailure(projectPod({ metadata: {} }))).toBe(true))
})

describe("projectTask", () => {
  const task = (given: object) =>
    projectTask({
      metadata: { ...metadata, namespace: "tasks", generation: 1 },
      spec: { workspace: "demo", stage: "plan", source: { configMap: { name: "a" } }, ...given }
    }).spec
  it("keeps no text of its spec that no decision needs", () => {
    const long = "x".repeat(1000)
    const marks = { nodeSelector: { a: long }, annotations: { b: long }, labels: { c: long } }
    const given = {
      source: { inline: { "main.tf": long } },
      variables: [{ name: long.slice(0, 253), value: long, sensitive: true }],
      backend: { type: "s3", config: { bucket: long } },
      options: { targets: [long.slice(0, 512)] },
      jobTemplate: marks
    }
    expect(task(given)).toMatchObject({
      source: { inline: {} },
      variables: [],
      backend: { type: "s3", config: {} },
      options: {},
      jobTemplate: { labels: {} }
    })
    expect(JSON.stringify(task(given))).not.toContain("xx")
  })
  it("keeps all else as it is", () => {
    expect(task({})).toEqual({ workspace: "demo", stage: "plan", source: { configMap: { name: "a" } } })
    expect(task({ variables: [], backend: { type: "http" } })).toMatchObject({ variables: [], backend: { type: "http" } })
  })
  it("keeps the owner alone that controls it, of thousands that a task may name, and reads no other", () => {
    const attempt = { apiVersion: "scalr.io/v1", kind: "AgentTask", name: "task", uid: "follower", controller: true }
    const others = Array.from(
      { length: 12_000 },
      (_, index) => ({ apiVersion: "scalr.io/v1", kind: index, name: "a", uid: `uid-${index}` })
    )
    const read = projectTask({
      metadata: { ...metadata, namespace: "tasks", ownerReferences: [...others, attempt] },
      spec: { workspace: "demo", stage: "plan", source: { configMap: { name: "a" } } }
    })
    expect(read.metadata.ownerReferences).toEqual([{ kind: "AgentTask", uid: "follower", controller: true }])
    expect(attemptOf(read)).toEqual(Option.some("follower"))
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
    expect(written).toMatchObject({
      situation: "over, and the pool does not know",
      status: { ...status, reportedAt: noon }
    })
  })
})

describe("projectJob", () => {
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
