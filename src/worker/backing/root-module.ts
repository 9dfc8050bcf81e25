// What the files of the root module say: which backend they name, and which commands they may have the engine run, which no plan shows.
// Invariant: each file is read once; nothing outside of the configuration is read, nor a file that is larger than a person writes.
// Used by worker/stage/preparation.ts.
import { Effect, Option } from "effect"
import { backendFileName } from "../../core/stage/added-files.ts"
import { isConfiguration } from "../../core/stage/configuration-files.ts"
import { commandIn, commandInVariable, runsCommands } from "../../core/stage/encryption-commands.ts"
import { backendIn } from "../../core/state/unused-backend.ts"
import { shortName } from "../../core/text/sentence.ts"
import type { WorkspaceName } from "../../schema/names.ts"
import { Log } from "../engine/log-shipper.ts"
import { linkedTo, namesIn, readFile } from "../volume/folder.ts"
import type { Provisioned } from "./backing.ts"

const limitBytes = 1024 * 1024
const variable = "TF_ENCRYPTION"

export interface RootModule {
  /** The type of a backend in it; undefined if none is named in a file that is read. */
  readonly backend: string | undefined
  /** The commands of an encryption, each with its place. A file that is not read counts, because the engine reads it. */
  readonly commands: ReadonlyArray<string>
}

/**
 * Reads what the engine takes for configuration, also by a link: some choose their backend by one. `env` is the engine's environment,
 * `workspace` that of a pool. The file that we add may have commands, since without a backend of ours it came with the configuration.
 */
export const readRootModule = Effect.fnUntraced(function*(
  { directory, root }: Provisioned,
  env: Readonly<Record<string, string>>,
  workspace?: WorkspaceName
) {
  const ofVariable = commandInVariable(env[variable] ?? "", env)
  const commands = ofVariable === undefined ? [] : [`${ofVariable} in ${variable}`]
  let backend: string | undefined
  for (const name of yield* namesIn(root, directory)) {
    const isOurs = name === backendFileName
    if (!isOurs && !isConfiguration(name)) continue
    const here = [...directory, name]
    const content = yield* readFile(root, Option.getOrElse(yield* linkedTo(root, here), () => here), limitBytes)
    const text = Option.getOrUndefined(Option.map(content, (bytes) => new TextDecoder().decode(bytes)))
    if (!isOurs && text !== undefined) backend ??= backendIn(name, text, workspace)
    const command = text === undefined ? "what is not read here" : commandIn(name, text, env)
    if (command !== undefined) commands.push(`${command} in ${shortName(name)}`)
    yield* Effect.yieldNow // the runner may make many files, as large as they may be
  }
  return { backend, commands } satisfies RootModule
})

/** Writes a line to the log of the commands that are not among those in `told`, if there are any. */
export const tellCommands = Effect.fnUntraced(function*({ commands }: RootModule, told: ReadonlyArray<string> = []) {
  const others = commands.filter((one) => !told.includes(one))
  if (others.length > 0) yield* (yield* Log).line(runsCommands(others))
})
