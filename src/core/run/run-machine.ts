// How a run goes from one status to the next, as one table of named rows.
// What an agent says changes no final status, and an event that comes twice has the effect of one.
// Used by server/run/runs, which stores the step and does what follows from it. Modules that name a status to people take its words from here.
import { Data } from "effect"
import type { RunStatus } from "../../schema/api/run.ts"
import type { Sha256 } from "../../schema/names.ts"

/** What the machine needs to know of a run. `cancelAsked` says that a person wants the run to end while an agent still works on it. */
export interface RunState {
  readonly status: RunStatus
  readonly planOnly: boolean
  readonly autoApply: boolean
  /** Whether a plan without changes is applied too, so that the engine writes its state anew. */
  readonly allowEmptyApply: boolean
  /** Whether a stock client keeps the run in a file, whose plan it applies without a prompt. */
  readonly saved: boolean
  readonly cancelAsked: boolean
  /** The seal of the run's plan; null if it has none. */
  readonly planSha256: Sha256 | null
}

/** Returns the status as it stands in a sentence. */
export const inWords = (status: string): string => status.replaceAll("_", " ")

export type Step = "plan" | "apply"

/**
 * The last three come from a person, the others from an agent. `Disrupted` says that the plan ended through no fault of its own, and is to
 * be made again.
 */
export type RunEvent = Data.TaggedEnum<{
  Started: { readonly step: Step }
  /** `asks` says that a person decides on the plan, also where the run applies by itself. */
  Planned: { readonly hasChanges: boolean; readonly asks?: boolean }
  Applied: {}
  Failed: { readonly step: Step }
  Stopped: { readonly step: Step }
  Disrupted: {}
  /** `seal` is that of the plan that the person saw. Without it, any plan of the run is meant. */
  Confirm: { readonly seal?: Sha256 }
  Discard: {}
  Cancel: {}
}>
export const RunEvent = Data.taggedEnum<RunEvent>()

export type Move = Data.TaggedEnum<{
  Moved: { readonly status: RunStatus; readonly cancelAsked: boolean }
  Unchanged: {}
  /** `message` is a sentence but for the run's id, with which it begins. */
  Refused: { readonly error: "wrong-moment" | "other-seal"; readonly message: string }
}>
export const Move = Data.taggedEnum<Move>()

export const finalStatuses: ReadonlyArray<RunStatus> = ["applied", "planned_and_finished", "errored", "canceled", "discarded"]

export const isFinal = (status: RunStatus): boolean => finalStatuses.includes(status)

export interface Row {
  readonly situation: string
  readonly holds: (run: RunState, event: RunEvent) => boolean
  readonly to: (run: RunState) => Move
}

const to = (status: RunStatus) => (run: RunState): Move => Move.Moved({ status, cancelAsked: run.cancelAsked })
const ofAnother = ({ planSha256 }: RunState): Move =>
  Move.Refused({
    error: "other-seal",
    message: `has the plan with the seal ${planSha256}, which is not the one that was approved; look at it again.`
  })
const stay = (): Move => Move.Unchanged()

const byPerson = (event: RunEvent) => event._tag === "Confirm" || event._tag === "Discard" || event._tag === "Cancel"
const isIn = (run: RunState, ...statuses: ReadonlyArray<RunStatus>) => statuses.includes(run.status)
const planIsDue = (run: RunState) => isIn(run, "pending", "planning")
const applyIsDue = (run: RunState) => isIn(run, "confirmed", "applying")
const isDue = (run: RunState, step: Step) => step === "plan" ? planIsDue(run) : applyIsDue(run)
const asks = (event: RunEvent) => event._tag === "Planned" && event.asks === true
const planned = (run: RunState, event: RunEvent) => event._tag === "Planned" && planIsDue(run)

const isOfAnother = (run: RunState, event: RunEvent) =>
  event._tag === "Confirm" && event.seal !== undefined && run.planSha256 !== null && event.seal !== run.planSha256

/** The first row that holds decides. An agent may answer before its start was noticed, so `pending` and `confirmed` take results too. */
export const rows: ReadonlyArray<Row> = [
  { situation: "confirmed is a plan that it has not", holds: isOfAnother, to: ofAnother },
  {
    situation: "confirmed again",
    holds: (run, event) => event._tag === "Confirm" && isIn(run, "confirmed", "applying", "applied"),
    to: stay
  },
  { situation: "discarded again", holds: (run, event) => event._tag === "Discard" && isIn(run, "discarded"), to: stay },
  {
    situation: "cancelled again",
    holds: (run, event) => event._tag === "Cancel" && (run.cancelAsked || isIn(run, "canceled", "discarded")),
    to: stay
  },
  { situation: "over, whatever an agent says", holds: (run, event) => isFinal(run.status) && !byPerson(event), to: stay },
  {
    situation: "an agent has the plan",
    holds: (run, event) => event._tag === "Started" && event.step === "plan" && isIn(run, "pending"),
    to: to("planning")
  },
  {
    situation: "an agent has the apply",
    holds: (run, event) => event._tag === "Started" && event.step === "apply" && isIn(run, "confirmed"),
    to: to("applying")
  },
  { situation: "planned, but to be cancelled", holds: (run, event) => planned(run, event) && run.cancelAsked, to: to("canceled") },
  {
    situation: "planned, only a plan was asked for",
    holds: (run, event) => planned(run, event) && run.planOnly,
    to: to("planned_and_finished")
  },
  {
    situation: "planned, nothing to change",
    holds: (run, event) => planned(run, event) && event._tag === "Planned" && !event.hasChanges && !run.allowEmptyApply,
    to: to("planned_and_finished")
  },
  {
    situation: "planned, applies by itself",
    holds: (run, event) => planned(run, event) && run.autoApply && !asks(event),
    to: to("confirmed")
  },
  { situation: "planned, waits for a person", holds: planned, to: to("planned") },
  { situation: "applied", holds: (run, event) => event._tag === "Applied" && applyIsDue(run), to: to("applied") },
  { situation: "the stage failed", holds: (run, event) => event._tag === "Failed" && isDue(run, event.step), to: to("errored") },
  {
    situation: "its plan was disrupted, but is to be cancelled",
    holds: (run, event) => event._tag === "Disrupted" && planIsDue(run) && run.cancelAsked,
    to: to("canceled")
  },
  {
    situation: "its plan was disrupted, and waits to be made again",
    holds: (run, event) => event._tag === "Disrupted" && isIn(run, "planning"),
    to: to("pending")
  },
  { situation: "the stage was stopped", holds: (run, event) => event._tag === "Stopped" && isDue(run, event.step), to: to("canceled") },
  { situation: "a person confirms", holds: (run, event) => event._tag === "Confirm" && isIn(run, "planned"), to: to("confirmed") },
  {
    situation: "a person discards",
    holds: (run, event) => event._tag === "Discard" && isIn(run, "pending", "planned"),
    to: to("discarded")
  },
  {
    // Not canceled: a stock client at its prompt takes that for an approval, and says no more. One that waits without a prompt, for a saved
    // plan, takes discarded for a success.
    situation: "cancelled while it waits at a prompt",
    holds: (run, event) => event._tag === "Cancel" && isIn(run, "planned") && !run.saved,
    to: to("discarded")
  },
  {
    situation: "cancelled while no agent has it",
    holds: (run, event) => event._tag === "Cancel" && isIn(run, "pending", "planned", "confirmed"),
    to: to("canceled")
  },
  {
    situation: "cancelled while an agent works",
    holds: (run, event) => event._tag === "Cancel" && isIn(run, "planning", "applying"),
    to: (run) => Move.Moved({ status: run.status, cancelAsked: true })
  }
]

const instead = ({ status }: RunState, event: RunEvent): string => {
  if (isFinal(status)) return "start another with: agent-job run DIR"
  return event._tag === "Confirm" ? "look at its plan once it is there." : "cancel it instead."
}

const refusal = (run: RunState, event: RunEvent): Move =>
  Move.Refused({
    error: "wrong-moment",
    message: `is ${inWords(run.status)} and cannot be ${
      event._tag === "Confirm" ? "applied" : event._tag === "Discard" ? "discarded" : "cancelled"
    }; ${instead(run, event)}`
  })

/**
 * Returns what `event` does to a run. An event of an agent is never refused, but may have no effect. An event of a person is refused at the
 * wrong moment.
 */
export const move = (run: RunState, event: RunEvent): Move =>
  rows.find(({ holds }) => holds(run, event))?.to(run) ?? (byPerson(event) ? refusal(run, event) : Move.Unchanged())

/** Returns which events of a person are offered now. A cancel of a run that was planned is accepted too, though a discard is offered. */
export const wishes = (run: RunState) => ({
  confirm: isIn(run, "planned"),
  discard: isIn(run, "pending", "planned"),
  cancel: !run.cancelAsked && isIn(run, "pending", "planning", "confirmed", "applying"),
  /** Only after a cancel, because an agent that is there ends the run in order, with its state saved. */
  forceCancel: run.cancelAsked && !isFinal(run.status)
})
