// Says in words what of a document is not understood here.
// Invariant: only a word of a closed list is quoted, and at most a short piece of a name: all else may be a secret.
// Used by core/task/offer and core/task/left-out.
import { type Mistake, shown } from "../../schema/document/explain.ts"
import { valueAt } from "../../schema/document/layers.ts"
import { shortName } from "../text/sentence.ts"

/** Returns where the document has what is not understood, with its word if that is one of the `words`, which may be more by now. */
export const unknownAt = (document: unknown, { path }: Mistake, words: ReadonlyArray<string>): string => {
  const [place, value] = [shortName(shown(path)), valueAt(document, path)]
  return words.includes(place) && typeof value === "string" ? `${JSON.stringify(shortName(value))} at ${place}` : place
}
