// What a person saw before deciding about a state in doubt: as one word for the command line (--seen), and in the server's form.
// Always holds: reading what was written gives the same again.
// Used by state-rows, which writes it into the commands that it prints, and by state-commands.
import type { SettleRescue, StateView } from "../../schema/api/state.ts"

const evidencePrefix = "ev-"
const versionPrefix = "sv-"

export const seenIn = ({ evidence: [newest], pending, version }: Pick<StateView, "evidence" | "pending" | "version">): string =>
  [...pending, newest, version].flatMap((seen) => seen === undefined ? [] : [seen.id]).join(",")

export const readSeen = (seen: string): Pick<SettleRescue, "evidence" | "pending" | "version"> => {
  const ids = seen.split(",").filter((id) => id !== "")
  const [evidence, version] = [evidencePrefix, versionPrefix].map((prefix) => ids.find((id) => id.startsWith(prefix)))
  return {
    pending: ids.filter((id) => id !== evidence && id !== version),
    ...(evidence !== undefined && { evidence }),
    ...(version !== undefined && { version })
  }
}
