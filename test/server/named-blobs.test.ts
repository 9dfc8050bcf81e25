import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { Sha256, WorkspaceName } from "../../src/schema/names.ts"
import { Blobs } from "../../src/server/blobs.ts"
import { Configurations } from "../../src/server/configurations.ts"
import { Evidence } from "../../src/server/evidence.ts"
import { NamedBlobs } from "../../src/server/named-blobs.ts"
import { Runs } from "../../src/server/runs.ts"
import { stores } from "../../src/server/server.ts"
import { Stages } from "../../src/server/stages.ts"
import { Workspaces } from "../../src/server/workspaces.ts"
import { archiveOf, directory, optionsIn } from "./live-server.ts"

const inStores = <A, E>(use: Effect.Effect<A, E, Layer.Success<ReturnType<typeof stores>>>) =>
  Effect.flatMap(directory, (made) => Effect.flatMap(Layer.build(stores(optionsIn(made))), (context) => Effect.provide(use, context)))

/** A run, the stage of its plan, and its archive, which is on the disk. */
const waitingRun = Effect.gen(function*() {
  const { id: workspaceId } = yield* (yield* Workspaces).ensure(WorkspaceName.make("demo"))
  const configurations = yield* Configurations
  const version = yield* configurations.create(workspaceId, false)
  yield* configurations.upload(version.id, Stream.succeed(archiveOf({ a: "b" })))
  const { sha256 } = yield* configurations.get(version.id)
  const archiveSha256 = sha256 ?? expect.fail("it was uploaded")
  const run = yield* (yield* Runs).create({ workspaceId, configurationVersionId: version.id, archiveSha256, planOnly: false, autoApply: false, destroy: false, message: "", engine: undefined, options: {}, variables: [] })
  const [stage] = yield* (yield* Stages).ofRun(run.id)
  return { run, stageId: stage?.id ?? expect.fail("it has a stage"), archiveSha256 }
})

/** Put, and removed before its row: as nothing named it then. */
const lost = Effect.gen(function*() {
  const { sha256 } = yield* (yield* Blobs).put(Stream.succeed(Buffer.from("lost")), { limitBytes: 10 })
  yield* (yield* NamedBlobs).removeUnnamed([{ sha256 }])
  return sha256
})

describe("a file that went before its row was written", () => {
  it.live("is no saved plan: whoever sent it hears that it is to be sent again", () =>
    inStores(Effect.gen(function*() {
      const { run, stageId } = yield* waitingRun
      expect(yield* Effect.flip((yield* Runs).savePlan(run.id, stageId, yield* lost))).toMatchObject({ status: 503 })
      expect((yield* (yield* Runs).get(run.id)).planSha256).toBeNull()
    })))

  it.live("is no evidence", () =>
    inStores(Effect.gen(function*() {
      const { run: { workspaceId }, stageId } = yield* waitingRun
      const refused = { workspaceId, stageId, serial: 1, lineage: "l", sha256: yield* lost, sizeBytes: 4, why: "" }
      expect(yield* Effect.flip((yield* Evidence).keep(refused, Effect.void))).toMatchObject({ status: 503 })
      expect(yield* (yield* Evidence).list(workspaceId)).toEqual([])
    })))
})

describe("a file that a row names", () =>
  it.live("is not removed", () =>
    inStores(Effect.gen(function*() {
      const { archiveSha256 } = yield* waitingRun
      yield* (yield* NamedBlobs).removeUnnamed([{ sha256: Sha256.make(archiveSha256) }])
      expect(yield* (yield* Blobs).sizeBytes(archiveSha256)).toBeGreaterThan(0)
    }))))
