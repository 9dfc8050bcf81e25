// The engine's own note of which backend it was initialised with, from its data directory.
// Always holds: it is a file of the runner's, so it is read as one: no link is followed, and no more than a backend needs.
// Used by worker/own-backing.ts and worker/pool-backing.ts.
import { Effect, Option } from "effect"
import { openFolder, readFile } from "./folder.ts"
import { invalid } from "./stage-failed.ts"

const limitBytes = 1024 * 1024

/** Fails with what `trouble` finds in the engine's note of its backend; there is no note without a backend. */
export const heedNote = Effect.fnUntraced(
  function*<E>(engineDirectory: string, trouble: (note: Option.Option<string>) => Effect.Effect<Option.Option<string>, E>) {
    const found = yield* Effect.flatMap(openFolder(engineDirectory), (directory) => readFile(directory, ["terraform.tfstate"], limitBytes))
    const told = yield* trouble(Option.map(found, (bytes) => new TextDecoder().decode(bytes)))
    if (Option.isSome(told)) return yield* invalid(told.value)
  },
  Effect.scoped
)
