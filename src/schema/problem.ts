// How our own APIs say no: one sentence, a word for programs, and nothing secret.
// Invariant: the status code alone already tells whether asking again can help (429, 5xx) or not (other 4xx).
// Used by the pool and task APIs on both sides; the user API has the TFE form instead.
import { Schema } from "effect"

export const Problem = Schema.Struct({
  error: Schema.String.annotate({ description: "A word for programs, such as digest-mismatch." }),
  message: Schema.String.annotate({ description: "One sentence for a person." })
})
export type Problem = typeof Problem.Type
