// A drained cluster starts nothing new, and what runs goes on: how a person asks for that, and how the controller answers.
// Request and answer are annotations on the Lease of the leading controller, so they outlive it, and the next leader obeys them.
// Used by controller/lifecycle/controller, controller/world/turns and cli/cluster/draining.
import { Option, Record } from "effect"
import { Turn } from "../task/observed.ts"

/** The request: the time since when nothing new is to start, in RFC 3339. */
const request = "scalr.io/drain"
/** The answer: the same time, once the controller obeys the request. */
const answer = "scalr.io/drained"

export type Annotations = Readonly<Record<string, string>>

export const drainAskedAt = (annotations: Annotations): Option.Option<string> => Option.fromUndefinedOr(annotations[request])

/** Returns the annotations with the request. An earlier request keeps its time. */
export const withDrainAsked = (annotations: Annotations, now: string): Annotations => ({
  ...annotations,
  [request]: annotations[request] ?? now
})

export const withoutDrainAsked = (annotations: Annotations): Annotations => Record.remove(annotations, request)

/**
 * How long after the last renewal of its lead a controller asks for Jobs. The lead ends 10 s after that, and its passes 20 s later; but those
 * of a process that was stopped end only some time after it goes on.
 */
export const launchLimitMillis = 30_000

/**
 * How long a former leader that did not give the lead back may still make a Job: its passes end within 20 s of the end of its lead, or ask
 * for none after `launchLimitMillis`, and their requests within 30 s. A leader that gives the lead back has waited for both.
 */
export const formerLeadMillis = 60_000

/**
 * Returns the annotations with the controller's answer. A drain is not answered while a Job that was decided on earlier may still be made.
 */
export const answered = (annotations: Annotations, mayLaunch: boolean): Annotations => {
  const since = annotations[request]
  if (since === undefined) return Record.remove(annotations, answer)
  return mayLaunch ? annotations : { ...annotations, [answer]: since }
}

export const isAnswered = (annotations: Annotations): boolean => annotations[request] === annotations[answer]

/** The turn of every task that has not begun, while the cluster is drained. */
export const heldBack: Turn = Turn.Waiting({ position: 1, why: { reason: "Draining" } })
