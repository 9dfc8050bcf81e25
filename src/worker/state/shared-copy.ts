// The copy of a stage's state on the volume that tasks share, for as long as the server has not taken that state.
// Invariant: a state that is there, or that the server keeps as evidence, is not written again; what goes wrong is only logged.
// Used by worker/state/state-delivery.ts.
import { Effect, Option, Schema } from "effect"
import { KeptRefusal } from "../../schema/api/task-api.ts"
import type { TaskApiError } from "../network/task-api-error.ts"
import { sha256 } from "../network/task-api.ts"
import { type KeptAs, strand, takeBack } from "./stranded-states.ts"

const saysKept = Schema.is(KeptRefusal)
/** Reports whether the server keeps the state that it refused. An older server does not say so; an unneeded copy does no harm. */
const keepsRefused = (error: TaskApiError): boolean => error._tag === "Declined" && saysKept(error.body)

/** Returns the copy in the directory of the shared volume; without one, nothing is ever copied. */
export const sharedCopy = (cacheDirectory: Option.Option<string>) => {
  let keepAs: KeptAs | undefined
  let kept: { readonly digest: string; readonly file: string } | undefined
  /** The digest of the last state that the server refused and keeps as evidence. */
  let evidence: string | undefined

  /** Puts a state on the volume, unless it is there already or the server keeps it as evidence. */
  const keep = Effect.fnUntraced(function*(bytes: Uint8Array) {
    const digest = sha256(bytes)
    if (Option.isNone(cacheDirectory) || keepAs === undefined || kept?.digest === digest || evidence === digest) return
    const before = kept
    kept = { digest, file: yield* strand(cacheDirectory.value, keepAs, bytes) }
    if (before !== undefined) yield* takeBack(before.file)
  }, Effect.catch((error) => Effect.logWarning(error.message)))

  return {
    /** Makes later copies those of this stage. Nothing is copied before. */
    keepAs: (stage: KeptAs) =>
      Effect.sync(() => {
        keepAs = stage
      }),
    keep,
    /** Takes note of why the server has not taken a state, and keeps the state unless the server keeps it. */
    notTaken: (bytes: Uint8Array, error: TaskApiError) =>
      Effect.suspend(() => {
        if (keepsRefused(error)) evidence = sha256(bytes)
        return keep(bytes)
      }),
    /** Removes the copy, once the server has the state or a later one. */
    remove: Effect.suspend(() => {
      const before = kept
      kept = undefined
      return before === undefined ? Effect.void : takeBack(before.file)
    }),
    /** Returns the file on the volume that has this state; none if the volume has another state or nothing. */
    fileOf: (bytes: Uint8Array) => kept?.digest === sha256(bytes) ? Option.some(kept.file) : Option.none(),
    /** Reports whether the server refused this state and keeps it as evidence. */
    isEvidence: (bytes: Uint8Array) => evidence === sha256(bytes)
  }
}
