// The engine's own note of which backend it was initialised with, from its data directory.
// Invariant: the runner may have written it, so no link is followed, and a file that is larger than any backend needs is not read.
// Used by worker/backing/own-backing.ts and worker/backing/pool-backing.ts.
import { Effect, Option } from "effect"
import { invalid } from "../stage-failed.ts"
import { openFolder, readFile } from "../volume/folder.ts"

const limitBytes = 1024 * 1024

/** Returns the engine's note of its backend. Before `init`, and without a backend, there is none. */
export const backendNote = Effect.fnUntraced(function*(engineDirectory: string) {
  const found = yield* readFile(yield* openFolder(engineDirectory), ["terraform.tfstate"], limitBytes)
  return Option.map(found, (bytes) => new TextDecoder().decode(bytes))
}, Effect.scoped)

/** Fails with what `trouble` finds wrong in the engine's note of its backend. */
export const checkBackendNote = Effect.fnUntraced(
  function*<E>(engineDirectory: string, trouble: (note: Option.Option<string>) => Effect.Effect<Option.Option<string>, E>) {
    const told = yield* trouble(yield* backendNote(engineDirectory))
    if (Option.isSome(told)) return yield* invalid(told.value)
  }
)
