// Compares a stage's journal and plan with the stored state: what it made that the state lacks, and what it began or may have begun.
// Invariant: whatever the journal says was made is in the state with its id, or was destroyed again, or is named here.
// Used by server/run/left-overs and server/run/stage-ends for every stage that did not succeed, and by worker/stage/settlement for its message; core/state/end-in-doubt and worker/stage/stage use `endedInOrder`.
import { type Effected, type JournalEntry, type LeftOver, namedLimit } from "../../schema/api/effects.ts"
import type { StageResult } from "../../schema/task/stage-result.ts"
import { unnumbered } from "../stage/masked-address.ts"
import { hasObject, hasTainted, maskedObjects, type StateObjects } from "./state-objects.ts"

/**
 * Reports whether the engine ended by itself and its last state is stored, so that the end of everything that it began is in the state,
 * except for what a provider gave no answer about. An apply that does so ends with 0 or 1. An engine that crashes writes no state: 2 is a
 * fatal error of Go, 11 a panic (internal/logging/panic.go of both engines), and above 128 it was killed.
 */
export const endedInOrder = ({ exitCode, statePushed }: Pick<StageResult, "exitCode" | "statePushed">): boolean =>
  (exitCode === 0 || exitCode === 1) && statePushed !== false

interface Begun {
  readonly effect: Effected
  /** Whether the engine said that it failed. A part of the thing may be there, which the engine then puts into the state. */
  readonly failed: boolean
  /** Whether the provider gave no answer about it, so that the engine put nothing of it into the state. */
  readonly unanswered?: true
}

interface Account {
  readonly made: Map<string, Effected>
  readonly open: Map<string, Begun>
  /** The addresses of everything whose creation was begun. */
  readonly creations: Set<string>
  full: boolean
  closed: boolean
}

const effected = ({ action, address, id, idKey }: JournalEntry): Effected => ({
  action,
  address,
  ...(idKey !== undefined && id !== undefined && { idKey, id })
})

const account = (journal: ReadonlyArray<JournalEntry>): Account => {
  const { creations, made, open, ...rest }: Account = { made: new Map(), open: new Map(), creations: new Set(), full: false, closed: false }
  for (const entry of journal) {
    const { action, address, kind, unanswered } = entry
    const begun = open.get(address)
    if (unanswered === true) { // of a change or destruction, the state has the object, and the next refresh sees what became of it
      if (begun?.effect.action === "create") open.set(address, { ...begun, unanswered })
      continue
    }
    if (kind === "full" || kind === "closed") {
      rest[kind] = true
      continue
    }
    if (action === "create") creations.add(address)
    if (kind === "started") open.set(address, { effect: effected(entry), failed: false })
    else if (kind === "failed" && action === "create") open.set(address, { effect: begun?.effect ?? effected(entry), failed: true })
    else open.delete(address)
    if (kind !== "done") continue
    if (action === "create") made.set(address, effected(entry))
    // A replacement that destroys last reports the end of the old thing at the same address, so the ids are compared.
    if (action === "delete" && begun?.effect.id !== undefined && made.get(address)?.id === begun.effect.id) made.delete(address)
  }
  return { made, open, creations, ...rest }
}

/**
 * Returns what was to be made and was not reported as begun, unless the state has it. A replacement counts even then, since the old thing
 * has its address in the state.
 */
const unseenOf = (planned: ReadonlyArray<JournalEntry>, creations: ReadonlySet<string>, state: StateObjects): ReadonlyArray<Effected> => {
  const replaced = new Set(planned.filter(({ action }) => action === "delete").map(({ address }) => address))
  const begun = Map.groupBy(creations, unnumbered)
  return planned.filter(({ action, address, kind }) =>
    kind === "planned" && action === "create" && begun.get(unnumbered(address))?.pop() === undefined &&
    (replaced.has(address) || !hasObject(state, address, undefined, undefined))
  ).map(effected)
}

/** What is known of a stage when it is over. */
export interface KnownStage {
  readonly journal: ReadonlyArray<JournalEntry>
  /** What is stored; empty if there is none. */
  readonly state: StateObjects
  /** See `endedInOrder`. */
  readonly inOrder: boolean
  /** Whether the stage makes nothing; by default it may. */
  readonly onlyDestroys?: boolean
  /** What the stage was to make, if some of it may have gone unseen. */
  readonly planned?: ReadonlyArray<JournalEntry>
  /** How many things of each kind are named. */
  readonly limit?: number
}

/**
 * Returns what the state lacks. A full journal is incomplete after an end in order too: it no longer tells of a creation that a provider gave
 * no answer about.
 */
export const leftOverOf = (
  { inOrder, journal, limit = namedLimit.run, onlyDestroys = false, planned = [], state }: KnownStage
): LeftOver => {
  const { closed, creations, full, made, open } = account(journal)
  const notAtAddress = [...made.values()].filter(({ address, id, idKey }) => !hasObject(state, address, idKey, id))
  const hasMasked = maskedObjects(state, notAtAddress)
  const unsaved = notAtAddress.filter((effect) => !hasMasked(effect)).map((effect) =>
    hasObject(state, effect.address, undefined, undefined) ? { ...effect, replaces: true } : effect
  )
  const unknown = [...open.values()].filter(({ effect, failed, unanswered }) =>
    unanswered === true || (!inOrder && (!failed || !hasTainted(state, effect.address)))
  )
  const unseen = inOrder || closed ? [] : unseenOf(planned, creations, state)
  return {
    unsaved: unsaved.slice(0, limit),
    unsavedCount: unsaved.length,
    unknown: unknown.slice(0, limit).map(({ effect }) => effect),
    unknownCount: unknown.length,
    ...(unseen.length > 0 && { unseen: unseen.slice(0, limit), unseenCount: unseen.length }),
    ...((inOrder ? full && !onlyDestroys : full || (!closed && planned.some(({ kind }) => kind === "full"))) && { incomplete: true })
  }
}

/** Returns what no state has after an end in order: the creations that a provider gave no answer about. */
export const unansweredOf = (of: Pick<KnownStage, "journal" | "limit" | "onlyDestroys">): LeftOver => ({
  ...leftOverOf({ ...of, state: new Map(), inOrder: true }),
  unsaved: [],
  unsavedCount: 0
})

/** Reports whether there is something that no later plan finds by itself. The next refresh sees what was changed or destroyed. */
export const needRescue = ({ incomplete, unknown, unsaved, unseenCount = 0 }: LeftOver): boolean =>
  unsaved.length + unseenCount > 0 || incomplete === true || unknown.some(({ action }) => action === "create")
