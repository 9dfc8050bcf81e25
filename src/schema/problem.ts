// How our own APIs say no: one sentence, a word for programs, and nothing secret.
// Invariant: the status code alone already tells whether asking again can help (429, 5xx) or not (other 4xx).
// Used by the pool and task APIs on both sides; the user API has the TFE form instead.
import { Schema } from "effect"

/** All that the server says; clients read any, since a newer one may say more. */
export type ProblemCode =
  | "address-too-long"
  | "already-uploaded"
  | "another-upload"
  | "bad-request"
  | "busy"
  | "changed"
  | "configuration-removed"
  | "damaged"
  | "digest-mismatch"
  | "fenced"
  | "import-runs"
  | "internal"
  | "invalid"
  | "journal-gap"
  | "locked"
  | "log-gap"
  | "no-plan"
  | "no-state"
  | "not-found"
  | "not-in-doubt"
  | "not-kept"
  | "not-locked"
  | "not-of-this-server"
  | "not-over"
  | "nothing-pending"
  | "nothing-to-import"
  | "old-serial"
  | "other-lineage"
  | "other-seal"
  | "other-workspace"
  | "plan-exists"
  | "removed"
  | "request-timeout"
  | "rescue-pending"
  | "result-exists"
  | "settled"
  | "stage-over"
  | "state-unread"
  | "stopping"
  | "storage"
  | "stored-before"
  | "taken"
  | "too-large"
  | "too-many-requests"
  | "too-many-waiting"
  | "unauthorized"
  | "unrecorded"
  | "wrong-moment"
  | "wrong-stage"

/** Whether what was said is one of these. */
export const isOneOf = (said: string | undefined, ...codes: ReadonlyArray<ProblemCode>): boolean => codes.some((code) => code === said)

export const Problem = Schema.Struct({
  error: Schema.String.annotate({ description: "A word for programs, such as digest-mismatch." }),
  message: Schema.String.annotate({ description: "One sentence for a person." })
})
export type Problem = typeof Problem.Type
