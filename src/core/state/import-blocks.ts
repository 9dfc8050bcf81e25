// Writes `import` blocks for what a stage made and its state does not have.
// Invariant: a block names one address and one id, both as the engine gave them; a thing without an id becomes a comment.
// Used by cli/run/state-commands.ts and server/rescue/import-runs.ts.
import type { Effected, LeftOver } from "../../schema/api/effects.ts"
import { targetLimits } from "../../schema/task/agent-task.ts"
import { isAddress } from "../stage/resource-address.ts"
import { quoted } from "../text/hcl.ts"
import { effectName } from "./left-over-message.ts"

/** The engines pass over an `import` block, without a word, where the state has something at its address. */
const isImportable = ({ address, id, replaces = false }: Effected): boolean => id !== undefined && isAddress(address) && !replaces

/** Returns what a plan that targets these things alone can import, within the limits on targets. */
export const importable = (unsaved: ReadonlyArray<Effected>): ReadonlyArray<Effected> =>
  unsaved.filter((effect) => isImportable(effect) && effect.address.length <= targetLimits.length).slice(0, targetLimits.count)

/**
 * Returns an HCL file. Ids are those by which the engine identifies things; a few providers import by another form, which their
 * documentation describes.
 */
export const importBlocks = (
  { incomplete = false, unknown, unknownCount, unsaved, unsavedCount, unseen = [], unseenCount = 0 }: LeftOver
): string =>
  [
    ...unsaved.map((effect) =>
      effect.replaces === true
        ? `# ${
          effectName(effect)
        } was made, and the state has something else at this address: the old one if this replaced it, or a newer one that a later apply made. If this is the one to keep, take the other out of the state (tofu state rm), and then import this; otherwise remove this by hand.\n`
        : effect.id === undefined || !isImportable(effect)
        ? `# ${effectName(effect)} was made, but no id of it is known: look for it, and import or remove it by hand.\n`
        : `import {\n  to = ${effect.address}\n  id = ${quoted(effect.id)}\n}\n`
    ),
    ...(unsavedCount > unsaved.length ? [`# ${unsavedCount - unsaved.length} more were made, which are not listed.\n`] : []),
    ...[...unknown.filter(({ action }) => action === "create"), ...unseen].map((effect) =>
      `# ${effectName(effect)} may have been made: look for it, and import or remove it by hand.\n`
    ),
    ...(unseenCount > unseen.length ? [`# ${unseenCount - unseen.length} more may have been made, which are not listed.\n`] : []),
    ...(unknownCount > unknown.length ? [`# ${unknownCount - unknown.length} more were begun, which are not listed.\n`] : []),
    ...(incomplete
      ? ["# There may be more, since the journal was full: look for what else was made, and import or remove it by hand.\n"]
      : [])
  ].join("\n")
