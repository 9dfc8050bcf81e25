// What is known of a state from its bytes, before it is stored: its head, or why nothing of it can be parsed.
// Always holds: nothing is parsed that would take more memory than the server has, and nothing of a stage that would take its time.
// Used by state-versions (each body), kept-states and state-rescue (a person's), state-content, and who gives the heap to these: effects and the TFE routes.
import { Context, Effect, Option, Result, Schema } from "effect"
import { getHeapStatistics } from "node:v8"
import { jsonExcess, jsonFault, type JsonLimits } from "../core/json-depth.ts"
import { engineHead, stateHead } from "../core/state-head.ts"
import { invalid, type Refused } from "./refused.ts"

const Output = Schema.Struct({
  value: Schema.Unknown,
  type: Schema.optionalKey(Schema.Unknown),
  sensitive: Schema.optionalKey(Schema.Boolean)
})

/** What is read of a state; the rest is the engine's. */
export const State = Schema.Struct({
  serial: Schema.Int,
  lineage: Schema.String,
  outputs: Schema.optionalKey(Schema.Record(Schema.String, Output))
})
export type State = typeof State.Type

/** What is known of a body. `excess`: why it can be kept and no more. */
interface Known extends Pick<State, "serial" | "lineage"> {
  readonly excess?: Refused
}

/**
 * The bytes that this process has for what it parses: half of the memory of its container, up to a cap of Node's own, unless it is told
 * otherwise.
 */
export const Heap = Context.Reference<number>("agent-job/server/Heap", { defaultValue: () => getHeapStatistics().heap_size_limit })

/** An output is printed again, which calls itself for each level. */
const levels = 500

/** All wait for the parser, some seconds for so many, however large the heap is. */
const valuesAtMost = 2_000_000

/**
 * Half of the heap, since the other is for all that is no state, the journals that it is held against among it. Parsed and looked into, the
 * worst kinds of values (keys that no other object has, outputs) need 110 to 170 bytes each, at the moment where a table of them grows, and
 * a character up to two.
 */
const parsable = (heapBytes: number, { byteLength }: Uint8Array): JsonLimits => ({
  levels,
  values: Math.min(valuesAtMost, Math.max(0, Math.floor((heapBytes / 2 - 2 * byteLength) / 200)))
})

const tooDeep = invalid(
  `The state is nested more than ${levels} levels deep, more than the server reads; make the values in its configuration flatter.`
)
const tooMuch = invalid(
  "The state has more in it than the server has memory to look into; give the server's container more, or push the state by hand under a lock, then settle with --keep."
)

/** Says that there is too much in a state for it to be parsed, whoever would. */
export const excessOf = (heapBytes: number, bytes: Uint8Array): Refused | undefined => {
  const excess = jsonExcess(parsable(heapBytes, bytes), bytes)
  return excess === undefined ? undefined : { levels: tooDeep, values: tooMuch }[excess]
}

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(State))

const noState = () =>
  invalid(
    "The body is not a state, which is JSON with a serial and a lineage, so nothing was stored; send the file as the engine writes it."
  )

const parse = (bytes: Uint8Array, otherwise = noState()) =>
  Result.match(decode(new TextDecoder().decode(bytes)), {
    onFailure: () => Effect.fail(otherwise),
    onSuccess: ({ lineage, serial }) => Effect.succeed<Known>({ lineage, serial })
  })

/** Of one with too much in it no more than its head, which is enough to keep it as evidence. */
const headOf = (bytes: Uint8Array, excess: Refused) =>
  Option.match(stateHead(bytes), {
    onNone: () => Effect.fail(excess),
    onSome: (head) => Effect.succeed<Known>({ ...head, excess })
  })

/** Of one that begins as the engines begin one, and is there to its end. */
const knowByHead = (bytes: Uint8Array, otherwise: () => Effect.Effect<Known, Refused>): Effect.Effect<Known, Refused> => {
  const fault = jsonFault({ levels, values: Infinity }, bytes)
  if (fault === "end") return Effect.fail(noState())
  if (fault !== undefined) return headOf(bytes, tooDeep)
  return Option.match(engineHead(bytes), { onNone: otherwise, onSome: (head) => Effect.succeed<Known>(head) })
}

const unlike = invalid(
  "The state has more in it than the server parses for its serial alone, and does not begin as the engines begin one, with its version, serial and lineage; push it as the engine writes it."
)

/**
 * Of one that a person sends or decides on: it is parsed, or known by its head where there is too much in it. `otherwise`: what is said of
 * one that is no state.
 */
export const know = (heapBytes: number, bytes: Uint8Array, otherwise?: Refused): Effect.Effect<Known, Refused> =>
  excessOf(heapBytes, bytes) === undefined ? parse(bytes, otherwise) : knowByHead(bytes, () => headOf(bytes, unlike))

/** What is parsed in some tens of milliseconds. The engines' encrypted states have a handful. */
const quickValues = 100_000

/**
 * Of one that a stage sends, which may do so again and again while everybody waits for the parser: it is known by its head, if that is as
 * the engines write it, and it is there to its end. What is no JSON in between is stored then. That hurts only the stage's own workspace,
 * whose earlier versions are kept, and which a stage that means it could as well leave with an empty state; whoever reads such a state says
 * so.
 */
export const knowOfStage = (heapBytes: number, bytes: Uint8Array): Effect.Effect<Known, Refused> =>
  knowByHead(bytes, () => {
    const { values } = parsable(heapBytes, bytes)
    return jsonExcess({ levels, values: Math.min(values, quickValues) }, bytes) === undefined ? parse(bytes) : headOf(bytes, unlike)
  })
