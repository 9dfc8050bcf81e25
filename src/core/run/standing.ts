// Whether what is asked or said of a stage counts: that of its task; before one has it, that of whose pool may take it.
// Invariant: a stage belongs for good to the AgentTask that took it first, wherever its workspace is moved.
// Used by server/run/assignments; each case is a row of test/core/run/standing.test.ts.
import { Data, Option } from "effect"
import type { ToldResult } from "../../schema/task/stage-result.ts"

/** Who speaks for a stage, with the UID of the AgentTask; none: no task was made. */
export type Speaker = Data.TaggedEnum<{
  /** With a token of the pool. Older agents do not say their names. */
  Agent: { readonly pool: string; readonly taskUid: Option.Option<string>; readonly name?: string | undefined }
  /** A worker that asks to be let in, with the token of an offer to the pool; null: it was offered before pools were noted. */
  Bearer: { readonly pool: string | null; readonly taskUid: Option.Option<string> }
  /** One that was let in. */
  Worker: { readonly taskUid: Option.Option<string> }
}>
export const Speaker = Data.taggedEnum<Speaker>()

type Stage = { readonly id: string; readonly taskUid: string | null; readonly agentPool: string | null }

type Begun = { readonly cancelSeq: number | null; readonly startedAt: unknown; readonly taskUid: string | null }

/** It counts; it counts, and the task takes the stage by it; or it changes nothing. `taken` is a word that older agents know and obey. */
export type Standing = "counts" | "takes" | "unauthorized" | { readonly taken: string }

/** `mayTake`: whether the workspace is for the speaker's pool, which counts while no task has the stage. */
export const standing = ({ agentPool, id, taskUid }: Stage, by: Speaker, mayTake: boolean): Standing => {
  const nothing = "what this one asks or says of it changes nothing."
  if (taskUid === null && !mayTake) return { taken: `The stage ${id} is for the agents of another pool; ${nothing}` }
  if (taskUid === null) return Option.isSome(by.taskUid) ? "takes" : "counts"
  if (!Option.contains(by.taskUid, taskUid)) return { taken: `Another agent has the stage ${id}; ${nothing}` }
  // Offered to another pool than that which took it, the token opens nothing more, even for who knows the UID. The task's own worker has
  // such a token if its pool was renamed meanwhile, and renews it; `taken` would be untrue of it.
  const isOfOtherOffer = by._tag === "Bearer" && by.pool !== null && agentPool !== null && by.pool !== agentPool
  return isOfOtherOffer ? "unauthorized" : "counts"
}

/**
 * Returns the result without what the agent guesses: whether a stage whose worker said nothing had the lock (controller/pool/assignment-reports).
 * A database that would have that lock knows better; a copy from before offers the stage again, or cancels it as one that no task has.
 */
export const withoutGuess = (stage: Begun, by: Speaker, result: ToldResult): ToldResult => {
  const { statePushed, ...rest } = result
  const isGuess = by._tag === "Agent" && statePushed === false && result.exitCode === undefined
  const knowsItsLock = stage.startedAt !== null || (stage.cancelSeq !== null && stage.taskUid !== null)
  return isGuess && knowsItsLock ? rest : result
}
