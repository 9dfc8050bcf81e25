// Cases of tasks that are over.
import type { Case } from "./case.ts"

export const over: ReadonlyArray<Case> = [
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
    given: "an end that the pool has not taken for a minute",
    seed: { life: "cancelled", pool: true },
    situation: "over for a minute, and the pool still does not know",
    actions: ["ReportResult"],
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
    given: "a new artifact while the last apply has not begun",
    seed: { life: "succeeded", source: "new", follows: "planAndApply", latest: "over", latestApply: "alive" },
    situation: "over, and its newest apply has not begun and is not wanted any more",
    actions: ["Cancel"],
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
    given: "a new artifact while its own Job may not be deleted",
    seed: { life: "failed", job: "active", source: "new", follows: "plan", refusal: "deletion" },
    situation: "over, and its source has a new artifact",
    actions: ["CreateTask"],
    phase: "Failed"
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
    given: "no new artifact while its own Job may not be deleted",
    seed: { life: "failed", job: "active", source: "known", follows: "plan", refusal: "deletion" },
    situation: "over, and it follows its source",
    actions: ["Emit"],
    phase: "Failed"
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
    given: "an apply under way, at the artifact of its plan",
    seed: { life: "succeeded", source: "known", follows: "planAndApply", latest: "over", latestApply: "alive" },
    situation: "over, and it follows its source",
    actions: [],
    phase: "Succeeded"
  },
  {
    given: "a new artifact after an apply that was lost",
    seed: { life: "succeeded", source: "new", follows: "planAndApply", latest: "over", latestApply: "lost" },
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
    given: "a finished attempt past the history limit that is being deleted",
    seed: { life: "succeeded", expired: true, deleted: true },
    situation: "over",
    actions: [],
    phase: "Succeeded"
  },
  {
    given: "an end before the claim whose Job is over too",
    seed: { life: "cancelled", job: "failed" },
    situation: "over",
    actions: [],
    phase: "Cancelled"
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
  }
]
