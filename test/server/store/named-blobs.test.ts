import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Option, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { WorkspaceName } from "../../../src/schema/names.ts"
import { stores } from "../../../src/server/lifecycle/server.ts"
import { Configurations } from "../../../src/server/run/configurations.ts"
import { Runs } from "../../../src/server/run/runs.ts"
import { Stages } from "../../../src/server/run/stages.ts"
import { Blobs } from "../../../src/server/store/blobs.ts"
import { NamedBlobs } from "../../../src/server/store/named-blobs.ts"
import { Workspaces } from "../../../src/server/workspace/workspaces.ts"
import { archiveOf, directory, inStores, optionsIn, plainRun } from "../live-server.ts"

/** A run, the stage of its plan, and its archive, which is on the disk. */
const waitingRun = Effect.gen(function*() {
  const { id: workspaceId } = yield* (yield* Workspaces).ensure(WorkspaceName.make("demo"))
  const configurations = yield* Configurations
  const version = yield* configurations.create(workspaceId, false)
  yield* configurations.upload(version.id, Stream.succeed(archiveOf({ a: "b" })))
  const { sha256 } = yield* configurations.get(version.id)
  const archiveSha256 = sha256 ?? expect.fail("it was uploaded")
  const run = yield* (yield* Runs).create({ workspaceId, configurationVersionId: version.id, archiveSha256, ...plainRun })
  const [stage] = yield* (yield* Stages).ofRun(run.id)
  return { run, stageId: stage?.id ?? expect.fail("it has a stage"), archiveSha256 }
})

const received = (text: string) => Effect.flatMap(Blobs, (blobs) => blobs.receive(Stream.succeed(Buffer.from(text)), { limitBytes: 100 }))

describe("a body", () => {
  it.live("is nobody's until a row names it, and gone from the disk if none does", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const files = () => readdirSync(join(made, "data", "blobs"))
      yield* Effect.gen(function*() {
        const { about, all } = yield* Blobs
        yield* Effect.scoped(Effect.gen(function*() {
          const { sha256 } = yield* received("unwanted")
          yield* Stream.runDrain(all) // as a sweep does, which removes only what an earlier process began
          expect([files().length, yield* about(sha256)]).toEqual([1, Option.none()])
        }))
        expect(files()).toEqual([])
      }).pipe(Effect.provide(yield* Layer.build(stores(optionsIn(made)))))
    }))

  it.live("that another sender's refusal takes from the disk is there again with its row", () =>
    inStores(Effect.gen(function*() {
      const { run, stageId } = yield* waitingRun
      const plan = yield* received("the plan")
      yield* (yield* NamedBlobs).removeUnnamed([plan])
      yield* (yield* Runs).savePlan(run.id, stageId, plan)
      expect(String(yield* Effect.map((yield* Blobs).read(plan.sha256), Buffer.from))).toBe("the plan")
    })))
})

describe("a file that a row names", () =>
  it.live.each([
    { by: "a configuration version", others: "UPDATE runs SET removedAt = createdAt" },
    { by: "a run, as an import has an archive of its own", others: "UPDATE configurationVersions SET removedAt = createdAt" }
  ])("is not removed, where it is $by alone, and is once nothing names it", ({ others }) =>
    inStores(Effect.gen(function*() {
      const sql = yield* SqlClient.SqlClient
      const { archiveSha256 } = yield* waitingRun
      const remove = Effect.flatMap(NamedBlobs, ({ removeUnnamed }) => removeUnnamed([{ sha256: archiveSha256 }]))
      const isThere = Effect.flatMap(Blobs, (blobs) => Effect.map(blobs.about(archiveSha256), Option.isSome))
      yield* sql.unsafe(others)
      yield* remove
      expect(yield* isThere).toBe(true)
      for (const table of ["runs", "configurationVersions"]) yield* sql`UPDATE ${sql(table)} SET removedAt = createdAt`
      yield* remove
      expect(yield* isThere).toBe(false)
    }))))
