// Cases of tasks that no worker has claimed: their Job starts, ends before the claim, or is not to be made any more.
import type { Case } from "./case.ts"

export const start: ReadonlyArray<Case> = [
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
    given: "a Job whose name a stranger's has",
    seed: { refusal: "NameTaken" },
    situation: "the API server refused its Job for good",
    actions: ["Emit"],
    phase: "Failed",
    reason: "NameTaken"
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
    situation: "its Job has waited for a quota or a webhook for a minute",
    actions: [],
    phase: "Starting",
    reason: "QuotaExceeded"
  },
  {
    given: "a Job that is given up for a quota and may not be deleted",
    seed: { life: "outlasted", launches: 1, job: "active", jobAgeSeconds: 4000, warning: "quota", refusal: "deletion" },
    situation: "its Job has waited for a quota or a webhook for a minute",
    actions: ["Emit"],
    phase: "Starting",
    reason: "QuotaExceeded"
  },
  {
    given: "a Pod for which a webhook does not answer for long",
    seed: { life: "starting", job: "active", jobAgeSeconds: 4000, warning: "webhook" },
    situation: "its Job has waited for a quota or a webhook for a minute",
    actions: [],
    phase: "Starting",
    reason: "Refused"
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
    given: "a failed launch of which it was said that it is made again, though its launches are spent by now",
    seed: { life: "evicted", launches: 7, job: "failed", pod: "Evicted" },
    situation: "its Job ended before the claim",
    actions: [],
    phase: "Starting",
    reason: "Evicted"
  },
  {
    given: "a Pod that left before its claim, whose Job is being deleted",
    seed: { life: "starting", job: "active", jobDeleting: true, pod: "Failed", worker: "ClaimLost" },
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
    phase: "Failed",
    reason: "Lost"
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
    situation: "its options or its engine has a key that this version does not know",
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
  }
]
