// What the controller does next for one AgentTask, decided from what was last observed: one table, read from the top.
// Invariant: carrying the plan out and observing again gives an empty plan; a final phase stays; a claimed stage is never started again.
// Called by controller/reconcile; printed into docs/decisions.md; its laws are in test/core/plan.laws.test.ts.
import * as attempts from "./follow.ts"
import { withReplacement } from "./launches.ts"
import type { Observed } from "./observed.ts"
import type { Response } from "./response-forms.ts"
import * as respond from "./response.ts"
import { holds, type Situation } from "./situation.ts"
import type { TaskPolicy } from "./task-policy.ts"

export interface Plan extends Response {
  /** The row that held, for logs and metrics. */
  readonly situation: string
  /**
   * Whether the plan ends a launch, deletes its Job or counts it, or makes another task for what a source has. Such a plan is carried out
   * only if it was decided on Job and Pods, or on the source, as the API server itself has them.
   */
  readonly live: boolean
}

interface Row {
  readonly situation: string
  readonly means: string
  readonly holds: (situation: Situation) => boolean
  readonly respond: (situation: Situation) => Response
  readonly live?: true
}

export const rows: ReadonlyArray<Row> = [
  // this version does not know the phase
  {
    situation: "in a phase of a newer version",
    means: "leave it alone; it keeps its slot and its workspace",
    holds: holds.ofNewerVersion,
    respond: respond.keep
  },
  // the task is over
  {
    situation: "over, but its Job goes on",
    means: "delete the Job: nobody can claim the task any more; one whose worker gave a result has 90 s to end by itself",
    holds: holds.leftover,
    respond: respond.deleteJob
  },
  {
    situation: "over, and the pool does not know",
    means: "report the result until the pool confirms it",
    holds: holds.unreported,
    respond: respond.report
  },
  { situation: "over, deleted and reported", means: "let the object go", holds: holds.releasable, respond: respond.release },
  {
    situation: "over, and past the history limit",
    means: "delete the task if it is of a pool or an attempt at a new revision; tasks from Git stay",
    holds: holds.expired,
    respond: respond.deleteTask
  },
  {
    situation: "over, and its next attempt was refused",
    means: "say why, and try again; a stranger's task of that name is never adopted",
    holds: attempts.holds.refused,
    respond: attempts.tellRefusal
  },
  {
    situation: "over, and its source has a new artifact",
    means: "make the next attempt, a task of its own, once the newest is over",
    holds: attempts.holds.newArtifact,
    respond: attempts.makeAttempt,
    live: true
  },
  {
    situation: "over, and its newest plan is to be applied",
    means: "make the task that applies that very plan, as long as the source has nothing newer",
    holds: attempts.holds.planned,
    respond: attempts.applyPlan,
    live: true
  },
  {
    situation: "over, and its newest plan was disrupted",
    means: "make it again as the next attempt, three times at most, each later than the last",
    holds: attempts.holds.disrupted,
    respond: attempts.planAgain,
    live: true
  },
  {
    situation: "over, and it follows its source",
    means:
      "look at the source from time to time; the conditions are those of the newest attempt, or of its apply once there is one or the source keeps it waiting; they say so where that one was deleted before its end was seen",
    holds: attempts.holds.atRest,
    respond: attempts.reflect
  },
  { situation: "over", means: "keep it as it is, for ever", holds: holds.final, respond: respond.keepOver },
  // the task is deleted
  {
    situation: "deleted, not cancelled yet",
    means: "cancel it first, so that its stage ends in order",
    holds: holds.deletedUncancelled,
    respond: respond.cancel
  },
  // a worker has claimed the task
  {
    situation: "claimed, and the worker left its last words",
    means: "take the result from the termination message",
    holds: holds.lastWords,
    respond: respond.finishWithLastWords
  },
  {
    situation: "claimed, and the worker is over without a result",
    means: "fail as lost and say why; never start it again",
    holds: holds.lost,
    respond: respond.finishLost
  },
  {
    situation: "claimed, and its node does not answer",
    means: "wait for evidence, keep the workspace, say so",
    holds: holds.unreachable,
    respond: respond.stall
  },
  {
    situation: "claimed, and its newest state is not saved",
    means: "leave it to the worker, which says so itself and takes it back",
    holds: holds.unsaved,
    respond: respond.keep
  },
  {
    situation: "claimed, and to be cancelled",
    means: "the worker interrupts the engine once and saves the state",
    holds: holds.stopping,
    respond: respond.showStopping
  },
  {
    situation: "claimed",
    means: "leave it to the worker, which stops in order when Kubernetes removes Job and Pod of a deleted task",
    holds: holds.running,
    respond: respond.showRunning
  },
  // no worker has claimed the task
  {
    situation: "cancelled or deleted before the claim",
    means: "end it; it never starts, and a finalizer that keeps it keeps nothing from others",
    holds: holds.calledOff,
    respond: respond.finishCalledOff
  },
  {
    situation: "the API server refused its Job for good",
    means: "fail with the API server's answer",
    holds: holds.refusedForGood,
    respond: respond.finishRefused
  },
  {
    situation: "its Job is deleted, and does not go",
    means: "fail after task.startupTimeoutSeconds, and say what keeps the Job: a Pod, or a finalizer",
    holds: holds.stuck,
    respond: respond.finishStuck,
    live: true
  },
  {
    situation: "its Job is to make way for another launch, and has no Pod any more",
    means: "clear it away when that is due, and say nothing else of it",
    holds: holds.clearedAway,
    respond: respond.clearAway,
    live: true
  },
  {
    situation: "its Job has waited for a quota for a minute",
    means: "delete it and, once it is gone, make it anew, which is no further launch: its deadline runs, and its stage may need all of it",
    holds: holds.quotaOutlasted,
    respond: respond.makeAnew,
    live: true
  },
  {
    situation: "its Job ended before the claim",
    means:
      "clear it away for another launch within the limit, 5, 20 and then 80 s after the one before, else fail with the Pod's reason; one that was evicted, or whose Pod is gone and a quota leaves no room for another, may have three more",
    holds: holds.launchFailed,
    respond: respond.clearAwayOrFail,
    live: true
  },
  {
    situation: "its Pod cannot start, ever",
    means: "fail at once",
    holds: holds.cannotStart,
    respond: respond.finishNotStarted,
    live: true
  },
  {
    situation: "its Pod did not start in time",
    means: "fail with what the kubelet said last, or say by how much the Pod exceeds its quota",
    holds: holds.startOverdue,
    respond: respond.finishNotStarted,
    live: true
  },
  {
    situation: "its Job is not as it was told of last",
    means:
      "the status names another Job, or says that this one failed: count it if it is another, and go on as with every Job that is there",
    holds: holds.jobDiffersFromStatus,
    respond: respond.showStarting,
    live: true
  },
  {
    situation: "its Job is there",
    means: "wait for the claim and show what the Pod waits for",
    holds: holds.starting,
    respond: respond.showStarting
  },
  {
    situation: "its last Job vanished before the claim",
    means: "fail; below the limit it is launched again like a new task",
    holds: holds.launchesSpent,
    respond: respond.finishVanished
  },
  {
    situation: "its Job or Lease is denied for as long as a start may take",
    means:
      "fail with the answer of the webhook, the policy or the rights that deny it, so that its workspace is free; a quota, an overload or a failure may last longer",
    holds: holds.deniedTooLong,
    respond: respond.finishDenied
  },
  {
    situation: "the API server refused its Job for now",
    means: "queue it with the API server's answer, and ask again after a pause, whatever happens meanwhile",
    holds: holds.refusedForNow,
    respond: respond.queueRefused
  },
  { situation: "not its turn", means: "queue it and say behind whom", holds: holds.waiting, respond: respond.queue },
  {
    situation: "another task holds the workspace",
    means: "queue it and say which task holds it, or which Pod of a former holder is left",
    holds: holds.workspaceTaken,
    respond: respond.queueBehindHolder
  },
  { situation: "its source was not asked yet", means: "look again at once", holds: holds.sourceUnasked, respond: respond.askSource },
  {
    situation: "its source has nothing to run",
    means:
      "queue it with what the source lacks; it takes no turn from others, so one that has the workspace already starts with the artifact that is written down, unless the source was changed since",
    holds: holds.sourceNotReady,
    respond: respond.waitForSource
  },
  {
    situation: "its artifact is to be written down, or was waited for",
    means: "write down which artifact it runs; once claimed, that stays",
    holds: holds.toPin,
    respond: respond.pin
  },
  {
    situation: "its Job's name is to be written down",
    means:
      "write down what the Job will be called where that does not follow from its own name, or was written under other values, so that the API server knows its Pod by the name",
    holds: holds.jobUnnamed,
    respond: respond.nameJob
  },
  {
    situation: "its turn, and the workspace is free",
    means: "take the workspace, then make the Job",
    holds: holds.workspaceFree,
    respond: respond.takeAndLaunch
  }
]

/** What happens if no row holds: the task starts. */
const otherwise: Omit<Row, "holds" | "means"> = { situation: "its turn", respond: respond.launch }

const understood = (observed: Observed): Observed => {
  const { task } = observed
  const status = withReplacement(task.status)
  return status === task.status ? observed : { ...observed, task: { ...task, status } }
}

export const plan = (policy: TaskPolicy, given: Observed, now: string): Plan => {
  const seen = { observed: understood(given), policy, now }
  const { live = false, respond, situation } = rows.find((_) => _.holds(seen)) ?? otherwise
  return { situation, live, ...respond(seen) }
}
