// The file with the mirrors and their tokens: it is there while providers are fetched, and gone before any code of a provider runs.
import { describe, expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer } from "effect"
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { StageCommand } from "../../../src/core/stage/stage-commands.ts"
import { Settings } from "../../../src/worker/settings.ts"
import { providerMirrors } from "../../../src/worker/stage/provider-mirrors.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { podEnvironment } from "../pod-settings.ts"

const init: StageCommand = { subcommand: "init", args: ["init"], output: "printed", mutates: false }
const mirror = { url: "https://mirror.example.com/", include: ["hashicorp/*"] }
const withToken = { ...mirror, tokenSecret: { name: "mirror", key: "token" } }
const opening = (
  directory: string,
  mirrors: ReadonlyArray<object>,
  { env = {}, token }: { readonly env?: Record<string, string>; readonly token?: string } = {}
) =>
  providerMirrors(directory, env).pipe(
    Effect.provide(Layer.orDie(Settings.layer)),
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown(podEnvironment("/none", "/none", {
      ...(mirrors.length > 0 && { AGENT_JOB_PROVIDER_MIRRORS: JSON.stringify({ filesystem: [], network: mirrors }) }),
      ...(token !== undefined && { AGENT_JOB_MIRROR_TOKEN_0: token })
    }))))
  )

describe("the mirrors of providers", () => {
  it.effect("are a file for init, whose token no log shows, and nothing for other commands", () =>
    Effect.gen(function*() {
      const directory = yield* temporaryFolder("mirrors")
      const { openFor } = yield* opening(directory, [withToken], { token: "very-secret\n" })
      const file = join(directory, "mirrors.tfrc")
      yield* Effect.scoped(Effect.gen(function*() {
        expect(yield* openFor(init)).toEqual({ env: { TF_CLI_CONFIG_FILE: file }, secrets: ["very-secret"] })
        expect(readFileSync(file, "utf8")).toMatch(/network_mirror[^]*credentials "mirror.example.com" \{\n {2}token = "very-secret"\n\}/u)
      }))
      expect(existsSync(file)).toBe(false)
      for (const subcommand of ["version", "plan", "show", "apply"] as const) {
        expect(yield* Effect.scoped(openFor({ ...init, subcommand }))).toEqual({ env: {}, secrets: [] })
      }
    }).pipe(Effect.scoped))

  it.effect.each([
    { given: "there are none", mirrors: [], env: {} },
    { given: "the task has a file of its own", mirrors: [mirror], env: { TF_CLI_CONFIG_FILE: "/mine" } }
  ])("are nothing when $given", ({ env, mirrors }) =>
    Effect.gen(function*() {
      const { openFor } = yield* opening("/nowhere", mirrors, { env })
      expect(yield* Effect.scoped(openFor(init))).toEqual({ env: {}, secrets: [] })
    }))

  it.effect.each([
    {
      given: "a token that is not there",
      token: {},
      says: "The Pod has no token for the mirror https://mirror.example.com/; check the key token of the Secret mirror."
    },
    {
      given: "what is no token",
      token: { token: "a\"b" },
      says:
        "The key token of the Secret mirror has no token for the mirror https://mirror.example.com/; a token is letters, digits and -._~+/= only."
    }
  ])("refuse $given, and do not show it", ({ says, token }) =>
    Effect.gen(function*() {
      expect(yield* Effect.flip(opening("/nowhere", [withToken], token))).toMatchObject({ reason: "InvalidConfiguration", message: says })
    }))
})
