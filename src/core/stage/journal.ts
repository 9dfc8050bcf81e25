// The journal of a stage: what the engine reported, or what its plan will make, numbered in order, and what that adds up to.
// Invariant: numbers have no gap, and a journal that is full says so in its last entry.
// Used by worker/engine/journal.ts, worker/stage/stage.ts and worker/stage/settlement.ts.
import { Option } from "effect"
import { type JournalEntry, journalLimit } from "../../schema/api/effects.ts"
import type { Changes } from "../../schema/task/stage-result.ts"
import type { UnnumberedEntry } from "./engine-events.ts"
import type { Creation } from "./plan-changes.ts"
import { writtenAddress } from "./written-address.ts"

/** Returns the entry that follows `count` others: the last possible entry says that the journal is full, and nothing follows that one. */
export const nextEntry = (count: number, told: UnnumberedEntry): Option.Option<JournalEntry> => {
  const number = count + 1
  if (number > journalLimit) return Option.none()
  return Option.some(number === journalLimit ? { number, kind: "full", action: told.action, address: "" } : { number, ...told })
}

/** Says that the engine has ended and nothing more will come. */
export const closing: UnnumberedEntry = { kind: "closed", action: "create", address: "" }

/** Says that an apply will make more than is listed. */
const untold: UnnumberedEntry = { kind: "full", action: "create", address: "" }

/**
 * Returns entries for what an apply of the plan will make, if that is known. A thing that it replaces at the same address has an entry too,
 * as one to delete.
 */
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

/** Counts the changes that the engine reported as done; none if the journal is full. A change that only began does not count. */
export const changesOf = (journal: ReadonlyArray<JournalEntry>): Option.Option<Changes> => {
  const count = (action: JournalEntry["action"]) => journal.filter((entry) => entry.kind === "done" && entry.action === action).length
  return journal.some(({ kind }) => kind === "full")
    ? Option.none()
    : Option.some({ add: count("create"), change: count("update"), destroy: count("delete") })
}
