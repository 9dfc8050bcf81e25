// Whether the end of a stage leaves the state of its workspace in doubt, in which case a rescue is opened: one table, read from the top.
// Invariant: a plan leaves none, nor does a success, unless its state is not saved or the server lacks the state that it saved.
// Used by server/run/stage-ends and server/workspace/state-locks, and for the advice that people see; printed into docs/decisions.md.
import type { Stage } from "../../schema/task/agent-task.ts"
import type { ToldResult } from "../../schema/task/stage-result.ts"

/** How a stage stands to the state of its workspace. */
export interface HoldOnState {
  /** Its lock on the state. `none`: never taken, or given back. `held`: still held. `broken`: taken from it by force. */
  readonly lock: "none" | "held" | "broken"
  /** Whether a state of it was refused and is kept as evidence on which no person has decided. */
  readonly refusedState: boolean
}

export interface StageEnd extends HoldOnState {
  readonly stage: Stage
  readonly result: Pick<ToldResult, "outcome" | "reason" | "message" | "statePushed">
  /** Whether its journal has what no later plan would find; see core/state/left-over. */
  readonly unsavedEffects: boolean
  /** Its last state was confirmed, and yet this server does not have it. */
  readonly confirmedElsewhere: boolean
}

interface Row {
  readonly situation: string
  readonly holds: (end: StageEnd) => boolean
  readonly opens: boolean
  readonly because: string
}

const confirmed = ({ result }: StageEnd) => result.statePushed === true

export const rows: ReadonlyArray<Row> = [
  { situation: "a plan", holds: ({ stage }) => stage === "plan", opens: false, because: "it writes no state" },
  {
    situation: "the worker says that the last state is not saved, or the controller that nobody knows",
    holds: ({ result }) => result.statePushed === false || result.reason === "StateNotSaved",
    opens: true,
    because: "the state may lack what the engine wrote last"
  },
  {
    situation: "the worker says that the last state is saved, and the server does not have it",
    holds: ({ confirmedElsewhere }) => confirmedElsewhere,
    opens: true,
    because: "its last state was saved, but the server does not have it, as in a copy that was made before"
  },
  {
    situation: "success",
    holds: ({ result }) => result.outcome === "succeeded",
    opens: false,
    because: "the engine ended in order and its last state is confirmed"
  },
  {
    situation: "its journal names what the state does not have",
    holds: ({ unsavedEffects }) => unsavedEffects,
    opens: true,
    because: "it made things that the state does not have, or nobody saw whether it did"
  },
  {
    situation: "it still held the lock",
    holds: ({ lock }) => lock === "held",
    opens: true,
    because: "nobody saw the engine give the lock back, so what it changed since its last push may be missing in the state"
  },
  {
    situation: "a state of it was refused, and no later one is confirmed",
    holds: (end) => end.refusedState && !confirmed(end),
    opens: true,
    because: "what it changed may be in the refused state alone"
  },
  {
    situation: "the lock was taken from it by force, and no last state is confirmed",
    holds: (end) => end.lock === "broken" && !confirmed(end),
    opens: true,
    because: "what it changed since could not be saved"
  },
  {
    situation: "anything else",
    holds: () => true,
    opens: false,
    because: "it had not begun to change anything, or gave the lock back with its last state saved"
  }
]

/** Returns why the state is in doubt, in the words of the row that says so, or undefined if it is not. */
export const doubtOf = (end: StageEnd): string | undefined => {
  const row = rows.find(({ holds }) => holds(end))
  return row?.opens === true ? row.because : undefined
}

/** Returns what a person is to do about it, for messages to those who wait. */
export const rescueAdvice = (workspace: string): string => `look at it and settle it with: agent-job state rescue ${workspace}`
