// Cases of tasks that wait: for the API server, their turn, their workspace or their source; and of those whose turn it is.
import type { Case } from "./case.ts"

export const waiting: ReadonlyArray<Case> = [
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
    given: "an apply of a workspace whose last one was lost",
    seed: { stage: "apply", holder: "inDoubt" },
    situation: "the last apply of its workspace left the state in doubt",
    actions: [],
    phase: "Queued",
    reason: "StateRescuePending"
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
    given: "a new apply in a workspace whose last holder is over",
    seed: { stage: "apply", holder: "over" },
    situation: "its turn, and the workspace is free",
    actions: ["TakeWorkspace", "CreateJob"]
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
    phase: "Starting",
    reason: "JobCreated"
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
