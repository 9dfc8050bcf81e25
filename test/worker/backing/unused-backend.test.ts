// Which files of a configuration are looked at for a backend of its own, and when it is told of.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { RunId, WorkspaceName } from "../../../src/schema/names.ts"
import type { AgentTaskSpec } from "../../../src/schema/task/agent-task.ts"
import { tellUnusedBackend } from "../../../src/worker/backing/unused-backend.ts"
import { Log } from "../../../src/worker/engine/log-shipper.ts"
import { openFolder } from "../../../src/worker/volume/folder.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { turnsDuring } from "../turns-during.ts"

const plan: AgentTaskSpec = {
  workspace: WorkspaceName.make("demo"),
  stage: "plan",
  source: { inline: { "main.tf": "" } },
  pool: { url: "https://server", runId: RunId.make("run-a"), tokenSecret: { name: "token" } }
}
const log = Log.layer({ secrets: [], parts: [], ship: Option.none(), print: () => Effect.void })

/** Returns the backend that is seen where `backend.tf` of the root module `live` is a link to `target`, and another file is at `path`. */
const linked = (target: string, path = "shared/s3.tf") =>
  Effect.gen(function*() {
    const made = yield* temporaryFolder("unused")
    for (const folder of ["in/live", "in/shared"]) mkdirSync(join(made, folder), { recursive: true })
    writeFileSync(join(made, "in", path), `terraform {\n  backend "s3" {}\n}\n`)
    symlinkSync(target, join(made, "in/live/backend.tf"))
    const root = yield* openFolder(join(made, "in"))
    const place = { root, directory: ["live"], path: join(made, "in/live") }
    return (yield* tellUnusedBackend(plan, place, Effect.succeed("none"))).unusedBackend
  }).pipe(Effect.provide(log), Effect.scoped)

describe("a backend in a file that is a link", () => {
  it.effect.each([
    { target: "../shared/s3.tf" },
    { target: "./../live/../shared//s3.tf" },
    { target: "s3.txt", path: "live/s3.txt" }
  ])("is seen where it leads to $target, in the configuration", ({ path, target }) =>
    Effect.gen(function*() {
      expect(yield* linked(target, path)).toBe("s3")
    }))

  it.effect.each([
    { given: "out of the configuration", target: "../../out.tf", path: "../out.tf" },
    { given: "to an absolute path", target: "/shared/s3.tf" },
    { given: "to itself", target: "backend.tf" },
    { given: "to a directory", target: "../shared" },
    { given: "nowhere", target: "../shared/gone.tf" }
  ])("is passed over where it leads $given", ({ path, target }) =>
    Effect.gen(function*() {
      expect(yield* linked(target, path)).toBeUndefined()
    }))
})

describe("many files without a backend", () => {
  it.live("are read in pieces, so that a stop is heard meanwhile", () =>
    Effect.gen(function*() {
      const made = yield* temporaryFolder("unused")
      for (let at = 0; at < 60; at++) writeFileSync(join(made, `${at}.tf`), "locals {}")
      const place = { root: yield* openFolder(made), directory: [], path: made }
      const { turns } = yield* Effect.provide(turnsDuring(tellUnusedBackend(plan, place, Effect.succeed("none"))), log)
      expect(turns).toBeGreaterThan(50)
    }))
})

describe("a backend that the task names", () => {
  it.effect.each([{ type: "gcs", lines: 1 }, { type: "s3", lines: 0 }])(
    "is told of only where the configuration has another: $type where that has s3",
    ({ lines, type }) =>
      Effect.gen(function*() {
        const path = yield* temporaryFolder("unused")
        writeFileSync(join(path, "main.tf"), `terraform {\n  backend "s3" {}\n}\n`)
        const told: Array<string> = []
        const log = Layer.mock(Log, { line: (text) => Effect.sync(() => void told.push(text)), redact: String, redactKey: String })
        const { pool: _, ...own } = plan
        const place = { root: yield* openFolder(path), directory: [], path }
        yield* Effect.provide(tellUnusedBackend({ ...own, backend: { type } }, place, Effect.succeed("none")), log)
        expect(told).toHaveLength(lines)
      })
  )
})
