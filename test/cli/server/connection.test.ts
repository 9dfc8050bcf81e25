// Which server a command asks and as whom, where flags, variables and a file say different things.
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { expect, it } from "@effect/vitest"
import { ConfigProvider, Effect, Option, Redacted } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { connection } from "../../../src/cli/server/connection.ts"
import { temporaryFolder } from "../../temporary-folder.ts"

interface Given {
  readonly url?: string
  readonly tokenFile?: string
  readonly environment: Readonly<Record<string, string>>
}

/** Returns the address, and the token or null where there is none. */
const connected = ({ environment, tokenFile, url }: Given) =>
  connection({ url: Option.fromUndefinedOr(url), tokenFile: Option.fromUndefinedOr(tokenFile) }).pipe(
    Effect.map((at) => [at.url, Option.getOrNull(Option.map(at.token, Redacted.value))]),
    Effect.provide([NodeFileSystem.layer, ConfigProvider.layer(ConfigProvider.fromEnv({ env: environment }))])
  )

const environment = { AGENT_JOB_URL: "http://of-the-environment:8080/", AGENT_JOB_TOKEN: "of-the-environment" }

it.effect("the address and the token are those of the environment, without a slash at the end", () =>
  Effect.gen(function*() {
    expect(yield* connected({ environment })).toEqual(["http://of-the-environment:8080", "of-the-environment"])
  }))

it.effect.each([" ", "/ ", "\r"])(
  "an address that ends with %j is the one before that, as an .env file may have it",
  (end) =>
    Effect.gen(function*() {
      expect(yield* connected({ environment: { AGENT_JOB_URL: ` http://server:8080${end}` } })).toEqual(["http://server:8080", null])
    })
)

it.effect("--url and --token-file say more than the environment", () =>
  Effect.gen(function*() {
    const tokenFile = join(yield* temporaryFolder("token"), "token")
    writeFileSync(tokenFile, "of-the-file\n")
    expect(yield* connected({ url: "https://of-the-flag/below//", tokenFile, environment })).toEqual([
      "https://of-the-flag/below",
      "of-the-file"
    ])
  }))

it.effect("a variable that is empty gives no token, rather than one that is refused", () =>
  Effect.gen(function*() {
    expect(yield* connected({ environment: { ...environment, AGENT_JOB_TOKEN: "" } })).toEqual(["http://of-the-environment:8080", null])
  }))
