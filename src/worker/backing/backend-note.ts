// The engine's own note of which backend it was initialised with, from its data directory.
// Always holds: the runner may have written it, so no link is followed, and a file that is larger than any backend needs is not read.
// Used by worker/backing/own-backing.ts and worker/backing/pool-backing.ts.
import { Effect, Option } from "effect"
import { invalid } from "../stage-failed.ts"
import { openFolder, readFile } from "../volume/folder.ts"

const limitBytes = 1024 * 1024

/** Fails with what `trouble` finds wrong in the engine's note of its backend. Without a backend there is no note. */
export const checkBackendNote = Effect.fnUntraced(
  function*<E>(engineDirectory: string, trouble: (note: Option.Option<string>) => Effect.Effect<Option.Option<string>, E>) {
    const found = yield* Effect.flatMap(openFolder(engineDirectory), (directory) => readFile(directory, ["terraform.tfstate"], limitBytes))
    const told = yield* trouble(Option.map(found, (bytes) => new TextDecoder().decode(bytes)))
    if (Option.isSome(told)) return yield* invalid(told.value)
  },
  Effect.scoped
)
