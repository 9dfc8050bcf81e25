// Says what a stage made that is not in its state, in a few sentences for the end of its message. The whole list is with the run.
// Always holds: joined by `withLeft`, the text fits into the message of a result, however long the names are.
// Used by worker/stage/stage.ts, worker/stage/settlement.ts, server/run/stage-ends.ts, cli/run/left-over.ts and core/state/import-blocks.ts.
import type { Effected, JournalEntry, StageEffects } from "../../schema/api/effects.ts"
import { longestMessage } from "../../schema/task/stage-result.ts"
import { shortened, shortName } from "../text/sentence.ts"

const namedInMessage = 3

/** Returns a name as the engine itself writes it: `time_sleep.a [id=…]`. */
export const effectName = ({ address, id, idKey }: Pick<Effected, "address" | "id" | "idKey">): string =>
  `${shortName(address)}${idKey === undefined || id === undefined ? "" : ` [${idKey}=${shortName(id)}]`}`

const list = (named: ReadonlyArray<string>, count: number): string => {
  const shown = named.slice(0, namedInMessage)
  return `${shown.join(", ")}${count > shown.length ? ` and ${count - shown.length} more` : ""}`
}

const sentences = (...parts: ReadonlyArray<readonly [says: string, named: ReadonlyArray<string>, count: number]>): string =>
  parts.filter(([, , count]) => count > 0).map(([says, named, count]) => `${says}: ${list(named, count)}.`).join(" ")

/** Returns the sentences, or an empty text if there is nothing to say. */
export const effectsMessage = (
  { incomplete, unknown, unknownCount, unread, unsaved, unsavedCount, unseen = [], unseenCount = 0 }: StageEffects
): string =>
  [
    sentences(
      ["Made, but not in the state", unsaved.map(effectName), unsavedCount],
      ["Begun, outcome unknown", unknown.map((effect) => `${effectName(effect)} (${effect.action})`), unknownCount],
      ["Planned, unknown whether it was made", unseen.map(effectName), unseenCount]
    ),
    incomplete === true ? "There may be more, since the journal was full." : "",
    unread === true ? "The state may already contain some of this: it is too large for the server to look into." : ""
  ].filter((part) => part !== "").join(" ")

/** Returns the message if the state cannot be read: it names everything that was made, since nobody knows what of it is saved. */
export const madeMessage = (journal: ReadonlyArray<JournalEntry>): string => {
  const made = journal.filter(({ action, kind }) => kind === "done" && action === "create")
  return sentences(["Made by this stage; see that the state has it", made.map(effectName), made.length])
}

/** Joins what happened and what is left over. `happened` may say where an unsaved state is, so it keeps at least half of the room. */
export const withLeft = (happened: string, left: string): string => {
  const first = shortened(happened, Math.max(longestMessage / 2, longestMessage - left.length - 1))
  return shortened(`${first} ${left}`.trim(), longestMessage)
}
