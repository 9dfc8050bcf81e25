// What an apply has done, counted from the engine's own events: also of one that failed or was interrupted half way.
// Always holds: a resource counts when the engine said that it was done with it, never when it was only begun.
// Used by worker/stage.ts.
import { Option, Schema } from "effect"
import type { Changes } from "../schema/stage-result.ts"

const Done = Schema.Struct({ type: Schema.Literal("apply_complete"), hook: Schema.Struct({ action: Schema.String }) })
const decode = Schema.decodeUnknownOption(Schema.fromJsonString(Done))

/** `events` is one JSON object a line; what is none, as a line that was cut off, is passed over. */
export const appliedChanges = (events: string): Changes => {
  const done = events.split("\n").filter((line) => line.includes("apply_complete")).flatMap((line) => Option.toArray(decode(line)))
  const count = (action: string) => done.filter(({ hook }) => hook.action === action).length
  return { add: count("create"), change: count("update"), destroy: count("delete") }
}
