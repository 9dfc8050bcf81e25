// What keeps a stage from starting, as Job, Pod and warnings tell it: by a reason of the closed list, and how long waiting helps.
// A start that is given up ends by that reason, and one whose Pod is over by what core/reconcile/pod-end says of it.
// Used by core/reconcile/situation, core/reconcile/claimed, core/reconcile/start, controller/reconcile/ask, controller/reconcile/warnings and controller/world/job-ages.
import { Option } from "effect"
import { isOfQuota, quotaTooSmall, type TooSmall } from "../../schema/kubernetes/quota.ts"
import type { FailureReason } from "../../schema/task/reason.ts"
import { hadToGo } from "../run/retries.ts"
import { tokenSecretPattern } from "../task/intake.ts"
import type { ContainerSeen, PodSeen, StartSeen, Warning } from "../task/observed.ts"
import { diskFullExitCode } from "../task/places.ts"
import type { TaskPolicy } from "../task/task-policy.ts"
import { inLine } from "../text/in-line.ts"
import { containers, type End, endOf, isPodOver, isRunning, isStartedAnew } from "./pod-end.ts"

export interface Trouble {
  readonly reason: FailureReason | "JobCreated" | "Unschedulable" | "QuotaExceeded" | "Refused"
  readonly message: string
  /** When waiting helps: never, while the time of a start lasts, or whenever others end it, for which the task can do nothing. */
  readonly ends: "never" | "in time" | "by others"
}

const trouble = (reason: Trouble["reason"], message: string, ends: Trouble["ends"] = "in time"): Trouble => ({ reason, message, ends })

const imageWaits = new Set(["ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError", "SignatureValidationFailed"])
const imageNevers = new Set(["InvalidImageName", "ErrImageNeverPull"])
const configurationWaits = new Set([
  "CreateContainerConfigError",
  "CreateContainerError",
  "PreCreateHookError",
  "PreStartHookError",
  "PostStartHookError",
  "RunContainerError",
  "StartError"
])

/** Returns the name of the Secret or ConfigMap that the kubelet does not find, or of the service account that the API server does not. */
const missing = (words: string): string | undefined => /(?:secret|configmap|serviceaccount) "([^"]*)" not found\]?$/u.exec(words)?.[1]
const isTokenSecret = new RegExp(tokenSecretPattern, "u")
/** Adds where to make what is missing. The token of a pool's stage only the controller can make, which tells its run why it cannot. */
const whereToMake = (words: string): string => {
  const name = missing(words)
  if (name === undefined) return words
  return `${words}; ${
    isTokenSecret.test(name)
      ? "the controller makes it, and its log says what keeps it from that; if that says nothing, somebody deleted it, so start the run anew"
      : "make it in the tasks' namespace"
  }`
}

const troubleOf = ([name, seen]: readonly [string, ContainerSeen]): Trouble | undefined => {
  const say = (what: string): string => `Container ${name} ${what}: ${whereToMake(inLine(seen.message)) || seen.reason}`
  if (name === "runner" && (seen.reason === "StartError" || seen.lastReason === "StartError")) {
    return trouble("InvalidConfiguration", say("cannot start; the image needs /bin/sh"))
  }
  if (seen.state === "waiting") {
    const { reason } = seen
    if (imageNevers.has(reason)) return trouble("ImagePull", say("can never get its image; correct its name or its pull policy"), "never")
    if (imageWaits.has(reason)) return trouble("ImagePull", say("cannot get its image yet; check its name, tag and pull secrets"))
    if (configurationWaits.has(reason)) return trouble("InvalidConfiguration", say("cannot be created"))
    if (reason === "CrashLoopBackOff") return trouble("InvalidConfiguration", say("ends as soon as it starts"))
  }
  const code = Option.getOrElse(seen.exitCode, () => 0)
  if (name === "runner" || name === "worker" || code === 0 || isStartedAnew(seen)) return undefined
  const reason = name === "install" && code === diskFullExitCode ? "DiskFull" : "InvalidConfiguration"
  return trouble(reason, say(`failed with exit code ${code}`), "never")
}

/** The scheduler does not look at a gated Pod. It waits no longer than for a node, because the deadline of its Job runs meanwhile. */
const whyUnscheduled = (said: string): string =>
  said.includes("scheduling gates")
    ? "The Pod is kept from all nodes by its spec.schedulingGates; see why the queue or webhook that set them does not remove them."
    : `No node can take the Pod: ${inLine(said)}`

/** Returns why the Pod has not started yet, or none if nothing keeps it. */
export const startTrouble = (pod: PodSeen): Option.Option<Trouble> =>
  pod.unschedulable !== ""
    ? Option.some(trouble("Unschedulable", whyUnscheduled(pod.unschedulable)))
    : Option.fromUndefinedOr(containers(pod).map(troubleOf).find((found) => found !== undefined))

const tooSmall = ({ asked, quota }: TooSmall): string =>
  `The Pod can never fit into quota ${quota}: it asks for ${
    asked.map(({ limited, requested, resource }) => `${requested} of ${resource} (the quota allows ${limited})`).join(", ")
  }; ask for less in jobTemplate.runner.resources of the task, or in task.runner.resources and task.worker.resources of the values, or raise the quota.`

/** How Kubernetes says that a webhook for Pods does not answer, or not as one should. One that denies a Pod has other words. */
const silentWebhook = /^(?:\(combined from similar events\): )?Error creating: Internal error occurred: failed calling webhook /u
/** How it says that its own time for a request was over, mostly because so many webhooks are slow. It names none. */
const slow = /^(?:\(combined from similar events\): )?Error creating: Timeout: /u

/** Returns why no Pod can be made. */
const notCreated = (message: string): Trouble => {
  const never = quotaTooSmall(message)
  if (never !== undefined) return trouble("Refused", tooSmall(never))
  const said = whereToMake(inLine(message))
  if (isOfQuota(message)) return trouble("QuotaExceeded", `Kubernetes cannot create the Pod: ${said}`, "by others")
  if (slow.test(message)) {
    return trouble("Refused", `Kubernetes cannot create the Pod in its time; see which webhooks for Pods are slow: ${said}`, "by others")
  }
  return silentWebhook.test(message)
    ? trouble("Refused", `Kubernetes cannot create the Pod before a webhook answers; see whether that is up: ${said}`, "by others")
    : trouble("Refused", `Kubernetes cannot create the Pod: ${said}`)
}

/** How Kubernetes says that a volume has not left another node: in older versions, and since 2026. */
const elsewhere = /^(?:Multi-Attach error|Waiting for detach)\b/u
/**
 * Reports whether a volume of one node at a time (ReadWriteOnce) was with another one when the Pod came: until the Pods there have ended, or
 * for six minutes after that node was lost. That is said once; when the volume has left, no warning says so.
 */
const isElsewhere = ({ message, reason }: Warning): boolean => reason === "FailedAttachVolume" && elsewhere.test(message)
/**
 * Reports whether the token of a pool's stage is not there yet: its Secret may not be made, as when a quota is full, or the controller ended
 * before that. The pool offers the stage until it is stored.
 */
const lacksToken = ({ message, reason }: Warning): boolean => reason === "FailedMount" && isTokenSecret.test(missing(inLine(message)) ?? "")

/**
 * Returns trouble that only a warning tells of, and neither Job nor Pod: the Pod cannot be made, its node gives it no network or runtime,
 * or one of its volumes is missing.
 */
const warningTrouble = ({ message, reason }: Warning, node: string): Option.Option<Trouble> => {
  const said = inLine(message)
  switch (reason) {
    case "FailedCreate":
      return Option.some(notCreated(message))
    case "FailedCreatePodSandBox":
    case "NetworkNotReady":
      return Option.some(trouble("JobCreated", `Node ${node} cannot set up the Pod yet: ${said}`))
    case "FailedMount":
    case "FailedAttachVolume":
      return Option.some(
        isElsewhere({ message, reason })
          ? trouble(
            "JobCreated",
            `A volume of the Pod was attached to another node when the Pod came, and has to be free there first: ${said}`
          )
          : trouble(
            lacksToken({ message, reason }) ? "JobCreated" : "InvalidConfiguration",
            `A volume of the Pod cannot be mounted: ${whereToMake(said)}`
          )
      )
    default:
      return Option.none()
  }
}

/** Reports whether a warning says why something does not start. Those of a policy engine, a probe or the DNS must hide none that does. */
export const isOfStart = (warning: Warning): boolean => Option.isSome(warningTrouble(warning, ""))

/** Reports whether the Job is suspended. That is no failed start, because whoever suspended it, such as Kueue, resumes it in its turn. */
export const isSuspended = ({ job }: Pick<StartSeen, "job">): boolean =>
  Option.exists(job, ({ state, suspended }) => suspended && state === "active")

/** Returns why the stage has not started yet, as far as the Job, the Pod or a warning says. */
export const troubleOfStart = ({ job, pod, warning }: StartSeen): Option.Option<Trouble> => {
  if (isSuspended({ job })) {
    const message = "Its Job is suspended, by a queue such as Kueue or by hand; it starts once the Job's spec.suspend is false."
    return Option.some(trouble("JobCreated", message))
  }
  const isSetUp = Option.exists(pod, (_) => _.isSetUp) // a warning of a volume, the sandbox or the network is old then
  return Option.orElse(
    Option.flatMap(pod, startTrouble),
    () =>
      Option.flatMap(
        isSetUp ? Option.none() : warning,
        (told) => warningTrouble(told, Option.match(pod, { onNone: () => "", onSome: ({ node }) => node }))
      )
  )
}

/** Reports whether the start waits for room in a quota, or for a webhook to answer. That is no failed start, because others end the wait. */
export const waitsForOthers = (start: StartSeen): boolean => Option.exists(troubleOfStart(start), ({ ends }) => ends === "by others")

/**
 * Reports whether the Pod waits for a node, also if the scheduler does not say why, for a volume of it to leave another node, or for its
 * token.
 */
export const waitsForNode = ({ job, pod, warning }: StartSeen): boolean =>
  Option.exists(
    pod,
    ({ deleting, isSetUp, node }) =>
      (node === "" && !deleting) || (!isSetUp && Option.exists(warning, (told) => isElsewhere(told) || lacksToken(told)))
  ) &&
  !Option.exists(job, ({ deleting }) => deleting)

/** Returns how long a start may take: longer while its Pod waits for a node, because an autoscaler may be about to add one. */
export const longestStartMillis = (start: StartSeen, { nodeWaitSeconds, startupTimeoutSeconds }: TaskPolicy): number =>
  (waitsForNode(start) ? nodeWaitSeconds : startupTimeoutSeconds) * 1000

/** Returns the failure reason for a start that is given up in this trouble. */
const finalReason = ({ ends, reason }: Trouble): FailureReason =>
  reason === "Refused"
    ? ends === "by others" ? "StartupTimeout" : "Denied"
    : reason === "JobCreated" || reason === "Unschedulable" || reason === "QuotaExceeded"
    ? "StartupTimeout"
    : reason

const isWaiting = (seen: Option.Option<ContainerSeen>): boolean => Option.exists(seen, (_) => _.state === "waiting")

/**
 * Returns the container of ours that the kubelet is to start next. Where nothing else is known to keep it, and no other container is to
 * start before it (`foreignTurn`), most often its image is being pulled.
 */
export const nextToStart = ({ install, isSetUp, runner, worker }: PodSeen): Option.Option<string> =>
  isSetUp && !isRunning(install)
    ? Option.fromUndefinedOr(Object.entries({ install, runner, worker }).find(([, seen]) => isWaiting(seen))?.[0])
    : Option.none()

/** Returns the container, if it is one of the values or a webhook, that the next one of ours waits for, and what for. */
export const foreignTurn = (pod: PodSeen): Option.Option<string> =>
  Option.map(
    Option.filter(pod.turnOf, () => Option.isSome(nextToStart(pod))),
    ({ name, until }) => `container ${name}, which the values or a webhook added, to ${until}`
  )

/** What to look at where a Pod has no node: while the scheduler waits for a volume that is to be made, the Pod does not show that. */
export const lookForNode = "see whether its volume claims are bound (kubectl get pvc, and their events), and whether the scheduler is up"

/** Names the node: if it fell silent before its Pod was ready, the Pod does not show that. */
const notTakenInTime = (pod: Option.Option<PodSeen>): string => {
  if (Option.isNone(pod)) return "The worker did not take the task within task.startupTimeoutSeconds; the events of its Job may say why."
  const { name, node } = pod.value
  if (node === "") return `Pod ${name} has no node, and the time of its Job to start is over; ${lookForNode}.`
  const turn = foreignTurn(pod.value)
  if (Option.isSome(turn)) {
    return `Pod ${name} did not start within task.startupTimeoutSeconds, because it waits for ${turn.value}; see the log of that container, and the events of the Pod.`
  }
  return Option.match(nextToStart(pod.value), {
    onNone: () =>
      `The worker in Pod ${name} did not take the task within task.startupTimeoutSeconds; see whether node ${node} answers, and what the events of Job and Pod say.`,
    onSome: (container) =>
      `Container ${container} of Pod ${name} did not start within task.startupTimeoutSeconds; if node ${node} was still pulling its image, as the events of the Pod say, raise that value, else see whether the node answers.`
  })
}

/** Returns why a stage that was not claimed is not started any more. */
export const endOfStart = ({ job, pod, warning }: StartSeen): End => {
  const isOver = Option.exists(job, ({ state }) => state !== "active") || Option.exists(pod, isPodOver)
  const end = endOf(pod, job)
  const hasBegun = Option.exists(pod, ({ worker }) => Option.exists(worker, ({ state }) => state === "terminated"))
  const hasGone = Option.isSome(pod) && (hadToGo(end.reason) || end.reason === "DiskFull")
  if (isOver && (hasBegun || hasGone)) return end // whatever the Pod waited for
  return Option.match(troubleOfStart({ job, pod, warning }), {
    onNone: () => isOver ? end : { reason: "StartupTimeout", message: notTakenInTime(pod) },
    onSome: (trouble) => ({ reason: finalReason(trouble), message: trouble.message })
  })
}
