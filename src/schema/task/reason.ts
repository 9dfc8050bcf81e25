// The closed list of reasons: why a task waits, and why it ended as it did, in words an operator can search for.
// Each reason has its advice; nothing outside this list is ever put in a status.
// Used by the status of AgentTasks, results, events and the error messages of the worker.
import { Schema } from "effect"

const whileItWaits = {
  Accepted: "The controller has seen the task and decides next whether it may start.",
  WorkspaceBusy:
    "Another apply or destroy holds the workspace, or goes first; this one starts when that one is over. Where a Pod of a former one is left, or nobody here wrote the Lease of the workspace, the message says what to look at.",
  ConcurrencyLimit: "As many tasks are running as the limits allow; wait, or raise task.limits.",
  QuotaExceeded: "A ResourceQuota leaves no room for the Job or its Pod; raise the quota or wait for other Jobs to end.",
  Refused:
    "The API server does not take the Job or its Pod for now, and the message is its answer; or the controller is too old for what a newer server or the task asks of it, as the message says. A Pod for which a webhook does not answer is waited for, which costs no time to start. If a webhook, a policy, missing rights or a quota that is too small for the Pod still denies it after task.startupTimeoutSeconds, the task fails as Denied. Of a task that is over: its next attempt cannot be made, and the message says why. In an event that says so: the API server does not show or take something else that the controller needs for the task.",
  SourceNotReady:
    "Flux has no artifact of the task's source yet, or the task waits for the next one, because its plan is too old to be applied or was cancelled; the message says what it waits for.",
  StateRescuePending:
    "An earlier stage left the state in doubt, so no stage of the workspace starts, and an apply that has not begun ends without applying anything; settle it with agent-job state rescue WORKSPACE. Without a pool, plans go on, and the next apply or destroy waits until a person has looked and deleted the AgentTask that the message names.",
  IsolationUnproven:
    "Nothing starts before the isolation of tasks is proven for the present values; run the command that the message names, and correct what it finds.",
  Draining: "The cluster is draining, so nothing new starts; the message names the command that ends that.",
  NameHeld:
    "The name of its Job is still taken, by the Job of a former task of this name or of a task whose Job gets the same name; wait until that Job is gone, or make this task again under another name."
}

const whileItStartsAndRuns = {
  JobCreated:
    "The Job was created; Kubernetes is scheduling the Pod, attaching its volumes, setting up its network and pulling its images. If the Job is suspended, as by Kueue, the message says so, and the task waits until it is resumed.",
  Unschedulable:
    "No node can take the Pod; look at the message for what is missing. An autoscaler has 15 minutes to add a node, or task.startupTimeoutSeconds if that is longer or task.job.activeDeadlineSeconds is given; then the task fails as StartupTimeout.",
  Claimed: "The worker has taken the task and is running it.",
  NodeUnreachable:
    "The node does not answer, and the stage may still be running there, so the task keeps its place and its workspace until the node answers or is removed; repair the node, or delete its Node object if the machine is off, but keep its disk where the message says that the newest state may not be saved.",
  PodNotReady:
    "A container of the stage has not been ready for two minutes: its node died, or it is started again, or the kubelet's probe does not reach the worker. The stage may still be running, so the task keeps its place and its workspace; check the node and the Pod, and delete the Node object only if the machine is off.",
  StateUnsaved:
    "The pool's server has not yet taken the newest state, the end of the journal of what was made, or the release of the lock; the worker goes on trying, or its log says how to save the state by hand. Or the backend of a task without a pool did not take its last state, and the log says how to save that. Do not delete the Pod; check the server or the backend, and the network.",
  Stopping: "A cancel was asked for; the engine was interrupted once and is given time to save its state."
}

const howItEnded = {
  Completed: "The stage ended with success.",
  Cancelled: "The task was cancelled, or deleted before a worker took it.",
  ExitCode: "The engine ended with an error; its log says which.",
  InvalidConfiguration: "The configuration or the task cannot run as it is; the message names what to change.",
  SourceUnreachable:
    "The archive of the source could not be fetched in time; the message says from where and why. The plan of a task that follows its source is made again, three times at most.",
  InvalidArchive: "The configuration archive is damaged, too large or holds a forbidden entry.",
  DigestMismatch:
    "The archive, the saved plan or something that it was made with, such as the state, is not what was approved, so nothing was applied; plan again. A task that follows its source and applies what it plans does so, three times at most.",
  ProviderMissing: "A provider could not be installed; put it in the runner's mirror or let the Pod reach its registry.",
  EngineMissing:
    "The runner image has no such engine, or one that cannot start, as the message says; use an image in which tofu or terraform runs.",
  ImagePull: "An image could not be pulled; check its name, tag and pull secrets.",
  StartupTimeout:
    "The Pod did not start in time (task.startupTimeoutSeconds; if it had no node, another node still had a volume of it, or the token of its run's stage was missing, as long as Unschedulable says); the message says what it waited for.",
  DeadlineExceeded:
    "The stage ran longer than spec.timeoutSeconds or task.job.activeDeadlineSeconds allows, and was interrupted; raise the limit that it reached.",
  OutOfMemory: "A container used more memory than its limit, or came near to it and was stopped in order; raise the limit.",
  DiskFull:
    "A disk is full; the message says which, or what the engine said of it. If it is that of the node, let tasks request ephemeral-storage, or give their nodes larger disks; if the Pod was over a limit, raise the one that the message names; if it is a volume claim, make that larger.",
  Evicted:
    "The Pod was evicted, deleted, refused by its node, or had to leave it; the message says whether anything was run. If the Pod's events name a limit of its disk, raise that, as for DiskFull. The plan of a run, or of a task that follows its source, is made again, three times at most; an apply or destroy that had begun never is.",
  NodeLost:
    "The Pod is gone, most often with its node, or its node was started anew, and the stage left no result; after an apply or destroy, look at the state before the next run.",
  PoolUnreachable: "The server did not answer in time; check agent.url and the network.",
  TokenRefused:
    "The server refused the token of this stage: it is over, or another task has it; see agent-job get RUN, and start a new run if you still need one.",
  StateNotSaved:
    "The engine ended, but the server has not confirmed the state, or the backend did not take it; the message says where its last copy is or was.",
  NameTaken: "The name of the Job or the task is taken by an object that is not ours; delete that object, or use another name.",
  Denied:
    "The API server refused the Job for good, or denied it for all of task.startupTimeoutSeconds; the message is its answer: correct what it names, and run the task again.",
  Lost:
    "The worker ended without a result, or the Job vanished before there was one; a plan may be made again, an apply never is: look at the state before the next run."
}

/** What each reason means and what to do about it; printed into docs/reasons.md. */
export const reasons = { ...whileItWaits, ...whileItStartsAndRuns, ...howItEnded }

export type Reason = keyof typeof reasons
export const Reason = Schema.Literals(Object.keys(reasons) as ReadonlyArray<Reason>).annotate({ description: "Why, from a closed list." })
/** Reports whether it is one that this version knows. */
export const isReason = Schema.is(Reason)

/** Reasons with which a task may end as Failed. */
export type FailureReason = Exclude<keyof typeof howItEnded, "Completed" | "Cancelled"> | "StateRescuePending"

const { Cancelled: _cancelled, Completed: _completed, ...failures } = howItEnded

/** Reports whether a stage failed for it, whether or not all of its Pod is over. */
export const isFailure = Schema.is(Schema.Literals(Object.keys(failures) as ReadonlyArray<keyof typeof failures>))

/** Reasons to doubt that a claimed stage still runs. Any other reason of such a stage takes the doubt back. */
export const doubts: ReadonlyArray<string> = ["NodeUnreachable", "PodNotReady"] satisfies ReadonlyArray<Reason>

/** Reasons for which a task may wait in the queue. */
export type WaitReason = Exclude<keyof typeof whileItWaits, "Accepted">

/** Why nothing new starts, whatever the limits leave room for. */
export const holdReasons = ["Draining", "IsolationUnproven"] as const satisfies ReadonlyArray<WaitReason>
