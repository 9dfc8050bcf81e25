// How much may be in a state that is parsed: its sender chooses what is in it, and small values take many times their bytes of memory.
// Used by core/state/state-objects and server/workspace/state-body.
import type { JsonLimits } from "../text/json-limits.ts"

/** The deepest nesting that is read: an output is printed again, and the printer calls itself for each level. */
export const levels = 500

/** The most values that are parsed, however large the heap is: all else waits for the parser, some seconds for so many. */
const valuesAtMost = 2_000_000

/**
 * Returns the limits of what can be parsed in half of the heap. The other half is for all that is no state, such as the journals that the
 * state is held against. Parsed and looked into, the worst kinds of values (keys that no other object has, outputs) need 110 to 170 bytes
 * each, at the moment where a table of them grows, and a character up to two.
 */
export const parsable = (heapBytes: number, { byteLength }: Uint8Array): JsonLimits => ({
  levels,
  values: Math.min(valuesAtMost, Math.max(0, Math.floor((heapBytes / 2 - 2 * byteLength) / 200)))
})
