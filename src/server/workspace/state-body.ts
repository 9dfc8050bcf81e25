// What is known of a state from its bytes, before it is stored: its head, or why nothing of it can be parsed.
// Invariant: nothing is parsed that would take more memory than the server has, and nothing of a stage that would take much of its time.
// Used by state-versions (each body), kept-states and settlements (a person's), state-content, left-overs and the TFE routes (the heap).
import { Context, Effect, Option, Schema } from "effect"
import { getHeapStatistics } from "node:v8"
import { engineHead, stateHead } from "../../core/state/state-head.ts"
import { levels, parsable } from "../../core/state/state-limits.ts"
import { memberOf } from "../../core/text/exact-json.ts"
import { jsonExcess, jsonFault } from "../../core/text/json-limits.ts"
import { invalid, type Refused } from "../refused.ts"

export const StateOutputs = Schema.Record(
  Schema.String,
  Schema.Struct({
    value: Schema.Unknown,
    type: Schema.optionalKey(Schema.Unknown),
    sensitive: Schema.optionalKey(Schema.Boolean)
  })
)

/** What the server reads of a state; the rest is the engine's. */
export const State = Schema.Struct({
  serial: Schema.Int,
  lineage: Schema.String,
  outputs: Schema.optionalKey(StateOutputs)
})
type State = typeof State.Type

/** What identifies a state, which its place in the succession is decided by. `excess`, where it is set, says why the state can be kept but not parsed. */
interface Identified extends Pick<State, "serial" | "lineage"> {
  readonly excess?: Refused
}

/** The most bytes of this process's heap, in which it parses: by default half of the memory of its container, up to a cap of Node's own. */
export const Heap = Context.Reference<number>("agent-job/server/Heap", { defaultValue: () => getHeapStatistics().heap_size_limit })

const tooDeep = invalid(
  `The state is nested more than ${levels} levels deep, more than the server reads; make the values in its configuration flatter.`
)
const tooMuch = invalid(
  "The state is too large for the server to look into; give the server's container more memory, or push the state by hand under a lock, then settle with --keep."
)

/** Returns the refusal of a state with too much in it to be parsed, whoever sent it; undefined for other states. */
export const excessOf = (heapBytes: number, bytes: Uint8Array): Refused | undefined => {
  const excess = jsonExcess(parsable(heapBytes, bytes), bytes)
  return excess === undefined ? undefined : { levels: tooDeep, values: tooMuch }[excess]
}

const decode = Schema.decodeUnknownOption(Schema.fromJsonString(State))

const noState = () =>
  invalid(
    "The body is not a state, which is JSON with a version, a serial and a lineage, so nothing was stored; send the file as the engine writes it."
  )

const isDigits = (json: Uint8Array | undefined): boolean => json !== undefined && /^\s*\d+\s*$/u.test(new TextDecoder().decode(json))

/**
 * Reports whether the engines read the numbers of the state, as far as these tell it: they take nothing but digits, and only a state that
 * they encrypted has no version.
 */
const isOfEngine = (json: Uint8Array): boolean =>
  isDigits(memberOf(json, "serial")) && (memberOf(json, "encrypted_data") !== undefined || isDigits(memberOf(json, "version")))

/** Nothing is skipped before the JSON, because the engines read no mark of a byte order. */
const parse = (bytes: Uint8Array, otherwise = noState()) =>
  Option.match(Option.filter(decode(new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes)), () => isOfEngine(bytes)), {
    onNone: () => Effect.fail(otherwise),
    onSome: ({ lineage, serial }) => Effect.succeed<Identified>({ lineage, serial })
  })

/** Returns no more than the head of a state with too much in it, which is enough to keep it as evidence. */
const headOf = (bytes: Uint8Array, excess: Refused) =>
  Option.match(stateHead(bytes), {
    onNone: () => Effect.fail(excess),
    onSome: (head) => Effect.succeed<Identified>({ ...head, excess })
  })

/**
 * Returns the head of a state that begins as the engines begin one and is there to its end; for one that begins otherwise, what `otherwise`
 * returns.
 */
const identifyByHead = (bytes: Uint8Array, otherwise: () => Effect.Effect<Identified, Refused>): Effect.Effect<Identified, Refused> => {
  const fault = jsonFault({ levels, values: Infinity }, bytes)
  if (fault === "end") return Effect.fail(noState())
  if (fault !== undefined) return headOf(bytes, tooDeep)
  return Option.match(engineHead(bytes), { onNone: otherwise, onSome: (head) => Effect.succeed<Identified>(head) })
}

const unlike = invalid(
  "The state is too large for the server to parse for its serial alone, and does not begin as the engines begin one, with its version, serial and lineage; push it as the engine writes it."
)

/**
 * Identifies a state that a person sends or decides on: by parsing it, or by its head where there is too much in it to be parsed.
 * `otherwise` is the refusal of a body that is no state.
 */
export const identify = (heapBytes: number, bytes: Uint8Array, otherwise?: Refused): Effect.Effect<Identified, Refused> =>
  excessOf(heapBytes, bytes) === undefined ? parse(bytes, otherwise) : identifyByHead(bytes, () => headOf(bytes, unlike))

/** How many values are parsed in some tens of milliseconds. The engines' encrypted states have a handful. */
const quickValues = 100_000

/**
 * Identifies a state that a stage sends, which may do so again and again while everybody waits for the parser. The state is known by its
 * head, if that is as the engines write it and the state is there to its end; the rest is stored even if it is no JSON. That
 * hurts only the stage's own workspace, whose earlier versions are kept; a malicious stage could as well leave an empty state. Whoever
 * reads such a state reports it as unreadable.
 */
export const identifyOfStage = (heapBytes: number, bytes: Uint8Array): Effect.Effect<Identified, Refused> =>
  identifyByHead(bytes, () => {
    const { values } = parsable(heapBytes, bytes)
    return jsonExcess({ levels, values: Math.min(values, quickValues) }, bytes) === undefined ? parse(bytes) : headOf(bytes, unlike)
  })
