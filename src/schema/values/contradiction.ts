// What one key of the values must not say because of another, and the type of the rules that find such contradictions.
// Used by schema/values/value-rules and schema/values/pod-rules.
import type { Sections } from "./value-sections.ts"

export interface Contradiction {
  readonly path: ReadonlyArray<string | number>
  /** What is wrong, with what to do instead. */
  readonly issue: string
}

export type Rule = (values: Sections) => ReadonlyArray<Contradiction | false>
