// The closed list of reasons: why a task waits, and why it ended as it did, in words an operator can search for.
// Every reason has one sentence of advice; nothing outside this list is ever put in a status.
// Used by the status of AgentTasks, results, events and the error messages of the worker.
import { Schema } from "effect"

/** What each reason means and what to do about it; printed into docs/reasons.md. */
export const reasons = {
  // while it waits
  Accepted: "The controller has seen the task and decides next whether it may start.",
  WorkspaceBusy: "Another apply or destroy holds the workspace; this one starts when that one is over.",
  ConcurrencyLimit: "As many tasks run as the limits allow; raise task.limits or wait.",
  QuotaExceeded: "A ResourceQuota refused the Job; raise the quota or wait for other Jobs to end.",
  Refused:
    "The API server does not take the Job for now; the message is its answer. What a webhook, a policy, a right or a quota that is too small at all denies for task.startupTimeoutSeconds ends as Denied.",
  SourceNotReady: "Flux has no artifact of the task's source yet; the message says what it waits for.",
  StateRescuePending:
    "An earlier stage left the state in doubt, so nothing of the workspace starts, and an apply that had not begun ends; settle it with agent-job state rescue.",
  IsolationUnproven:
    "Nothing starts before the isolation of tasks is proven for the present values; run agent-job doctor, and mend what it finds.",
  Draining: "The cluster is drained, so nothing new starts; agent-job drain --undo ends that.",
  NameHeld: "A Job of the same name, of a former task or of one whose name gives the same, is still there.",
  // while it starts and runs
  JobCreated: "The Job is made; Kubernetes schedules the Pod and pulls its images.",
  Unschedulable: "No node can take the Pod; look at the message for what is missing.",
  Claimed: "The worker has taken the task and runs it.",
  NodeUnreachable: "The node does not answer, so the stage may still run there; it is not repeated until that is ruled out.",
  StateUnsaved:
    "The pool's server has not taken the state that the engine wrote, the last words on what it made, or its lock; the worker keeps it and goes on trying, and the stage waits for that.",
  Stopping: "A cancel was asked for; the engine was interrupted once and is given time to save its state.",
  // how it ended
  Completed: "The stage ended with success.",
  Cancelled: "The task was cancelled, or deleted before a worker took it.",
  ExitCode: "The engine ended with an error; its log says which.",
  InvalidConfiguration: "The configuration or the task cannot run as it is; the message names what to change.",
  InvalidArchive: "The configuration archive is damaged, too large or holds a forbidden entry.",
  DigestMismatch: "The archive, the saved plan or something that it was made with is not what was approved, so nothing was applied.",
  ProviderMissing: "A provider could not be installed; put it in the runner's mirror or let the Pod reach its registry.",
  EngineMissing:
    "The runner image has no such engine, or one that cannot start, as the message says; use an image in which tofu or terraform runs.",
  ImagePull: "An image could not be pulled; check its name, tag and pull secrets.",
  StartupTimeout: "The Pod did not start in time (task.startupTimeoutSeconds); the message says what it waited for.",
  DeadlineExceeded: "The stage ran longer than spec.timeoutSeconds or task.job.activeDeadlineSeconds lets it, and was interrupted.",
  OutOfMemory: "A container used more memory than its limit, or came near to it and was stopped in order; raise the limit.",
  DiskFull: "A volume is full, and the message says which: of the Pod's own, raise persistence.emptyDir.sizeLimit; make a claim larger.",
  Evicted:
    "The Pod was evicted, deleted, or had to leave its node; the message says whether anything was run. A plan is made again, an apply or destroy that had begun never is.",
  NodeLost: "The node is gone, and the stage with it.",
  PoolUnreachable: "The server did not answer in time; check agent.url and the network.",
  TokenRefused:
    "The server refused the token of this stage: it is over, or another task has it; see agent-job get RUN, and start a new run if you still need one.",
  StateNotSaved: "The engine ended, but the server has not confirmed the state; the message says where a copy is.",
  NameTaken: "The name of the Job or the task is taken by an object that is not ours; delete that object, or use another name.",
  Denied:
    "The API server refused the Job for good, or denied it for as long as a start may take; the message is its answer: mend what that names, and run the task again.",
  Lost: "The worker ended without a result; a plan may be made again, an apply never is: look at the state before the next run."
} as const

export type Reason = keyof typeof reasons
export const Reason = Schema.Literals(Object.keys(reasons) as ReadonlyArray<Reason>).annotate({ description: "Why, from a closed list." })

/** Reasons with which a task may end as Failed. */
export type FailureReason = Exclude<
  Reason,
  | WaitReason
  | "Accepted"
  | "JobCreated"
  | "Unschedulable"
  | "Claimed"
  | "NodeUnreachable"
  | "StateUnsaved"
  | "Stopping"
  | "Completed"
  | "Cancelled"
>

/** Reasons for which a task may wait. */
export const WaitReason = Schema.Literals([
  "WorkspaceBusy",
  "ConcurrencyLimit",
  "QuotaExceeded",
  "Refused",
  "SourceNotReady",
  "NameHeld",
  "Draining",
  "IsolationUnproven"
])
export type WaitReason = typeof WaitReason.Type
