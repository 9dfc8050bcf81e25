// --values: the files that say what an installation is like, in the order of the command line, later ones over earlier ones.
// Used by the commands that work on values without a cluster.
import { Effect } from "effect"
import { Flag } from "effect/cli"
import type { Values } from "../schema/values.ts"
import { type BadInput, unusable } from "./failure.ts"
import { lazily } from "./lazily.ts"

export const valuesFlag = Flag.Path("values").pipe(
  Flag.withAlias("f"),
  Flag.withMetavar("FILE"),
  Flag.atLeast(0),
  Flag.withDescription("A values file (YAML), or a directory of them; more than one are laid over each other, the last on top. Without one, the defaults.")
)

/** What they come to, or every problem with its file, line and column. */
export const givenValues = (paths: ReadonlyArray<string>): Effect.Effect<Values, BadInput> =>
  lazily(async () => {
    const { loadValues } = await import("../controller/values-files.ts")
    return Effect.mapError(loadValues(paths), unusable)
  })
