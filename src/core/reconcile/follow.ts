// Tasks that follow their source: when such a task makes its next attempt, when that plan is applied, and what the task says of them.
// Invariant: attempts are made one after another. Each takes the newest artifact when its Job is made.
// Used by core/reconcile/plan, whose other rows do not know that a task is an attempt; controller/reconcile/ask and cli/cluster/tasks use `follows`, controller/reconcile/flux-sources `answerMillis`.
import { Option } from "effect"
import type { AgentTask, AgentTaskStatus } from "../../schema/task/agent-task.ts"
import type { Artifact, FluxSource } from "../../schema/task/source.ts"
import { isForGood, type Refusal, type Seen, waitReasonOf } from "../task/observed.ts"
import { isOver, isRevoked } from "../task/status.ts"
import { spreadMillis } from "../text/fingerprint.ts"
import { Action, Notice } from "./action.ts"
import {
  doubted,
  isInterim,
  lostSight,
  outdated,
  ownAgain,
  reflected,
  remembered,
  revoked,
  toBeMadeAgain,
  unapplied,
  unattempted,
  unready,
  type Why
} from "./attempt-conditions.ts"
import { applyName, attemptName, isFollower, nextAttempt } from "./attempts.ts"
import { againInMillis, inDoubt, newest, spokenOf, tried, unfinished } from "./newest-attempt.ts"
import { keep } from "./over.ts"
import { isOutdated, notApplied, type Wanted } from "./plan-to-apply.ts"
import { cancel, later, noticesOfDeletion, type Respond, type RespondTo, unchanged } from "./response.ts"
import { is, type When } from "./situation.ts"

/** How long tasks that follow the same source may share one read of it. */
export const answerMillis = 5_000

/** How often the controller looks at a followed source, so that it sees a new artifact within 30 s. It also looks whenever the task changes. */
const lookMillis = 30_000 - answerMillis

/**
 * Reports whether the task makes attempts for new artifacts of its source: it does so from its own end until it is cancelled or deleted.
 */
export const follows = (task: AgentTask): boolean => isOver(task.status.phase) && isFollower(task) && !isRevoked(task)

/** What the next attempt, or the apply of the newest one, can be made from. */
interface Origin {
  readonly artifact: Artifact
  readonly fluxSource: FluxSource
}

/** Returns what the source of a task that follows it has at present, or none while it is not ready. */
const offered = ({ source, task }: Seen): Option.Option<Origin> => {
  const { fluxSource } = task.spec.source
  return fluxSource !== undefined && follows(task) && source._tag === "Ready"
    ? Option.some({ artifact: source.artifact, fluxSource })
    : Option.none()
}

/** Returns what the next attempt can be made from, or none while the newest one or its apply is under way, or left its state in doubt. */
const offeredAnew = (s: Seen): Option.Option<Origin> =>
  Option.filter(offered(s), () => Option.isNone(unfinished(s)) && Option.isNone(inDoubt(s)))

/** Reports whether the newest plan is called off or gone, which only a person deletes, or is not of what its source has now. */
const isUnwanted = (s: Seen): boolean =>
  !Option.exists(newest(s), (plan) => !isRevoked(plan)) || Option.exists(offered(s), ({ artifact }) => artifact.sha256 !== tried(s))

/** Returns why a plan is never applied, or none if it is once the source has nothing newer, or its apply is made already. */
const whyNever = ({ latestApply, now }: Seen, wanted: Wanted): Option.Option<Why> =>
  isRevoked(wanted.plan) && Option.isNone(latestApply)
    ? Option.some(revoked)
    : isOutdated(wanted, now)
    ? Option.some(outdated)
    : Option.none()

export const when = {
  refused: ({ refusal, task }) => Option.filter(refusal, ({ ofDeletion }) => ofDeletion !== true && follows(task)),
  unwanted: (s) =>
    Option.filter(s.latestApply, ({ status }) => follows(s.task) && status.claim === undefined && !isOver(status.phase) && isUnwanted(s)),
  newArtifact: (s) => Option.filter(offeredAnew(s), ({ artifact }) => artifact.sha256 !== tried(s)),
  planned: (s) =>
    Option.zipWith(
      offered(s),
      Option.filter(notApplied(s), (wanted) => Option.isNone(whyNever(s, wanted))),
      ({ artifact }, wanted) => ({ ...wanted, artifact })
    ),
  disrupted: (s) => Option.filter(offeredAnew(s), () => Option.exists(againInMillis(s), (millis) => millis <= 0)),
  atRest: is(({ task }) => follows(task)),
  cancelled: (s) => Option.filter(unfinished(s), () => s.task.spec.cancel === true)
} satisfies Readonly<Record<string, When<unknown>>>

const makeNext = (s: Seen, { artifact, fluxSource: { onChange: _onChange, ...fluxSource } }: Origin, again: number) => {
  const { metadata: { name }, spec: { cancel: _cancel, ...spec } } = s.task // each attempt is cancelled by itself
  const attempt = nextAttempt(s.task)
  const next = attemptName(name, attempt)
  return {
    ...unchanged(s, [Action.CreateTask({ name: next, spec: { ...spec, attempt, source: { fluxSource } } })]),
    status: {
      ...reflected(s.task, { metadata: { name: next }, status: {} }, s.now),
      latest: { attempt, name: next, sha256: artifact.sha256, ...(again > 0 && { again }) }
    }
  }
}

export const makeAttempt: RespondTo<Origin> = (s, offer) => makeNext(s, offer, 0)

/** Makes the newest attempt again, at the same artifact: a newer artifact makes a new attempt instead. */
export const planAgain: RespondTo<Origin> = (s, offer) => makeNext(s, offer, 1 + (s.task.status.latest?.again ?? 0))

export const applyPlan: RespondTo<Wanted & Pick<Origin, "artifact">> = (s, { artifact, plan, spec }) => {
  const { status } = s.task
  const apply = applyName(plan.metadata.name)
  const latest = status.latest ?? { attempt: plan.spec.attempt ?? 1, name: plan.metadata.name, sha256: artifact.sha256 }
  const told = reflected(s.task, { metadata: { name: apply }, status: {} }, s.now) // an older worker has said Ready
  return { ...unchanged(s, [Action.CreateTask({ name: apply, spec })]), status: { ...told, latest: { ...latest, apply } } }
}

export const cancelAttempt: RespondTo<AgentTask> = (s, of) => ({
  ...keep(s),
  actions: cancel(s, of).actions,
  status: reflected(s.task, of, s.now)
})

export const tellRefusal: RespondTo<Refusal> = (s, refusal) => {
  const { message } = refusal
  const reason = waitReasonOf(refusal)
  return later({
    ...unchanged(s),
    notices: [Notice.Emit({ type: "Warning", reason, message })],
    status: unattempted(s.task, { reason, message, stalled: isForGood(refusal) }, s.now)
  }, lookMillis)
}

const said = (s: Seen): AgentTaskStatus => {
  const { now, source, task } = s
  const { latest } = task.status
  const doubt = inDoubt(s)
  if (Option.isSome(doubt)) return doubted(task, doubt.value, now)
  const lack = source._tag === "NotReady" ? Option.some(source.message) : Option.none()
  const wanted = notApplied(s)
  const why = Option.flatMap(wanted, (_) => Option.orElse(whyNever(s, _), () => Option.map(lack, unready)))
  if (Option.isSome(wanted) && Option.isSome(why)) return unapplied(task, wanted.value.plan, why.value, now)
  const again = Option.filter(spokenOf(s), () => Option.isSome(againInMillis(s)))
  if (Option.isSome(again)) return toBeMadeAgain(task, again.value, lack, now)
  return Option.match(Option.filter(spokenOf(s), (of) => of !== task), {
    onNone: () =>
      latest === undefined
        ? ownAgain(task, now)
        : isInterim(task.status)
        ? lostSight(task, latest.apply ?? latest.name, now)
        : remembered(task, latest.apply ?? latest.name, now), // its end is still the newest
    onSome: (of) => reflected(task, of, now)
  })
}

/**
 * Returns the status with the digest of the artifact that the newest attempt took, which may be newer than the attempt. So that artifact
 * counts as tried even once the attempt is gone.
 */
const remembering = (s: Seen, status: AgentTaskStatus): AgentTaskStatus => {
  const sha256 = tried(s)
  return status.latest === undefined || sha256 === undefined ? status : { ...status, latest: { ...status.latest, sha256 } }
}

/**
 * Sets the conditions to those of the newest attempt or of its apply, so that a client that waits for this task waits for what the source
 * has now.
 */
export const reflect: Respond = (s) =>
  later(
    { ...unchanged(s), notices: noticesOfDeletion(s), status: remembering(s, said(s)) },
    Math.min(lookMillis - spreadMillis(s.task.metadata.uid), ...Option.toArray(againInMillis(s)).filter((millis) => millis > 0))
  )
