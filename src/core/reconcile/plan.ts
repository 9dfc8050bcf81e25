// What the controller does next for one AgentTask, decided from what was last observed: one table, read from the top.
// Invariant: after a few passes nothing is left to do; a final phase stays; a claimed stage is never started again.
// Called by controller/reconcile/reconcile; printed into docs/decisions.md; its laws are in test/core/reconcile/plan.laws.test.ts.
import { Array, Option } from "effect"
import type { JobSeen, Observed, Seen } from "../task/observed.ts"
import type { TaskPolicy } from "../task/task-policy.ts"
import * as claimed from "./claimed.ts"
import * as follow from "./follow.ts"
import * as over from "./over.ts"
import { cancel, deleteJob, type RespondTo, type Response, unchanged } from "./response.ts"
import { type Holds, isClaimed, leftoverPatienceMillis, taskOver, unlessRefused, type When, when } from "./situation.ts"
import * as start from "./start.ts"
import * as waiting from "./waiting.ts"

/**
 * What the API server is asked about before the plan is carried out, when it is made once more from the answer: the Job and its Pods if it
 * ends a launch, deletes its Job or counts it; the source if it makes another task for what that has.
 */
type Recheck = "job" | "source" | undefined

export interface Plan extends Response {
  /** The row that held, for logs and metrics. */
  readonly situation: string
  readonly recheck: Recheck
}

interface Row {
  readonly situation: string
  readonly means: string
  readonly recheck: Recheck
  /** Returns the plan if the task is in this situation, or none. */
  readonly decide: (s: Seen) => Option.Option<Plan>
}

/** Builds a row, whose response gets what its question found and need not look for it again. */
const row = <Found>({ means, recheck, respond, situation, when }: {
  readonly situation: string
  readonly means: string
  readonly when: When<Found>
  readonly respond: RespondTo<Found>
  readonly recheck?: Found extends JobSeen ? "job" : "source"
}): Row => ({
  situation,
  means,
  recheck,
  decide: (s) => Option.map(when(s), (found) => ({ situation, recheck, ...respond(s, found) }))
})

/** Returns rows that are read only where `holds`, so that their questions need not ask that. The last of them fits always. */
const part = (holds: Holds, rows: ReadonlyArray<Row>): ReadonlyArray<Row> =>
  rows.map((row) => ({ ...row, decide: (s) => holds(s) ? row.decide(s) : Option.none() }))

export const rows: ReadonlyArray<Row> = [
  row({
    situation: "in a phase of a newer version",
    means: "leave it alone; it keeps its slot and its workspace",
    when: when.ofNewerVersion,
    respond: (s) => unchanged(s)
  }),
  ...part(taskOver, [
    row({
      situation: "over, but its Job goes on",
      means: `delete the Job: nobody can claim the task any more; one whose worker gave a result has ${
        leftoverPatienceMillis / 1000
      } s to end by itself; while that is refused, the rows below go on`,
      when: unlessRefused(when.leftover),
      respond: deleteJob
    }),
    row({
      situation: "over for a minute, and the pool still does not know",
      means: "report the result likewise, until the pool confirms it; the alert AgentJobResultUnreported goes by the count of this",
      when: when.longUnreported,
      respond: over.report
    }),
    row({
      situation: "over, and the pool does not know",
      means: "report the result until the pool confirms it",
      when: when.unreported,
      respond: over.report
    }),
    row({ situation: "over, deleted and reported", means: "let the object go", when: when.releasable, respond: over.release }),
    row({
      situation: "over, and past the history limit",
      means: "delete the task if it is of a pool or an attempt at a new revision; tasks from Git stay",
      when: when.expired,
      respond: over.deleteTask
    }),
    row({
      situation: "over, and its next attempt was refused",
      means: "say why, and try again; a stranger's task of that name is never adopted",
      when: follow.when.refused,
      respond: follow.tellRefusal
    }),
    row({
      situation: "over, and its newest apply has not begun and is not wanted any more",
      means: "cancel that apply, which no worker has claimed: its plan was cancelled or deleted, or the source has another artifact by now",
      when: follow.when.unwanted,
      respond: follow.cancelAttempt,
      recheck: "source"
    }),
    row({
      situation: "over, and its source has a new artifact",
      means:
        "make the next attempt, a task of its own, once the newest is over, and unless its apply may have made what the state lacks, until a person deletes that apply",
      when: follow.when.newArtifact,
      respond: follow.makeAttempt,
      recheck: "source"
    }),
    row({
      situation: "over, and its newest plan is to be applied",
      means: "make the task that applies that very plan, as long as nobody cancelled it and the source has nothing newer",
      when: follow.when.planned,
      respond: follow.applyPlan,
      recheck: "source"
    }),
    row({
      situation: "over, and its newest plan was disrupted",
      means:
        "make it again as the next attempt unless somebody cancelled it, three times at most, each later than the last; so is one whose apply changed nothing, since the state or something else is no longer what it was planned with",
      when: follow.when.disrupted,
      respond: follow.planAgain,
      recheck: "source"
    }),
    row({
      situation: "over, and it follows its source",
      means:
        "look at the source from time to time; the conditions are those of the newest attempt, or of its apply once there is one or the source keeps it waiting; they say so where it is to be made again, and where that one was deleted before its end was seen",
      when: follow.when.atRest,
      respond: follow.reflect
    }),
    row({
      situation: "over and cancelled, and what it made is under way",
      means: "cancel its newest attempt, or the apply of that; the conditions are those of that one until it is over",
      when: follow.when.cancelled,
      respond: follow.cancelAttempt
    }),
    row({ situation: "over", means: "keep it as it is, for ever", when: when.always, respond: over.keep })
  ]),
  row({
    situation: "deleted, not cancelled yet",
    means: "cancel it first, so that its stage ends in order",
    when: when.deletedUncancelled,
    respond: cancel
  }),
  ...part(isClaimed, [
    row({
      situation: "claimed, and the worker left its last words",
      means: "take the result from the termination message",
      when: when.lastWords,
      respond: claimed.finishWithLastWords
    }),
    row({
      situation: "claimed, and the worker is over without a result",
      means: "fail as lost and say why; never start it again",
      when: when.lost,
      respond: claimed.finishLost
    }),
    row({
      situation: "claimed, and its node does not answer",
      means: "wait for evidence, keep the workspace, say so",
      when: when.unreachable,
      respond: claimed.stall
    }),
    row({
      situation: "claimed, and its newest state is not saved",
      means: "leave it to the worker, which says so itself and takes it back, and leave its Pod, which may have the only copy",
      when: when.unsaved,
      respond: claimed.leaveUnsaved
    }),
    row({
      situation: "claimed, and its worker is over, but another container keeps its Pod",
      means:
        "after two minutes at most, write down why the worker ended, and then delete the Job, so that the engine gets its signal and its time; the task keeps its workspace until that is over too",
      when: when.kept,
      respond: claimed.endPod
    }),
    row({
      situation: "claimed, and its Pod has not been ready for two minutes",
      means: "say so: a node that dies while its Pod is not ready leaves no other trace",
      when: when.unready,
      respond: claimed.doubt
    }),
    row({
      situation: "claimed, and to be cancelled",
      means: "the worker interrupts the engine once and saves the state",
      when: when.stopping,
      respond: claimed.showStopping
    }),
    row({
      situation: "claimed",
      means: "leave it to the worker, which stops in order when Kubernetes removes Job and Pod of a deleted task",
      when: when.always,
      respond: claimed.showRunning
    })
  ]),
  // no worker has claimed the task
  row({
    situation: "cancelled or deleted before the claim",
    means: "end it; it never starts, and a finalizer that keeps it keeps nothing from others",
    when: when.calledOff,
    respond: start.finishCalledOff
  }),
  row({
    situation: "the API server refused its Job for good",
    means: "fail with the API server's answer",
    when: when.refusedForGood,
    respond: start.finishRefused
  }),
  row({
    situation: "its Job is deleted, and does not go",
    means: "fail after task.startupTimeoutSeconds, and say what keeps the Job: a Pod, or a finalizer",
    when: when.stuck,
    respond: start.finishStuck,
    recheck: "job"
  }),
  row({
    situation: "its Job is to make way for another launch, and has no Pod any more",
    means: "clear it away when that is due, and say nothing else of it, unless that is refused",
    when: when.clearedAway,
    respond: start.clearAway,
    recheck: "job"
  }),
  row({
    situation: "its Job has waited for a quota or a webhook for a minute",
    means: "delete it and, once it is gone, make it anew, which is no further launch: its deadline runs, and its stage may need all of it",
    when: when.waitOutlasted,
    respond: start.makeAnew,
    recheck: "job"
  }),
  row({
    situation: "its Job ended before the claim",
    means:
      "clear it away for another launch within the limit, 5, 20 and then 80 s after the one before, else fail with the Pod's reason; one that was evicted, or whose Pod is gone while a quota or a webhook keeps Kubernetes from another, may have three more; fail too once clearing it away was denied for as long as a start may take",
    when: when.launchFailed,
    respond: start.clearAwayOrFail,
    recheck: "job"
  }),
  row({
    situation: "its Pod cannot start, ever",
    means: "fail at once",
    when: when.cannotStart,
    respond: start.finishNotStarted,
    recheck: "job"
  }),
  row({
    situation: "its Pod did not start in time",
    means: "fail with what the kubelet said last, or say by how much the Pod exceeds its quota",
    when: when.startOverdue,
    respond: start.finishNotStarted,
    recheck: "job"
  }),
  row({
    situation: "its Job is not as it was told of last",
    means:
      "the status names another Job, or says that this one failed: count it if it is another, and go on as with every Job that is there",
    when: when.jobDiffersFromStatus,
    respond: start.showStarting,
    recheck: "job"
  }),
  row({
    situation: "its Job is there",
    means: "wait for the claim and show what the Pod waits for",
    when: when.starting,
    respond: start.showStarting
  }),
  row({
    situation: "its last Job vanished before the claim",
    means: "fail if its launches are spent (three more are allowed where that Job had no Pod) and it did not make way for another",
    when: when.launchesSpent,
    respond: start.finishVanished
  }),
  row({
    situation: "its template has a key that the values do not allow",
    means: "fail and name the key: what a key with a prefix does, a webhook or another controller decides",
    when: when.templateRefused,
    respond: start.finishInvalid
  }),
  row({
    situation: "its options or its engine has a key that this version does not know",
    means: "fail and name it: a newer CRD took it, and a stage without it would not be what was asked for",
    when: when.optionUnknown,
    respond: start.finishInvalid
  }),
  row({
    situation: "its Job or Lease is denied for as long as a start may take",
    means:
      "fail with the answer of the webhook, the policy or the rights that deny it, so that its workspace is free; a quota, an overload or a failure may last longer",
    when: when.deniedTooLong,
    respond: start.finishDenied
  }),
  row({
    situation: "the API server refused its Job for now",
    means: "queue it with the API server's answer, and ask again after a pause, whatever happens meanwhile",
    when: when.refusedForNow,
    respond: waiting.queueRefused
  }),
  row({ situation: "not its turn", means: "queue it and say behind whom", when: when.waiting, respond: waiting.queue }),
  row({
    situation: "the last apply of its workspace left the state in doubt",
    means:
      "queue it and say which task a person deletes, once the state has what that one made; plans go on, and a pool's server decides itself",
    when: when.workspaceInDoubt,
    respond: waiting.queueForPerson
  }),
  row({
    situation: "another task holds the workspace",
    means: "queue it and say which task holds it, which Pod of a former holder is left, or that a stranger wrote its Lease",
    when: when.workspaceTaken,
    respond: waiting.queueBehindHolder
  }),
  row({
    situation: "its workspace was not asked for yet",
    means: "look again at once",
    when: when.workspaceUnasked,
    respond: waiting.lookAgain
  }),
  row({ situation: "its source was not asked yet", means: "look again at once", when: when.sourceUnasked, respond: waiting.lookAgain }),
  row({
    situation: "its source has nothing to run",
    means:
      "queue it with what the source lacks; it takes no turn from others, so one that has the workspace already starts with the artifact that is written down, unless the source was changed since",
    when: when.sourceNotReady,
    respond: waiting.waitForSource
  }),
  row({
    situation: "its artifact is to be written down, or was waited for",
    means: "write down which artifact it runs; once claimed, that stays",
    when: when.toPin,
    respond: start.pin
  }),
  row({
    situation: "its Job's name is to be written down",
    means:
      "write down what the Job will be called where that does not follow from its own name, or was written under other values, so that the API server knows its Pod by the name",
    when: when.jobUnnamed,
    respond: start.nameJob
  }),
  row({
    situation: "its turn, and the workspace is free",
    means: "take the workspace, then make the Job",
    when: when.workspaceFree,
    respond: start.takeAndLaunch
  })
]

export const plan = (policy: TaskPolicy, observed: Observed, now: string): Plan => {
  const seen = { ...observed, policy, now }
  return Option.getOrElse(
    Array.findFirst(rows, ({ decide }) => decide(seen)),
    () => ({ situation: "its turn", recheck: undefined, ...start.launch(seen) })
  )
}
