// A cluster that is drained starts nothing new, and what runs goes on: how somebody asks for it, and how the controller answers.
// Both are annotations on the Lease of the leading controller, so they outlive it, and whoever leads next keeps to them.
// Used by controller/controller, controller/turns and cli/draining.
import { Option, Record } from "effect"
import { Turn } from "./observed.ts"

/** Since when nothing new is to start, in RFC 3339. */
const asked = "scalr.io/drain"
/** The same, once the controller keeps to it. */
const kept = "scalr.io/drained"

type Annotations = Readonly<Record<string, string>>

export const drainedSince = (annotations: Annotations): Option.Option<string> => Option.fromUndefinedOr(annotations[asked])

/** Asked for: one that is drained already stays as it is. */
export const drained = (annotations: Annotations, now: string): Annotations => ({ ...annotations, [asked]: annotations[asked] ?? now })

export const undrained = (annotations: Annotations): Annotations => Record.remove(annotations, asked)

/**
 * How long one that led before may still make a Job, if it did not give the lead back: its passes end within 20 s of the end of its lead,
 * and their requests within 30 s. One that gives it back has waited for both.
 */
export const formerLeadMillis = 60_000

/** The controller's answer to what is asked; to a drain not while a Job is on its way that was decided on before. */
export const answered = (annotations: Annotations, launching: boolean): Annotations => {
  const since = annotations[asked]
  if (since === undefined) return Record.remove(annotations, kept)
  return launching ? annotations : { ...annotations, [kept]: since }
}

export const isAnswered = (annotations: Annotations): boolean => annotations[asked] === annotations[kept]

/** The turn of every task that has not begun. */
export const heldBack: Turn = Turn.Waiting({ reason: "Draining", position: 1, blockedBy: Option.none() })
