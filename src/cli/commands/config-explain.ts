// `agent-job config explain [KEY]`: prints a value, the file and line that set it, what that overrode, and what it comes to.
// Used by config.ts.
import { Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { outputFlag, print } from "../terminal/answer.ts"
import { BadInput } from "../terminal/failure.ts"
import { lazily } from "../terminal/lazily.ts"
import { loaded, unusable, valuesFlag } from "../values/values-flag.ts"

const flags = {
  key: Argument.String("KEY").pipe(
    Argument.withDefault(""),
    Argument.withDescription(
      "A key such as task.worker.image.tag, or a part of the values such as task; without one, everything that a file sets."
    )
  ),
  values: valuesFlag,
  output: outputFlag
}

export const explain = Command.make("explain", flags, ({ key: asked, output, values: paths }) =>
  lazily(async () => {
    const [{ explainKey, findKey, isBranch, setBelow }, { valueAt }, { branchAnswer, leafAnswer }] = await Promise.all([
      import("../../core/resolve/provenance.ts"),
      import("../../schema/document/layers.ts"),
      import("../values/explanation.ts")
    ])
    return Effect.gen(function*() {
      const { layers, values } = yield* Effect.catch(loaded(paths), unusable)
      const key = yield* Effect.mapError(Effect.fromResult(findKey(asked)), (message) => new BadInput({ message }))
      const explained = (path: typeof key.path) => explainKey(layers, values, { path, node: {} })
      const whole = explainKey(layers, values, key)
      return yield* print(
        output,
        isBranch(valueAt(values, key.path)) ? branchAnswer(whole, setBelow(layers, key.path).map(explained)) : leafAnswer(whole)
      )
    })
  })).pipe(
    Command.withDescription("Say where a value comes from: the file and line that set it, what that overrode, and what it comes to."),
    Command.withExamples([
      { command: "agent-job config explain -f values.yaml task.worker.image.tag", description: "One value" },
      { command: "agent-job config explain -f base.yaml -f values.yaml task", description: "What the files set there" }
    ])
  )
