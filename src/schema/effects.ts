// What a stage has done to real things: the journal of it, and what of it the stored state does not know.
// Invariant: an entry's number is its place in its stage's journal, from 1; one number never means two things.
// Used by the task API (the journal) and by the views of runs (what is not in the state).
import { Schema } from "effect"
import { text } from "./text.ts"

/** Entries of one stage that are kept, the last of them `full`. */
export const journalLimit = 40_000
/** Bytes of them, as JSON, that name anything; each entry past it counts as `full`. */
export const journalLimitBytes = 16 * 1024 * 1024
/** Entries in one request. */
export const journalBatch = 100

/** Longest address, key and id of a resource, in characters. */
export const longestIdentity = { address: 1024, idKey: 64, id: 1024 } as const

/** How the engine calls a real thing: its address in the configuration, and the attribute that identifies it, where it says so. */
const identity = {
  address: text(longestIdentity.address),
  idKey: Schema.optionalKey(text(longestIdentity.idKey)),
  id: Schema.optionalKey(text(longestIdentity.id))
}

export const EffectAction = Schema.Literals(["create", "update", "delete"])
export type EffectAction = typeof EffectAction.Type

export const JournalEntry = Schema.Struct({
  number: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: journalLimit })),
  kind: Schema.Literals(["planned", "started", "done", "failed", "closed", "full"]).annotate({
    description:
      "planned: of a plan stage, an apply will do so. closed: the engine is gone, and that is all it told. full: the journal ends here, though the stage went on."
  }),
  action: EffectAction,
  ...identity
})
export type JournalEntry = typeof JournalEntry.Type

/** `POST /api/task/v1/effects`: entries in order, without a gap; repeating what is stored is success. */
export const JournalRequest = Schema.Struct({
  entries: Schema.Array(JournalEntry).check(Schema.isMinLength(1), Schema.isMaxLength(journalBatch))
})

/** The last number that is stored; also the answer of a 409 to entries that do not follow it. */
export const JournalPosition = Schema.Struct({ number: Schema.Int })

/** Something real, as far as the journal tells. */
export const Effected = Schema.Struct({ action: EffectAction, ...identity })
export type Effected = typeof Effected.Type

/** Named at most, of each kind, with a run; with a rescue it is all of them that a person may want to import. */
export const namedLimit = { run: 100, rescue: 5000 } as const

const named = (description: string) => Schema.Array(Effected).annotate({ description })

export const StageEffects = Schema.Struct({
  unsaved: named(`Made, and not in the stored state; the first ${namedLimit.run}, or ${namedLimit.rescue} with a rescue.`),
  unsavedCount: Schema.Int,
  unknown: named("Begun, and nobody saw the end; as many."),
  unknownCount: Schema.Int,
  unseen: Schema.optionalKey(named("To be made by the plan, where nobody saw what the engine did; as many.")),
  unseenCount: Schema.optionalKey(Schema.Int),
  incomplete: Schema.optionalKey(Schema.Boolean.annotate({ description: "The journal was full: there may be more." })),
  unread: Schema.optionalKey(
    Schema.Boolean.annotate({
      description: "The state has more in it than the server has memory to look into: it may have what is named here."
    })
  )
})
export type StageEffects = typeof StageEffects.Type
