// Gives the engine the provider mirrors of the values, with their tokens, while it fetches providers.
// Invariant: the file with the tokens exists only during `init`, so that no provider reads it (but docs/security.md); one of the task wins.
// Used by worker/stage/preparation.ts.
import { Effect, Option, Redacted, Schema } from "effect"
import { join } from "node:path"
import { cliConfiguration, isToken } from "../../core/stage/cli-configuration.ts"
import { mirrorHost, type NetworkMirror, ProviderMirrors } from "../../schema/values/provider-mirrors.ts"
import type { Backing } from "../backing/backing.ts"
import { noCommandEnv } from "../engine/engine.ts"
import { mirrorToken, Settings } from "../settings.ts"
import { invalid, type StageFailed } from "../stage-failed.ts"
import { openFolder, removeFile, writeFile } from "../volume/folder.ts"

const fileName = "mirrors.tfrc"
const variable = "TF_CLI_CONFIG_FILE"

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(ProviderMirrors))

/** Returns the mirror's host and token, if it has one; the kubelet has resolved the Secret, by the mirror's index in the list. */
const tokenOf = (mirror: NetworkMirror, index: number) =>
  Effect.gen(function*() {
    if (mirror.tokenSecret === undefined) return []
    const { key, name } = mirror.tokenSecret
    const token = yield* Effect.mapError(mirrorToken(index), () =>
      invalid(`The Pod has no token for the mirror ${mirror.url}; check the key ${key} of the Secret ${name}.`))
    const text = Redacted.value(token).trim()
    return isToken(text)
      ? [[mirrorHost(mirror), text] as const]
      : yield* invalid(
        `The key ${key} of the Secret ${name} has no token for the mirror ${mirror.url}; a token is letters, digits and -._~+/= only.`
      )
  })

/** Opens the mirrors for `init`. `directory` is an absolute path that the runner shares, `env` the environment of all commands. */
export const providerMirrors = Effect.fnUntraced(function*(
  directory: string,
  env: Readonly<Record<string, string>>
): Effect.fn.Return<Pick<Backing, "openFor">, StageFailed, Settings> {
  const { mirrors } = yield* Settings
  if (Option.isNone(mirrors) || variable in env) return { openFor: () => Effect.succeed(noCommandEnv) }
  const given = yield* Effect.mapError(
    decode(mirrors.value),
    () => invalid("The mirrors of the Pod cannot be read; run the task again.")
  )
  const tokens = (yield* Effect.forEach(given.network, tokenOf)).flat()
  const open = Effect.gen(function*() {
    const folder = yield* openFolder(directory)
    yield* Effect.acquireRelease(
      writeFile(folder, [fileName], cliConfiguration(given, new Map(tokens))),
      () => Effect.ignore(removeFile(folder, [fileName]))
    )
    return { env: { [variable]: join(directory, fileName) }, secrets: tokens.map(([, token]) => token) }
  })
  return { openFor: ({ subcommand }) => subcommand === "init" ? open : Effect.succeed(noCommandEnv) }
})
