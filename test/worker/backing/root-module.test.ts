// Which files of the root module are looked at for a backend and for commands of an encryption, and what the log says of such commands.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { WorkspaceName } from "../../../src/schema/names.ts"
import { readRootModule, tellCommands } from "../../../src/worker/backing/root-module.ts"
import { Log } from "../../../src/worker/engine/log-shipper.ts"
import { openFolder } from "../../../src/worker/volume/folder.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { turnsDuring } from "../turns-during.ts"

const external = `key_provider "external" "k" {\n}\n`
const encrypted = `terraform {\n  encryption {\n${external}}\n}\n`
const inS3 = `terraform {\n  backend "s3" {}\n}\n`

/** A configuration whose root module is `live`, and what is read of it and told. */
const scene = Effect.gen(function*() {
  const root = join(yield* temporaryFolder("root-module"), "in")
  for (const folder of ["live", "shared"]) mkdirSync(join(root, folder), { recursive: true })
  const path = join(root, "live")
  const place = { root: yield* openFolder(root), directory: ["live"], path }
  const lines: Array<string> = []
  const log = Layer.mock(Log, { line: (text) => Effect.sync(() => void lines.push(text)), redact: String, redactKey: String })
  return {
    lines,
    link: (target: string, name: string) => symlinkSync(target, join(path, name)),
    read: (env = {}, workspace?: WorkspaceName) => readRootModule(place, env, workspace),
    telling: (told?: ReadonlyArray<string>) => Effect.tap(readRootModule(place, {}), (now) => Effect.provide(tellCommands(now, told), log)),
    write: (name: string, text: string) => writeFileSync(join(path, name), text)
  }
})

describe("a backend in a file that is a link", () => {
  it.effect.each([
    { target: "../shared/s3.tf" },
    { target: "./../live/../shared//s3.tf" },
    { target: "s3.txt", path: "s3.txt" }
  ])("is seen where it leads to $target, in the configuration", ({ path = "../shared/s3.tf", target }) =>
    Effect.gen(function*() {
      const { link, read, write } = yield* scene
      write(path, inS3)
      link(target, "backend.tf")
      expect((yield* read()).backend).toBe("s3")
    }))

  it.effect.each([
    { given: "out of the configuration", target: "../../out.tf", path: "../../out.tf" },
    { given: "to an absolute path", target: "/shared/s3.tf" },
    { given: "to itself", target: "backend.tf" },
    { given: "to a directory", target: "../shared" },
    { given: "nowhere", target: "../shared/gone.tf" }
  ])("is passed over where it leads $given", ({ path = "../shared/s3.tf", target }) =>
    Effect.gen(function*() {
      const { link, read, write } = yield* scene
      write(path, inS3)
      link(target, "backend.tf")
      expect((yield* read()).backend).toBeUndefined()
    }))
})

it.effect("the file that takes the place of a backend names none", () =>
  Effect.gen(function*() {
    const { read, write } = yield* scene
    write("zzzz_agent_job_override.tf", inS3)
    expect((yield* read()).backend).toBeUndefined()
  }))

it.effect("a backend of the workspace itself, whose state the pool's server keeps, counts for none", () =>
  Effect.gen(function*() {
    const { read, write } = yield* scene
    write("backend.tf", `terraform {\n  backend "http" {\n    address = "https://aj/api/state/v1/workspaces/prod"\n  }\n}\n`)
    const seen = yield* Effect.forEach(["prod", "renamed"], (name) => read({}, WorkspaceName.make(name)))
    expect(seen.map(({ backend }) => backend)).toEqual([undefined, "http"])
  }))

it.live("many files are read in pieces, so that a stop is heard meanwhile", () =>
  Effect.gen(function*() {
    const { read, write } = yield* scene
    for (let at = 0; at < 60; at++) write(`${at}.tf`, "locals {}")
    const { turns } = yield* turnsDuring(read())
    expect(turns).toBeGreaterThan(50)
  }))

describe("commands of an encryption", () => {
  it.effect("are named with their file, also by a link, by a name of ours, or where the worker does not read it", () =>
    Effect.gen(function*() {
      const { lines, link, telling, write } = yield* scene
      write("main.tf", "")
      write("live.txt", encrypted)
      link("live.txt", "link.tf")
      link("/etc/out.tf", "out.tf")
      write("large.tf", " ".repeat(1024 * 1024 + 1))
      write("zzzz_agent_job_override.tf", encrypted)
      expect([...(yield* telling()).commands].sort()).toEqual([
        "key_provider external in link.tf",
        "key_provider external in zzzz_agent_job_override.tf",
        "what is not read here in large.tf",
        "what is not read here in out.tf"
      ])
      expect(lines).toEqual([
        expect.stringMatching(/^Whenever the engine runs, it may run commands of an encryption, in an apply even before /u)
      ])
    }))

  it.effect("are looked for where the engine finds them: from what a link leads to, the kernel goes up, and not from the link", () =>
    Effect.gen(function*() {
      const { link, read, write } = yield* scene
      write("../hidden.txt", encrypted)
      write("hidden.txt", "")
      link("../shared", "shared")
      link("shared/../hidden.txt", "main.tf")
      expect((yield* read()).commands).toEqual(["what is not read here in main.tf"])
    }))

  it.effect("are named with the variable that has them", () =>
    Effect.gen(function*() {
      const { read } = yield* scene
      expect((yield* read({ TF_ENCRYPTION: external })).commands).toEqual(["key_provider external in TF_ENCRYPTION"])
    }))

  it.effect("are told once where they are there before planning and after it, and then those that planning made", () =>
    Effect.gen(function*() {
      const { lines, telling, write } = yield* scene
      write("main.tf", encrypted)
      const { commands } = yield* telling()
      yield* telling(commands)
      expect(lines).toHaveLength(1)
      write("made.tf", encrypted)
      yield* telling(commands)
      expect(lines.slice(1)).toEqual([expect.stringMatching(/: key_provider external in made\.tf$/u)])
    }))

  it.effect("are told nothing of where there are none", () =>
    Effect.gen(function*() {
      const { lines, telling, write } = yield* scene
      write("main.tf", `terraform {\n  encryption {\n    method "aes_gcm" "m" {\n    }\n  }\n}\n`)
      expect([(yield* telling()).commands, lines]).toEqual([[], []])
    }))
})
