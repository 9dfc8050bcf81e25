// A map from keys to texts, with a limit on how many there are and on the length of both.
// The limit of the keys is newer than the maps, so only the API server has it: what is stored must be readable here, and cancelled there.
// Used by the schemas of AgentTasks beside it.
import { Schema } from "effect"
import { text } from "../text.ts"
import { transitions } from "./cel.ts"

/** The longest key of a label, an annotation or a resource: a prefix of 253 characters, a slash and a name of 63. */
export const longestMarkKey = 317

interface MapLimits {
  readonly count: number
  readonly key: number
  readonly value: number
}

/**
 * Returns the schema of such a map. A structural schema has no word for the length of keys. The rule is at the map itself, which the API
 * server checks only when the map is new or changed: a stored task can be cancelled, whatever its keys, and one made as cancelled cannot
 * evade it.
 */
export const textMap = ({ count, key, value }: MapLimits) =>
  Schema.Record(Schema.String, text(value)).check(Schema.isMaxProperties(count)).annotate(
    transitions([`self.all(k, k.size() <= ${key})`, `a key has at most ${key} characters`])
  )
