// --values: the files that say what an installation is like, in the order of the command line, later ones over earlier ones.
// Used by the commands that work on values without a cluster.
import { Effect } from "effect"
import { Flag } from "effect/cli"
import type { Fault } from "../schema/explain.ts"
import type { Values } from "../schema/values.ts"
import { BadInput } from "./failure.ts"
import { lazily } from "./lazily.ts"
import { inputFlag } from "./settings.ts"

export const valuesFlag = inputFlag("values").pipe(
  Flag.withAlias("f"),
  Flag.withMetavar("FILE"),
  Flag.atLeast(0),
  Flag.withDescription("A values file (YAML), a directory of them, or - for standard input; more than one are laid over each other, the last on top. Without one, the defaults.")
)

interface Wrong {
  readonly files: ReadonlyArray<string>
  readonly faults: ReadonlyArray<Fault>
}

/** Files with everything that is wrong in them, a line each. */
export const unusable = ({ faults, files }: Wrong): Effect.Effect<never, BadInput> =>
  lazily(async () => {
    const { told } = await import("../schema/explain.ts")
    return Effect.fail(new BadInput({ message: `${files.join(", ")} cannot be used; correct this and try again:\n${faults.map((_) => `  ${told(_)}`).join("\n")}` }))
  })

/** What they come to, or every problem with its file, line and column. */
export const givenValues = (paths: ReadonlyArray<string>): Effect.Effect<Values, BadInput> =>
  lazily(async () => {
    const { loadValues } = await import("../controller/values-files.ts")
    return Effect.catch(loadValues(paths), unusable)
  })
