// Whether a stage's Pod has ended, who could see that, and why it ended without a result.
// A Pod's phase or exit code never means success here.
// Used by core/reconcile/situation, core/reconcile/claimed, core/reconcile/start-trouble, controller/reconcile/ask, controller/reconcile/observe, controller/reconcile/workspace-holder and cli/cluster/draining.
import { Option } from "effect"
import type { FailureReason } from "../../schema/task/reason.ts"
import type { ContainerSeen, JobSeen, PodSeen } from "../task/observed.ts"
import { inLine } from "../text/in-line.ts"

/** Returns the containers that the Pod shows, each with its name. */
export const containers = ({ install, others, runner, worker }: PodSeen): PodSeen["others"] => [
  ...Object.entries({ install, runner, worker }).flatMap(([name, seen]) => Option.isSome(seen) ? [[name, seen.value] as const] : []),
  ...others
]

/**
 * Reports whether the container ended unseen, since its node or container runtime did: containerd says `Unknown` of it when it is back, and
 * the kubelet the other if the runtime has forgotten it, as CRI-O does with a start of its node.
 */
export const isStartedAnew = ({ exitCode, reason }: ContainerSeen): boolean =>
  (reason === "Unknown" && Option.contains(exitCode, 255)) || reason === "ContainerStatusUnknown"

const isTerminal = ({ phase }: PodSeen): boolean => phase === "Failed" || phase === "Succeeded"
export const isRunning = (seen: Option.Option<ContainerSeen>): boolean => Option.exists(seen, (_) => _.state === "running")

/** Reports whether the worker has ended, so that nothing claims or reports from this Pod any more. */
export const isPodOver = (pod: PodSeen): boolean => isTerminal(pod) || Option.exists(pod.worker, (_) => _.state === "terminated")

/**
 * Reports whether the engine has ended as well. A worker that died leaves the engine to the runner, which interrupts it and lives on for as
 * long as the grace period allows.
 */
export const isEngineOver = (pod: PodSeen): boolean => isTerminal(pod) || (isPodOver(pod) && !isRunning(pod.runner))

/** Reports whether Kubernetes removes the Pod because its node no longer exists; it says Failed of it without asking a kubelet. */
const isOrphan = ({ disruptionReason }: PodSeen): boolean => disruptionReason === "DeletionByPodGC"
const isSeenRunning = ({ runner, worker }: PodSeen): boolean => isRunning(worker) || isRunning(runner)

/** Reports whether a kubelet's word is seen in the Pod: a reason of its own, or a container that it saw end. */
const isToldByNode = (pod: PodSeen): boolean => pod.reason !== "" || containers(pod).some(([, { state }]) => state === "terminated")

/**
 * Reports whether everything in the Pod was seen to end, so that it changes nothing any more. A kubelet says Failed only once the
 * containers have ended; Kubernetes also says it of a Pod whose node is removed or out of service, and leaves what was last seen of them.
 */
export const isEndSeen = (pod: PodSeen): boolean =>
  isTerminal(pod) && !isSeenRunning(pod) && !isOrphan(pod) && (pod.node === "" || isToldByNode(pod))

/** Returns the node that may still say how the Pod ends; empty if there is none. */
export const nodeToAsk = (pod: PodSeen): string => isOrphan(pod) ? "" : pod.node

const isNodeLost = (pod: PodSeen): boolean => isOrphan(pod) || (pod.phase === "Failed" && pod.reason === "" && isSeenRunning(pod))

/**
 * Reports whether the worker, or what was to end before it began, ended with its node. A worker that has ended by itself knows why; a
 * container of a Pod that has to go may be removed before its end was seen.
 */
const isEndOfNode = (pod: PodSeen): boolean =>
  pod.phase === "Failed" && !pod.deleting && pod.disruption === "" && (Option.exists(pod.worker, (_) => _.state === "terminated")
    ? Option.exists(pod.worker, isStartedAnew)
    : containers(pod).some(([, seen]) => isStartedAnew(seen)))

const wasOutOfMemory = (seen: Option.Option<ContainerSeen>): boolean =>
  Option.exists(seen, (_) => _.reason === "OOMKilled" || _.lastReason === "OOMKilled")

export interface End {
  readonly reason: FailureReason
  readonly message: string
}

/** The kubelet's words of a Pod that used more disk than a limit of its own, and what helps. No other node does. */
const diskLimits = [
  { words: /^Usage of EmptyDir volume "(?:data|private)" exceeds the limit/u, next: " Raise persistence.emptyDir.sizeLimit." },
  { words: /^Usage of EmptyDir volume .* exceeds the limit/u, next: "" },
  {
    words: /^Container .* exceeded its local ephemeral storage limit|^Pod ephemeral local storage usage exceeds/u,
    next: " Raise limits.ephemeral-storage of its containers, such as in task.runner.resources."
  }
]

const evicted = ({ message, name, node, reason }: PodSeen): End => {
  const said = inLine(message) || reason
  const limit = diskLimits.find(({ words }) => words.test(said))
  return {
    reason: limit === undefined ? "Evicted" : "DiskFull",
    message: `Pod ${name} was evicted from node ${node}: ${said}${limit?.next ?? ""}`
  }
}

/** Returns why a stage ended without a result, from what is left of its Pod and Job. */
export const endOf = (pod: Option.Option<PodSeen>, job: Option.Option<JobSeen>): End => {
  if (Option.exists(job, (_) => _.reason === "DeadlineExceeded")) {
    return { reason: "DeadlineExceeded", message: "Kubernetes ended the Job at its deadline (activeDeadlineSeconds)." }
  }
  if (Option.isNone(pod)) return { reason: "NodeLost", message: "The Pod is gone and left no result." }
  const { deleting, disruption, message, name, node, phase, reason, runner, worker } = pod.value
  if (reason === "Evicted" || reason === "Preempting" || reason === "Shutdown" || reason === "Terminated") {
    return evicted(pod.value)
  }
  // OutOfcpu, NodeAffinity …, or VolumeAttachmentLimitExceeded, after which the containers have statuses: the kubelet did not start the worker.
  if (phase === "Failed" && reason !== "" && !Option.exists(worker, (_) => _.state !== "waiting")) {
    return { reason: "Evicted", message: `Pod ${name} was refused by node ${node}: ${inLine(message) || reason}` }
  }
  if (wasOutOfMemory(worker)) {
    return { reason: "OutOfMemory", message: `The worker of Pod ${name} ran out of memory; raise task.worker.resources.limits.memory.` }
  }
  if (wasOutOfMemory(runner)) {
    return { reason: "OutOfMemory", message: `The runner of Pod ${name} ran out of memory; raise task.runner.resources.limits.memory.` }
  }
  if (isEndOfNode(pod.value)) {
    return { reason: "NodeLost", message: `Node ${node}, or its container runtime, was started anew under Pod ${name}.` }
  }
  if (isNodeLost(pod.value)) return { reason: "NodeLost", message: `Node ${node} was lost with Pod ${name}.` }
  if (disruption !== "") return { reason: "Evicted", message: `Pod ${name} had to leave node ${node}: ${inLine(disruption)}` }
  if (deleting) return { reason: "Evicted", message: `Pod ${name} was deleted.` }
  const code = Option.match(Option.flatMap(worker, (_) => _.exitCode), { onNone: () => "", onSome: (_) => ` with exit code ${_}` })
  const words = Option.match(worker, { onNone: () => "", onSome: ({ message }) => inLine(message) })
  const said = words === "" || words.startsWith("{") ? "." : `: ${words}` // a result that cannot be read is no sentence
  return { reason: "Lost", message: `The worker of Pod ${name} ended${code} and left no result${said}` }
}
