// How our own APIs refuse a request: with one sentence, a word for programs, and nothing secret.
// Invariant: asking again can help after 429, 5xx, or a request that did not arrive whole; of other 4xx, only after a 409 about what ends by itself, such as `locked`.
// Used by the pool and task APIs on both sides, and by the user API but for its TFE paths, which have the TFE form.
import { Schema } from "effect"

/** All words that the server uses. Clients accept any word of this form, because a newer server may use others. */
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
  | "evidence-full"
  | "fenced"
  | "import-runs"
  | "internal"
  | "invalid"
  | "journal-gap"
  | "link-expired"
  | "locked"
  | "log-gap"
  | "no-plan"
  | "no-state"
  | "not-allowed"
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
  | "wrong-moment"
  | "wrong-stage"

/** Reports whether a word is one of these codes. */
export const isOneOf = (said: string | undefined, ...codes: ReadonlyArray<ProblemCode>): boolean => codes.some((code) => code === said)

/** The form of a code. It tells the server's refusal from that of a gateway, which may have the same keys (`"error": "Not Found"`). */
const code = /^[a-z]+(-[a-z]+)*$/u

export const Problem = Schema.Struct({
  error: Schema.String.check(Schema.isPattern(code)).annotate({ description: "A word for programs, such as digest-mismatch." }),
  message: Schema.String.annotate({ description: "One sentence for a person." })
}).annotate({ identifier: "Problem" })
export type Problem = typeof Problem.Type
