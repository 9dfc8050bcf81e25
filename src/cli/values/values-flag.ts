// The flag --values: the values files of an installation, in the order of the command line, later ones over earlier ones.
// Used by the commands that take it, and by those that read the values of an installation in its cluster.
import { Effect } from "effect"
import { Flag } from "effect/cli"
import type { Fault } from "../../schema/document/fault.ts"
import type { Layer, Tree } from "../../schema/document/layers.ts"
import type { Values } from "../../schema/values/values.ts"
import { inputFlag } from "../flags/settings.ts"
import { BadInput } from "../terminal/failure.ts"
import { lazily } from "../terminal/lazily.ts"

export const valuesFlag = inputFlag("values").pipe(
  Flag.withAlias("f"),
  Flag.withMetavar("FILE"),
  Flag.atLeast(0),
  Flag.withDescription(
    "A values file (YAML), a directory of them, or - for standard input; more than one are laid over each other, the last on top. Without one, the defaults."
  )
)

export interface Wrong {
  readonly files: ReadonlyArray<string>
  readonly faults: ReadonlyArray<Fault>
}

/** Fails with what is wrong in the files, one line for each fault. */
export const unusable = ({ faults, files }: Wrong): Effect.Effect<never, BadInput> =>
  lazily(async () => {
    const { allTold } = await import("../../schema/document/fault.ts")
    return Effect.fail(
      new BadInput({
        message: `${files.join(", ")} cannot be used; correct this and try again:\n${allTold(faults).map((_) => `  ${_}`).join("\n")}`
      })
    )
  })

/** Returns what the values files come to, and their layers. Fails with what is wrong, each with its file, line and column. */
export const loaded = (
  paths: ReadonlyArray<string>
): Effect.Effect<{ readonly layers: ReadonlyArray<Layer>; readonly values: Values }, Wrong> =>
  lazily(async () => (await import("../../controller/configuration/values-files.ts")).loadValues(paths))

/** Returns what the values files come to over the layers of a base, and their own. Fails if they are wrong by themselves, or over those. */
export const valuesOver = Effect.fn("valuesOver")(function*(paths: ReadonlyArray<string>, below: ReadonlyArray<Tree>) {
  const { layers, values: { agent } } = yield* Effect.catch(loaded(paths), unusable)
  const hasToken = agent.token + agent.auth.token !== ""
  const between = hasToken ? [{ agent: { tokenExistingSecret: { name: "" } } }] : [] // a token in place of the Secret of the base
  const trees = [...below, ...between, ...layers.map(({ tree }) => tree)]
  const values = yield* lazily(async () => {
    const { parseTrees } = await import("../../schema/values/values.ts")
    return Effect.mapError(Effect.fromResult(parseTrees(trees)), (problems) =>
      new BadInput({
        message: [
          "The values cannot be used over what the components of the base set; correct this and try again:",
          ...problems.map((_) => `  ${_}`)
        ].join("\n")
      }))
  })
  return { layers, values }
})

export const givenValues = (paths: ReadonlyArray<string>): Effect.Effect<Values, BadInput> =>
  Effect.map(Effect.catch(loaded(paths), unusable), ({ values }) => values)
