// What the controller saw of one task and its surroundings, as plain data: everything `plan` may base a decision on.
// A Job or Pod that is absent here does not exist: the caches were in step, or the API server was asked.
// Made by controller/reconcile/observe, read by core/reconcile/plan and all that it is made of.
import { Data } from "effect"
import type { Option } from "effect"
import type { Uid } from "../../schema/names.ts"
import type { AgentTask } from "../../schema/task/agent-task.ts"
import type { FailureReason, Reason, WaitReason } from "../../schema/task/reason.ts"
import type { Artifact } from "../../schema/task/source.ts"
import type { StageResult } from "../../schema/task/stage-result.ts"
import type { TaskPolicy } from "./task-policy.ts"

export interface JobSeen {
  readonly name: string
  readonly uid: Uid
  readonly resourceVersion: string
  readonly state: "active" | "complete" | "failed"
  /** The reason of the condition that ended the Job, or is about to, such as DeadlineExceeded; empty if there is none. */
  readonly reason: string
  readonly deleting: boolean
  /** Whether Kubernetes makes no Pod for the Job until somebody sets its spec.suspend to false, as Kueue does. */
  readonly suspended: boolean
  readonly createdAt: string
  /** The hash of the configuration that the Job was built from; empty if the Job does not say. */
  readonly configHash: string
}

/** A Job with what this process timed of it, by a monotonic clock. */
export interface JobWatched extends JobSeen {
  /** How long this process has known the Job. Its creation time is by the API server's clock, which may be far from ours. */
  readonly knownMillis: number
  /**
   * How long the Pod may have been starting: 0 while a quota or a webhook keeps it from being made or the Job is suspended, and counted
   * anew while it waits for a node, a volume or its token, and again after that. Once the Job is being deleted, how long that has taken.
   */
  readonly startingMillis: number
}

export interface ContainerSeen {
  readonly state: "waiting" | "running" | "terminated"
  /** The kubelet's reason: ImagePullBackOff, OOMKilled, Completed … */
  readonly reason: string
  readonly message: string
  readonly exitCode: Option.Option<number>
  /** Why the container ended before it was restarted: OOMKilled, Error … Empty if it was not. */
  readonly lastReason: string
}

export interface PodSeen {
  readonly name: string
  readonly uid: Uid
  /** The UID of the Job that made the Pod. Pods may outlive a Job that was cleared away. */
  readonly owner: Option.Option<Uid>
  readonly createdAt: string
  readonly node: string
  /** The account by which its worker reads and writes the task; empty if Kubernetes names none. */
  readonly account: string
  readonly phase: "Pending" | "Running" | "Succeeded" | "Failed" | "Unknown"
  /** The reason in the Pod's status: Evicted, OutOfcpu, Terminated … or empty. */
  readonly reason: string
  readonly message: string
  readonly deleting: boolean
  /** Why Kubernetes disrupts the Pod, in its words; empty if it does not. */
  readonly disruption: string
  /** Its reason for that: EvictionByEvictionAPI, DeletionByPodGC … or empty. */
  readonly disruptionReason: string
  /**
   * Whether worker or runner were last said not to be ready. If the Pod was not ready when its node fell silent, the control plane marks
   * nothing in it. Sidecars of others do not count, since a stage goes on beside one that is never ready.
   */
  readonly unready: boolean
  /** Whether the node's kubelet still reports; false once the control plane marked the Pod's readiness as unknown. */
  readonly nodeAnswers: boolean
  /** What Kubernetes says while no node can take the Pod, or the scheduler may not look for one; else empty. */
  readonly unschedulable: string
  /** Whether the kubelet has set the Pod up: its volumes, sandbox and network. Clusters before Kubernetes 1.29 do not say so. */
  readonly isSetUp: boolean
  readonly worker: Option.Option<ContainerSeen>
  readonly runner: Option.Option<ContainerSeen>
  readonly install: Option.Option<ContainerSeen>
  /**
   * The sidecars of the values, and what webhooks added, by name; only those that wait for a reason, and init containers whose failure
   * ended the Pod.
   */
  readonly others: ReadonlyArray<readonly [name: string, seen: ContainerSeen]>
  /** The init container that is not ours and is the next to end or, of a sidecar, to start, for which those after it wait. */
  readonly turnOf: Option.Option<{ readonly name: string; readonly until: "end" | "start" }>
  /** The ordinary containers that are not ours and go on though the worker has ended; the kubelet ends the runner only after them. */
  readonly keptBy: ReadonlyArray<string>
  /** What the worker left in its termination message. */
  readonly lastWords: Option.Option<StageResult>
}

/**
 * Whether the task may start now, as `admit` decided for all tasks together. An admitted apply or destroy also needs its workspace; while
 * another task holds that, it may only look up the holder.
 */
export type Turn = Data.TaggedEnum<{
  Admitted: {}
  Waiting: { readonly position: number; readonly why: WhyNot }
}>
/**
 * Why a task may not start yet, with what the reason is about: the task that goes before it, or the limit that is reached. `isNear` is
 * whether it is among the first that wait for the workspace, and so says who goes before it.
 */
export type WhyNot =
  | { readonly reason: "WorkspaceBusy"; readonly blockedBy: string; readonly isNear: boolean }
  | { readonly reason: "ConcurrencyLimit"; readonly limit: keyof TaskPolicy["limits"] }
  | { readonly reason: "Draining" | "IsolationUnproven" }
export const Turn = Data.taggedEnum<Turn>()
export type Waiting = Extract<Turn, { readonly _tag: "Waiting" }>

/** Who has the workspace's Lease. Only an apply or destroy asks. */
export type Holder = Data.TaggedEnum<{
  NotAsked: {}
  Free: {}
  /** The holder is over, or gone with no Pod at work: the Lease may be taken from exactly this version. */
  Over: { readonly resourceVersion: string; readonly epoch: number }
  Mine: { readonly epoch: number }
  /** The holder is over, the state may lack what it made, and nobody has deleted its task yet: see core/state/end-in-doubt. */
  InDoubt: { readonly by: string }
  Taken: { readonly by: string }
  /** The holder is gone, or another task has its name by now, but a Pod of the holder may still change the workspace. */
  Left: { readonly by: string; readonly pod: string; readonly node: string }
  /** Its Lease says what no agent-job has written, so nobody can tell whether it is free. */
  Foreign: { readonly lease: string }
}>
export const Holder = Data.taggedEnum<Holder>()

/** What Flux has for the task's source. Only a task that may start, or that follows its source, asks. */
export type SourceSeen = Data.TaggedEnum<{
  NotAsked: {}
  /** `changed` says that the source's spec is newer than what Flux has looked at, so an earlier artifact may be of another branch. */
  NotReady: { readonly message: string; readonly changed: boolean }
  Ready: { readonly artifact: Artifact }
}>
export const SourceSeen = Data.taggedEnum<SourceSeen>()

/** How long to wait after a refusal if the API server does not say: otherwise it would be asked again as fast as it answers. */
export const askAgainMillis = 10_000

/** Why the API server last refused to make or delete the Job, to make the next attempt, or to show the source, or to show or write the Lease. */
export interface Refusal {
  /** "Denied" by a webhook, a policy or for want of a right, until a person mends that; "Invalid" whoever asks, and whenever. */
  readonly kind: "QuotaExceeded" | "Refused" | "Denied" | "NameHeld" | "NameTaken" | "Invalid"
  readonly message: string
  /** Milliseconds until the API server is asked again, whatever happens meanwhile. */
  readonly againInMillis: number
  /** Set if what was refused is to delete the Job. */
  readonly ofDeletion?: true
}

/** A refusal for good: the same request would be refused again. */
export type RefusalForGood = Refusal & { readonly kind: "NameTaken" | "Invalid" }
export const isForGood = (refusal: Refusal): refusal is RefusalForGood => refusal.kind === "NameTaken" || refusal.kind === "Invalid"

/** Returns the reason of a task that a refusal ended. */
export const failureReasonOf = ({ kind }: RefusalForGood): FailureReason => kind === "Invalid" ? "Denied" : kind

/**
 * Returns the reason that a task gives while it waits for a refusal to end. What is denied is worth waiting for too, because it is accepted
 * once a person mends that.
 */
export const waitReasonOf = ({ kind }: Refusal): WaitReason =>
  kind === "NameTaken" || kind === "Invalid" || kind === "Denied" ? "Refused" : kind

/** Why a task waits, as its pool was told. */
export interface ReportedWait {
  readonly reason: Reason
  readonly message: string
}

/** A warning event about a Job or Pod: `FailedCreate`, `FailedMount` …, and its words. */
export interface Warning {
  readonly reason: string
  readonly message: string
}

/** What is seen of a start, to tell what it waits for. */
export interface StartSeen {
  readonly job: Option.Option<JobSeen>
  readonly pod: Option.Option<PodSeen>
  readonly warning: Option.Option<Warning>
}

export interface Observed {
  readonly task: AgentTask
  readonly job: Option.Option<JobWatched>
  /**
   * Whether a watch told that one of the task's Jobs is gone. The status may not have mentioned it, because a start that goes well is told by the claim
   * alone.
   */
  readonly hadJob: boolean
  /** The Pod of the claim. Without a claim, the newest Pod of the Job that may still take it, else the newest of all. */
  readonly pod: Option.Option<PodSeen>
  /** How long the Pod of the claim has not been ready, by a monotonic clock, since this process first saw it so. */
  readonly unreadyMillis: number
  /** How long the task has been over, likewise. */
  readonly overMillis: number
  /** Whether the Job has a Pod, or had one that this process saw. */
  readonly hadPod: boolean
  /** The newest warning about the Job or Pod. It is looked up only while the Pod does not start and nothing else says why. */
  readonly warning: Option.Option<Warning>
  readonly turn: Turn
  readonly holder: Holder
  readonly source: SourceSeen
  /** The newest attempt, by its name, if it still exists. It may be this task itself. */
  readonly latest: Option.Option<AgentTask>
  /** The task that applies the newest attempt's plan, if it still exists. */
  readonly latestApply: Option.Option<AgentTask>
  /** The last refusal, until the API server may be asked again. */
  readonly refusal: Option.Option<Refusal>
  /**
   * How long the Job or Lease has been denied, by a monotonic clock, without the times in between in which the task waited for something
   * else.
   */
  readonly deniedMillis: number
  /** What this leader last told the pool about the task's wait, since the pool last offered the stage; None also while that is in doubt. */
  readonly reportedWait: Option.Option<ReportedWait>
  /** Whether the task is over, was made for a pool or as an attempt, and is older than what the history limit keeps. */
  readonly expired: boolean
}

/** What every question of the table and every response gets: what was observed, the policy, and the time in RFC 3339. */
export interface Seen extends Observed {
  readonly policy: TaskPolicy
  readonly now: string
}
