// Tells of commands that a configuration may have the engine run beside all that a plan shows.
// Invariant: a file that is not read counts, because the engine reads it.
// Used by worker/stage/preparation.ts.
import { Effect } from "effect"
import { commandIn, commandInVariable, runsCommands } from "../../core/stage/encryption-commands.ts"
import { shortName } from "../../core/text/sentence.ts"
import { Log } from "../engine/log-shipper.ts"
import type { Provisioned } from "./backing.ts"
import { inRootModule } from "./root-module.ts"

const variable = "TF_ENCRYPTION"

/** Writes a line to the log if there is more than in `told`; returns all that there is. `env` is the engine's environment. */
export const tellEncryptionCommands = Effect.fnUntraced(
  function*(place: Provisioned, env: Readonly<Record<string, string>>, told: ReadonlyArray<string> = []) {
    const ofVariable = commandInVariable(env[variable] ?? "", env)
    const places = ofVariable === undefined ? [] : [`${ofVariable} in ${variable}`]
    yield* inRootModule(place, (name, text) => {
      const found = text === undefined ? "what is not read here" : commandIn(name, text, env)
      if (found !== undefined) places.push(`${found} in ${shortName(name)}`)
    })
    const others = places.filter((one) => !told.includes(one))
    if (others.length > 0) yield* (yield* Log).line(runsCommands(others))
    return places
  }
)
