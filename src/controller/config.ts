// The controller's configuration, from its values file: read, decoded with every problem named, and resolved.
// A file that is wrong keeps the controller from starting; it never runs with half of it.
// Used by controller/controller.
import { Data, Effect, Runtime } from "effect"
import { Yaml } from "effect/encoding"
import { readFile } from "node:fs/promises"
import { type Release, type ResolvedConfig, resolve } from "../core/resolve.ts"
import { appVersion, parseValues } from "../schema/values.ts"

export class ConfigurationInvalid extends Data.TaggedError("ConfigurationInvalid")<{ readonly file: string; readonly problems: ReadonlyArray<string> }> {
  override readonly [Runtime.errorExitCode] = 2
  override get message() {
    return `The values in ${this.file} cannot be used; correct them and start again: ${this.problems.join("; ")}`
  }
}

const problem = (error: unknown): ReadonlyArray<string> => [error instanceof Error ? error.message : String(error)]

export const loadConfig = Effect.fn("loadConfig")(function*(file: string, release: Omit<Release, "version">): Effect.fn.Return<ResolvedConfig, ConfigurationInvalid> {
  const invalid = (problems: ReadonlyArray<string>) => new ConfigurationInvalid({ file, problems })
  const text = yield* Effect.tryPromise({ try: () => readFile(file, "utf8"), catch: (error) => invalid(problem(error)) })
  const input = yield* Effect.try({ try: () => Yaml.parse(text), catch: (error) => invalid(problem(error)) })
  const values = yield* Effect.mapError(Effect.fromResult(parseValues(input)), invalid)
  return resolve(values, { ...release, version: appVersion })
})
