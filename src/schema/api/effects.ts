// What a stage did to real things: its journal, and the part of it that the stored state does not contain.
// Invariant: an entry's number is its place in its stage's journal, from 1; one number never means two things.
// Used by the task API (the journal) and by the views of runs (what is not in the state).
import { Schema } from "effect"
import { text } from "../text.ts"
import { oneOf } from "./one-of.ts"

/** How many entries of one stage are kept. The entry with this number is always `full`. */
export const journalLimit = 40_000
/** How many bytes of JSON the entries of one stage may have. Each entry beyond that is stored without its names, as `full`. */
export const journalLimitBytes = 16 * 1024 * 1024
/** The most entries in one request. */
export const journalBatch = 100

/** The longest address, key and id of a resource, in characters. */
export const longestIdentity = { address: 1024, idKey: 64, id: 1024 } as const

/** How the engine identifies a real thing: by its address in the configuration and, if the engine tells it, by an attribute. */
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
  ...identity,
  unanswered: Schema.optionalKey(
    Schema.Boolean.annotate({
      description: "Of what failed: its provider gave no answer. If it is a creation that failed before, the thing may have been made."
    })
  )
})
export type JournalEntry = typeof JournalEntry.Type

/** `POST /api/task/v1/effects`: entries in order, without a gap; repeating what is stored is success. */
export const JournalRequest = Schema.Struct({
  entries: Schema.Array(JournalEntry).check(Schema.isMinLength(1), Schema.isMaxLength(journalBatch))
})

/** The last number that is stored. The 409 that refuses entries which do not follow it contains it too. */
export const JournalPosition = Schema.Struct({ number: Schema.Int }).annotate({ identifier: "JournalPosition" })

/** A real thing and what was done to it, as far as the journal tells. */
export const Effected = Schema.Struct({
  action: oneOf(EffectAction.literals),
  ...identity,
  replaces: Schema.optionalKey(
    Schema.Boolean.annotate({ description: "Of what was made: the state has something else at its address, so that no plan imports it." })
  )
}).annotate({ identifier: "Effected" })
export type Effected = typeof Effected.Type

/**
 * How many things of each kind are named at most, with a run and with a rescue. A rescue names more, because a person may want to import
 * all of them.
 */
export const namedLimit = { run: 100, rescue: 5000 } as const

const named = (description: string) => Schema.Array(Effected).annotate({ description })

/** What a stage made, or may have made, that its state does not have. */
export const LeftOver = Schema.Struct({
  unsaved: named(`Made, and not in the stored state; the first ${namedLimit.run}, or ${namedLimit.rescue} with a rescue.`),
  unsavedCount: Schema.Int,
  unknown: named("Begun, outcome unknown; the same limit."),
  unknownCount: Schema.Int,
  unseen: Schema.optionalKey(named("To be made by the plan, unknown whether it was made; the same limit.")),
  unseenCount: Schema.optionalKey(Schema.Int),
  incomplete: Schema.optionalKey(Schema.Boolean.annotate({ description: "The journal was full: there may be more." })),
  unread: Schema.optionalKey(
    Schema.Boolean.annotate({
      description: "The state is encrypted, damaged, or too large for the server to look into: it may contain what is named here."
    })
  )
}).annotate({ identifier: "LeftOver" })
export type LeftOver = typeof LeftOver.Type
