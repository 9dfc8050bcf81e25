// What a person saw before deciding about a state in doubt: as one word for the command line (--seen), and in the server's form.
// Invariant: reading what was written gives the same again.
// Used by state-rows, which writes it into the commands that it prints, and by state-commands.
import type { SettleRescue, StateView } from "../../schema/api/state.ts"

const evidencePrefix = "ev-"
const versionPrefix = "sv-"

/** A rescue, with the end of its journal. */
const rescueWord = ({ id, journal = 0 }: StateView["pending"][number]): string => `${id}:${journal}`

export const seenIn = ({ evidence: [newest], pending, version }: Pick<StateView, "evidence" | "pending" | "version">): string =>
  [...pending.map(rescueWord), ...[newest, version].flatMap((seen) => seen === undefined ? [] : [seen.id])].join(",")

export const readSeen = (seen: string): Pick<SettleRescue, "evidence" | "journals" | "pending" | "version"> => {
  const ids = seen.split(",").filter((id) => id !== "")
  const [evidence, version] = [evidencePrefix, versionPrefix].map((prefix) => ids.find((id) => id.startsWith(prefix)))
  const rescues = ids.filter((id) => id !== evidence && id !== version).map((word) => word.split(":"))
  const journals = rescues.flatMap(([id = "", journal]) => journal === undefined ? [] : [[id, Number(journal)] as const])
  return {
    pending: rescues.map(([id = ""]) => id),
    ...(journals.length > 0 && { journals: Object.fromEntries(journals) }),
    ...(evidence !== undefined && { evidence }),
    ...(version !== undefined && { version })
  }
}
