// Tasks that differ only in number and age, and their Jobs and Pods, as the informers report them.
import { Option } from "effect"
import { Uid } from "../../../src/schema/names.ts"
import type { AgentTask } from "../../../src/schema/task/agent-task.ts"
import { plainSeed, worldOf } from "../../core/worlds.ts"

export const task = (index: number, life: "new" | "succeeded" = "new"): AgentTask => {
  const { task } = worldOf({ ...plainSeed, life })
  return {
    ...task,
    metadata: { ...task.metadata, name: `task-${index}`, uid: Uid.make(`uid-${index}`), creationTimestamp: `2026-01-01T00:00:0${index}Z` }
  }
}
export const key = (index: number): string => `tasks/task-${index}`
export const job = (index: number) => {
  const seen = Option.getOrThrow(worldOf({ ...plainSeed, job: "active" }).job)
  return { taskUid: `uid-${index}`, seen: { ...seen, name: `job-${index}` } }
}
export const pod = (index: number) => {
  const seen = Option.getOrThrow(worldOf({ ...plainSeed, pod: "Running", worker: "running" }).pod)
  return { taskUid: `uid-${index}`, seen: { ...seen, name: `pod-${index}` } }
}
