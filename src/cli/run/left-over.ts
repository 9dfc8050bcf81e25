// What a stage made, or may have made, that its state does not have, as lines for a person.
// Pure.
// Used by summary and rows.
import { effectGroups, unreadSentence } from "../../core/state/effects-message.ts"
import type { StageEffects } from "../../schema/api/effects.ts"

export const leftOver = (effects: StageEffects): ReadonlyArray<string> => [
  ...effectGroups(effects).filter(({ count }) => count > 0).flatMap(({ count, named, says, unsure }) => [
    `${says}${unsure ? "; look whether it is there" : ""}:`,
    ...named.map((name) => `  ${name}`),
    ...(count > named.length ? [`  and ${count - named.length} more`] : [])
  ]),
  ...(effects.incomplete === true ? ["The journal of this stage was full, so there may be more."] : []),
  ...(effects.unread === true ? [unreadSentence] : [])
]
