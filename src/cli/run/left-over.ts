// What a stage made, or may have made, that its state does not have, as lines for a person.
// Pure.
// Used by summary and rows.
import { effectName } from "../../core/state/effects-message.ts"
import type { StageEffects } from "../../schema/api/effects.ts"

const named = (heading: string, count: number, lines: ReadonlyArray<string>): ReadonlyArray<string> =>
  count === 0 ? [] : [heading, ...lines.map((line) => `  ${line}`), ...(count > lines.length ? [`  and ${count - lines.length} more`] : [])]

export const leftOver = (
  { incomplete, unknown, unknownCount, unread, unsaved, unsavedCount, unseen = [], unseenCount = 0 }: StageEffects
): ReadonlyArray<string> => [
  ...named("Made, but not in the state:", unsavedCount, unsaved.map(effectName)),
  ...named(
    "Begun, outcome unknown; look whether it is there:",
    unknownCount,
    unknown.map((effect) => `${effectName(effect)} (${effect.action})`)
  ),
  ...named("Planned, unknown whether it was made; look whether it is there:", unseenCount, unseen.map(effectName)),
  ...(incomplete === true ? ["The journal of this stage was full, so there may be more."] : []),
  ...(unread === true ? ["The state may already contain some of this: it is encrypted, or too large for the server to look into."] : [])
]
