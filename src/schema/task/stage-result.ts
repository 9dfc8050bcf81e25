// The result of a stage: written once by whichever part knows it, and the same in the status, at the pool and in the termination message.
// Invariant: `succeeded` is only ever made from the worker's own knowledge, never from a Pod's phase.
// Used by the AgentTask's status, the pool API and the task API.
import { Schema } from "effect"
import { Sha256, Timestamp } from "../names.ts"
import { text } from "../text.ts"
import { Reason } from "./reason.ts"

const count = (description: string) => Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)).annotate({ description })

/** Resources by what becomes of them, from the engine's JSON, never from its text. */
export const Changes = Schema.Struct({
  add: count("How many are made."),
  change: count("How many are changed in place."),
  destroy: count("How many are destroyed; one that is replaced counts here and under add."),
  import: Schema.optionalKey(
    count("Plan only: how many are taken into the state, whatever else is done with them; absent: none, or not counted.")
  ),
  forget: Schema.optionalKey(count("Plan only: how many leave the state and stay in the world; absent: none, or not counted."))
})
export type Changes = typeof Changes.Type

/** Reports whether something in the world is made, changed or destroyed. */
export const touches = ({ add, change, destroy }: Changes): boolean => add + change + destroy > 0

/** Longest message of a result, in characters. */
export const longestMessage = 2048

export const StageResult = Schema.Struct({
  outcome: Schema.Literals(["succeeded", "failed", "cancelled"]).annotate({ description: "How it ended, in one word." }),
  reason: Reason,
  message: text(longestMessage).annotate({ description: "One sentence for a person." }),
  exitCode: Schema.optionalKey(
    Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 })).annotate({ description: "Of the engine." })
  ),
  changes: Schema.optionalKey(
    Changes.annotate({ description: "Resources that the plan would change, or that the apply has changed; absent: not counted." })
  ),
  hasChanges: Schema.optionalKey(Schema.Boolean.annotate({ description: "Plan only: there is something to apply, outputs included." })),
  unusedBackend: Schema.optionalKey(
    text(64).annotate({
      description:
        "Plan only: the backend that the configuration has, though it is not used, where the workspace has no state yet; it may have one. Such a plan is not applied before a person approves it."
    })
  ),
  planDigest: Schema.optionalKey(Sha256.annotate({ description: "SHA-256 of the saved plan that was stored." })),
  statePushed: Schema.optionalKey(
    Schema.Boolean.annotate({
      description:
        "The last state the engine wrote is confirmed by the server. False also where the state may lack what was made, as of a stage without a pool, or of a lost one that the server has forgotten."
    })
  ),
  stateDigest: Schema.optionalKey(Sha256.annotate({ description: "SHA-256 of the last state that the server confirmed." })),
  finishedAt: Timestamp.annotate({ description: "When it ended, in UTC." })
})
export type StageResult = typeof StageResult.Type

/**
 * Returns the digest of the plan that a result kept to be applied, or none. A plan whose changes could not be counted is taken to have some,
 * as one of a pool is (core/run/run-end).
 */
export const planToApply = ({ hasChanges, outcome, planDigest }: Omit<StageResult, "reason">): Sha256 | undefined =>
  outcome === "succeeded" && hasChanges !== false ? planDigest : undefined

/** A reason as it is read: a newer version may have written one that is unknown here. */
export const ToldReason = Schema.String.check(
  Schema.isPattern(/^[A-Za-z][A-Za-z0-9]*$/u, { expected: "one word" }),
  Schema.isMaxLength(64)
).annotate({ description: "Why, from the list of reasons; a newer version may have others." })

/** A result as it is read, since a newer version may have written it. */
export const ToldResult = Schema.Struct({ ...StageResult.fields, reason: ToldReason }).annotate({ identifier: "ToldResult" })
export type ToldResult = typeof ToldResult.Type
