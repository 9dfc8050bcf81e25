// What the controller saw of one task and its surroundings, as plain data: everything `plan` may base a decision on.
// Absent means absent: the caches were in step, or the API server was asked.
// Made by controller/observe, read by core/plan.
import { Data } from "effect"
import type { Option } from "effect"
import type { AgentTask } from "../schema/agent-task.ts"
import type { Uid } from "../schema/names.ts"
import type { Reason, WaitReason } from "../schema/reason.ts"
import type { Artifact } from "../schema/source.ts"
import type { StageResult } from "../schema/stage-result.ts"

export interface JobSeen {
  readonly name: string
  readonly uid: Uid
  readonly state: "active" | "complete" | "failed"
  /** Of the condition that ended it, such as DeadlineExceeded. */
  readonly reason: string
  readonly message: string
  readonly deleting: boolean
  readonly createdAt: string
  /** Of the configuration that it was built from; empty if it does not say. */
  readonly configHash: string
}

export interface ContainerSeen {
  readonly state: "waiting" | "running" | "terminated"
  /** The kubelet's word: ImagePullBackOff, OOMKilled, Completed … */
  readonly reason: string
  readonly message: string
  readonly exitCode: Option.Option<number>
  /** How its former life ended, if it was restarted: OOMKilled, Error … */
  readonly lastReason: string
}

export interface PodSeen {
  readonly name: string
  readonly uid: Uid
  /** The Job that made it; the Pods of one that was cleared away may outlive it. */
  readonly owner: Option.Option<Uid>
  readonly createdAt: string
  readonly node: string
  readonly phase: "Pending" | "Running" | "Succeeded" | "Failed" | "Unknown"
  /** Evicted, NodeLost, Shutdown … or empty. */
  readonly reason: string
  readonly message: string
  readonly deleting: boolean
  /** Why Kubernetes wanted it away, in its words; empty if it did not. */
  readonly disruption: string
  /** The node's kubelet still reports; false once the control plane marked the Pod's readiness as unknown. */
  readonly nodeAnswers: boolean
  /** The scheduler's words while no node can take it. */
  readonly unschedulable: string
  readonly worker: Option.Option<ContainerSeen>
  readonly runner: Option.Option<ContainerSeen>
  readonly install: Option.Option<ContainerSeen>
  /** What the worker left in its termination message. */
  readonly lastWords: Option.Option<StageResult>
}

/**
 * May the task start now, as `admit` decided it together with all others: an apply or destroy with its workspace in hand, else it may look
 * who has that.
 */
export type Turn = Data.TaggedEnum<{
  Admitted: {}
  Waiting: { readonly reason: WaitReason; readonly position: number; readonly blockedBy: Option.Option<string> }
}>
export const Turn = Data.taggedEnum<Turn>()

/** Who has the workspace's Lease, as far as it matters: only apply and destroy ask. */
export type Holder = Data.TaggedEnum<{
  NotAsked: {}
  Free: {}
  /** Held by a task that is over: to be taken from exactly this version. */
  Over: { readonly resourceVersion: string; readonly epoch: number }
  Mine: { readonly epoch: number }
  Taken: { readonly by: string }
  /** Its holder is gone, or another has its name, but for this Pod, which may still change the workspace. */
  Left: { readonly by: string; readonly pod: string; readonly node: string }
}>
export const Holder = Data.taggedEnum<Holder>()

/** What Flux has of the task's source, as far as it matters: only a task that may start, or that follows its source, asks. */
export type SourceSeen = Data.TaggedEnum<{
  NotAsked: {}
  /** `changed`: its spec is newer than what Flux has looked at, so what it had before may be of another branch. */
  NotReady: { readonly message: string; readonly changed: boolean }
  Ready: { readonly artifact: Artifact }
}>
export const SourceSeen = Data.taggedEnum<SourceSeen>()

/** How long a refusal is left alone, if the API server does not say: whatever refuses is not to be asked as fast as it answers. */
export const askAgainMillis = 10_000

/** Why the API server would not make the Job, or the next attempt, when it was last asked. */
export interface Refusal {
  readonly kind: "QuotaExceeded" | "Refused" | "Forbidden" | "NameHeld" | "NameTaken" | "Denied"
  readonly message: string
  /** Before that it is not asked again, whatever happens meanwhile. */
  readonly againInMillis: number
}

/** For these a person is needed: the same is refused again. */
export const isForGood = (kind: Refusal["kind"]): kind is "NameTaken" | "Denied" => kind === "NameTaken" || kind === "Denied"

/** What a task that waits for the end of it says: also one that a webhook, a policy or a right denies is taken once somebody mends that. */
export const waitReasonOf = (kind: Refusal["kind"]): WaitReason => isForGood(kind) || kind === "Forbidden" ? "Refused" : kind

/** Why a task waits, as its pool has heard it. */
export interface ReportedWait {
  readonly reason: Reason
  readonly message: string
}

/** A warning event about a Job or Pod: `FailedCreate`, `FailedMount` …, and its words. */
export interface Warning {
  readonly reason: string
  readonly message: string
}

export interface Observed {
  readonly task: AgentTask
  readonly job: Option.Option<JobSeen>
  /** One of its Jobs is gone, of which perhaps nothing was said: a start that goes well is told by the claim alone. */
  readonly hadJob: boolean
  /**
   * For how long this process has known its Job, by a clock that nobody sets: when it was made is by the API server's, which may be far
   * from ours.
   */
  readonly jobKnownMillis: number
  /** For how long its Pod may have been starting, by that clock: not while a quota leaves no room for it. */
  readonly startingMillis: number
  /** The claiming Pod once there is a claim, else the newest of the Job. */
  readonly pod: Option.Option<PodSeen>
  /** There is a Pod of its Job, or was one that this process saw. */
  readonly hadPod: boolean
  /** The newest one about its Job or Pod; asked for only while it does not start and nothing else says why. */
  readonly warning: Option.Option<Warning>
  readonly turn: Turn
  readonly holder: Holder
  readonly source: SourceSeen
  /** The newest attempt that was made after this one, if it is still there. */
  readonly latest: Option.Option<AgentTask>
  /** The task that applies its plan. */
  readonly latestApply: Option.Option<AgentTask>
  /** As long as it holds. */
  readonly refusal: Option.Option<Refusal>
  /** For how long its Job or Lease was denied, by that clock, without the times that it waited for something else in between. */
  readonly deniedMillis: number
  /** What its pool was last told in this lead, since it last offered the stage. */
  readonly reportedWait: Option.Option<ReportedWait>
  /** Over, from a pool or made for a new revision, and older than the history limit keeps. */
  readonly expired: boolean
}
