// The outputs of a stored state, as far as the server has memory to look into it; its objects are in core/state/state-objects.
// Invariant: parsing is one step, and callers use the result in the same step, so that no two states are parsed at a time.
// Used by the routes of outputs.
import { Option, Schema } from "effect"
import { hasLongNumber, memberOf, parseExactly } from "../../core/text/exact-json.ts"
import { jsonExcess } from "../../core/text/json-limits.ts"
import { excessOf, State, StateOutputs } from "./state-body.ts"

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(State))
const decodeOutputs = Schema.decodeUnknownOption(StateOutputs)

export type Outputs = ReadonlyArray<readonly [name: string, output: typeof StateOutputs.Type[string]]>

/** The most values that are read with all digits of their numbers: that many take up to a second, for which all requests wait. */
export const exactValues = 100_000

/** Why outputs cannot be read: the bytes are no state, or the engine encrypted it, or there is too much in it, or in outputs with long numbers. */
export type Unread = "no-state" | "encrypted" | "too-much" | "too-many"

/** Returns the outputs of a state, or why it cannot. */
export const outputsIn = (heapBytes: number, bytes: Uint8Array): Outputs | Unread => {
  if (excessOf(heapBytes, bytes) !== undefined) return "too-much"
  const state = decode(new TextDecoder().decode(bytes))
  if (Option.isNone(state)) return "no-state"
  if (memberOf(bytes, "encrypted_data") !== undefined) return "encrypted"
  const written = memberOf(bytes, "outputs")
  if (written === undefined || !hasLongNumber(written)) return Object.entries(state.value.outputs ?? {})
  if (jsonExcess({ levels: Infinity, values: exactValues }, written) !== undefined) return "too-many"
  return Option.match(Option.flatMap(parseExactly(written), decodeOutputs), { onNone: () => "no-state", onSome: Object.entries })
}
