// Projects Kubernetes' objects to the flat facts that the core reads; nothing else of them is kept in memory.
// Every Job and Pod that can be decoded becomes facts, whatever it holds.
// Used by controller/world/mirror, controller/reconcile/ask and controller/reconcile/workspace-holder.
import { Option, Predicate, Result, Schema } from "effect"
import { taskUidLabel } from "../../core/manifest/labels.ts"
import type { JobSeen, PodSeen } from "../../core/task/observed.ts"
import { jobSeen, podSeen } from "../../core/task/seen.ts"
import { withoutTexts } from "../../core/task/task-spec.ts"
import { Job, Pod } from "../../schema/kubernetes/kubernetes.ts"
import { controllingOwner } from "../../schema/kubernetes/owner.ts"
import { agentTaskResource, type Uid } from "../../schema/names.ts"
import { AgentTask } from "../../schema/task/agent-task.ts"

const decodeJob = Schema.decodeUnknownResult(Job)
const decodePod = Schema.decodeUnknownResult(Pod)

const decodeTask = Schema.decodeUnknownSync(AgentTask)

const isController = (reference: unknown): boolean => Predicate.hasProperty(reference, "controller") && reference.controller === true

/** Returns the task with the one reference that says whose it is. It may have thousands, which are not even decoded. */
const withController = (object: unknown): unknown => {
  if (!Predicate.hasProperty(object, "metadata") || !Predicate.hasProperty(object.metadata, "ownerReferences")) return object
  const { ownerReferences, ...metadata } = object.metadata
  return Array.isArray(ownerReferences)
    ? { ...object, metadata: { ...metadata, ownerReferences: ownerReferences.filter(isController) } }
    : object
}

export const projectTask = (object: unknown): AgentTask => {
  const task = decodeTask(withController(object))
  return { ...task, spec: withoutTexts(task) }
}

/**
 * Returns the UID of the task that a Job belongs to, by its controller reference alone. A copy of a Job of ours, under another name or in
 * place of ours, has the labels too but belongs to no task.
 */
export const taskOfJob = ({ metadata }: Job): Option.Option<Uid> =>
  Option.map(controllingOwner(metadata.ownerReferences, agentTaskResource.kind), ({ uid }) => uid)

export interface Projected<Seen> {
  /** The UID of the task that the object belongs to. */
  readonly taskUid: Option.Option<string>
  readonly seen: Seen
}

export const projectJob = (object: unknown): Result.Result<Projected<JobSeen>, Schema.SchemaError> =>
  Result.map(decodeJob(object), (job) => ({ taskUid: taskOfJob(job), seen: jobSeen(job) }))

export const projectPod = (object: unknown): Result.Result<Projected<PodSeen>, Schema.SchemaError> =>
  Result.map(decodePod(object), (pod) => ({ taskUid: Option.fromUndefinedOr(pod.metadata.labels?.[taskUidLabel]), seen: podSeen(pod) }))
