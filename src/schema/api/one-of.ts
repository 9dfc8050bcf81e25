// A word of a list to which a newer server may have added others, so that a client reads any.
// Only in what the server answers: a word of a request or of the database is one of the list.
// Used by the schemas of views.
import { Schema } from "effect"

export const oneOf = (words: ReadonlyArray<string>) =>
  Schema.String.annotate({ description: `${words.join(", ")}; a newer server may have others.` })
