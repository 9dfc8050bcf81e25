import { expect, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { auditPath } from "../../../src/schema/api/audit.ts"
import { WorkspaceName } from "../../../src/schema/names.ts"
import { stores } from "../../../src/server/lifecycle/server.ts"
import { Configurations } from "../../../src/server/run/configurations.ts"
import { Runs } from "../../../src/server/run/runs.ts"
import { Blobs } from "../../../src/server/store/blobs.ts"
import { Rescues } from "../../../src/server/workspace/rescues.ts"
import { Workspaces } from "../../../src/server/workspace/workspaces.ts"
import { ask, directory, optionsIn, person, plainRun, serve, userToken } from "../live-server.ts"

/** A pending import for a rescue of the workspace `demo`. */
const importing = Effect.gen(function*() {
  const [blobs, configurations, rescues, runs, workspaces] = [
    yield* Blobs,
    yield* Configurations,
    yield* Rescues,
    yield* Runs,
    yield* Workspaces
  ]
  const { id: workspaceId } = yield* workspaces.ensure(WorkspaceName.make("demo"))
  const { id: configurationVersionId } = yield* configurations.create(workspaceId, false)
  const { sha256: archiveSha256 } = yield* Effect.scoped(Effect.tap(blobs.receive(Stream.empty, { limitBytes: 0 }), blobs.store))
  const made = { workspaceId, configurationVersionId, archiveSha256, ...plainRun }
  const lost = yield* runs.create(made)
  yield* rescues.open({ workspaceId, stageId: `${lost.id}.plan.1`, reason: "Lost", message: "lost" })
  const rescueId = (yield* rescues.pending(workspaceId))[0]?.id ?? expect.fail("it is open")
  return (yield* runs.create({ ...made, rescueId })).id
})

it.live("an import that ends with its rescue was stopped by whose token settled it, as in the audit trail", () =>
  Effect.gen(function*() {
    const made = yield* directory
    const id = yield* Effect.scoped(
      Effect.flatMap(Layer.build(stores(optionsIn(made))), (context) => Effect.provide(importing, context))
    )
    const url = yield* serve(made)
    yield* person(url).settle("demo")
    const [settled] = (yield* ask(url + auditPath.all, userToken)).json.entries
    expect(yield* person(url).view(id)).toMatchObject({ status: "canceled", stoppedBy: settled.name })
  }))
