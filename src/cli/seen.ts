// What a person saw who decides about a state in doubt: as one word of the command line, and as the server wants it.
// Always holds: reading what was written gives the same again.
// Used by state-rows, which writes it into the commands that it prints, and by state.
import type { SettleRescue, StateView } from "../schema/state.ts"

const evidencePrefix = "ev-"

export const seenIn = ({ evidence: [newest], pending }: Pick<StateView, "evidence" | "pending">): string =>
  [...pending.map(({ id }) => id), ...(newest === undefined ? [] : [newest.id])].join(",")

export const readSeen = (seen: string): Pick<SettleRescue, "evidence" | "pending"> => {
  const ids = seen.split(",").filter((id) => id !== "")
  const evidence = ids.find((id) => id.startsWith(evidencePrefix))
  return { pending: ids.filter((id) => !id.startsWith(evidencePrefix)), ...(evidence !== undefined && { evidence }) }
}
