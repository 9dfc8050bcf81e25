// The copy of a state that the server has not acknowledged yet, in a file on the worker's own volume.
// Invariant: the file is whole, the new one or the one before, and on the disk once the write has succeeded.
// Used by worker/state/state-delivery.ts; worker/backing/last-state.ts names the file.
import { Effect } from "effect"
import { rmSync } from "node:fs"
import { join } from "node:path"
import { fileTrouble, type StageFailed } from "../stage-failed.ts"
import { storeWhole } from "../volume/whole-file.ts"

export const unsavedCopyFile = (privateDirectory: string): string => join(privateDirectory, "unsaved.tfstate")

export const keepUnsavedCopy = (privateDirectory: string, bytes: Uint8Array): Effect.Effect<void, StageFailed> =>
  Effect.try({ try: () => storeWhole(unsavedCopyFile(privateDirectory), bytes), catch: fileTrouble("a copy of the state") })

/** Removes the copy. Best effort: an unneeded copy does no harm. */
export const removeUnsavedCopy = (privateDirectory: string): Effect.Effect<void> =>
  Effect.ignore(
    Effect.try({ try: () => rmSync(unsavedCopyFile(privateDirectory), { force: true }), catch: fileTrouble("a copy of the state") })
  )
