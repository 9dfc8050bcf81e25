// Projects Kubernetes' objects to the flat facts that the core reads; nothing else of them is kept in memory.
// Every Job and Pod that can be decoded becomes facts, whatever it holds; a termination message that is no result gives no last words.
// Used by controller/world/mirror, controller/reconcile/ask, controller/reconcile/workspace-holder and controller/reconcile/execute, and by cli/cluster/draining.
import { Option, Result, Schema } from "effect"
import { taskUidLabel } from "../../core/manifest/labels.ts"
import { decodeLastWords } from "../../core/task/last-words.ts"
import type { ContainerSeen, JobSeen, PodSeen } from "../../core/task/observed.ts"
import { withoutTexts } from "../../core/task/task-spec.ts"
import { type ContainerStatus, Job, Pod } from "../../schema/kubernetes/kubernetes.ts"
import { controllingOwner } from "../../schema/kubernetes/owner.ts"
import { agentTaskResource, configHashAnnotation, type Uid } from "../../schema/names.ts"
import { AgentTask } from "../../schema/task/agent-task.ts"

const decodeJob = Schema.decodeUnknownResult(Job)
const decodePod = Schema.decodeUnknownResult(Pod)

const controllerOf = (metadata: Job["metadata"] | Pod["metadata"], ofKind: string) =>
  Option.map(controllingOwner(metadata.ownerReferences, ofKind), ({ uid }) => uid)

export const jobSeen = ({ metadata, status }: Job): JobSeen => {
  const holds = (...types: ReadonlyArray<string>) => status?.conditions?.find((_) => _.status === "True" && types.includes(_.type))
  const ended = holds("Complete", "Failed")
  const why = ended ?? holds("FailureTarget") // Kubernetes 1.31 and later says Failed only once all Pods of the Job are over
  return {
    name: metadata.name,
    uid: metadata.uid,
    state: ended === undefined ? "active" : ended.type === "Complete" ? "complete" : "failed",
    reason: why?.reason ?? "",
    message: why?.message ?? "",
    deleting: metadata.deletionTimestamp !== undefined,
    suspended: holds("Suspended") !== undefined,
    createdAt: metadata.creationTimestamp,
    configHash: metadata.annotations?.[configHashAnnotation] ?? ""
  }
}

const containerSeen = ({ lastState, state }: ContainerStatus): ContainerSeen => {
  const now = state?.terminated ?? state?.waiting
  return {
    state: state?.terminated !== undefined ? "terminated" : state?.running !== undefined ? "running" : "waiting",
    reason: now?.reason ?? "",
    message: now?.message ?? "",
    exitCode: Option.fromUndefinedOr(state?.terminated?.exitCode),
    lastReason: lastState?.terminated?.reason ?? ""
  }
}

const ours: ReadonlyArray<string> = ["install", "runner", "worker"]
/** What a container waits for that starts in its turn. */
const inTurn: ReadonlyArray<string> = ["", "PodInitializing", "ContainerCreating"]
const noOthers: PodSeen["others"] = []

/** Returns the containers that are not ours and that keep the Pod from starting. It is nearly always none, which takes no memory. */
const othersSeen = ({ spec, status }: Pod): PodSeen["others"] => {
  const sidecars = spec?.initContainers?.filter(({ restartPolicy }) => restartPolicy === "Always").map(({ name }) => name) ?? []
  const isOther = ({ name }: ContainerStatus) => !ours.includes(name)
  const waits = ({ state }: ContainerStatus) => state?.waiting !== undefined && !inTurn.includes(state.waiting.reason ?? "")
  const failed = ({ name, state }: ContainerStatus) => (state?.terminated?.exitCode ?? 0) !== 0 && !sidecars.includes(name)
  const found = [
    ...status?.initContainerStatuses?.filter((_) => isOther(_) && (waits(_) || failed(_))) ?? [],
    ...status?.containerStatuses?.filter((_) => isOther(_) && waits(_)) ?? []
  ]
  return found.length === 0 ? noOthers : found.map((_) => [_.name, containerSeen(_)])
}

export const podSeen = (pod: Pod): PodSeen => {
  const { metadata, spec, status } = pod
  const find = (name: string) =>
    Option.fromUndefinedOr([...status?.containerStatuses ?? [], ...status?.initContainerStatuses ?? []].find((_) => _.name === name))
  const has = (type: string, value: string) => status?.conditions?.some((_) => _.type === type && _.status === value) === true
  const unready = status?.conditions?.find((_) => _.type === "Ready" && _.status === "False")
  const unschedulable = status?.conditions?.find((_) => _.type === "PodScheduled" && _.status === "False")
  const disruption = status?.conditions?.find((_) => _.type === "DisruptionTarget" && _.status === "True")
  const worker = Option.map(find("worker"), containerSeen)
  return {
    name: metadata.name,
    uid: metadata.uid,
    owner: controllerOf(metadata, "Job"),
    createdAt: metadata.creationTimestamp,
    node: spec?.nodeName ?? "",
    phase: status?.phase ?? "Pending",
    reason: status?.reason ?? "",
    message: status?.message ?? "",
    deleting: metadata.deletionTimestamp !== undefined,
    disruption: disruption === undefined ? "" : disruption.message ?? disruption.reason ?? "disrupted",
    disruptionReason: disruption?.reason ?? "",
    // The control plane marks a Pod of a silent node as not ready, but cannot ask its containers. So does a readiness gate, and says so.
    nodeAnswers: (unready === undefined || unready.reason === "ReadinessGatesNotReady" || !has("ContainersReady", "True")) &&
      !has("Ready", "Unknown"),
    unschedulable: unschedulable === undefined ? "" : unschedulable.message ?? unschedulable.reason ?? "unschedulable",
    worker,
    runner: Option.map(find("runner"), containerSeen),
    install: Option.map(find("install"), containerSeen),
    others: othersSeen(pod),
    lastWords: worker.pipe(
      Option.filter(({ state }) => state === "terminated"),
      Option.flatMap(({ message }) => decodeLastWords(message))
    )
  }
}

const decodeTask = Schema.decodeUnknownSync(AgentTask)

export const projectTask = (object: unknown): AgentTask => {
  const task = decodeTask(object)
  return { ...task, spec: withoutTexts(task.spec) }
}

/**
 * Returns the UID of the task that a Job belongs to, by its controller reference alone. A copy of a Job of ours, under another name or in
 * place of ours, has the labels too but belongs to no task.
 */
export const taskOfJob = ({ metadata }: Job): Option.Option<Uid> => controllerOf(metadata, agentTaskResource.kind)

export interface Projected<Seen> {
  /** The UID of the task that the object belongs to. */
  readonly taskUid: Option.Option<string>
  readonly seen: Seen
}

export const projectJob = (object: unknown): Result.Result<Projected<JobSeen>, Schema.SchemaError> =>
  Result.map(decodeJob(object), (job) => ({ taskUid: taskOfJob(job), seen: jobSeen(job) }))

export const projectPod = (object: unknown): Result.Result<Projected<PodSeen>, Schema.SchemaError> =>
  Result.map(decodePod(object), (pod) => ({ taskUid: Option.fromUndefinedOr(pod.metadata.labels?.[taskUidLabel]), seen: podSeen(pod) }))
