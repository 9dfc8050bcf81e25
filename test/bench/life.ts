// Whole lives of tasks without a node: this code plays kubelet and worker, takes each Pod through its phases, claims the task and ends it.
// Used by the measurement of writes, and to make finished tasks.
import { setTimeout as sleep } from "node:timers/promises"
import { advance, claimed, finished } from "../../src/core/task/status.ts"
import { Uid } from "../../src/schema/names.ts"
import type { AgentTask, AgentTaskStatus } from "../../src/schema/task/agent-task.ts"
import type { StageResult } from "../../src/schema/task/stage-result.ts"
import { type Api, jobsOf, podsOf, type Seen, tasksOf } from "./api.ts"
import type { Scene } from "./scene.ts"
import { taskNamed } from "./task-to-job.ts"
import { until } from "./until.ts"

type Task = AgentTask & { readonly status?: AgentTaskStatus }

const retryMillis = 20
const now = () => new Date().toISOString()
const result = (): StageResult => ({
  outcome: "succeeded",
  reason: "Completed",
  message: "tofu plan ended with success.",
  exitCode: 0,
  changes: { add: 1, change: 0, destroy: 0 },
  finishedAt: now()
})
const claimBy = (podUid: string) => ({ podUid: Uid.make(podUid), nonce: "00000000-0000-4000-8000-000000000000", epoch: 0, at: now() })

/**
 * Writes a status, with up to ten more tries after a 409 or 422: the controller writes the same status, and a claim is valid only once the
 * controller has said that the task starts.
 */
const writeStatus = async (api: Api, namespace: string, name: string, next: (task: Task) => AgentTaskStatus): Promise<void> => {
  const path = `${tasksOf(namespace)}/${name}`
  for (let left = 10;; left--) {
    const task = await api.call<Task>("GET", path)
    try {
      return void (await api.call("PUT", `${path}/status`, { ...task, status: next(task) }))
    } catch (error) {
      if (left === 0 || !/: (?:409|422) /u.test(String(error))) throw error
      await sleep(retryMillis)
    }
  }
}

const begin = (api: Api, namespace: string, name: string) =>
  writeStatus(
    api,
    namespace,
    name,
    ({ metadata, status }) =>
      advance(status, { phase: "Starting", reason: "JobCreated", message: "Its Pod starts.", generation: metadata.generation, now: now() })
  )
const claim = (api: Api, namespace: string, name: string, pod: Pick<Seen["metadata"], "name" | "uid">) =>
  writeStatus(
    api,
    namespace,
    name,
    ({ metadata, status }) =>
      claimed(
        status,
        claimBy(pod.uid),
        { job: `agent-job-${name}`, configHash: "none", pod: pod.name, node: "node-1" },
        metadata.generation
      )
  )
const finish = (api: Api, namespace: string, name: string) =>
  writeStatus(api, namespace, name, ({ metadata, status }) => finished(status, result(), metadata.generation))

/** Returns what a kubelet writes about a Pod whose containers are all in the same state. */
const podStatus = (phase: string, state: object, ready: boolean) => {
  const container = (name: string) => ({ name, image: "image", imageID: "", ready, restartCount: 0, state })
  return {
    status: {
      phase,
      conditions: [{ type: "Ready", status: ready ? "True" : "False" }],
      initContainerStatuses: [container("runner")],
      containerStatuses: [container("worker")]
    }
  }
}

const live = async (api: Api, namespace: string, { metadata: pod }: Seen): Promise<void> => {
  const task = pod.labels?.["scalr.io/task"] ?? ""
  const say = (status: object) => api.call("PATCH", `${podsOf(namespace)}/${pod.name}/status`, status)
  await say(podStatus("Pending", { waiting: { reason: "PodInitializing" } }, false))
  await say(podStatus("Running", { running: { startedAt: now() } }, false))
  await claim(api, namespace, task, pod)
  await say(podStatus("Running", { running: { startedAt: now() } }, true))
  await finish(api, namespace, task)
  await say(podStatus("Succeeded", { terminated: { exitCode: 0, reason: "Completed", startedAt: now(), finishedAt: now() } }, false))
}

/** Creates the tasks and takes each from its Pod to the end of its Job; a controller has to run. */
export const liveThrough = async (api: Api, { namespace }: Scene, specs: ReadonlyMap<string, object>): Promise<void> => {
  const lives: Array<Promise<void>> = []
  const complete = new Set<string>()
  await api.watch(podsOf(namespace), (type, pod) => {
    if (type === "ADDED") lives.push(live(api, namespace, pod))
  })
  await api.watch(jobsOf(namespace), (_, { metadata, status }) => {
    if (status?.conditions?.some(({ status, type }) => type === "Complete" && status === "True")) complete.add(metadata.name)
  })
  for (const [name, spec] of specs) await api.call("POST", tasksOf(namespace), taskNamed(name, spec))
  await until("The end of all Jobs", () => complete.size, (count) => count === specs.size)
  await Promise.all(lives)
}

const namesOf = (kind: string, count: number): ReadonlyArray<string> => Array.from({ length: count }, (_, index) => `${kind}-${index}`)

/** Calls `make` for each name, eight at a time. */
const forEach = async (names: ReadonlyArray<string>, make: (name: string) => Promise<unknown>): Promise<void> => {
  const left = [...names]
  const worker = async () => {
    for (let name = left.pop(); name !== undefined; name = left.pop()) await make(name)
  }
  await Promise.all(Array.from({ length: 8 }, worker))
}

/** Creates tasks that are over; no controller may run meanwhile. */
export const makeFinished = (api: Api, { namespace }: Scene, count: number): Promise<void> =>
  forEach(namesOf("finished", count), async (name) => {
    await api.call("POST", tasksOf(namespace), taskNamed(name))
    await begin(api, namespace, name)
    await claim(api, namespace, name, { name: `pod-of-${name}`, uid: name })
    await finish(api, namespace, name)
  })

/**
 * Creates tasks whose Pods wait for a node; a controller has to run. Resolves once all Pods are there and the controller has said of each
 * task that its Pod has no node, after which it has no more to say of it.
 */
export const makeStarting = async (api: Api, { namespace }: Scene, count: number): Promise<void> => {
  const [pods, told] = [new Set<string>(), new Set<string>()]
  await api.watch(podsOf(namespace), (_, { metadata: { name } }) => void pods.add(name))
  await api.watch(tasksOf(namespace), (_, { metadata: { name }, status }) => void (status?.message?.includes("no node") && told.add(name)))
  await forEach(namesOf("starting", count), (name) => api.call("POST", tasksOf(namespace), taskNamed(name)))
  await until(`${count} Pods`, () => pods.size, (made) => made === count, 180_000)
  await until(`The word on ${count} starts`, () => told.size, (said) => said === count, 120_000)
}
