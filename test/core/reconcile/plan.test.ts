// What the table of situations answers, case by case: what was seen, what is done, what the status says.
import { describe, expect, it } from "@effect/vitest"
import { Equal, Option } from "effect"
import { quotaPatienceMillis } from "../../../src/core/reconcile/launches.ts"
import { plan, rows } from "../../../src/core/reconcile/plan.ts"
import { jobName } from "../../../src/core/task/job-name.ts"
import { type ContainerSeen, Holder, type Observed, Turn } from "../../../src/core/task/observed.ts"
import { conditionsAfter } from "../../../src/core/task/status.ts"
import { Uid } from "../../../src/schema/names.ts"
import { before, noon, perform, plainSeed, policyOf, type Seed, success, withJob, withPod, worldOf } from "../worlds.ts"

interface Case {
  readonly given: string
  readonly seed: Partial<Seed>
  readonly situation: string
  readonly actions: ReadonlyArray<string>
  readonly phase?: string
  readonly reason?: string
}

/** An apply whose worker has died and whose engine is interrupted, beside a container that does not end. */
const kept = {
  life: "claimed",
  stage: "apply",
  job: "active",
  pod: "unready",
  worker: "OOMKilled",
  runner: "running",
  kept: true
} satisfies Partial<Seed>

const cases: ReadonlyArray<Case> = [
  // the task is over
  {
    given: "a deleted task that was ended, whose Job still starts",
    seed: { life: "cancelled", job: "active", deleted: true },
    situation: "over, but its Job goes on",
    actions: ["DeleteJob"],
    phase: "Cancelled"
  },
  {
    given: "a cancelled task whose Job still starts",
    seed: { life: "cancelled", job: "active", cancel: true },
    situation: "over, but its Job goes on",
    actions: ["DeleteJob"],
    phase: "Cancelled"
  },
  {
    given: "an end that the pool does not know",
    seed: { life: "failed", pool: true },
    situation: "over, and the pool does not know",
    actions: ["ReportResult"],
    phase: "Failed"
  },
  {
    given: "a deleted task of a pool that is over and told",
    seed: { life: "cancelled", pool: true, reported: true, deleted: true },
    situation: "over, deleted and reported",
    actions: ["Release"],
    phase: "Cancelled"
  },
  {
    given: "a finished task past the history limit",
    seed: { life: "succeeded", pool: true, reported: true, expired: true },
    situation: "over, and past the history limit",
    actions: ["DeleteTask"],
    phase: "Succeeded"
  },
  {
    given: "a stranger's task under the next attempt's name",
    seed: { life: "succeeded", source: "new", follows: "plan", refusal: "NameTaken" },
    situation: "over, and its next attempt was refused",
    actions: ["Emit"],
    phase: "Succeeded"
  },
  {
    given: "a task that follows its source, with a new artifact",
    seed: { life: "succeeded", source: "new", follows: "plan" },
    situation: "over, and its source has a new artifact",
    actions: ["CreateTask"],
    phase: "Succeeded"
  },
  {
    given: "a new artifact after the newest attempt was deleted",
    seed: { life: "failed", source: "new", follows: "plan", latest: "gone" },
    situation: "over, and its source has a new artifact",
    actions: ["CreateTask"],
    phase: "Failed"
  },
  {
    given: "a plan that is old already",
    seed: { life: "succeeded", source: "new", follows: "planAndApply" },
    situation: "over, and its source has a new artifact",
    actions: ["CreateTask"],
    phase: "Succeeded"
  },
  {
    given: "a plan with changes that is to be applied",
    seed: { life: "succeeded", source: "known", follows: "planAndApply" },
    situation: "over, and its newest plan is to be applied",
    actions: ["CreateTask"],
    phase: "Succeeded"
  },
  {
    given: "a plan of the newest attempt that is to be applied",
    seed: { life: "failed", source: "known", follows: "planAndApply", latest: "over" },
    situation: "over, and its newest plan is to be applied",
    actions: ["CreateTask"],
    phase: "Failed"
  },
  {
    given: "a plan that was lost, at an artifact that is still the newest",
    seed: { life: "lost", source: "known", follows: "planAndApply" },
    situation: "over, and its newest plan was disrupted",
    actions: ["CreateTask"],
    phase: "Failed"
  },
  {
    given: "a newer attempt that was lost",
    seed: { life: "succeeded", source: "known", follows: "plan", latest: "lost" },
    situation: "over, and its newest plan was disrupted",
    actions: ["CreateTask"],
    phase: "Succeeded"
  },
  {
    given: "the same artifact under another URL, after its end",
    seed: { life: "succeeded", source: "moved", follows: "plan" },
    situation: "over, and it follows its source",
    actions: [],
    phase: "Succeeded"
  },
  {
    given: "a new artifact while the newest attempt is alive",
    seed: { life: "succeeded", source: "new", follows: "plan", latest: "alive" },
    situation: "over, and it follows its source",
    actions: [],
    phase: "Succeeded"
  },
  {
    given: "the same artifact after the newest attempt was deleted",
    seed: { life: "failed", source: "known", follows: "plan", latest: "gone" },
    situation: "over, and it follows its source",
    actions: [],
    phase: "Failed"
  },
  {
    given: "a plan that was applied",
    seed: { life: "succeeded", source: "known", follows: "planAndApply", latest: "over", latestApply: "over" },
    situation: "over, and it follows its source",
    actions: [],
    phase: "Succeeded"
  },
  {
    given: "a new artifact while the last apply is alive",
    seed: { life: "succeeded", source: "new", follows: "planAndApply", latest: "over", latestApply: "alive" },
    situation: "over, and it follows its source",
    actions: [],
    phase: "Succeeded"
  },
  {
    given: "an attempt under way of a task that was cancelled after its end",
    seed: { life: "succeeded", source: "new", follows: "plan", cancel: true, latest: "alive" },
    situation: "over and cancelled, and what it made is under way",
    actions: ["Cancel"],
    phase: "Succeeded"
  },
  {
    given: "an apply under way of a task that was cancelled after its end",
    seed: { life: "succeeded", source: "new", follows: "planAndApply", cancel: true, latest: "over", latestApply: "alive" },
    situation: "over and cancelled, and what it made is under way",
    actions: ["Cancel"],
    phase: "Succeeded"
  },
  {
    given: "a lost plan of a task that follows nothing",
    seed: { life: "lost", source: "known" },
    situation: "over",
    actions: [],
    phase: "Failed"
  },
  {
    given: "a new artifact for a task that was cancelled after its end",
    seed: { life: "succeeded", source: "new", follows: "plan", cancel: true },
    situation: "over",
    actions: [],
    phase: "Succeeded"
  },
  {
    given: "a new artifact for a task that does not follow its source",
    seed: { life: "succeeded", source: "new" },
    situation: "over",
    actions: [],
    phase: "Succeeded"
  },
  {
    given: "a result whose Job is about to end",
    seed: { life: "succeeded", job: "active" },
    situation: "over",
    actions: [],
    phase: "Succeeded"
  },
  {
    given: "an end that the pool knows",
    seed: { life: "failed", pool: true, reported: true },
    situation: "over",
    actions: [],
    phase: "Failed"
  },
  // the task is deleted
  {
    given: "a deleted task of a pool that runs",
    seed: { life: "claimed", pool: true, deleted: true, job: "active", pod: "Running", worker: "running" },
    situation: "deleted, not cancelled yet",
    actions: ["Cancel"],
    phase: "Running"
  },
  // a worker has claimed the task
  {
    given: "a deleted task without a pool whose worker left a result in its termination message",
    seed: { life: "claimed", deleted: true, job: "complete", pod: "Succeeded", worker: "Completed", lastWords: true },
    situation: "claimed, and the worker left its last words",
    actions: [],
    phase: "Succeeded",
    reason: "Completed"
  },
  {
    given: "a result in the termination message only",
    seed: { life: "claimed", job: "complete", pod: "Succeeded", worker: "Completed", lastWords: true },
    situation: "claimed, and the worker left its last words",
    actions: [],
    phase: "Succeeded",
    reason: "Completed"
  },
  {
    given: "a deleted task without a pool whose Pod is gone",
    seed: { life: "claimed", deleted: true },
    situation: "claimed, and the worker is over without a result",
    actions: ["Emit"],
    phase: "Failed",
    reason: "NodeLost"
  },
  {
    given: "a claimed task whose Pod is gone",
    seed: { life: "claimed" },
    situation: "claimed, and the worker is over without a result",
    actions: ["Emit"],
    phase: "Failed",
    reason: "NodeLost"
  },
  {
    given: "a claimed task whose Pod was evicted",
    seed: { life: "claimed", job: "failed", pod: "Evicted" },
    situation: "claimed, and the worker is over without a result",
    actions: ["Emit"],
    phase: "Failed",
    reason: "Evicted"
  },
  {
    given: "a worker that exits 0 without a result",
    seed: { life: "claimed", job: "complete", pod: "Succeeded", worker: "Completed" },
    situation: "claimed, and the worker is over without a result",
    actions: ["Emit"],
    phase: "Failed",
    reason: "Lost"
  },
  {
    given: "a worker that died, and its runner after it",
    seed: { life: "claimed", stage: "apply", job: "active", pod: "Running", worker: "OOMKilled", runner: "Completed" },
    situation: "claimed, and the worker is over without a result",
    actions: ["Emit"],
    phase: "Failed",
    reason: "OutOfMemory"
  },
  {
    given: "a worker whose end was written down, and its Pod is gone",
    seed: { life: "ending", stage: "apply" },
    situation: "claimed, and the worker is over without a result",
    actions: ["Emit"],
    phase: "Failed",
    reason: "OutOfMemory"
  },
  {
    given: "a claimed task on a silent node",
    seed: { life: "claimed", job: "active", pod: "silent", worker: "running" },
    situation: "claimed, and its node does not answer",
    actions: [],
    phase: "Running",
    reason: "NodeUnreachable"
  },
  {
    given: "a claimed task whose newest state is not saved",
    seed: { life: "unsaved", job: "active", pod: "Running", worker: "running" },
    situation: "claimed, and its newest state is not saved",
    actions: [],
    phase: "Running",
    reason: "StateUnsaved"
  },
  {
    given: "a cancel while the newest state is not saved",
    seed: { life: "unsaved", job: "active", pod: "Running", worker: "running", cancel: true },
    situation: "claimed, and its newest state is not saved",
    actions: [],
    phase: "Running",
    reason: "StateUnsaved"
  },
  {
    given: "a worker that died with its newest state unsaved, beside a container that keeps its Pod",
    seed: { ...kept, life: "unsaved", unreadySeconds: 120, worker: "Error" },
    situation: "claimed, and its newest state is not saved",
    actions: [],
    phase: "Running",
    reason: "StateUnsaved"
  },
  {
    given: "a worker that died beside a container that keeps its Pod: why it ended is written down first",
    seed: { ...kept, unreadySeconds: 120 },
    situation: "claimed, and its worker is over, but another container keeps its Pod",
    actions: [],
    phase: "Running",
    reason: "OutOfMemory"
  },
  {
    given: "a worker whose end is written down: its Pod is ended",
    seed: { ...kept, life: "ending", unreadySeconds: 0 },
    situation: "claimed, and its worker is over, but another container keeps its Pod",
    actions: ["DeleteJob"],
    phase: "Running",
    reason: "OutOfMemory"
  },
  {
    given: "a Pod that is being ended, whose runner still ends the engine",
    seed: { ...kept, life: "ending", job: "none", kept: false },
    situation: "claimed, and its worker is over, but another container keeps its Pod",
    actions: [],
    phase: "Running",
    reason: "OutOfMemory"
  },
  {
    given: "a claimed task whose Pod has not been ready for two minutes",
    seed: { life: "claimed", job: "active", pod: "unready", unreadySeconds: 120, worker: "running" },
    situation: "claimed, and its Pod has not been ready for two minutes",
    actions: [],
    phase: "Running",
    reason: "PodNotReady"
  },
  {
    given: "a cancel after the claim",
    seed: { life: "claimed", job: "active", pod: "Running", worker: "running", cancel: true },
    situation: "claimed, and to be cancelled",
    actions: [],
    phase: "Running",
    reason: "Stopping"
  },
  {
    given: "a claimed task that runs",
    seed: { life: "claimed", job: "active", pod: "Running", worker: "running" },
    situation: "claimed",
    actions: [],
    phase: "Running",
    reason: "Claimed"
  },
  {
    given: "a deleted task without a pool that runs",
    seed: { life: "claimed", deleted: true, job: "active", pod: "Running", worker: "running" },
    situation: "claimed",
    actions: [],
    phase: "Running",
    reason: "Claimed"
  },
  {
    given: "a worker that died just now beside a container that may end by itself",
    seed: { ...kept, unreadySeconds: 119 },
    situation: "claimed",
    actions: [],
    phase: "Running",
    reason: "Claimed"
  },
  {
    given: "a worker that died while its runner still ends the engine",
    seed: { life: "claimed", stage: "apply", job: "active", pod: "Running", worker: "OOMKilled", runner: "running" },
    situation: "claimed",
    actions: [],
    phase: "Running",
    reason: "Claimed"
  },
  // no worker has claimed the task
  {
    given: "a cancel before the claim",
    seed: { life: "starting", job: "active", cancel: true },
    situation: "cancelled or deleted before the claim",
    actions: ["Emit"],
    phase: "Cancelled",
    reason: "Cancelled"
  },
  {
    given: "a deleted task that nobody has claimed, whatever keeps it",
    seed: { deleted: true },
    situation: "cancelled or deleted before the claim",
    actions: ["Emit"],
    phase: "Cancelled",
    reason: "Cancelled"
  },
  {
    given: "a deleted task whose Job starts",
    seed: { life: "starting", job: "active", deleted: true },
    situation: "cancelled or deleted before the claim",
    actions: ["Emit"],
    phase: "Cancelled",
    reason: "Cancelled"
  },
  {
    given: "a Job that policy refused for good",
    seed: { refusal: "Invalid" },
    situation: "the API server refused its Job for good",
    actions: ["Emit"],
    phase: "Failed",
    reason: "Denied"
  },
  {
    given: "such a Job that does not go in all the time a start may take",
    seed: { life: "evicted", launches: 1, job: "active", jobDeleting: true, jobAgeSeconds: 180 },
    situation: "its Job is deleted, and does not go",
    actions: ["Emit"],
    phase: "Failed",
    reason: "StartupTimeout"
  },
  {
    given: "a Pod that was evicted before the claim and is gone, before its Job is heard to be",
    seed: { life: "evicted", launches: 1, job: "active" },
    situation: "its Job is to make way for another launch, and has no Pod any more",
    actions: [],
    phase: "Starting",
    reason: "Evicted"
  },
  {
    given: "the Job of a Pod that was evicted and is gone, when the next launch is due",
    seed: { life: "evicted", launches: 1, job: "active", jobAgeSeconds: 10, warning: "quota" },
    situation: "its Job is to make way for another launch, and has no Pod any more",
    actions: ["DeleteJob"],
    phase: "Starting",
    reason: "Evicted"
  },
  {
    given: "a Pod that a quota refuses for long",
    seed: { life: "starting", job: "active", jobAgeSeconds: 4000, warning: "quota" },
    situation: "its Job has waited for a quota for a minute",
    actions: [],
    phase: "Starting",
    reason: "QuotaExceeded"
  },
  {
    given: "a Job whose Pod is gone, and a quota refuses another",
    seed: { life: "starting", job: "active", jobAgeSeconds: 180, hadPod: true, warning: "quota" },
    situation: "its Job ended before the claim",
    actions: [],
    phase: "Starting",
    reason: "Evicted"
  },
  {
    given: "such a Job, with no more launches to go",
    seed: { life: "starting", launches: 4, job: "active", hadPod: true, warning: "quota" },
    situation: "its Job ended before the claim",
    actions: ["Emit"],
    phase: "Failed",
    reason: "Evicted"
  },
  {
    given: "a worker out of memory before the claim",
    seed: { life: "starting", job: "failed", pod: "Failed", worker: "OOMKilled" },
    situation: "its Job ended before the claim",
    actions: ["Emit"],
    phase: "Failed",
    reason: "OutOfMemory"
  },
  {
    given: "a failed launch with one more to go",
    seed: { life: "starting", launches: 1, maxLaunches: 2, job: "failed", pod: "Evicted" },
    situation: "its Job ended before the claim",
    actions: [],
    phase: "Starting",
    reason: "Evicted"
  },
  {
    given: "a Pod that was evicted before the claim, with no more launches to go",
    seed: { life: "starting", launches: 1, job: "failed", pod: "Evicted" },
    situation: "its Job ended before the claim",
    actions: [],
    phase: "Starting",
    reason: "Evicted"
  },
  {
    given: "a Pod that was evicted while it waited for its image, before its Job noticed",
    seed: { life: "starting", launches: 1, job: "active", pod: "Evicted", worker: "ImagePullBackOff" },
    situation: "its Job ended before the claim",
    actions: [],
    phase: "Starting",
    reason: "Evicted"
  },
  {
    given: "a Pod that failed before the claim, before its Job noticed",
    seed: { life: "starting", launches: 1, job: "active", pod: "Failed", worker: "Error" },
    situation: "its Job ended before the claim",
    actions: ["Emit"],
    phase: "Failed",
    reason: "Lost"
  },
  {
    given: "a Pod that left before its claim, and its Job after it",
    seed: { life: "starting", job: "failed", pod: "Failed", worker: "ClaimLost" },
    situation: "its Job ended before the claim",
    actions: ["Emit"],
    phase: "Failed",
    reason: "Lost"
  },
  {
    given: "the Job of a Pod that was evicted before the claim, an apply as well",
    seed: { life: "evicted", stage: "apply", launches: 1, job: "failed", pod: "Evicted" },
    situation: "its Job ended before the claim",
    actions: [],
    phase: "Starting",
    reason: "Evicted"
  },
  {
    given: "a Pod that was evicted for the fourth time",
    seed: { life: "starting", launches: 4, job: "failed", pod: "Evicted" },
    situation: "its Job ended before the claim",
    actions: ["Emit"],
    phase: "Failed",
    reason: "Evicted"
  },
  {
    given: "an image whose name is none",
    seed: { life: "starting", job: "active", pod: "Pending", worker: "InvalidImageName" },
    situation: "its Pod cannot start, ever",
    actions: ["Emit"],
    phase: "Failed",
    reason: "ImagePull"
  },
  {
    given: "an image that did not come in time",
    seed: { life: "starting", job: "active", jobAgeSeconds: 180, pod: "Pending", worker: "ImagePullBackOff" },
    situation: "its Pod did not start in time",
    actions: ["Emit"],
    phase: "Failed",
    reason: "ImagePull"
  },
  {
    given: "a Secret that is missing, too long",
    seed: { life: "starting", job: "active", jobAgeSeconds: 180, pod: "Pending", worker: "CreateContainerConfigError" },
    situation: "its Pod did not start in time",
    actions: ["Emit"],
    phase: "Failed",
    reason: "InvalidConfiguration"
  },
  {
    given: "a Pod that no node can take, too long",
    seed: { life: "starting", job: "active", jobAgeSeconds: 4000, pod: "unschedulable" },
    situation: "its Pod did not start in time",
    actions: ["Emit"],
    phase: "Failed",
    reason: "StartupTimeout"
  },
  {
    given: "a Pod that is larger than its quota, too long",
    seed: { life: "starting", job: "active", jobAgeSeconds: 180, warning: "smallQuota" },
    situation: "its Pod did not start in time",
    actions: ["Emit"],
    phase: "Failed",
    reason: "Denied"
  },
  {
    given: "a Pod that policy refuses, too long",
    seed: { life: "starting", job: "active", jobAgeSeconds: 180, warning: "FailedCreate" },
    situation: "its Pod did not start in time",
    actions: ["Emit"],
    phase: "Failed",
    reason: "Denied"
  },
  {
    given: "a volume that is missing, too long",
    seed: { life: "starting", job: "active", jobAgeSeconds: 180, pod: "Pending", warning: "FailedMount" },
    situation: "its Pod did not start in time",
    actions: ["Emit"],
    phase: "Failed",
    reason: "InvalidConfiguration"
  },
  {
    given: "Pods that leave before their claim, for too long",
    seed: { life: "starting", job: "active", jobAgeSeconds: 180, pod: "Failed", worker: "ClaimLost" },
    situation: "its Pod did not start in time",
    actions: ["Emit"],
    phase: "Failed",
    reason: "Lost"
  },
  {
    given: "a Job that is said to go, and cannot be deleted",
    seed: { life: "evicted", launches: 1, job: "active", jobAgeSeconds: 4000 },
    situation: "its Pod did not start in time",
    actions: ["Emit"],
    phase: "Failed",
    reason: "StartupTimeout"
  },
  {
    given: "a Job that was given up for a quota, and has its Pod after all",
    seed: { life: "outlasted", job: "active", jobAgeSeconds: 10, pod: "Pending" },
    situation: "its Job is not as it was told of last",
    actions: [],
    phase: "Starting",
    reason: "JobCreated"
  },
  {
    given: "a Pod that Kubernetes made of a Job which is said to go",
    seed: { life: "evicted", launches: 1, job: "active", jobAgeSeconds: 10, pod: "Pending" },
    situation: "its Job is not as it was told of last",
    actions: [],
    phase: "Starting",
    reason: "JobCreated"
  },
  {
    given: "one whose Job is there already",
    seed: { life: "starting", job: "active", strangeLabel: true, newerOption: true },
    situation: "its Job is there",
    actions: [],
    phase: "Starting",
    reason: "JobCreated"
  },
  {
    given: "a Job that was just made",
    seed: { life: "starting", job: "active" },
    situation: "its Job is there",
    actions: [],
    phase: "Starting",
    reason: "JobCreated"
  },
  { given: "a start that was told by nobody yet", seed: { job: "active" }, situation: "its Job is there", actions: [] },
  {
    given: "a start that takes longer than most",
    seed: { job: "active", jobAgeSeconds: 10 },
    situation: "its Job is there",
    actions: [],
    phase: "Starting",
    reason: "JobCreated"
  },
  {
    given: "a fresh start in trouble",
    seed: { job: "active", pod: "Pending", worker: "ImagePullBackOff" },
    situation: "its Job is there",
    actions: [],
    phase: "Starting",
    reason: "ImagePull"
  },
  {
    given: "an image that does not come",
    seed: { life: "starting", job: "active", pod: "Pending", worker: "ImagePullBackOff" },
    situation: "its Job is there",
    actions: [],
    phase: "Starting",
    reason: "ImagePull"
  },
  {
    given: "a Pod that no node can take, for which an autoscaler may still add one",
    seed: { life: "starting", job: "active", jobAgeSeconds: 180, pod: "unschedulable" },
    situation: "its Job is there",
    actions: [],
    phase: "Starting",
    reason: "Unschedulable"
  },
  {
    given: "a Job that is suspended",
    seed: { life: "starting", job: "suspended", jobAgeSeconds: 4000 },
    situation: "its Job is there",
    actions: [],
    phase: "Starting",
    reason: "JobCreated"
  },
  {
    given: "a Pod that a quota refuses",
    seed: { life: "starting", job: "active", jobAgeSeconds: 10, warning: "quota" },
    situation: "its Job is there",
    actions: [],
    phase: "Starting",
    reason: "QuotaExceeded"
  },
  {
    given: "a Pod that is larger than its quota, for long",
    seed: { life: "starting", job: "active", jobAgeSeconds: 179, warning: "smallQuota" },
    situation: "its Job is there",
    actions: [],
    phase: "Starting",
    reason: "Refused"
  },
  {
    given: "a Job that was made anew while a quota refuses its Pod",
    seed: { life: "quota", job: "active" },
    situation: "its Job is there",
    actions: [],
    phase: "Starting",
    reason: "QuotaExceeded"
  },
  {
    given: "a Pod that policy refuses",
    seed: { life: "starting", job: "active", warning: "FailedCreate" },
    situation: "its Job is there",
    actions: [],
    phase: "Starting",
    reason: "Refused"
  },
  {
    given: "a Pod that left before its claim, whose Job goes on",
    seed: { life: "starting", job: "active", pod: "Failed", worker: "ClaimLost" },
    situation: "its Job is there",
    actions: [],
    phase: "Starting",
    reason: "JobCreated"
  },
  {
    given: "a task whose name has a dot, once that is written down",
    seed: { dotted: true, life: "starting" },
    situation: "its last Job vanished before the claim",
    actions: ["Emit"],
    phase: "Failed"
  },
  {
    given: "a Job deleted before the claim, none to go",
    seed: { life: "starting", launches: 1 },
    situation: "its last Job vanished before the claim",
    actions: ["Emit"],
    phase: "Failed",
    reason: "Lost"
  },
  {
    given: "a Job that went before a word was said on it, none to go",
    seed: { hadJob: true },
    situation: "its last Job vanished before the claim",
    actions: ["Emit"],
    phase: "Failed",
    reason: "Lost"
  },
  {
    given: "a queued task whose template sets a label that the values do not allow",
    seed: { life: "queued", turn: "limit", strangeLabel: true },
    situation: "its template has a key that the values do not allow",
    actions: ["Emit"],
    phase: "Failed",
    reason: "InvalidConfiguration"
  },
  {
    given: "a queued task with an option of a newer version",
    seed: { life: "queued", turn: "limit", newerOption: true },
    situation: "its options have one that this version does not know",
    actions: ["Emit"],
    phase: "Failed",
    reason: "InvalidConfiguration"
  },
  {
    given: "an apply that has its workspace, and whose Job a webhook has denied for as long as a start may take",
    seed: { stage: "apply", holder: "mine", life: "queued", refusal: "Denied", deniedSeconds: 180 },
    situation: "its Job or Lease is denied for as long as a start may take",
    actions: ["Emit"],
    phase: "Failed",
    reason: "Denied"
  },
  {
    given: "such a task, whose Job a quota refused",
    seed: { source: "known", follows: "planAndApply", refusal: "QuotaExceeded" },
    situation: "the API server refused its Job for now",
    actions: [],
    phase: "Queued",
    reason: "QuotaExceeded"
  },
  {
    given: "a Job that a quota refused",
    seed: { refusal: "QuotaExceeded" },
    situation: "the API server refused its Job for now",
    actions: [],
    phase: "Queued",
    reason: "QuotaExceeded"
  },
  {
    given: "a Job that a webhook has denied for nearly as long as a start may take",
    seed: { refusal: "Denied", deniedSeconds: 179 },
    situation: "the API server refused its Job for now",
    actions: [],
    phase: "Queued",
    reason: "Refused"
  },
  ...(["QuotaExceeded", "Refused", "NameHeld"] as const).map((refusal): Case => ({
    given: `a Job that is refused for another reason now (${refusal})`,
    seed: { refusal, deniedSeconds: 180 },
    situation: "the API server refused its Job for now",
    actions: [],
    phase: "Queued",
    reason: refusal
  })),
  {
    given: "a task behind another of its workspace",
    seed: { turn: "busy" },
    situation: "not its turn",
    actions: [],
    phase: "Queued",
    reason: "WorkspaceBusy"
  },
  {
    given: "a task over the limit, from a pool",
    seed: { turn: "limit", pool: true },
    situation: "not its turn",
    actions: ["ReportWait"],
    phase: "Queued",
    reason: "ConcurrencyLimit"
  },
  {
    given: "a task of a drained cluster, from a pool",
    seed: { turn: "drained", pool: true },
    situation: "not its turn",
    actions: ["ReportWait"],
    phase: "Queued",
    reason: "Draining"
  },
  {
    given: "a task whose isolation is not proven",
    seed: { turn: "unproven" },
    situation: "not its turn",
    actions: [],
    phase: "Queued",
    reason: "IsolationUnproven"
  },
  {
    given: "a task that was evicted before the claim from a drained cluster",
    seed: { turn: "drained", life: "evicted", launches: 1 },
    situation: "not its turn",
    actions: [],
    phase: "Starting",
    reason: "Draining"
  },
  {
    given: "an apply whose workspace another holds",
    seed: { stage: "apply", holder: "taken" },
    situation: "another task holds the workspace",
    actions: [],
    phase: "Queued",
    reason: "WorkspaceBusy"
  },
  {
    given: "an apply whose turn came before its workspace was asked for",
    seed: { stage: "apply", holder: "unasked" },
    situation: "its workspace was not asked for yet",
    actions: []
  },
  {
    given: "a task whose turn came before its source was asked",
    seed: { source: "unasked" },
    situation: "its source was not asked yet",
    actions: []
  },
  {
    given: "a source that is not ready",
    seed: { source: "notReady" },
    situation: "its source has nothing to run",
    actions: [],
    phase: "Queued",
    reason: "SourceNotReady"
  },
  {
    given: "a source that is not ready, for an apply that asks for its workspace once it is",
    seed: { stage: "apply", life: "queued", source: "notReady", waitsForSource: true, holder: "unasked" },
    situation: "its source has nothing to run",
    actions: [],
    phase: "Queued",
    reason: "SourceNotReady"
  },
  {
    given: "a source that is not ready any more, for an apply that knows its artifact and has no workspace yet",
    seed: { stage: "apply", life: "queued", source: "notReady" },
    situation: "its source has nothing to run",
    actions: [],
    phase: "Queued",
    reason: "SourceNotReady"
  },
  {
    given: "a source that was changed, of which Flux has nothing yet, for an apply that keeps others from its workspace",
    seed: { stage: "apply", life: "queued", source: "changed", holder: "mine" },
    situation: "its source has nothing to run",
    actions: [],
    phase: "Queued",
    reason: "SourceNotReady"
  },
  {
    given: "a source with another artifact",
    seed: { source: "new" },
    situation: "its artifact is to be written down, or was waited for",
    actions: [],
    phase: "Pending",
    reason: "Accepted"
  },
  {
    given: "a source that is ready after all, whose turn is not known",
    seed: { life: "queued", source: "known", waitsForSource: true },
    situation: "its artifact is to be written down, or was waited for",
    actions: [],
    phase: "Queued",
    reason: "Accepted"
  },
  {
    given: "such an apply that was said to wait for its source, whose turn is not known",
    seed: { stage: "apply", life: "queued", source: "notReady", waitsForSource: true, holder: "mine" },
    situation: "its artifact is to be written down, or was waited for",
    actions: [],
    phase: "Queued",
    reason: "Accepted"
  },
  {
    given: "another artifact for an apply that keeps others from its workspace",
    seed: { stage: "apply", life: "queued", source: "new", holder: "mine" },
    situation: "its artifact is to be written down, or was waited for",
    actions: [],
    phase: "Queued",
    reason: "Accepted"
  },
  {
    given: "the same artifact under another URL, since Flux deletes the old one",
    seed: { source: "moved" },
    situation: "its artifact is to be written down, or was waited for",
    actions: [],
    phase: "Pending",
    reason: "Accepted"
  },
  {
    given: "a task whose name has a dot",
    seed: { dotted: true },
    situation: "its Job's name is to be written down",
    actions: [],
    phase: "Pending",
    reason: "Accepted"
  },
  {
    given: "a new apply in a free workspace",
    seed: { stage: "apply" },
    situation: "its turn, and the workspace is free",
    actions: ["TakeWorkspace", "CreateJob"]
  },
  { given: "a new plan whose turn it is", seed: {}, situation: "its turn", actions: ["CreateJob"] },
  {
    given: "a queued plan whose turn has come",
    seed: { life: "queued" },
    situation: "its turn",
    actions: ["CreateJob"],
    phase: "Starting",
    reason: "JobCreated"
  },
  { given: "an apply that holds its workspace", seed: { stage: "apply", holder: "mine" }, situation: "its turn", actions: ["CreateJob"] },
  {
    given: "a source that is not ready any more, for an apply that keeps others from its workspace",
    seed: { stage: "apply", life: "queued", source: "notReady", holder: "mine" },
    situation: "its turn",
    actions: ["CreateJob"],
    phase: "Starting",
    reason: "JobCreated"
  },
  {
    given: "another artifact for a task that has been launched with the one it knows",
    seed: { life: "evicted", launches: 1, source: "new" },
    situation: "its turn",
    actions: ["CreateJob"],
    phase: "Starting",
    reason: "JobCreated"
  },
  { given: "a source whose artifact is written down", seed: { source: "known" }, situation: "its turn", actions: ["CreateJob"] },
  {
    given: "a task that is to follow its source, and has not begun",
    seed: { source: "known", follows: "planAndApply" },
    situation: "its turn",
    actions: ["CreateJob"]
  },
  {
    given: "a task whose Pod was evicted before the claim, and its Job cleared away",
    seed: { life: "evicted", stage: "apply", launches: 1, holder: "mine" },
    situation: "its turn",
    actions: ["CreateJob"],
    phase: "Starting",
    reason: "JobCreated"
  },
  {
    given: "a Job deleted before the claim, one more to go",
    seed: { life: "starting", launches: 1, maxLaunches: 2 },
    situation: "its turn",
    actions: ["CreateJob"],
    phase: "Starting"
  },
  {
    given: "a Job that went before a word was said on it, one more to go",
    seed: { hadJob: true, maxLaunches: 2 },
    situation: "its turn",
    actions: ["CreateJob"],
    phase: "Starting",
    reason: "JobCreated"
  }
]

describe("plan", () => {
  it.each(cases)("answers $given", ({ actions, phase, reason, seed, situation }) => {
    const whole = { ...plainSeed, ...seed }
    const decision = plan(policyOf(whole), worldOf(whole), noon)
    expect({
      situation: decision.situation,
      actions: [...decision.actions, ...decision.notices].map(({ _tag }) => _tag),
      phase: decision.status.phase
    }).toEqual({ situation, actions, phase })
    if (reason !== undefined) expect(decision.status.reason).toBe(reason)
  })

  it("has cases for the rows of its table, in their order", () => {
    const covered = [...new Set(cases.map(({ situation }) => situation))]
    expect(["in a phase of a newer version", ...covered]).toEqual([...rows.map(({ situation }) => situation), "its turn"])
  })

  it.each([{ life: "claimed", type: "Warning" }, { life: "new", type: "Normal" }] as const)(
    "warns of a failure, and of no cancel: $life",
    ({ life, type }) => {
      const whole: Seed = { ...plainSeed, life, cancel: true }
      expect(plan(policyOf(whole), worldOf(whole), noon).notices).toMatchObject([{ _tag: "Emit", type }])
    }
  )

  it.each<Partial<Seed>>([
    {},
    { stage: "apply" },
    { cancel: true },
    { deleted: true, pool: true },
    { life: "starting", job: "failed" },
    { life: "claimed", stage: "apply" },
    { life: "claimed", pod: "Failed", lastWords: true }
  ])("leaves a task in a phase that only a newer version knows alone: %j", (seed) => {
    const whole: Seed = { ...plainSeed, ...seed }
    const world = worldOf(whole)
    const status = { ...world.task.status, phase: "Moonlit" }
    expect(plan(policyOf(whole), { ...world, task: { ...world.task, status } }, noon)).toEqual({
      situation: "in a phase of a newer version",
      live: undefined,
      actions: [],
      status,
      notices: [],
      requeueAfterMillis: Option.none()
    })
  })
})

describe("plan, of a task that is over", () => {
  it.each(
    [
      { given: "a cancel which came too late", seed: {}, situation: "over" },
      {
        given: "a change that means nothing, while it follows its source",
        seed: { source: "known", follows: "plan" },
        situation: "over, and it follows its source"
      }
    ] as const
  )("says of a task that is over that it saw $given", ({ seed, situation }) => {
    const whole: Seed = { ...plainSeed, life: "succeeded", ...seed }
    const world = worldOf(whole)
    const told = { phase: "Succeeded", reason: "Completed", message: "Done." } as const
    const conditions = conditionsAfter(world.task.status, { ...told, generation: 1, now: noon })
    const status = { ...world.task.status, ...told, conditions }
    const later = { ...world, task: { ...world.task, metadata: { ...world.task.metadata, generation: 7 }, status } }
    const seen = {
      ...status,
      observedGeneration: 7,
      conditions: conditions.map((condition) => ({ ...condition, observedGeneration: 7 }))
    }
    const decision = plan(policyOf(whole), later, noon)
    expect(decision).toMatchObject({ situation, actions: [] })
    expect(decision.status).toEqual(seen)
    const half = { ...later.task, status: { ...later.task.status, observedGeneration: 7 } } // as an earlier version left it
    expect(plan(policyOf(whole), { ...later, task: half }, noon).status).toEqual(seen)
  })

  it("takes no word of a condition that only a newer version knows for one of another task", () => {
    const world = worldOf({ ...plainSeed, life: "succeeded" })
    const told = { phase: "Succeeded", reason: "Completed", message: "Its attempt: done.", generation: 1, now: noon } as const
    const moonlit = { type: "Moonlit", status: "True", reason: "NodeUnreachable", message: "", lastTransitionTime: noon }
    const status = { ...world.task.status, observedGeneration: 1, conditions: [...conditionsAfter({}, told), moonlit] }
    expect(plan(policyOf(plainSeed), { ...world, task: { ...world.task, status } }, noon).status).toEqual(status)
  })

  it("tells the pool of a result whose reason only a newer version knows, in a reason that both know", () => {
    const whole: Seed = { ...plainSeed, life: "succeeded", pool: true }
    const seen = worldOf(whole)
    const task = {
      ...seen.task,
      status: {
        ...seen.task.status,
        reason: "Moonstruck",
        result: { ...success, outcome: "failed" as const, reason: "Moonstruck", message: "It was the moon." }
      }
    }
    const decision = plan(policyOf(whole), { ...seen, task }, noon)
    expect(decision.actions).toMatchObject([{
      _tag: "ReportResult",
      result: { outcome: "failed", reason: "ExitCode", message: "It was the moon." }
    }])
    expect(decision.status.result).toBe(task.status.result)
  })

  it("deletes the Job of a worker with a result that another container keeps from its end, 90 s after the result", () => {
    const after = (seconds: number, madeSeconds = 600) => {
      const whole: Seed = { ...plainSeed, ...kept, life: "succeeded", worker: "Completed" }
      const world = worldOf(whole)
      const metadata = { ...world.task.metadata, creationTimestamp: before(madeSeconds) }
      const status = { ...world.task.status, finishedAt: before(seconds) }
      return plan(policyOf(whole), { ...world, task: { ...world.task, metadata, status } }, noon)
    }
    expect(after(89)).toMatchObject({ situation: "over", actions: [], requeueAfterMillis: Option.some(1_000) })
    const deleted = { situation: "over, but its Job goes on", actions: [{ _tag: "DeleteJob" }] }
    expect(after(90)).toMatchObject(deleted)
    expect(after(-60)).toMatchObject({ actions: [], requeueAfterMillis: Option.some(150_000) }) // by the clock of a node that is a minute ahead
    expect(after(3600, 10)).toMatchObject({ actions: [], requeueAfterMillis: Option.some(80_000) }) // by one that is an hour behind
  })

  it("looks at the Job of a task that is over when it may be left over", () => {
    const again = (job: Seed["job"]) => {
      const whole: Seed = { ...plainSeed, life: "succeeded", job }
      return plan(policyOf(whole), worldOf(whole), noon).requeueAfterMillis
    }
    expect([again("active"), again("complete")]).toEqual([Option.some(89_000), Option.none()])
  })

  it("says how long a task ran, and not of one that never began", () => {
    const duration = (life: Seed["life"]) => {
      const whole: Seed = { ...plainSeed, life, cancel: true }
      return plan(policyOf(whole), worldOf(whole), noon).status.duration
    }
    expect([duration("claimed"), duration("new")]).toEqual(["1m0s", undefined])
  })
})

describe("plan, of a task that is claimed", () => {
  it("looks again and again at a claimed task whose node is silent, so that its alert does not end before the silence", () => {
    const whole: Seed = { ...plainSeed, life: "claimed", job: "active", pod: "silent", worker: "running" }
    const silent = perform(worldOf(whole), plan(policyOf(whole), worldOf(whole), noon))
    expect(silent.task.status.conditions).toContainEqual(expect.objectContaining({ type: "Stalled", status: "True" })) // a person is needed
    expect(plan(policyOf(whole), silent, noon)).toMatchObject({
      situation: "claimed, and its node does not answer",
      requeueAfterMillis: Option.some(120_000)
    })
  })

  it("looks again and again at a claimed task whose newest state is not saved, so that its alert lasts as long", () => {
    const whole: Seed = { ...plainSeed, life: "unsaved", job: "active", pod: "Running", worker: "running" }
    expect(plan(policyOf(whole), worldOf(whole), noon)).toMatchObject({
      situation: "claimed, and its newest state is not saved",
      requeueAfterMillis: Option.some(120_000)
    })
  })

  it("says of a cancel that the worker may not hear of it, where no value names its account any more, and what to do", () => {
    const whole: Seed = { ...plainSeed, life: "claimed", job: "active", pod: "Running", worker: "running", cancel: true }
    const world = worldOf(whole)
    const said = (account: string) =>
      plan(policyOf(whole), { ...world, pod: Option.map(world.pod, (pod) => ({ ...pod, account })) }, noon).status
    expect(said("network")).toMatchObject({
      phase: "Running",
      reason: "Stopping",
      message:
        "A cancel was asked for, but the worker may not hear of it: its account network is no account of tasks any more. Let the values name it again (task.identities, or the account of all tasks), or delete Pod pod, which interrupts the engine once too."
    })
    const interrupted = "A cancel was asked for; the engine is interrupted once and saves its state."
    expect([said("agent-job-task").message, said("").message]).toEqual([interrupted, interrupted])
  })

  it("waits two minutes for the Pod of a claim to be ready, and then says it until it is", () => {
    const whole: Seed = { ...plainSeed, life: "claimed", job: "active", pod: "unready", worker: "running" }
    const after = (unreadySeconds: Seed["unreadySeconds"], more: Partial<Seed> = {}) => {
      const seed = { ...whole, ...more, unreadySeconds }
      return plan(policyOf(seed), worldOf(seed), noon)
    }
    expect(after(119)).toMatchObject({ situation: "claimed", status: { reason: "Claimed" }, requeueAfterMillis: Option.some(1_000) })
    expect(after(119, { cancel: true })).toMatchObject({ status: { reason: "Stopping" }, requeueAfterMillis: Option.some(1_000) })
    const told = after(120)
    expect(told).toMatchObject({
      situation: "claimed, and its Pod has not been ready for two minutes",
      status: {
        phase: "Running",
        reason: "PodNotReady",
        message: expect.stringMatching(
          /^Pod pod has not been ready for two minutes: node node died, or .+ probe does not reach the worker\. /u
        ),
        conditions: expect.arrayContaining([expect.objectContaining({ type: "Stalled", status: "False" })])
      },
      requeueAfterMillis: Option.some(120_000)
    })
    expect(after(120, { cancel: true }).situation).toBe(told.situation)
    const anew = perform({ ...worldOf(whole), unreadyMillis: 0 }, told) // another controller leads, which has just begun to look
    expect(plan(policyOf(whole), anew, noon).status).toEqual(told.status)
    const ready = { ...anew, pod: worldOf({ ...whole, pod: "Running" }).pod }
    expect(plan(policyOf(whole), ready, noon).status.reason).toBe("Claimed")
    const back = { ...anew, task: { ...anew.task, status: { ...anew.task.status, reason: "NodeUnreachable" } } }
    expect(plan(policyOf(whole), back, noon).status.reason).toBe("Claimed") // its kubelet answers again, and has not asked the worker yet
  })

  it("ends a Pod that another container keeps once its worker has died, and calls the task lost for that once its engine is over", () => {
    const whole: Seed = { ...plainSeed, ...kept, pool: true, holder: "mine" }
    const decide = (world: Observed) => plan(policyOf(whole), world, noon)
    const soon = worldOf({ ...whole, unreadySeconds: 119 })
    expect(decide(soon).requeueAfterMillis).toEqual(Option.some(1_000))
    const told = decide(worldOf({ ...whole, unreadySeconds: 120 }))
    const says =
      "The worker of Pod pod ran out of memory; raise task.worker.resources.limits.memory. Its Pod is kept by container istio-proxy, so its Job is to be deleted; if the Pod stays, look at node node."
    expect(told.status).toMatchObject({ phase: "Running", reason: "OutOfMemory", message: says })
    expect(told.notices).toMatchObject([{ _tag: "ReportWait", reason: "PodNotReady", message: says }]) // the pool shows it while the run goes on
    const written = perform({ ...soon, unreadyMillis: 0 }, told) // another controller leads, which has just begun to look
    const deletes = decide(written)
    expect(deletes.actions).toMatchObject([{ _tag: "DeleteJob", uid: "job-uid" }])
    expect(deletes).toMatchObject({ status: told.status, notices: [], requeueAfterMillis: Option.some(120_000) })
    const going = withPod(withJob(written, { deleting: true }), { deleting: true, keptBy: [] })
    expect(decide(going)).toMatchObject({ actions: [], status: told.status })
    const silent = withPod(going, { nodeAnswers: false })
    expect(decide(silent).status.reason).toBe("NodeUnreachable")
    const message = `${says} Look at the state before the next run.`
    const over = withPod(going, { runner: worldOf({ ...whole, runner: "Completed" }).pod.pipe(Option.flatMap(({ runner }) => runner)) })
    expect(decide(over).status).toMatchObject({ phase: "Failed", reason: "OutOfMemory", message })
    expect(decide({ ...going, job: Option.none(), pod: Option.none() }).status).toMatchObject({
      phase: "Failed",
      reason: "OutOfMemory",
      message
    })
  })

  it("leaves a Pod that is being deleted to end by itself, whatever else is in it", () => {
    const world = worldOf({ ...plainSeed, ...kept, unreadySeconds: 120 })
    expect(plan(policyOf(plainSeed), withPod(world, { deleting: true }), noon)).toMatchObject({
      actions: [],
      status: { reason: "PodNotReady" }
    })
  })

  it.each(["claimed", "unsaved"] as const)(
    "tells the pool that a node answers again until it has heard that, of a task that is %s, also what another lead may have told of",
    (life) => {
      const whole: Seed = { ...plainSeed, life, pool: true, job: "active", pod: "Running", worker: "running" }
      const silent = { reason: "NodeUnreachable", message: "Node node does not answer." } as const
      const unready = { reason: "PodNotReady", message: "Pod pod has not been ready." } as const
      for (const reportedWait of [Option.some(silent), Option.some(unready), Option.none()]) {
        const unheard = { ...worldOf(whole), reportedWait }
        const told = plan(policyOf(whole), unheard, noon)
        expect(told.notices).toMatchObject([{ _tag: "ReportWait", reason: "Claimed", message: "Running in Pod pod on node node." }])
        expect(told.status).toEqual(unheard.task.status)
        expect(plan(policyOf(whole), perform(unheard, told), noon).notices).toEqual([])
      }
      const runs = { reason: "Claimed", message: "Running in Pod pod on node node." } as const
      expect(plan(policyOf(whole), { ...worldOf(whole), reportedWait: Option.some(runs) }, noon).notices).toEqual([])
    }
  )

  it("tells the pool that its Pod is no longer starting, and what the worker waits for, which cannot tell a server that it does not reach", () => {
    const whole: Seed = { ...plainSeed, life: "claimed", pool: true, job: "active", pod: "Running", worker: "running" }
    const starting = { reason: "JobCreated", message: "Job agent-job-task was created; its Pod is starting." } as const
    const world = { ...worldOf(whole), reportedWait: Option.some(starting) }
    const says = (message?: string) => {
      const status = { ...world.task.status, ...(message !== undefined && { message }) }
      return plan(policyOf(whole), { ...world, task: { ...world.task, status } }, noon).notices
    }
    expect(says()).toMatchObject([{ _tag: "ReportWait", reason: "Claimed", message: "Running in Pod pod on node node." }])
    expect(says("The server does not answer.")).toMatchObject([{ reason: "Claimed", message: "The server does not answer." }])
  })

  it("says again that a task runs whose node was silent and answers", () => {
    const whole: Seed = { ...plainSeed, life: "claimed", job: "active", pod: "Running", worker: "running" }
    const world = worldOf(whole)
    const status = { ...world.task.status, reason: "NodeUnreachable", message: "Node node does not answer." }
    expect(plan(policyOf(whole), { ...world, task: { ...world.task, status } }, noon).status).toMatchObject({
      phase: "Running",
      reason: "Claimed",
      message: "Running in Pod pod on node node."
    })
  })

  it.each(
    [
      { stage: "apply", says: "The Pod is gone and left no result. Look at the state before the next run." },
      { stage: "plan", says: "The Pod is gone and left no result. Nothing was changed." }
    ] as const
  )("says in the message of a lost $stage what a person should look at", ({ says, stage }) => {
    const whole: Seed = { ...plainSeed, stage, life: "claimed" }
    expect(plan(policyOf(whole), worldOf(whole), noon).status.message).toBe(says)
  })
})

describe("plan, of a start", () => {
  it("leaves a start that goes well to the claim, and looks again when that is late: not at all those of a second at once", () => {
    const whole: Seed = { ...plainSeed, job: "active" }
    const world = worldOf(whole)
    const times = Array.from({ length: 100 }, (_, index) => {
      const uid = Uid.make(`uid-${index}`)
      const task = { ...world.task, metadata: { ...world.task.metadata, uid } }
      const { requeueAfterMillis, status } = plan(policyOf(whole), { ...world, task }, noon)
      expect(status).toEqual(task.status)
      return Option.getOrThrow(requeueAfterMillis)
    })
    expect([Math.min(...times) >= 3000, Math.max(...times) < 4000]).toEqual([true, true])
    expect(new Set(times.map((time) => Math.floor(time / 100))).size).toBe(10) // some in each tenth of the second
  })

  it.each(
    [
      { jobAgeSeconds: 0, again: 5_000 },
      { jobAgeSeconds: 10, again: 10_000 },
      { jobAgeSeconds: 179, again: 1_000 } // when the start is overdue
    ] as const
  )("looks again at a start of $jobAgeSeconds s after $again ms", ({ again, jobAgeSeconds }) => {
    const whole: Seed = { ...plainSeed, life: "starting", job: "active", jobAgeSeconds }
    expect(plan(policyOf(whole), worldOf(whole), noon).requeueAfterMillis).toEqual(Option.some(again))
  })

  it("tells of a start that takes longer than most, though its clock says that the Job is to be made in five minutes", () => {
    const whole: Seed = { ...plainSeed, job: "active" }
    const seen = withJob(worldOf(whole), { createdAt: before(-300) })
    expect([0, 2_999, 3_000].map((knownMillis) => plan(policyOf(whole), withJob(seen, { knownMillis }), noon).status.phase)).toEqual([
      undefined,
      undefined,
      "Starting"
    ])
  })

  it.each([3600, -3600])("ends no start by a clock that is %i s off, but by the time for which its Pod may have started", (off) => {
    const whole: Seed = { ...plainSeed, life: "starting", job: "active", jobAgeSeconds: 0 }
    const seen = withJob(worldOf(whole), { createdAt: before(off), knownMillis: 4_000_000 })
    const after = (startingMillis: number) => plan(policyOf(whole), withJob(seen, { startingMillis }), noon).situation
    expect([after(0), after(179_999), after(180_000)]).toEqual(["its Job is there", "its Job is there", "its Pod did not start in time"])
  })

  it("ends no start that waits for a quota, however long it took before", () => {
    const whole: Seed = { ...plainSeed, life: "starting", job: "active", warning: "quota" }
    expect(plan(policyOf(whole), withJob(worldOf(whole), { startingMillis: 4_000_000 }), noon)).toMatchObject({
      situation: "its Job is there",
      status: { phase: "Starting", reason: "QuotaExceeded" }
    })
  })

  it("gives a Pod that no node can take a time of its own, before that of its start", () => {
    const whole: Seed = { ...plainSeed, life: "starting", launches: 1, job: "active", pod: "unschedulable" }
    const after = (startingMillis: number, nodeWaitSeconds = 900) =>
      plan({ ...policyOf(whole), nodeWaitSeconds }, withJob(worldOf(whole), { startingMillis }), noon)
    expect([after(899_999), after(900_000), after(900_000, 3600)].map(({ status }) => status.phase)).toEqual([
      "Starting",
      "Failed",
      "Starting"
    ])
    expect(after(899_000).requeueAfterMillis).toEqual(Option.some(1_000))
  })

  it("says of a Job that is suspended what resumes it", () => {
    const whole: Seed = { ...plainSeed, life: "starting", launches: 1, job: "suspended", jobAgeSeconds: 4000 }
    expect(plan(policyOf(whole), worldOf(whole), noon).status.message).toBe(
      "Its Job is suspended, by a queue such as Kueue or by hand; it starts once the Job's spec.suspend is false."
    )
  })

  it.each<readonly [seed: Partial<Seed>, says: string]>([
    [{ pod: "Pending" }, "Job agent-job-task was created; its Pod is starting."],
    [{ jobAgeSeconds: 179 }, "Job agent-job-task was created; its Pod is starting."],
    [{ jobAgeSeconds: 179, pod: "Pending" }, "Job agent-job-task was created; its Pod pod is starting on node node."],
    [{ pod: "Pending", jobDeleting: true }, "Job agent-job-task is being deleted; its Pod pod is still there."],
    [{ job: "suspended", jobDeleting: true }, "Job agent-job-task is being deleted; a finalizer keeps it."]
  ])("says of a start what is there of it, and where: %o", (seed, says) => {
    const whole: Seed = { ...plainSeed, life: "starting", launches: 1, job: "active", jobAgeSeconds: 10, ...seed }
    expect(plan(policyOf(whole), worldOf(whole), noon).status).toMatchObject({ phase: "Starting", reason: "JobCreated", message: says })
  })

  it("says of a start which container is to start next, as its image may be slow", () => {
    const seed: Seed = { ...plainSeed, life: "starting", launches: 1, job: "active", jobAgeSeconds: 179, pod: "Pending" }
    const world = worldOf(seed)
    const waits: ContainerSeen = { state: "waiting", reason: "PodInitializing", message: "", exitCode: Option.none(), lastReason: "" }
    const pod = Option.map(world.pod, (_) => ({ ..._, isSetUp: true, worker: Option.some(waits) }))
    expect(plan(policyOf(seed), { ...world, pod }, noon).status.message).toBe(
      "Job agent-job-task was created; its Pod pod is starting on node node, which may still be pulling the image of container worker."
    )
  })

  it("goes on saying where the Pod starts, so that a controller whose clock is behind takes nothing back", () => {
    const seed: Seed = { ...plainSeed, life: "starting", launches: 1, job: "active", pod: "Pending" }
    const { status } = plan(policyOf(seed), worldOf({ ...seed, jobAgeSeconds: 179 }), noon)
    const young = worldOf({ ...seed, jobAgeSeconds: 10 })
    expect(plan(policyOf(seed), { ...young, task: { ...young.task, status } }, noon).status).toEqual(status)
  })

  it("says of a Pod that did not start in time which node to look at: one that fell silent leaves no trace in a Pod that was never ready", () => {
    const whole: Seed = { ...plainSeed, life: "starting", job: "active", jobAgeSeconds: 180, pod: "Pending" }
    expect(plan(policyOf(whole), worldOf(whole), noon).status).toMatchObject({
      phase: "Failed",
      reason: "StartupTimeout",
      message:
        "The worker in Pod pod did not take the task within task.startupTimeoutSeconds; see whether node node answers, and what the events of Job and Pod say. Nothing was run."
    })
  })

  it("says of a Pod that is larger than its quota what it asks for, and where to ask for less", () => {
    const { status } = plan(
      policyOf(plainSeed),
      worldOf({ ...plainSeed, stage: "apply", life: "starting", job: "active", jobAgeSeconds: 180, warning: "smallQuota" }),
      noon
    )
    expect(status.message).toBe(
      "The Pod can never fit into quota q: it asks for 64Gi of limits.memory (the quota allows 32Gi); ask for less in jobTemplate.runner.resources of the task, or in task.runner.resources and task.worker.resources of the values, or raise the quota. Nothing was run."
    )
  })

  it("ends Kubernetes' words as a sentence before it goes on", () => {
    const whole: Seed = { ...plainSeed, life: "starting", job: "active", jobAgeSeconds: 4000, pod: "unschedulable" }
    expect(plan(policyOf(whole), worldOf(whole), noon).status.message).toBe(
      "No node can take the Pod: 0/1 nodes are available. Nothing was run."
    )
  })

  it("says of a Job that was denied for too long who denied it, and what to do", () => {
    const whole: Seed = { ...plainSeed, refusal: "Denied", deniedSeconds: 180 }
    expect(plan(policyOf(whole), worldOf(whole), noon).status.message).toBe(
      "the server's words. It was denied for 180 s (task.startupTimeoutSeconds); correct that, and run the task again. Nothing was run."
    )
  })

  it("says of a Job that is gone no more than is known: a controller that was away may have missed its end", () => {
    const whole: Seed = { ...plainSeed, life: "starting", launches: 1 }
    expect(plan(policyOf(whole), worldOf(whole), noon).status.message).toBe(
      "Its Job disappeared before a worker took the task: somebody deleted it, or it ended and was removed after task.job.ttlSecondsAfterFinished. Nothing was run; run the task again."
    )
  })
})

describe("plan, of one Job after another", () => {
  it.each(
    [
      { given: "was refused meanwhile", status: { phase: "Queued", reason: "Refused", message: "a webhook does not answer" } },
      { given: "is refused by a quota on Jobs", status: { phase: "Starting", reason: "QuotaExceeded", message: "exceeded quota: jobs" } }
    ] as const
  )("counts a launch for each Job that is made, also for a task that $given", ({ status }) => {
    const whole: Seed = { ...plainSeed, life: "outlasted", launches: 1, maxLaunches: 3 }
    const world = worldOf(whole)
    const { actions, status: { launches } } = plan(policyOf(whole), {
      ...world,
      task: { ...world.task, status: { ...world.task.status, ...status } }
    }, noon)
    expect([actions.map(({ _tag }) => _tag), launches]).toEqual([["CreateJob"], 2])
  })

  const outlasted: Seed = { ...plainSeed, life: "outlasted", job: "active", launches: 1, maxLaunches: 3, jobAgeSeconds: 10 }
  it.each<
    {
      readonly given: string
      readonly seed: Partial<Seed>
      readonly jobUid?: string
      readonly deleting?: boolean
      readonly launches: number
      readonly actions: ReadonlyArray<string>
    }
  >([
    { given: "that was given up, and got its Pod all the same", seed: { pod: "Pending" }, launches: 2, actions: [] },
    { given: "that was given up, and whose quota has room now", seed: {}, launches: 2, actions: [] },
    { given: "that was given up and fails", seed: { job: "failed", maxLaunches: 2 }, launches: 2, actions: [] },
    { given: "that was given up, and got its Pod while it goes", seed: { pod: "Pending" }, deleting: true, launches: 1, actions: [] },
    { given: "that was given up and waits on", seed: { warning: "quota" }, launches: 1, actions: ["DeleteJob"] },
    {
      given: "that came after the one which was given up, though its maker ended before it could say so",
      seed: { warning: "quota" },
      jobUid: "next",
      launches: 2,
      actions: []
    },
    {
      given: "that came after the one which was counted, though its maker ended before it could say so",
      seed: { life: "starting", warning: "quota" },
      jobUid: "next",
      launches: 2,
      actions: []
    },
    { given: "that is counted", seed: { life: "starting", warning: "quota" }, launches: 1, actions: [] }
  ])("counts each Job once: one $given", ({ actions, deleting = false, jobUid, launches, seed }) => {
    const whole: Seed = { ...outlasted, ...seed }
    const world = worldOf(whole)
    const task = {
      ...world.task,
      status: { ...world.task.status, job: { ...world.task.status.job, name: "agent-job-task", uid: Uid.make("job-uid") } }
    }
    const job = Option.map(world.job, (seen) => ({ ...seen, deleting, uid: Uid.make(jobUid ?? "job-uid") }))
    const planned = plan(policyOf(whole), { ...world, task, job }, noon)
    expect([planned.status.launches, planned.actions.map(({ _tag }) => _tag)]).toEqual([launches, actions])
  })

  it.each<{ readonly given: string; readonly seed: Partial<Seed> }>([
    { given: "fails as the one before", seed: { job: "failed", pod: "Evicted" } },
    { given: "waits for the quota as the one before", seed: { warning: "quota" } }
  ])("counts a Job that $given, and whose maker ended before it could say so; and says nothing twice", ({ seed }) => {
    const whole: Seed = { ...outlasted, life: "starting", maxLaunches: 3, ...seed }
    const world = worldOf(whole)
    const told = perform(world, plan(policyOf(whole), world, noon))
    const again = plan(policyOf(whole), withJob(told, { knownMillis: 0 }), noon)
    expect([told.task.status.launches, Equal.equals(again.status, told.task.status)]).toEqual([1, true])
    const next = plan(policyOf(whole), withJob(told, { uid: Uid.make("next") }), noon)
    expect([next.status.launches, next.status.job?.uid, next.status.message, next.actions]).toEqual([
      2,
      "next",
      told.task.status.message,
      []
    ])
  })

  it("counts a Job that went before a word was said on it, also where the one after it was not told of either, or none comes", () => {
    const launched = (seed: Partial<Seed>) => {
      const whole: Seed = { ...plainSeed, maxLaunches: 3, hadJob: true, ...seed }
      return plan(policyOf(whole), worldOf(whole), noon).status.launches
    }
    expect([launched({}), launched({ job: "active", jobAgeSeconds: 10 })]).toEqual([2, 2])
    expect([launched({ maxLaunches: 1 }), launched({ refusal: "Invalid" }), launched({ turn: "busy" })]).toEqual([1, 1, 1])
  })

  it("counts a first launch that failed before it was told of", () => {
    const whole: Seed = { ...plainSeed, maxLaunches: 2, job: "failed", pod: "Evicted" }
    expect(plan(policyOf(whole), worldOf(whole), noon).status).toMatchObject({
      phase: "Starting",
      reason: "Evicted",
      launches: 1,
      job: { name: "agent-job-task" }
    })
  })

  it("leaves a status of an earlier release as it is, which names no UID of the Job that it counts", () => {
    const whole: Seed = { ...plainSeed, life: "quota", job: "active", warning: "quota", jobAgeSeconds: 10 }
    const world = worldOf(whole)
    expect(plan(policyOf(whole), world, noon).status.job).toEqual(world.task.status.job)
  })

  it("names the Job that is there, though one of today's values would have another name", () => {
    const whole: Seed = { ...plainSeed, job: "active", jobAgeSeconds: 10 }
    expect(plan({ ...policyOf(whole), basename: "renamed" }, worldOf(whole), noon).status.job).toEqual({
      name: "agent-job-task",
      uid: "job-uid"
    })
  })

  it.each(
    [
      { given: "no Job was made", dotted: true, status: {}, situation: "its Job's name is to be written down" },
      {
        given: "no Job was made, whose name follows from its own now",
        dotted: false,
        status: {},
        situation: "its Job's name is to be written down"
      },
      { given: "its last Job had that name", dotted: true, status: { phase: "Starting", launches: 1 }, situation: "its turn" }
    ] as const
  )("writes down again what the Job will be called, where other values gave it another name: $given", ({ dotted, situation, status }) => {
    const whole: Seed = { ...plainSeed, dotted, maxLaunches: 2 }
    const world = worldOf(whole)
    const former = { ...world, task: { ...world.task, status: { ...status, job: { name: "renamed-task" } } } }
    const decision = plan(policyOf(whole), former, noon)
    expect([decision.situation, decision.status.job?.name]).toEqual([
      situation,
      jobName(policyOf(whole).basename, world.task.metadata.name)
    ])
    expect(plan(policyOf(whole), perform(former, decision), noon).situation).not.toBe("its Job's name is to be written down")
  })

  it.each([3600, -3600])(
    "launches again when that is due by the time for which it has known the Job, by a clock that is %i s off",
    (off) => {
      const whole: Seed = { ...plainSeed, life: "starting", launches: 2, maxLaunches: 3, job: "failed", pod: "Evicted" }
      const failed = withJob(worldOf(whole), { createdAt: before(off) })
      const told = perform(failed, plan(policyOf(whole), failed, noon))
      expect(plan(policyOf(whole), withJob(told, { knownMillis: 15_000 }), noon)).toMatchObject({
        actions: [],
        requeueAfterMillis: Option.some(5_000)
      })
      expect(plan(policyOf(whole), withJob(told, { knownMillis: 20_000 }), noon)).toMatchObject({ actions: [{ _tag: "DeleteJob" }] })
    }
  )

  it.each(
    [
      { launches: 1, jobAgeSeconds: 0, again: 5_000 },
      { launches: 1, jobAgeSeconds: 10, again: undefined },
      { launches: 2, jobAgeSeconds: 10, again: 10_000 },
      { launches: 3, jobAgeSeconds: 10, again: 70_000 },
      { launches: 3, jobAgeSeconds: 179, again: undefined }
    ] as const
  )(
    "clears launch $launches that failed away for the next no sooner than it is due: $jobAgeSeconds s old, after $again ms",
    ({ again, jobAgeSeconds, launches }) => {
      const whole: Seed = { ...plainSeed, life: "starting", launches, job: "failed", jobAgeSeconds, pod: "Evicted" }
      const world = perform(worldOf(whole), plan(policyOf(whole), worldOf(whole), noon)) // the failure is told first
      expect(plan(policyOf(whole), world, noon)).toMatchObject(
        again === undefined ? { actions: [{ _tag: "DeleteJob" }] } : { actions: [], requeueAfterMillis: Option.some(again) }
      )
    }
  )

  it("clears away for another launch also after words that are too long to be kept whole, and tells them once", () => {
    const whole: Seed = {
      ...plainSeed,
      life: "starting",
      launches: 1,
      maxLaunches: 2,
      pool: true,
      job: "failed",
      jobAgeSeconds: 10,
      pod: "unschedulable"
    }
    const seen = worldOf(whole)
    const wordy = { ...seen, pod: Option.map(seen.pod, (pod) => ({ ...pod, unschedulable: "no ".repeat(5000) })) }
    const said = plan(policyOf(whole), wordy, noon)
    expect(said.notices).toMatchObject([{ _tag: "ReportWait", message: said.status.message }])
    expect(plan(policyOf(whole), perform(wordy, said), noon)).toMatchObject({ actions: [{ _tag: "DeleteJob" }] })
  })

  const refusedFor = (seed: Seed, pod: string, used: number): Observed => ({
    ...worldOf(seed),
    warning: Option.some({
      reason: "FailedCreate",
      message: `Error creating: pods "${pod}" is forbidden: exceeded quota: q, requested: pods=1, used: pods=${used}, limited: pods=9`
    })
  })

  it("writes nothing about a start whose newest warning differs only in what is of one try", () => {
    const whole: Seed = { ...plainSeed, life: "starting", launches: 1, pool: true, job: "active", jobAgeSeconds: 10 }
    const first = refusedFor(whole, "task-7mg4v", 9)
    const said = plan(policyOf(whole), first, noon)
    const told = perform(first, said)
    const again = plan(policyOf(whole), { ...told, warning: refusedFor(whole, "task-cjtfd", 8).warning }, noon)
    expect(said.status.message).toContain("task-7mg4v")
    expect([again.status, again.notices]).toEqual([told.task.status, []])
  })

  it("tells the pool once of a quota for which a Job is made anew, though each Job has words of its own", () => {
    const whole: Seed = { ...plainSeed, life: "starting", launches: 1, pool: true, job: "active", jobAgeSeconds: 10 }
    const waits = refusedFor(whole, "task-7mg4v", 9)
    const told = perform(waits, plan(policyOf(whole), waits, noon))
    const later = withJob({ ...told, warning: refusedFor(whole, "task-cjtfd", 9).warning }, { knownMillis: quotaPatienceMillis })
    const givenUp = perform(later, plan(policyOf(whole), later, noon))
    const deleted = perform(givenUp, plan(policyOf(whole), givenUp, noon))
    expect(plan(policyOf(whole), deleted, noon)).toMatchObject({ actions: [{ _tag: "CreateJob" }], notices: [] })
  })

  it("says that a launch comes again after words of any length, and of its Job that it goes", () => {
    const whole: Seed = { ...plainSeed, life: "starting", launches: 1, job: "failed", pod: "Evicted" }
    const world = worldOf(whole)
    const wordy = { ...world, pod: Option.map(world.pod, (pod) => ({ ...pod, message: "no ".repeat(5000) })) }
    const told = perform(wordy, plan(policyOf(whole), wordy, noon))
    expect(told.task.status.message).toMatch(/… It is launched again\.$/u)
    expect(plan(policyOf(whole), { ...told, pod: Option.none() }, noon).situation).toBe(
      "its Job is to make way for another launch, and has no Pod any more"
    )
  })

  it.each([1, 4])("makes a Job anew that has waited for a quota for a minute, which is no further launch: of %i", (launches) => {
    const whole: Seed = {
      ...plainSeed,
      life: "quota",
      stage: "apply",
      holder: "mine",
      job: "active",
      warning: "quota",
      jobAgeSeconds: 180,
      launches,
      maxLaunches: 1
    }
    const waits = worldOf(whole)
    const givenUp = plan(policyOf(whole), waits, noon)
    expect(givenUp).toMatchObject({
      situation: "its Job has waited for a quota for a minute",
      actions: [],
      notices: [],
      status: { reason: "QuotaExceeded", launches: launches - 1 }
    })
    const deleted = plan(policyOf(whole), withJob(perform(waits, givenUp), { knownMillis: 0 }), noon)
    expect([deleted.actions.map(({ _tag }) => _tag), deleted.status]).toEqual([["DeleteJob"], givenUp.status])
    const made = plan(policyOf(whole), perform(perform(waits, givenUp), deleted), noon)
    expect([made.actions.map(({ _tag }) => _tag), made.status.message, made.status.launches]).toEqual([
      ["CreateJob"],
      waits.task.status.message,
      launches
    ])
  })

  it("looks at a Job that waits for a quota when the minute is over", () => {
    const whole: Seed = { ...plainSeed, life: "quota", job: "active", warning: "quota" }
    const again = (knownMillis: number) => plan(policyOf(whole), withJob(worldOf(whole), { knownMillis }), noon).requeueAfterMillis
    expect([again(10_000), again(40_000)]).toEqual([Option.some(10_000), Option.some(20_000)])
  })

  it("takes no launch back, nor counts one, while the Job that was given up goes", () => {
    const world = worldOf({ ...outlasted, warning: "quota" })
    const going = withJob(world, { deleting: true })
    expect(plan(policyOf(outlasted), going, noon)).toMatchObject({ actions: [], status: world.task.status })
    // Somebody's finalizer keeps the Job.
    const stuck = { ...going, warning: Option.none(), pod: worldOf({ ...outlasted, pod: "Pending" }).pod }
    expect(plan(policyOf(outlasted), withJob(stuck, { startingMillis: 4_000_000 }), noon).status).toMatchObject({
      phase: "Failed",
      reason: "StartupTimeout"
    })
    expect(plan(policyOf(outlasted), withJob(going, { startingMillis: 179_999 }), noon)).toMatchObject({
      status: world.task.status,
      requeueAfterMillis: Option.some(10_000)
    })
    expect(plan(policyOf(outlasted), withJob(going, { startingMillis: 180_000 }), noon).status).toMatchObject({
      phase: "Failed",
      reason: "StartupTimeout"
    }) // the quota is still full
  })
})

describe("plan, of a task that waits", () => {
  it("tells the pool why a task waits until it has heard that, whatever the status says", () => {
    const whole: Seed = { ...plainSeed, turn: "limit", pool: true }
    const unheard = { ...perform(worldOf(whole), plan(policyOf(whole), worldOf(whole), noon)), reportedWait: Option.none() }
    const { actions, status, notices } = plan(policyOf(whole), unheard, noon)
    expect([actions, status]).toEqual([[], unheard.task.status])
    expect(notices).toMatchObject([{ _tag: "ReportWait", reason: "ConcurrencyLimit", message: status.message }])
    expect(
      plan(
        policyOf(whole),
        perform(unheard, { situation: "", live: undefined, actions, status, notices, requeueAfterMillis: Option.none() }),
        noon
      ).notices
    ).toEqual([])
  })

  it.each<readonly [message: string, seed: Partial<Seed>]>([
    ["Waiting for other, which goes before it in workspace demo.", { turn: "busy" }],
    ["Number 1 in the queue: other tasks go before it in workspace demo.", { turn: "far" }],
    ["Waiting for other, which holds workspace demo.", { stage: "apply", holder: "taken" }],
    [
      "Waiting for workspace demo: its Lease agent-job-demo was not written by agent-job, so nobody can tell whether it is free; see who wrote it, and delete it once nothing changes the workspace.",
      { stage: "apply", holder: "foreign" }
    ],
    ["Number 1 in the queue: as many tasks are running as task.limits.total allows (10); wait, or raise it.", { turn: "limit" }],
    ["Nothing new starts while the cluster is draining; agent-job drain --undo ends that.", { turn: "drained" }],
    ["Nothing starts before the isolation of tasks is proven for the present values; run agent-job doctor.", { turn: "unproven" }],
    ["Cancelled before it started; nothing was run.", { cancel: true }],
    ["Deleted before it started; nothing was run.", { deleted: true }]
  ])("says %s", (message, seed) => {
    const whole: Seed = { ...plainSeed, ...seed }
    expect(plan(policyOf(whole), worldOf(whole), noon).status.message).toBe(message)
  })

  it("names in the status whom it waits for, and nobody where that is a limit, or where it is far behind", () => {
    const queue = (seed: Partial<Seed>) => plan(policyOf(plainSeed), worldOf({ ...plainSeed, ...seed }), noon).status.queue
    expect([queue({ turn: "busy" }), queue({ stage: "apply", holder: "taken" }), queue({ turn: "limit" }), queue({ turn: "far" })])
      .toStrictEqual([
        { position: 1, reason: "WorkspaceBusy", blockedBy: "other" },
        { position: 1, reason: "WorkspaceBusy", blockedBy: "other" },
        { position: 1, reason: "ConcurrencyLimit" },
        { position: 1, reason: "WorkspaceBusy" }
      ])
  })

  it.each([{ node: "node-1", next: "check node node-1, which has to answer or be removed" }, {
    node: "",
    next: "check what keeps it"
  }])("names the Pod that is left of a former task of its own name, and not itself: $next", ({ next, node }) => {
    const world = worldOf({ ...plainSeed, stage: "apply", holder: "left" })
    const holder = Holder.Left({ by: "task", pod: "former-pod", node })
    const { actions, situation, status } = plan(policyOf(plainSeed), { ...world, holder }, noon)
    expect([situation, actions, status.message]).toEqual([
      "another task holds the workspace",
      [],
      `Waiting for Pod former-pod of a former task task, which may still change workspace demo; if it does not end, ${next}.`
    ])
    expect(status.queue).toEqual({ position: 1, reason: "WorkspaceBusy" })
  })

  it.each<{ readonly given: string; readonly seed: Partial<Seed>; readonly again: number }>([
    { given: "another task holds its workspace", seed: { stage: "apply", holder: "taken" }, again: 10_000 },
    { given: "a Pod of a former task may change its workspace", seed: { stage: "apply", holder: "left" }, again: 10_000 },
    { given: "a stranger wrote its Lease", seed: { stage: "apply", holder: "foreign" }, again: 10_000 },
    { given: "its workspace was not asked for", seed: { stage: "apply", holder: "unasked" }, again: 0 },
    { given: "its source is not ready", seed: { source: "notReady" }, again: 5_000 },
    { given: "its Job was refused for now", seed: { refusal: "Refused" }, again: 7_000 }
  ])("is looked at again when no watch may tell that it need not wait any more: $given", ({ again, seed }) => {
    const whole: Seed = { ...plainSeed, ...seed }
    expect(plan(policyOf(whole), worldOf(whole), noon).requeueAfterMillis).toEqual(Option.some(again))
  })

  it("says of a place behind the first that it is rounded up", () => {
    const turn = (position: number) => Turn.Waiting({ position, why: { reason: "ConcurrencyLimit", limit: "perWorkspace" } })
    const said = (position: number) => plan(policyOf(plainSeed), { ...worldOf(plainSeed), turn: turn(position) }, noon).status.message
    const because = "as many tasks of workspace demo are running as task.limits.perWorkspace allows (5); wait, or raise it."
    expect([said(1), said(16)]).toEqual([`Number 1 in the queue: ${because}`, `Among the first 16 in the queue: ${because}`])
  })
})
