// The copy of a stage's state on the volume that tasks share, for as long as the server has not taken that state.
// Invariant: a state that is there, or is evidence at the server, is not written again; what goes wrong is logged, and what hangs is not waited for.
// Used by worker/state/state-delivery.ts.
import { Effect, Fiber, Option, Schema, Semaphore } from "effect"
import { KeptRefusal } from "../../schema/api/task-api.ts"
import type { TaskApiError } from "../network/task-api-error.ts"
import { sha256 } from "../network/task-api.ts"
import type { StageFailed } from "../stage-failed.ts"
import { hanging, type KeptAs, strand, takeBack, volumePatience } from "./stranded-states.ts"

export interface SharedCopy {
  /** Makes later copies those of this stage. Nothing is copied before. */
  readonly keepAs: (stage: KeptAs) => Effect.Effect<void>
  /** Puts a state on the volume, unless it is there already or the server keeps it as evidence. */
  readonly keep: (bytes: Uint8Array) => Effect.Effect<void>
  /** Takes note of why the server has not taken a state, and keeps the state unless the server keeps it. */
  readonly notTaken: (bytes: Uint8Array, error: TaskApiError) => Effect.Effect<void>
  /** Removes the copy, once the server has the state or a later one. */
  readonly remove: Effect.Effect<void>
  /** Returns the file on the volume that has this state; none if the volume has another state or nothing. */
  readonly fileOf: (bytes: Uint8Array) => Option.Option<string>
  /** Reports whether the server refused this state and keeps it as evidence. */
  readonly isEvidence: (bytes: Uint8Array) => boolean
}

const saysKept = Schema.is(KeptRefusal)
/** Reports whether the server keeps the state that it refused. */
const keepsRefused = (error: TaskApiError): boolean => error._tag === "Declined" && saysKept(error.body)

/** Returns the copy in the directory of the shared volume; without one, nothing is ever copied. */
export const sharedCopy = (cacheDirectory: Option.Option<string>): SharedCopy => {
  let keepAs: KeptAs | undefined
  let kept: { readonly digest: string; readonly file: string } | undefined
  /** The digest of the last state that the server refused and keeps as evidence. */
  let evidence: string | undefined

  const inTurn = Semaphore.makeUnsafe(1)
  /**
   * Works on the volume, if there is one, while its caller waits, but not for long. What has begun then goes on, and nothing else begins
   * before it has ended: if it hangs, it takes one of the few threads that Node has for files and names of hosts, and not the others.
   */
  const onVolume = (work: (cacheDirectory: string) => Effect.Effect<void, StageFailed>) =>
    Option.isNone(cacheDirectory) ? Effect.void : Effect.acquireUseRelease(
      Effect.forkDetach(inTurn.withPermit(Effect.uninterruptible(Effect.suspend(() => work(cacheDirectory.value)))), {
        startImmediately: true
      }),
      (working) => Effect.timeoutOrElse(Fiber.join(working), { duration: volumePatience, orElse: () => Effect.fail(hanging) }),
      (working) => Effect.sync(() => working.interruptUnsafe()) // which only keeps it from beginning
    ).pipe(Effect.catch((error) => Effect.logWarning(error.message)))

  const keep = (bytes: Uint8Array) =>
    onVolume(Effect.fnUntraced(function*(cacheDirectory) {
      const digest = sha256(bytes)
      if (keepAs === undefined || kept?.digest === digest || evidence === digest) return
      const before = kept
      kept = { digest, file: yield* strand(cacheDirectory, keepAs, bytes) }
      if (before !== undefined) yield* takeBack(before.file)
    }))

  return {
    keepAs: (stage) =>
      Effect.sync(() => {
        keepAs = stage
      }),
    keep,
    notTaken: (bytes, error) =>
      Effect.suspend(() => {
        if (keepsRefused(error)) evidence = sha256(bytes)
        return keep(bytes)
      }),
    remove: onVolume(() => {
      const before = kept
      kept = undefined
      return before === undefined ? Effect.void : takeBack(before.file)
    }),
    fileOf: (bytes) => kept?.digest === sha256(bytes) ? Option.some(kept.file) : Option.none(),
    isEvidence: (bytes) => evidence === sha256(bytes)
  }
}
