// The flat facts of a Job, a Pod and its containers, from what Kubernetes says of them.
// Used by controller/world/project, controller/reconcile/ask and cli/cluster/draining.
import { Option } from "effect"
import type { ContainerStatus, Job, Pod } from "../../schema/kubernetes/kubernetes.ts"
import { controllingOwner } from "../../schema/kubernetes/owner.ts"
import { configHashAnnotation } from "../../schema/names.ts"
import { decodeLastWords } from "./last-words.ts"
import type { ContainerSeen, JobSeen, PodSeen } from "./observed.ts"

/** Returns what the core reads of a Job. */
export const jobSeen = ({ metadata, status }: Job): JobSeen => {
  const holds = (...types: ReadonlyArray<string>) => status?.conditions?.find((_) => _.status === "True" && types.includes(_.type))
  const ended = holds("Complete", "Failed")
  const why = ended ?? holds("FailureTarget") // Kubernetes 1.31 and later says Failed only once all Pods of the Job are over
  return {
    name: metadata.name,
    uid: metadata.uid,
    resourceVersion: metadata.resourceVersion,
    state: ended === undefined ? "active" : ended.type === "Complete" ? "complete" : "failed",
    reason: why?.reason ?? "",
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

const isUnready = ({ ready }: ContainerStatus): boolean => ready === false

const ours: ReadonlyArray<string> = ["install", "runner", "worker"]
/** What a container waits for that starts in its turn. */
const inTurn: ReadonlyArray<string> = ["", "PodInitializing", "ContainerCreating"]
const none: ReadonlyArray<never> = []

const isOther = ({ name }: ContainerStatus): boolean => !ours.includes(name)

const sidecarsOf = ({ spec }: Pod): ReadonlyArray<string> =>
  spec?.initContainers?.filter(({ restartPolicy }) => restartPolicy === "Always").map(({ name }) => name) ?? none

/** Returns the container in whose turn the Pod is, if it is not ours: init containers start one after another, in the order of their statuses. */
const turnOf = (pod: Pod): PodSeen["turnOf"] => {
  const sidecars = sidecarsOf(pod)
  const isDone = ({ name, started, state }: ContainerStatus) =>
    state?.terminated !== undefined || (state?.running !== undefined && sidecars.includes(name) && started !== false)
  const first = Option.fromUndefinedOr(pod.status?.initContainerStatuses?.find((_) => !isDone(_)))
  return Option.map(Option.filter(first, isOther), ({ name }) => ({ name, until: sidecars.includes(name) ? "start" : "end" }))
}

/** Returns the containers that are not ours and that keep the Pod from starting. It is nearly always none, which takes no memory. */
const othersSeen = (pod: Pod): PodSeen["others"] => {
  const { status } = pod
  const sidecars = sidecarsOf(pod)
  const waits = ({ state }: ContainerStatus) => state?.waiting !== undefined && !inTurn.includes(state.waiting.reason ?? "")
  const failed = ({ name, state }: ContainerStatus) => (state?.terminated?.exitCode ?? 0) !== 0 && !sidecars.includes(name)
  const found = [
    ...status?.initContainerStatuses?.filter((_) => isOther(_) && (waits(_) || failed(_))) ?? [],
    ...status?.containerStatuses?.filter((_) => isOther(_) && waits(_)) ?? []
  ]
  return found.length === 0 ? none : found.map((_) => [_.name, containerSeen(_)])
}

/** Returns the ordinary containers that are not ours and have not ended. */
const stillThere = ({ status }: Pod): PodSeen["keptBy"] => {
  const found = status?.containerStatuses?.filter((_) => isOther(_) && _.state?.terminated === undefined) ?? none
  return found.length === 0 ? none : found.map(({ name }) => name)
}

/** Returns what the core reads of a Pod. A termination message that is no result gives no last words. */
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
    owner: Option.map(controllingOwner(metadata.ownerReferences, "Job"), ({ uid }) => uid),
    createdAt: metadata.creationTimestamp,
    node: spec?.nodeName ?? "",
    account: spec?.serviceAccountName ?? "",
    phase: status?.phase ?? "Pending",
    reason: status?.reason ?? "",
    message: status?.message ?? "",
    deleting: metadata.deletionTimestamp !== undefined,
    disruption: disruption === undefined ? "" : disruption.message ?? disruption.reason ?? "disrupted",
    disruptionReason: disruption?.reason ?? "",
    unready: Option.exists(find("worker"), isUnready) || Option.exists(find("runner"), isUnready),
    // The control plane marks a Pod of a silent node as not ready, but cannot ask its containers. So does a readiness gate, and says so.
    nodeAnswers: (unready === undefined || unready.reason === "ReadinessGatesNotReady" || !has("ContainersReady", "True")) &&
      !has("Ready", "Unknown"),
    unschedulable: unschedulable === undefined ? "" : unschedulable.message ?? unschedulable.reason ?? "unschedulable",
    isSetUp: has("PodReadyToStartContainers", "True"),
    worker,
    runner: Option.map(find("runner"), containerSeen),
    install: Option.map(find("install"), containerSeen),
    others: othersSeen(pod),
    turnOf: turnOf(pod),
    keptBy: Option.exists(worker, ({ state }) => state === "terminated") ? stillThere(pod) : none,
    lastWords: worker.pipe(
      Option.filter(({ state }) => state === "terminated"),
      Option.flatMap(({ message }) => decodeLastWords(message))
    )
  }
}
