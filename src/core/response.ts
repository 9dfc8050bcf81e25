// What each row of the table of situations answers: actions, the status from now on, and when to look again.
// Ends are written before Jobs are deleted: the status, guarded by its version, is what decides between a cancel and a claim.
// Used by core/plan alone.
import { Option, Schema } from "effect"
import { type AgentTaskStatus, longestStatusMessage, type Phase } from "../schema/agent-task.ts"
import { assignmentId } from "../schema/pool-api.ts"
import { type FailureReason, Reason, type WaitReason } from "../schema/reason.ts"
import { Action, Word } from "./action.ts"
import { spreadMillis } from "./fingerprint.ts"
import { jobName } from "./job-name.ts"
import {
  counted,
  failed,
  givenUp,
  isCounted,
  isGivenUp,
  isMadeAnew,
  isSaidToGo,
  launchedAs,
  launchesOf,
  mostLaunches,
  nextAfterMillis,
  quotaPatienceMillis
} from "./launches.ts"
import { askAgainMillis, isForGood, waitReasonOf } from "./observed.ts"
import { endOf, endOfStart, troubleOfStart, waitsForQuota } from "./pod-trouble.ts"
import { sentence, shortened } from "./sentence.ts"
import { jobGoesOn, millisSince, millisSinceEnd, patienceMillis, podWent, type Situation } from "./situation.ts"
import { acknowledged, advance, finished, fitting, running } from "./status.ts"
import { resultOf } from "./task-result.ts"
import { epochOf, nextEpoch } from "./workspace-lease.ts"

export interface Response {
  /** Carried out in this order, before the status is written; the first that fails ends the pass. */
  readonly actions: ReadonlyArray<Action>
  readonly status: AgentTaskStatus
  /** Said once that is written: an end that was refused must not have been announced, and no pool holds up the status. */
  readonly words: ReadonlyArray<Word>
  /** Milliseconds until time alone may change the decision. */
  readonly requeueAfterMillis: Option.Option<number>
}
export type Respond = (situation: Situation) => Response

/** When a start is looked at again: what keeps a Pod from being made is told by events alone, which are not watched. */
const lookAgainMillis = 5_000
/** The longer it has waited, the less it matters when it hears; a thousand that wait must not be two hundred questions a second. */
const lookAgainAfter = (age: number): number => Math.min(Math.max(lookAgainMillis, age), 60_000)
/** A start that goes well is told by the worker's claim alone; one that has said nothing for so long is told here. */
const quietMillis = 3_000

export const unchanged = ({ observed }: Situation, actions: ReadonlyArray<Action> = []): Response => ({
  actions,
  status: observed.task.status,
  words: [],
  requeueAfterMillis: Option.none()
})

interface News {
  readonly phase: Phase
  readonly reason: Reason
  readonly message: string
  readonly stalled?: boolean
}

/** With a launch of which no word was said before its Job went: only this process knows of it. */
const step = (_: Situation, news: News) => {
  const { metadata: { generation }, status } = _.observed.task
  return advance({ ...status, ...(_.observed.hadJob && { launches: launchesOf(_.observed) }) }, { ...news, generation, now: _.now })
}

/** The key the pool knows a stage by. */
const assignmentOf = ({ observed: { task: { spec } } }: Situation): Option.Option<string> =>
  Option.map(Option.fromUndefinedOr(spec.pool), ({ runId }) => assignmentId(runId, spec.stage, spec.attempt ?? 1))

/** Until the pool has taken it, whatever the status says already. */
const wordsToPool = (situation: Situation, { message, reason }: Pick<News, "message" | "reason">): ReadonlyArray<Word> => {
  const news = { reason, message: fitting(message) }
  const isTold = Option.exists(situation.observed.told, (told) => told.reason === news.reason && told.message === news.message)
  return isTold ? [] : Option.toArray(assignmentOf(situation)).map((assignment) => Word.ReportWait({ assignment, ...news }))
}

const sameNews = ({ observed: { task: { status } } }: Situation, { message, reason }: News): boolean =>
  status.reason === reason && status.message === fitting(message)

/** A status of a task under way, which the pool hears as well. */
const tell = (situation: Situation, news: News, actions: ReadonlyArray<Action> = []): Response => ({
  ...unchanged(situation, actions),
  status: step(situation, news),
  words: wordsToPool(situation, news)
})

export const later = (response: Response, millis: number): Response => ({
  ...response,
  requeueAfterMillis: Option.some(Math.max(millis, 0))
})

const end = (situation: Situation, phase: "Failed" | "Cancelled", reason: FailureReason | "Cancelled", message: string): Response => ({
  ...unchanged(situation),
  status: step(situation, { phase, reason, message }),
  words: [Word.Emit({ type: phase === "Failed" ? "Warning" : "Normal", reason, message })]
})

// ── it is over ──

export const keep: Respond = (_) => unchanged(_)

export const keepOver: Respond = (_) => {
  const { metadata: { generation }, status } = _.observed.task
  const kept = { ...unchanged(_), status: acknowledged(status, generation) }
  return jobGoesOn(_) ? later(kept, patienceMillis - millisSinceEnd(_)) : kept
}

export const deleteJob: Respond = (_) =>
  unchanged(
    _,
    Option.match(_.observed.job, {
      onNone: () => [],
      onSome: ({ deleting, name, uid }) => deleting ? [] : [Action.DeleteJob({ name, uid })]
    })
  )

export const report: Respond = (_) => ({
  ...unchanged(
    _,
    Option.match(assignmentOf(_), {
      onNone: () => [],
      onSome: (assignment) => [Action.ReportResult({ assignment, result: resultOf(_.observed.task.status, _.now) })]
    })
  ),
  status: { ..._.observed.task.status, reportedAt: _.now }
})

export const release: Respond = (_) => unchanged(_, [Action.Release()])
export const deleteTask: Respond = (_) => unchanged(_, [Action.DeleteTask()])
export const cancel: Respond = (_) => unchanged(_, [Action.Cancel()])

/** One more sentence after words that may be Kubernetes' own, of any length. */
const andThen = (words: string, next: string): string => `${shortened(sentence(words), longestStatusMessage - next.length - 1)} ${next}`

// ── the worker has it ──

export const finishWithLastWords: Respond = (_) => {
  const { task: { metadata, status }, pod } = _.observed
  return Option.match(Option.flatMap(pod, ({ lastWords }) => lastWords), {
    onNone: () => unchanged(_),
    onSome: (result) => ({ ...unchanged(_), status: finished(status, result, metadata.generation, false) })
  })
}

export const finishLost: Respond = (_) => {
  const { reason, message } = endOf(_.observed.pod, _.observed.job)
  const next = _.observed.task.spec.stage === "plan" ? "Nothing was changed." : "Look at the state before the next run."
  return end(_, "Failed", reason, andThen(message, next))
}

export const stall: Respond = (_) =>
  tell(_, {
    phase: "Running",
    reason: "NodeUnreachable",
    message: `Node ${
      Option.match(_.observed.pod, { onNone: () => "", onSome: ({ node }) => node })
    } does not answer; the stage may still run there, so nothing is repeated until it answers or is removed.`,
    stalled: true
  })

export const showStopping: Respond = (_) =>
  tell(_, { phase: "Running", reason: "Stopping", message: "A cancel was asked for; the engine is interrupted once and saves its state." })

/** The claim's own words, again after a time in which the node did not answer. */
export const showRunning: Respond = (_) => {
  const { pod, reason } = _.observed.task.status
  return reason === "NodeUnreachable" && pod !== undefined ? tell(_, running(pod)) : unchanged(_)
}

// ── nobody has it ──

export const finishCalledOff: Respond = (_) =>
  end(_, "Cancelled", "Cancelled", `${_.observed.task.spec.cancel === true ? "Cancelled" : "Deleted"} before it started; nothing was run.`)

export const finishRefused: Respond = (_) =>
  Option.match(_.observed.refusal, {
    onNone: () => unchanged(_),
    onSome: ({ kind, message }) => isForGood(kind) ? end(_, "Failed", kind, message) : unchanged(_)
  })

export const finishDenied: Respond = (_) =>
  Option.match(_.observed.refusal, {
    onNone: () => unchanged(_),
    onSome: ({ message }) => {
      const { startupTimeoutSeconds } = _.policy
      const next =
        `It was denied for ${startupTimeoutSeconds} s (task.startupTimeoutSeconds); mend that, and run the task again. Nothing was run.`
      return end(_, "Failed", "Denied", andThen(message, next))
    }
  })

/** Nothing was said of it yet. */
const isFresh = ({ observed: { task: { status: { phase = "Pending" } } } }: Situation): boolean => phase === "Pending"

const ourJob = ({ observed: { task }, policy }: Situation): string => jobName(policy.basename, task.metadata.name)

const jobMade = (_: Situation): News => ({ phase: "Starting", reason: "JobCreated", message: `Job ${ourJob(_)} is made; its Pod starts.` })

const isJobCounted = ({ observed: { job, task } }: Situation): boolean => Option.exists(job, (job) => isCounted(task, job))

/** Its first word on the Job that is there counts it. */
const launched = (_: Situation, response: Response): Response => ({
  ...response,
  status: counted(_.observed, _.policy, response.status)
})

export const finishNameTaken: Respond = (_) =>
  end(_, "Failed", "NameTaken", `A Job named ${ourJob(_)} exists that this task did not make; delete it or rename the task.`)

/** By two clocks, one of which may be behind: good for when to speak and to look, and for no end. */
const jobAgeMillis = ({ now, observed: { job, jobKnownMillis } }: Situation): number =>
  Option.match(job, { onNone: () => 0, onSome: ({ createdAt }) => Math.max(millisSince(createdAt, now), jobKnownMillis) })

/** Why the launch came to nothing, in one reason and sentence. */
const notStarted = (_: Situation): Pick<News, "message"> & { readonly reason: FailureReason } =>
  podWent(_)
    ? { reason: "Evicted", message: "The Pod is gone, and a quota leaves no room for another." }
    : endOfStart(_.observed)

export const finishNotStarted: Respond = (_) => {
  const { reason, message } = notStarted(_)
  return launched(_, end(_, "Failed", reason, andThen(message, "Nothing was run.")))
}

export const finishStuck: Respond = (_) => {
  const { job, pod } = _.observed
  const name = Option.match(job, { onNone: () => ourJob(_), onSome: ({ name }) => name })
  const because = Option.match(pod, {
    onNone: () => "a finalizer keeps it; remove what is in its metadata.finalizers",
    onSome: ({ name, node }) => `its Pod ${name} does not go; look at ${node === "" ? "it" : `node ${node}`}`
  })
  return launched(
    _,
    end(_, "Failed", "StartupTimeout", `Job ${name} was deleted, and ${because}, and run the task again. Nothing was run.`)
  )
}

const isReason = Schema.is(Reason)

/** Somebody's finalizer may keep it. */
const deleteAndLook: Respond = (_) => later(deleteJob(_), lookAgainAfter(jobAgeMillis(_)))

/** Of a launch that is said to have come to nothing: the next comes no sooner than it is due. */
const clearAwayWhenDue = (_: Situation, told: Response): Response => {
  const soonest = nextAfterMillis(_.observed.task.status) - _.observed.jobKnownMillis
  return soonest > 0 ? later(told, soonest) : deleteAndLook(_)
}

/** Its words stand, and are said to a pool that has not heard them. */
export const clearAway: Respond = (_) => {
  const { message = "", reason } = _.observed.task.status
  return clearAwayWhenDue(_, { ...unchanged(_), words: isReason(reason) ? wordsToPool(_, { reason, message }) : [] })
}

export const clearAwayOrFail: Respond = (_) => {
  const { message, reason } = notStarted(_)
  const { launches = 1 } = counted(_.observed, _.policy, _.observed.task.status)
  if (launches >= mostLaunches(_.policy, reason)) return finishNotStarted(_)
  const news: News = { phase: "Starting", reason, message: andThen(message, "It is launched again.") }
  const told = tell(_, news)
  if (sameNews(_, news) && isSaidToGo(_.observed)) return clearAwayWhenDue(_, told)
  // Said first, guarded by the version: a Pod that has claimed the task meanwhile keeps its Job.
  const { status } = launched(_, told)
  return later({ ...told, status: failed(status) }, 0)
}

/** What a start waits for, or that nothing is known to keep it. */
const startNews = (_: Situation): News =>
  Option.match(troubleOfStart(_.observed), {
    onNone: () => jobMade(_),
    onSome: ({ message, reason }) => ({ phase: "Starting", reason, message })
  })

/** Said first as well, with its launch taken back; to the pool it is no news. */
export const makeAnew: Respond = (_) => {
  const { job, task } = _.observed
  if (Option.exists(job, (job) => isGivenUp(task, job))) return deleteAndLook(_)
  const { status } = launched(_, { ...unchanged(_), status: step(_, startNews(_)) })
  return later({ ...unchanged(_), status: givenUp(status) }, 0)
}

/** Of a Pod that has no room; a Job that has none is queued. */
const saysQuota = ({ observed: { task: { status: { phase, queue, reason } } } }: Situation): boolean =>
  phase === "Starting" && reason === "QuotaExceeded" && queue === undefined

export const finishVanished: Respond = (_) =>
  end(
    _,
    "Failed",
    "Lost",
    "Its Job is gone, and the worker had not taken the task: it was deleted, or it ended and its time to live was over. Nothing was run."
  )

export const showStarting: Respond = (_) => {
  const age = jobAgeMillis(_)
  const quiet = isFresh(_) ? quietMillis : saysQuota(_) ? lookAgainMillis : 0
  if (age < quiet && Option.isNone(troubleOfStart(_.observed))) {
    return later(unchanged(_), Math.min(quiet - age, quiet) + spreadMillis(_.observed.task.metadata.uid))
  }
  const { jobKnownMillis, startingMillis } = _.observed
  const left = waitsForQuota(_.observed) ? quotaPatienceMillis - jobKnownMillis : _.policy.startupTimeoutSeconds * 1000 - startingMillis
  const again = lookAgainAfter(age)
  const news = startNews(_)
  const told = tell(_, news)
  return later(
    sameNews(_, news) && isJobCounted(_) && !isSaidToGo(_.observed) ? told : launched(_, told),
    left > 0 ? Math.min(left, again) : again
  )
}

const waitFor = (_: Situation, reason: WaitReason, message: string, position: number, blockedBy?: string): Response => {
  const response = tell(_, { phase: "Queued", reason, message })
  return { ...response, status: { ...response.status, queue: { position, reason, ...(blockedBy !== undefined && { blockedBy }) } } }
}

const ordinal = (position: number): string => position <= 4 ? `${position}` : `about ${position}`

export const queue: Respond = (_) => {
  const { turn } = _.observed
  if (turn._tag === "Admitted") return unchanged(_)
  const blockedBy = Option.getOrUndefined(turn.blockedBy)
  if (turn.reason === "IsolationUnproven") {
    return waitFor(
      _,
      "IsolationUnproven",
      "Nothing starts before the isolation of tasks is proven for the present values; run agent-job doctor.",
      turn.position
    )
  }
  if (turn.reason === "Draining") {
    return waitFor(_, "Draining", "Nothing new starts while the cluster is drained; agent-job drain --undo ends that.", turn.position)
  }
  const message = turn.reason === "WorkspaceBusy"
    ? `Waits for ${blockedBy}, which may change workspace ${_.observed.task.spec.workspace}.`
    : `Number ${ordinal(turn.position)} in the queue: as many tasks run as the limits allow.`
  return waitFor(_, turn.reason, message, turn.position, blockedBy)
}

export const queueBehindHolder: Respond = (_) => {
  const { holder, task } = _.observed
  const by = holder._tag === "Taken" ? holder.by : "another task"
  return later(waitFor(_, "WorkspaceBusy", `Waits for ${by}, which holds workspace ${task.spec.workspace}.`, 1, by), askAgainMillis)
}

export const queueRefused: Respond = (_) =>
  Option.match(_.observed.refusal, {
    onNone: () => unchanged(_),
    onSome: ({ againInMillis, kind, message }) => later(waitFor(_, waitReasonOf(kind), message, 1), againInMillis)
  })

/** Its turn came after the source could have been asked. */
export const askSource: Respond = (_) => later(unchanged(_), 0)

export const waitForSource: Respond = (_) => {
  const { source } = _.observed
  return source._tag === "NotReady" ? later(waitFor(_, "SourceNotReady", source.message, 1), lookAgainMillis) : unchanged(_)
}

/** Written before there is a Job, since the worker reads it with its claim. */
export const pin: Respond = (_) => {
  const { source } = _.observed
  if (source._tag !== "Ready") return unchanged(_)
  const response = tell(_, { phase: "Pending", reason: "Accepted", message: `Runs revision ${source.artifact.revision}.` })
  return { ...response, status: { ...response.status, source: source.artifact } }
}

/** A name that was cut or cleaned: policies of the API server cannot work it out. */
export const nameJob: Respond = (_) => {
  const response = tell(_, { phase: "Pending", reason: "Accepted", message: `Its Job is called ${ourJob(_)}.` })
  return { ...response, status: { ...response.status, job: { name: ourJob(_) } } }
}

/** A first launch needs no status of its own: the Job's name is derived, so it is found again without one. */
const launchIn = (_: Situation, epoch: number, before: ReadonlyArray<Action> = []): Response => {
  const { message = "" } = _.observed.task.status
  const news: News = isMadeAnew(_.observed.task) && saysQuota(_)
    ? { phase: "Starting", reason: "QuotaExceeded", message } // most likely it still waits
    : jobMade(_)
  const response = tell(_, news, [...before, Action.CreateJob({ epoch })])
  if (isFresh(_) && launchesOf(_.observed) === 0) return later({ ...response, status: _.observed.task.status }, quietMillis)
  const status = launchedAs(ourJob(_), _.observed, _.policy, response.status)
  return later({ ...response, status }, _.policy.startupTimeoutSeconds * 1000)
}

export const launch: Respond = (_) => launchIn(_, epochOf(_.observed.holder))

export const takeAndLaunch: Respond = (_) => {
  const { holder } = _.observed
  const epoch = nextEpoch(holder)
  return launchIn(_, epoch, [Action.TakeWorkspace({ from: holder, epoch })])
}
