// Two Pods for one Job, as Kubernetes may make them at any moment. The Job controller is real. The test plays the Pods: there is no node.
// What the losing container itself does (exit code 75, no engine) is in test/worker/worker-process and test/end-to-end/pod.
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { jobs, pods } from "../../src/kubernetes/kinds.ts"
import {
  claimBy,
  createTask,
  getTask,
  isPhase,
  runController,
  TaskCluster,
  Tasks,
  until,
  untilLaunched,
  untilStatus
} from "../controller/task-cluster.ts"
import { serviceAccounts } from "../kubernetes/service-accounts.ts"
import { tellStatus } from "../kubernetes/tell-status.ts"

const owned = Effect.fnUntraced(function*(task: string) {
  const { namespace } = yield* Tasks
  const { items } = yield* (yield* Kubernetes).list(pods, { namespace, labelSelector: `batch.kubernetes.io/job-name=agent-job-${task}` })
  return items
})

const accounts = Effect.gen(function*() {
  const { namespace } = yield* Tasks
  yield* (yield* Kubernetes).apply(serviceAccounts, { metadata: { namespace, name: "agent-job-task" } })
})

/** Waits for the one Pod that the Job controller makes. */
const onlyPod = (task: string) => Effect.map(until("the Pod", owned(task), (_) => _.length === 1), ([pod]) => pod ?? expect.fail("no Pod"))

const write = Effect.fnUntraced(function*(name: string, status: object) {
  const { namespace } = yield* Tasks
  yield* tellStatus(pods, { namespace, name }, status)
})

/** Writes what a worker and then its kubelet write once the worker holds the claim. */
const claims = (task: string, { name, uid }: { readonly name: string; readonly uid: string }) =>
  Effect.andThen(
    claimBy(task, uid),
    write(name, {
      phase: "Running",
      startTime: new Date().toISOString(),
      conditions: [{ type: "Ready", status: "True" }, { type: "ContainersReady", status: "True" }],
      containerStatuses: [{
        name: "worker",
        ready: true,
        started: true,
        restartCount: 0,
        image: "i",
        imageID: "i",
        state: { running: { startedAt: new Date().toISOString() } }
      }]
    })
  )

/** Writes the status that the kubelet writes for a worker that lost the claim. */
const loses = (name: string, exitCode: number) =>
  write(name, {
    phase: exitCode === 0 ? "Succeeded" : "Failed",
    startTime: new Date().toISOString(),
    containerStatuses: [{
      name: "worker",
      ready: false,
      restartCount: 0,
      image: "i",
      imageID: "i",
      state: {
        terminated: {
          exitCode,
          reason: "Error",
          startedAt: new Date().toISOString(),
          finishedAt: new Date().toISOString(),
          containerID: "c://1"
        }
      }
    }]
  })

/** Creates a second Pod like the first, owned by the same Job, and returns its name. */
const duplicate = Effect.fnUntraced(function*(task: string) {
  const { namespace } = yield* Tasks
  const { metadata: { labels, ownerReferences, finalizers, annotations }, spec } = yield* onlyPod(task)
  const name = `agent-job-${task}-twin`
  yield* (yield* Kubernetes).create(pods, { metadata: { namespace, name, labels, ownerReferences, finalizers, annotations }, spec })
  return name
})

const jobOf = Effect.fnUntraced(function*(task: string) {
  const { namespace } = yield* Tasks
  const { status } = yield* (yield* Kubernetes).get(jobs, { namespace, name: `agent-job-${task}` })
  return JSON.stringify(status)
})

layer(TaskCluster, { excludeTestServices: true, timeout: "5 minutes" })("a Job with two Pods", (it) => {
  it.effect("F22 loses the one that is not ready, and leaves the one with the claim alone", () =>
    Effect.gen(function*() {
      yield* accounts
      yield* runController()
      yield* createTask("twins")
      yield* untilLaunched("twins")
      const { metadata } = yield* onlyPod("twins")
      yield* claims("twins", metadata)
      yield* duplicate("twins")
      const left = yield* until("the end of the second", owned("twins"), (_) =>
        _.filter(({ metadata }) =>
          metadata.deletionTimestamp === undefined
        ).length === 1)
      expect(left.filter(({ metadata }) => metadata.deletionTimestamp === undefined).map(({ metadata }) => metadata.uid)).toEqual([
        metadata.uid
      ])
      expect(yield* jobOf("twins")).not.toContain("Failed")
    }).pipe(Effect.scoped))

  it.effect("F22 counts one that exits with 75 as nothing, and leaves the one with the claim alone", () =>
    Effect.gen(function*() {
      yield* accounts
      yield* runController()
      yield* createTask("loser")
      yield* untilLaunched("loser")
      const { metadata: { name, uid } } = yield* onlyPod("loser")
      yield* claims("loser", { name, uid })
      const twin = yield* duplicate("loser")
      yield* Effect.ignore(loses(twin, 75)) // the Job controller may have deleted it already
      yield* until("a word of the Job on it", jobOf("loser"), (status) => status.includes("\"ready\":1") && status.includes("\"active\":1"))
      const winner = (yield* owned("loser")).find(({ metadata }) => metadata.uid === uid)
      expect(winner?.metadata.deletionTimestamp).toBeUndefined()
      expect(yield* jobOf("loser")).not.toMatch(/Failed|FailureTarget/u)
      expect((yield* getTask("loser")).status).toMatchObject({ phase: "Running", claim: { podUid: uid } })
    }).pipe(Effect.scoped))

  const lostWithItsNode = {
    phase: "Failed",
    startTime: new Date().toISOString(),
    conditions: [{ type: "DisruptionTarget", status: "True", reason: "DeletionByPodGC", lastTransitionTime: new Date().toISOString() }]
  }

  it.effect("R35 comes about by other rules when the node of the first is lost: a disruption that is ignored, and exit codes that nobody told", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      const podFailurePolicy = {
        rules: [
          { action: "FailJob", onExitCodes: { operator: "NotIn", values: [0] } },
          { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] }
        ]
      }
      const spec = { restartPolicy: "Never", nodeSelector: { "test/nowhere": "true" }, containers: [{ name: "worker", image: "none" }] }
      yield* (yield* Kubernetes).create(jobs, {
        metadata: { namespace, name: "agent-job-twice" },
        spec: { backoffLimit: 1, podFailurePolicy, template: { spec } }
      })
      const { metadata: { name, uid } } = yield* onlyPod("twice")
      yield* write(name, lostWithItsNode)
      yield* until("another Pod", owned("twice"), (_) => _.some(({ metadata }) => metadata.uid !== uid))
    }))

  it.effect("R35 never comes to be by ours: the Job fails, though no controller is there, and its task says NodeLost", () =>
    Effect.gen(function*() {
      yield* accounts
      yield* Effect.scoped(Effect.gen(function*() {
        yield* runController()
        yield* createTask("once", { stage: "apply" })
        yield* untilLaunched("once")
      }))
      const { metadata: { name, uid } } = yield* onlyPod("once")
      yield* claims("once", { name, uid })
      yield* write(name, lostWithItsNode)
      yield* until("the end of the Job", jobOf("once"), (status) => status.includes("\"type\":\"Failed\""))
      expect((yield* owned("once")).filter(({ metadata }) => metadata.uid !== uid)).toEqual([])
      yield* runController()
      expect(yield* untilStatus("once", isPhase("Failed"))).toMatchObject({ reason: "NodeLost", claim: { podUid: uid } })
    }).pipe(Effect.scoped))
})
