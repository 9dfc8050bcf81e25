// `agent-job config validate`: prints what is wrong with values files, each with its place, or what was checked.
// Used by config.ts.
import { Effect } from "effect"
import { Command } from "effect/cli"
import { at, type Layer, leaves, type Place } from "../../schema/document/layers.ts"
import { counted } from "../terminal/amounts.ts"
import { type Answer, type Format, outputFlag, print } from "../terminal/answer.ts"
import { lazily } from "../terminal/lazily.ts"
import { loaded, unusable, valuesFlag, type Wrong } from "../values/values-flag.ts"

interface Gone extends Place {
  readonly file: string
  readonly path: string
}

const good = (layers: ReadonlyArray<Layer>, takenAway: ReadonlyArray<Gone>): Answer => ({
  document: { valid: true, files: layers.map(({ name }) => name), faults: [], takenAway },
  lines: [
    ...(layers.length === 0
      ? ["No file is given, so that the defaults hold."]
      : layers.map(({ name, tree }) => `${name}: ${counted(leaves(tree).length, "key")}`)),
    ...(takenAway.length === 0
      ? []
      : ["Null, which is also a key with nothing after it, takes these away; leave out what is to keep its default:"]),
    ...takenAway.map(({ file, path, ...place }) => `  ${at(file, place)} ${path}`),
    "All good: every key is known and has a value that it may have, and none contradicts another. What is inside affinity, sidecars and volumes, which are as in a Pod, the API server checks."
  ]
})

/** Fails with what is wrong. For a program, it prints the document first; the error and the exit code are the same. */
const bad = (format: Format, wrong: Wrong) =>
  Effect.andThen(
    format === "table"
      ? Effect.void
      : print(format, {
        document: { valid: false, files: wrong.files, faults: wrong.faults.map(({ place, ...fault }) => ({ ...fault, ...place })) },
        lines: []
      }),
    unusable(wrong)
  )

export const validate = Command.make(
  "validate",
  { values: valuesFlag, output: outputFlag },
  ({ output, values: paths }) =>
    lazily(async () => {
      const [{ shown }, { goneByNull }, { defaultValues }] = await Promise.all([
        import("../../schema/document/explain.ts"),
        import("../../schema/values/null-values.ts"),
        import("../../schema/values/values.ts")
      ])
      return Effect.matchEffect(loaded(paths), {
        onFailure: (wrong) => bad(output, wrong),
        onSuccess: ({ layers, values }) => {
          const gone = goneByNull(defaultValues, values, layers)
          const rows = gone.map(({ layer: { name, place }, path }) => ({ file: name, ...place(path), path: shown(path) }))
          return print(output, good(layers, rows))
        }
      })
    })
).pipe(
  Command.withDescription(
    "Check values files: every unknown key, wrong value and contradiction, each with its file, line and column."
  ),
  Command.withExamples([{ command: "agent-job config validate -f base.yaml -f values.yaml" }])
)
