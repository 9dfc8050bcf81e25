// Tells the log when so little room is left that nothing begins any more, with whoever sent the most lately, and when that is over.
// Used by server/lifecycle/upkeep.
import { Context, Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { WorkspaceName } from "../../schema/names.ts"
import { Blobs } from "../store/blobs.ts"
import { rows } from "../store/database.ts"

/** How many of the last archives, states and stages, with their logs and plans, are looked at, each; who floods the disk is among them. */
const lately = 1000

const Sent = Schema.Struct({ workspace: WorkspaceName, bytes: Schema.Int })

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const { spareRoom } = yield* Blobs

  const mostSent = rows(Sent)(
    sql`SELECT workspaces.name AS workspace, SUM(sent.bytes) AS bytes FROM (
      SELECT * FROM (SELECT workspaceId, sizeBytes AS bytes FROM configurationVersions ORDER BY seq DESC LIMIT ${lately})
      UNION ALL SELECT * FROM (SELECT workspaceId, sizeBytes FROM stateVersions ORDER BY seq DESC LIMIT ${lately})
      UNION ALL SELECT * FROM (SELECT runs.workspaceId, logStored + planBytes FROM stages JOIN runs ON runs.id = stages.runId ORDER BY stages.seq DESC LIMIT ${lately})
    ) AS sent JOIN workspaces ON workspaces.id = sent.workspaceId GROUP BY workspaces.id HAVING SUM(sent.bytes) > 0 ORDER BY SUM(sent.bytes) DESC LIMIT 3`
  )

  let isTold = false
  const tell = Effect.gen(function*() {
    const isLittle = yield* Effect.isFailure(spareRoom)
    if (isLittle === isTold) return
    yield* isLittle
      ? Effect.logWarning(
        "little room is left on the disk and kept for the states of runs at work, so nothing begins: make room, see docs/state.md; these sent the most lately",
        yield* mostSent
      )
      : Effect.logInfo("there is room on the disk again, so runs begin")
    isTold = isLittle
  })

  return { tell }
})

export class LittleRoom extends Context.Service<LittleRoom>()("agent-job/server/LittleRoom", { make }) {
  static readonly layer = Layer.effect(this, this.make)
}
