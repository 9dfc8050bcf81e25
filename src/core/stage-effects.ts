// What a stage has made that the stored state does not have, and what it began whose end nobody saw: its journal held against the state.
// Always holds: whatever the journal says was made is in the state with its id, or was destroyed again, or is named here.
// Used by server/effects for every stage that did not succeed, and by worker/stage for its message.
import { type Effected, type JournalEntry, namedLimit, type StageEffects } from "../schema/effects.ts"
import type { StageResult } from "../schema/stage-result.ts"
import { hasObject, hasTainted, type StateObjects } from "./state-objects.ts"

/** The engine ended by itself and its last state is stored, so the end of everything that it began is in there. */
export const endedInOrder = ({ exitCode, statePushed }: Pick<StageResult, "exitCode" | "statePushed">): boolean =>
  exitCode !== undefined && exitCode < 128 && statePushed !== false

interface Begun {
  readonly effect: Effected
  /** The engine said that it failed: a part of it may be there, which the engine then puts into the state. */
  readonly failed: boolean
}

interface Account {
  readonly made: Map<string, Effected>
  readonly open: Map<string, Begun>
  full: boolean
}

const effected = ({ action, address, id, idKey }: JournalEntry): Effected =>
  ({ action, address, ...(idKey !== undefined && id !== undefined && { idKey, id }) })

const account = (journal: ReadonlyArray<JournalEntry>): Account => {
  const { made, open, ...rest }: Account = { made: new Map(), open: new Map(), full: false }
  for (const entry of journal) {
    const { action, address, kind } = entry
    const begun = open.get(address)
    if (kind === "full") rest.full = true
    else if (kind === "started") open.set(address, { effect: effected(entry), failed: false })
    else if (kind === "failed" && action === "create") open.set(address, { effect: begun?.effect ?? effected(entry), failed: true })
    else open.delete(address)
    if (kind !== "done") continue
    if (action === "create") made.set(address, effected(entry))
    // A replacement that destroys last says of the same address that the old thing is gone.
    if (action === "delete" && begun?.effect.id !== undefined && made.get(address)?.id === begun.effect.id) made.delete(address)
  }
  return { made, open, ...rest }
}

/** `state`: what is stored, nothing if there is none; `limit`: how many are named of each kind. */
export const stageEffects = (journal: ReadonlyArray<JournalEntry>, state: StateObjects, inOrder: boolean, limit: number = namedLimit.run): StageEffects => {
  const { full, made, open } = account(journal)
  const unsaved = [...made.values()].filter(({ address, id, idKey }) => !hasObject(state, address, idKey, id))
  const unknown = inOrder ? [] : [...open.values()].filter(({ effect, failed }) => !failed || !hasTainted(state, effect.address))
  return {
    unsaved: unsaved.slice(0, limit),
    unsavedCount: unsaved.length,
    unknown: unknown.slice(0, limit).map(({ effect }) => effect),
    unknownCount: unknown.length,
    ...(full && !inOrder && { incomplete: true })
  }
}

/** Is there something that no later plan finds by itself? What was changed or destroyed, the next refresh sees. */
export const needRescue = ({ incomplete, unknown, unsaved }: StageEffects): boolean =>
  unsaved.length > 0 || incomplete === true || unknown.some(({ action }) => action === "create")
