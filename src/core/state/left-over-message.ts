// Says what a stage made that is not in its state, in a few sentences for the end of its message. The whole list is with the run.
// Invariant: joined by `withLeft`, the text fits into the message of a result, however long the names are.
// Used by worker/stage, server/run/stage-ends.ts, server/run/left-overs.ts, cli/run/state-rows.ts, cli/run/left-over.ts and core/state/import-blocks.ts.
import type { Effected, JournalEntry, LeftOver } from "../../schema/api/effects.ts"
import { longestMessage } from "../../schema/task/stage-result.ts"
import { shortened, shortName } from "../text/sentence.ts"
import type { Unread } from "./state-objects.ts"

/** How many things of a kind a message names, where the run and the rescue name more. */
const namedInMessage = 3
/** How long the names together may be where the message is all that has them; `withLeft` then cuts off nothing of what is said of them. */
const namesLength = longestMessage / 2 - 160

/** Returns a name as the engine itself writes it: `time_sleep.a [id=…]`. */
export const effectName = ({ address, id, idKey }: Pick<Effected, "address" | "id" | "idKey">): string =>
  `${shortName(address)}${idKey === undefined || id === undefined ? "" : ` [${idKey}=${shortName(id)}]`}`

/** Things of which the same is said; of `count` things, some are `named`. */
interface Group {
  readonly says: string
  readonly named: ReadonlyArray<string>
  readonly count: number
}

const listed = ({ count, named, says }: Group): string =>
  count === 0 ? "" : `${says}: ${named.join(", ")}${count > named.length ? ` and ${count - named.length} more` : ""}.`

/** What a stage left, in groups of which some may be empty. `unsure` tells whether somebody has to look if the things are there. */
export const leftOverGroups = (
  { unknown, unknownCount, unsaved, unsavedCount, unseen = [], unseenCount = 0 }: LeftOver
): ReadonlyArray<Group & { readonly unsure: boolean }> => [
  { says: "Made, but not in the state", named: unsaved.map(effectName), count: unsavedCount, unsure: false },
  {
    says: "Begun, outcome unknown",
    named: unknown.map((effect) => `${effectName(effect)} (${effect.action})`),
    count: unknownCount,
    unsure: true
  },
  { says: "Planned, unknown whether it was made", named: unseen.map(effectName), count: unseenCount, unsure: true }
]

export const unreadSentence =
  "The state may already contain some of this: it is encrypted, damaged, or too large for the server to look into."

/** Reports whether anything is named, and not only that the journal was full. */
export const namesAny = (left: LeftOver): boolean => leftOverGroups(left).some(({ count }) => count > 0)

/** Returns what a full journal means; an empty text if it was not full. */
export const fullSentence = (left: LeftOver): string =>
  left.incomplete !== true
    ? ""
    : namesAny(left)
    ? "There may be more, since the journal was full."
    : "Its journal was full, so it may have made more than the state has: look into its log, as for a provider that crashed."

/** Returns the sentences, or an empty text if there is nothing to say. */
export const leftOverMessage = (left: LeftOver): string =>
  [
    ...leftOverGroups(left).map((group) => listed({ ...group, named: group.named.slice(0, namedInMessage) })),
    fullSentence(left),
    left.unread === true ? unreadSentence : ""
  ].filter((part) => part !== "").join(" ")

const thatFit = (names: ReadonlyArray<string>): ReadonlyArray<string> => {
  let left = namesLength
  return names.filter((name) => (left -= name.length + 2) >= 0)
}

const notLookedInto: Readonly<Record<Unread, string>> = {
  "not-here": "The worker has not seen that state.",
  encrypted: "The worker cannot look into that state, which the engine encrypted.",
  "too-large": "That state has too much in it for the worker to look into."
}

/**
 * Returns the message if the state is not looked into, and why it is not: it is about everything that was made, since nobody knows what of
 * it is saved, and names what there is room for.
 */
export const madeMessage = (journal: ReadonlyArray<JournalEntry>, unread: Unread): string => {
  const made = journal.filter(({ action, kind }) => kind === "done" && action === "create").map(effectName)
  const all = listed({ says: "Made by this stage; see that the state has it", named: thatFit(made), count: made.length })
  return all === "" ? "" : `${all} ${notLookedInto[unread]}`
}

/** Joins what happened and what is left over. `happened` may say where an unsaved state is, so it keeps at least half of the room. */
export const withLeft = (happened: string, left: string): string => {
  const first = shortened(happened, Math.max(longestMessage / 2, longestMessage - left.length - 1))
  return shortened(`${first} ${left}`.trim(), longestMessage)
}
