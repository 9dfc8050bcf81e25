// What a stage of a pool has behind it, where that is more than its parts: what may be taken for the engine's last state.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Option, Stream } from "effect"
import { Tar } from "effect/encoding"
import { mkdirSync, truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { sealText } from "../../src/core/seal.ts"
import { RunId, Sha256, WorkspaceName } from "../../src/schema/names.ts"
import { openFolder } from "../../src/worker/folder.ts"
import { poolBacking } from "../../src/worker/pool-backing.ts"
import { sha256, tarGz } from "./fake-task-api.ts"
import { poolParts } from "./pool-parts.ts"
import { seal } from "./seals.ts"

const state = (serial: number) => JSON.stringify({ version: 4, serial, lineage: "one", resources: [] })
const savedPlan = Buffer.concat(Effect.runSync(Stream.runCollect(Stream.make(Tar.file("seal.json", sealText(seal())), Tar.file("plan.tfplan", "the plan")).pipe(Stream.pipeThroughChannel(Tar.encode())))))

/** An apply that is about to start, from an archive of these files. */
const applying = Effect.fnUntraced(function*(files: Readonly<Record<string, string>>) {
  const { api, layer, privateDirectory } = yield* poolParts()
  api.archive = tarGz(files)
  api.plan = savedPlan
  const path = join(privateDirectory, "work")
  mkdirSync(path)
  const context = yield* Layer.build(layer)
  return yield* Effect.gen(function*() {
    const backing = yield* poolBacking({
      workspace: WorkspaceName.make("demo"),
      stage: "apply",
      source: { pool: { archiveSha256: Sha256.make(sha256(api.archive)) } },
      plan: { sha256: Sha256.make(sha256(savedPlan)) },
      pool: { url: api.url, runId: RunId.make("run-a"), tokenSecret: { name: "token" } }
    })
    const place = { root: yield* openFolder(path), directory: [], path }
    yield* Option.getOrThrow(backing.bringSource)(place.root)
    yield* Option.getOrThrow(backing.bringPlan)(place)
    return { api, path, settle: backing.settleState(place) }
  }).pipe(Effect.provide(context))
})

describe("the state that the engine left", () => {
  it.live("is sent, and the stage knows", () =>
    Effect.gen(function*() {
      const { api, path, settle } = yield* applying({ "main.tf": "" })
      writeFileSync(join(path, "errored.tfstate"), state(3))
      expect(yield* settle).toBe("saved")
      expect(api.serials).toEqual([3])
    }))

  it.live("is never one that came with the configuration", () =>
    Effect.gen(function*() {
      const { api, settle } = yield* applying({ "main.tf": "", "errored.tfstate": state(9) })
      expect(yield* settle).toBe("unwritten")
      expect(api.serials).toEqual([])
    }))

  it.live("is named first when it is too large to be sent", () =>
    Effect.gen(function*() {
      const { path, settle } = yield* applying({ "main.tf": "" })
      writeFileSync(join(path, "errored.tfstate"), state(3))
      truncateSync(join(path, "errored.tfstate"), 64 * 1024 ** 2 + 1)
      const { message, reason } = yield* Effect.flip(settle)
      expect([reason, message]).toEqual(["StateNotSaved", expect.stringMatching(new RegExp(`^The last state is in ${path}/errored.tfstate of Pod demo-abcde .* more than 64 MiB`, "u"))])
    }))
})
