// A run whose plan waits for an agent. Used by the tests of offers, agents and cancellations.
import { Effect, Stream } from "effect"
import { type RunId, WorkspaceName } from "../../../src/schema/names.ts"
import { Configurations } from "../../../src/server/run/configurations.ts"
import { Runs } from "../../../src/server/run/runs.ts"
import { Blobs } from "../../../src/server/store/blobs.ts"
import { Workspaces } from "../../../src/server/workspace/workspaces.ts"
import { plainRun } from "../live-server.ts"

export interface Offering {
  readonly id: RunId
  readonly stageId: string
  readonly workspaceId: string
}
export const offering = Effect.gen(function*() {
  const { id: workspaceId } = yield* Effect.flatMap(Workspaces, (workspaces) => workspaces.ensure(WorkspaceName.make("demo")))
  const version = yield* Effect.flatMap(Configurations, (configurations) => configurations.create(workspaceId, false))
  const { sha256: archiveSha256 } = yield* Effect.flatMap(
    Blobs,
    (blobs) => Effect.scoped(Effect.tap(blobs.receive(Stream.empty, { limitBytes: 0 }), blobs.store))
  )
  const runs = yield* Runs
  const { id } = yield* runs.create({ workspaceId, configurationVersionId: version.id, archiveSha256, ...plainRun })
  return { id, stageId: `${id}.plan.1`, workspaceId } satisfies Offering
})
