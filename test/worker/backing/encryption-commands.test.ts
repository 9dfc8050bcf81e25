// What the log says of commands that the engine runs and no plan shows.
import { expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { tellEncryptionCommands } from "../../../src/worker/backing/encryption-commands.ts"
import { Log } from "../../../src/worker/engine/log-shipper.ts"
import { openFolder } from "../../../src/worker/volume/folder.ts"
import { temporaryFolder } from "../../temporary-folder.ts"

const external = `key_provider "external" "k" {\n}\n`
const encrypted = `terraform {\n  encryption {\n${external}}\n}\n`

/** A root module, what is told of it now, and what is told of it beside that. */
const scene = Effect.gen(function*() {
  const path = yield* temporaryFolder("encryption")
  mkdirSync(join(path, "live"))
  const place = { root: yield* openFolder(path), directory: ["live"], path: join(path, "live") }
  const lines: Array<string> = []
  const log = Layer.mock(Log, { line: (text) => Effect.sync(() => void lines.push(text)), redact: String, redactKey: String })
  const write = (name: string, text: string) => writeFileSync(join(path, "live", name), text)
  const telling = (told?: ReadonlyArray<string>, env = {}) => Effect.provide(tellEncryptionCommands(place, env, told), log)
  return { lines, link: (target: string, name: string) => symlinkSync(target, join(path, "live", name)), telling, write }
})

it.effect("names the file that has them, also by a link, by a name of ours, or where the worker does not read it", () =>
  Effect.gen(function*() {
    const { lines, link, telling, write } = yield* scene
    write("main.tf", "")
    write("live.txt", encrypted)
    link("live.txt", "link.tf")
    link("/etc/out.tf", "out.tf")
    write("large.tf", " ".repeat(1024 * 1024 + 1))
    write("zzzz_agent_job_override.tf", encrypted)
    expect([...yield* telling()].sort()).toEqual([
      "key_provider external in link.tf",
      "key_provider external in zzzz_agent_job_override.tf",
      "what is not read here in large.tf",
      "what is not read here in out.tf"
    ])
    expect(lines).toEqual([
      expect.stringMatching(/^Whenever the engine runs, it may run commands of an encryption, in an apply even before /u)
    ])
  }))

it.effect("names the variable that has them", () =>
  Effect.gen(function*() {
    const { telling } = yield* scene
    expect(yield* telling([], { TF_ENCRYPTION: external })).toEqual(["key_provider external in TF_ENCRYPTION"])
  }))

it.effect("names once what is there before planning and after it, and then what planning made", () =>
  Effect.gen(function*() {
    const { lines, telling, write } = yield* scene
    write("main.tf", encrypted)
    const told = yield* telling()
    yield* telling(told)
    expect(lines).toHaveLength(1)
    write("made.tf", encrypted)
    yield* telling(told)
    expect(lines.slice(1)).toEqual([expect.stringMatching(/: key_provider external in made\.tf$/u)])
  }))

it.effect("is silent where there are none", () =>
  Effect.gen(function*() {
    const { lines, telling, write } = yield* scene
    write("main.tf", `terraform {\n  encryption {\n    method "aes_gcm" "m" {\n    }\n  }\n}\n`)
    expect([yield* telling(), lines]).toEqual([[], []])
  }))
