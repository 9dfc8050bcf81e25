// What a stage made, or may have made, that its state does not have, as lines for a person.
// Pure.
// Used by summary, rows and state-rows.
import { fullSentence, leftOverGroups, unreadSentence } from "../../core/state/left-over-message.ts"
import type { LeftOver } from "../../schema/api/effects.ts"

export const leftOver = (left: LeftOver): ReadonlyArray<string> => [
  ...leftOverGroups(left).filter(({ count }) => count > 0).flatMap(({ count, named, says, unsure }) => [
    `${says}${unsure ? "; look whether it is there" : ""}:`,
    ...named.map((name) => `  ${name}`),
    ...(count > named.length ? [`  and ${count - named.length} more`] : [])
  ]),
  ...(left.incomplete === true ? [fullSentence(left)] : []),
  ...(left.unread === true ? [unreadSentence] : [])
]
