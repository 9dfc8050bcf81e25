// The journal of a stage: what the engine told, or what its plan wants, numbered as it came, and what that adds up to.
// Always holds: numbers have no gap, and a journal that is full says so in its last entry.
// Used by worker/journal.ts and worker/stage.ts.
import { Option } from "effect"
import { type JournalEntry, journalLimit } from "../schema/effects.ts"
import type { Changes } from "../schema/stage-result.ts"
import { type UnnumberedEntry, writtenAddress } from "./engine-events.ts"
import type { Creation } from "./plan-changes.ts"

/** What is written after `count` entries; nothing once the journal is full. */
export const nextEntry = (count: number, told: UnnumberedEntry): Option.Option<JournalEntry> => {
  const number = count + 1
  if (number > journalLimit) return Option.none()
  return Option.some(number === journalLimit ? { number, kind: "full", action: told.action, address: "" } : { number, ...told })
}

/** The engine is gone, and nothing more will come. */
export const closing: UnnumberedEntry = { kind: "closed", action: "create", address: "" }

/** An apply will make more than could be told. */
const untold: UnnumberedEntry = { kind: "full", action: "create", address: "" }

/** What an apply of the plan will make, if that is known. What has the address before is there too, as what is to be destroyed. */
export const plannedEntries = (creations: Option.Option<ReadonlyArray<Creation>>): ReadonlyArray<UnnumberedEntry> =>
  Option.match(creations, {
    onNone: () => [untold],
    onSome: (known) =>
      known.flatMap(({ address: planned, replaces }): ReadonlyArray<UnnumberedEntry> => {
        const address = writtenAddress(planned)
        return [...(replaces ? [{ kind: "planned", action: "delete", address } as const] : []), {
          kind: "planned",
          action: "create",
          address
        }]
      })
  })

/** What the engine said that it was done with; what was only begun does not count. */
export const changesOf = (journal: ReadonlyArray<JournalEntry>): Changes => {
  const count = (action: JournalEntry["action"]) => journal.filter((entry) => entry.kind === "done" && entry.action === action).length
  return { add: count("create"), change: count("update"), destroy: count("delete") }
}
