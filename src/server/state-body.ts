// What is known of a state from its bytes, before it is stored: its head, or why nothing of it can be parsed.
// Always holds: nothing is parsed that would take more memory than the server has, and nothing of a stage that would take its time.
// Used by state-versions (each body), state-rescue (one that is to be changed) and the TFE routes (outputs).
import { Effect, Option, Result, Schema } from "effect"
import { jsonExcess, jsonFault } from "../core/json-depth.ts"
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
 * Levels: an output is printed again, which calls itself for each level. Values: parsed, two million take 60 to 340 MiB, as their kind is,
 * and the server has 512 MiB; an engine writes one a line, of which 64 MiB have fewer.
 */
const parsable = { levels: 500, values: 2_000_000 }
const tooMuch = {
  levels:
    `The state is nested more than ${parsable.levels} levels deep, more than the server reads; make the values in its configuration flatter.`,
  values:
    `The state has more than ${parsable.values} values, which would take more memory than the server has; split its workspace into smaller ones.`
}

/** Says that there is too much in a state for it to be parsed, whoever would. */
export const excessOf = (bytes: Uint8Array): Refused | undefined => {
  const excess = jsonExcess(parsable, bytes)
  return excess === undefined ? undefined : invalid(tooMuch[excess])
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

/** Of one that a person sends or decides on: it is parsed, unless there is too much in it. `otherwise`: what is said of one that is no state. */
export const know = (bytes: Uint8Array, otherwise?: Refused): Effect.Effect<Known, Refused> => {
  const excess = excessOf(bytes)
  return excess === undefined ? parse(bytes, otherwise) : headOf(bytes, excess)
}

/** What is parsed in some tens of milliseconds. The engines' encrypted states have a handful. */
const quick = { ...parsable, values: 100_000 }
const unlike = invalid(
  `The state has more than ${quick.values} values and does not begin as the engines begin one, with its version, serial and lineage; push it as the engine writes it.`
)

/**
 * Of one that a stage sends, which may do so again and again while everybody waits for the parser: it is known by its head, if that is as
 * the engines write it, and it is there to its end. What is no JSON in between is stored then. That hurts only the stage's own workspace,
 * whose earlier versions are kept, and which a stage that means it could as well leave with an empty state; whoever reads such a state says
 * so.
 */
export const knowOfStage = (bytes: Uint8Array): Effect.Effect<Known, Refused> => {
  const fault = jsonFault(parsable, bytes)
  if (fault === "end") return Effect.fail(noState())
  if (fault !== undefined) return headOf(bytes, invalid(tooMuch[fault]))
  return Option.match(engineHead(bytes), {
    onNone: () => jsonExcess(quick, bytes) === undefined ? parse(bytes) : headOf(bytes, unlike),
    onSome: (head) => Effect.succeed<Known>(head)
  })
}
