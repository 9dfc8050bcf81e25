// How long a Job takes to appear after its AgentTask: from the reply to the task's POST until a watch reports the Job.
// It is an open loop: tasks are created at a fixed rate, without waiting for earlier ones, because a loop that waits would hide a queue.
// The floor is a relay in this process: one watch, and one POST of a ready-made Job per task. Used by controller-figures.ts and life.ts.
import { setTimeout as sleep } from "node:timers/promises"
import { job } from "../../src/core/manifest/job.ts"
import { Uid, WorkspaceName } from "../../src/schema/names.ts"
import type { AgentTask } from "../../src/schema/task/agent-task.ts"
import { type Api, jobsOf, type Seen, tasksOf } from "./api.ts"
import { quantile } from "./figure.ts"
import type { Scene } from "./scene.ts"
import { until } from "./until.ts"

export interface Latencies {
  /** All in milliseconds. */
  readonly p50: number
  readonly p99: number
  readonly longest: number
}

/** What the ready-made Job has in the places of the task's name. */
const placeholder = "name-of-the-task"

export const taskNamed = (name: string, spec: object = {}) => ({
  apiVersion: "scalr.io/v1",
  kind: "AgentTask",
  metadata: { name },
  spec: { workspace: "bench", stage: "plan", source: { inline: { "main.tf": "output \"greeting\" {\n  value = \"hello\"\n}\n" } }, ...spec }
})

/** Returns the body of a Job as the controller makes it, but without an owner, whose UID is known only once the task is there. */
const readyMadeJob = ({ config, namespace }: Scene): string => {
  const task: AgentTask = {
    metadata: {
      name: placeholder,
      namespace,
      uid: Uid.make("00000000-0000-4000-8000-000000000000"),
      resourceVersion: "1",
      generation: 1,
      creationTimestamp: "2026-01-01T00:00:00Z"
    },
    spec: { workspace: WorkspaceName.make("bench"), stage: "plan", source: { inline: {} } },
    status: { observedGeneration: -1 }
  }
  const { metadata, ...rest } = job(task, config, 0)
  return JSON.stringify({ ...rest, metadata: { ...metadata, ownerReferences: [] } })
}

/** Creates a Job for every task of the scene from now on, in place of the controller. */
export const startRelay = async (api: Api, scene: Scene): Promise<void> => {
  const body = readyMadeJob(scene)
  await api.watch(tasksOf(scene.namespace), (type, { metadata: { name } }) => {
    if (type === "ADDED") void api.call("POST", jobsOf(scene.namespace), body.replaceAll(placeholder, name))
  })
}

/** Watches the Jobs of a scene; the map, which keeps growing, has the time at which the Job of each task was seen, by the task's name. */
export const watchJobs = async (api: Api, { namespace }: Scene): Promise<ReadonlyMap<string, number>> => {
  const seenAt = new Map<string, number>()
  await api.watch(jobsOf(namespace), (type, { metadata: { labels, name } }: Seen) => {
    if (type === "ADDED") seenAt.set(labels?.["scalr.io/task"] ?? name, performance.now())
  })
  return seenAt
}

export interface Load {
  readonly rate: number
  readonly seconds: number
  readonly prefix: string
}

/** Creates tasks at the rate of the load, and measures until each has its Job. `jobsSeen` is what `watchJobs` returned for the scene. */
export const measureLatency = async (
  api: Api,
  { namespace }: Scene,
  jobsSeen: ReadonlyMap<string, number>,
  { prefix, rate, seconds }: Load
): Promise<Latencies> => {
  const repliedAt = new Map<string, number>()
  const began = performance.now()
  const names = Array.from({ length: rate * seconds }, (_, index) => `${prefix}-${index}`)
  const posts: Array<Promise<void>> = []
  for (const [index, name] of names.entries()) {
    await sleep(Math.max(0, began + (index * 1000) / rate - performance.now()))
    posts.push(api.call("POST", tasksOf(namespace), taskNamed(name)).then(() => void repliedAt.set(name, performance.now())))
  }
  await Promise.all(posts)
  await until(
    `A Job for each of ${names.length} tasks`,
    () => names.filter((name) => !jobsSeen.has(name)),
    (missing) => missing.length === 0
  )
  const all = names.map((name) => (jobsSeen.get(name) ?? NaN) - (repliedAt.get(name) ?? NaN))
  return { p50: quantile(all, 0.5), p99: quantile(all, 0.99), longest: Math.max(...all) }
}
