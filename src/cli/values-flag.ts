// --values: the files that say what an installation is like, in the order of the command line, later ones over earlier ones.
// Used by the commands that work on values without a cluster.
import { Effect } from "effect"
import { Flag } from "effect/cli"
import { relative } from "node:path"
import type { Fault } from "../schema/explain.ts"
import type { Layer } from "../schema/layers.ts"
import type { Values } from "../schema/values.ts"
import { BadInput } from "./failure.ts"
import { lazily } from "./lazily.ts"
import { inputFlag } from "./settings.ts"

/** Short for people: from here on, if it is below. */
const asTyped = (path: string): string => {
  const below = relative(process.cwd(), path)
  return below === "" || below.startsWith("..") ? path : below
}

export const valuesFlag = inputFlag("values").pipe(
  Flag.withAlias("f"),
  Flag.withMetavar("FILE"),
  Flag.map(asTyped),
  Flag.atLeast(0),
  Flag.withDescription(
    "A values file (YAML), a directory of them, or - for standard input; more than one are laid over each other, the last on top. Without one, the defaults."
  )
)

export interface Wrong {
  readonly files: ReadonlyArray<string>
  readonly faults: ReadonlyArray<Fault>
}

/** Files with everything that is wrong in them, a line each. */
export const unusable = ({ faults, files }: Wrong): Effect.Effect<never, BadInput> =>
  lazily(async () => {
    const { told } = await import("../schema/explain.ts")
    return Effect.fail(
      new BadInput({
        message: `${files.join(", ")} cannot be used; correct this and try again:\n${faults.map((_) => `  ${told(_)}`).join("\n")}`
      })
    )
  })

/** What the values files come to, and what that is made of; or everything that is wrong with its file, line and column. */
export const loaded = (
  paths: ReadonlyArray<string>
): Effect.Effect<{ readonly layers: ReadonlyArray<Layer>; readonly values: Values }, Wrong> =>
  lazily(async () => (await import("../controller/values-files.ts")).loadValues(paths))

export const givenValues = (paths: ReadonlyArray<string>): Effect.Effect<Values, BadInput> =>
  Effect.map(Effect.catch(loaded(paths), unusable), ({ values }) => values)
