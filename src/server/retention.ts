// What goes of runs, configuration versions and states that are old and have newer ones after them: all but their rows, whose ids, results and digests still say what was.
// Invariant: nothing goes that a stage, a rescue or a next run may ask for, which the statement that removes decides itself; files go after the commit.
// Used by server/upkeep.
import { Context, Duration, Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { finalStatuses } from "../core/run-machine.ts"
import { Sha256 } from "../schema/names.ts"
import { rows } from "./database.ts"
import { instantAfter, now } from "./instants.ts"
import { NamedBlobs } from "./named-blobs.ts"
import { Settings } from "./settings.ts"
import { type Workspace, Workspaces } from "./workspaces.ts"

/** In one pass, so that nobody else has to wait for long; the rest goes with the next one. */
const atOnce = 200

const Id = Schema.Struct({ id: Schema.String })
const Gone = Schema.Struct({ sha256: Sha256 })

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const { removeUnnamed } = yield* NamedBlobs
  const { keep } = yield* Settings
  const workspaces = yield* Workspaces

  /**
   * A run that is over since before `old`, of which no stage may come back or was withdrawn lately, no rescue is open or young, and nothing
   * holds its workspace or state.
   */
  const isPast = (old: string) =>
    sql`removedAt IS NULL AND ${sql.in("status", finalStatuses)} AND json_extract(timestamps, '$.' || status) < ${old}
    AND NOT EXISTS (SELECT 1 FROM stages WHERE runId = runs.id AND (endedAt IS NULL OR (offeredAt IS NOT NULL AND result IS NULL AND endedAt >= ${old})))
    AND NOT EXISTS (SELECT 1 FROM stages JOIN rescues ON rescues.stageId = stages.id WHERE runId = runs.id AND (settledAt IS NULL OR settledAt >= ${old}))
    AND NOT EXISTS (SELECT 1 FROM rescues WHERE id = runs.rescueId AND settledAt IS NULL)
    AND NOT EXISTS (SELECT 1 FROM workspaces WHERE id = runs.workspaceId AND (currentRunId = runs.id OR lockHolder IN (SELECT id FROM stages WHERE runId = runs.id)))`

  const pastRuns = (workspaceId: string, old: string, most: number) =>
    rows(Id)(sql`SELECT id FROM runs WHERE workspaceId = ${workspaceId} AND createdAt < ${old} AND ${isPast(old)}
      AND seq <= (SELECT seq FROM runs WHERE workspaceId = ${workspaceId} ORDER BY seq DESC LIMIT 1 OFFSET ${keep.runs}) ORDER BY createdAt LIMIT ${most}`)

  /** Gives the digests that the run no longer needs; nothing if it came to be needed since it was looked up. */
  const empty = (id: string, old: string) =>
    sql.withTransaction(Effect.gen(function*() {
      const emptied = yield* rows(Gone)(
        sql`UPDATE runs SET removedAt = ${yield* now}, variables = '[]' WHERE id = ${id} AND ${
          isPast(old)
        } RETURNING archiveSha256 AS sha256`
      )
      if (emptied.length === 0) return []
      const ofRun = sql`stageId IN (SELECT id FROM stages WHERE runId = ${id})`
      for (const table of ["taskTokens", "logChunks", "logTails", "effects"]) yield* sql`DELETE FROM ${sql(table)} WHERE ${ofRun}`
      const evidence = yield* rows(Gone)(sql`DELETE FROM evidence WHERE ${ofRun} RETURNING sha256`)
      yield* sql`UPDATE stages SET effects = NULL, waitMessage = NULL WHERE runId = ${id}`
      return [...emptied, ...evidence]
    }))

  /** Those of no run that is kept, which may have another archive, as an import has. The newest that may be applied is for the next run. */
  const letConfigurationsGo = Effect.fnUntraced(function*(workspaceId: string, old: string, most: number) {
    return yield* rows(Gone)(sql`UPDATE configurationVersions SET removedAt = ${yield* now} WHERE id IN (
      SELECT id FROM configurationVersions AS version WHERE workspaceId = ${workspaceId} AND removedAt IS NULL AND sha256 IS NOT NULL AND createdAt < ${old} AND (uploadedAt IS NULL OR uploadedAt < ${old})
        AND NOT EXISTS (SELECT 1 FROM runs WHERE configurationVersionId = version.id AND removedAt IS NULL)
        AND id IS NOT (SELECT id FROM configurationVersions WHERE workspaceId = ${workspaceId} AND status = 'uploaded' AND speculative = 0 ORDER BY seq DESC LIMIT 1)
      LIMIT ${most}) RETURNING sha256`)
  })

  /** Bodies alone: that a state was stored is known for good. None of a workspace whose state is in doubt. */
  const letStatesGo = Effect.fnUntraced(function*(workspaceId: string, old: string, most: number) {
    return yield* rows(Gone)(sql`UPDATE stateVersions SET supersededAt = ${yield* now} WHERE id IN (
      SELECT id FROM stateVersions WHERE workspaceId = ${workspaceId} AND supersededAt IS NULL AND createdAt < ${old}
        AND seq <= (SELECT seq FROM stateVersions WHERE workspaceId = ${workspaceId} AND supersededAt IS NULL ORDER BY epoch DESC, seq DESC LIMIT 1 OFFSET ${keep.states})
        AND id IS NOT (SELECT stateVersionId FROM workspaces WHERE id = ${workspaceId})
        AND NOT EXISTS (SELECT 1 FROM rescues WHERE workspaceId = ${workspaceId} AND settledAt IS NULL)
      LIMIT ${most}) RETURNING sha256`)
  })

  /** Gives how much went. */
  const passOf = Effect.fnUntraced(function*({ id: workspaceId, name }: Workspace, old: string, most: number) {
    const runs = keep.runs === 0 ? [] : yield* pastRuns(workspaceId, old, most)
    for (const { id } of runs) yield* Effect.andThen(Effect.flatMap(empty(id, old), removeUnnamed), Effect.yieldNow)
    const configurations = keep.runs === 0 ? [] : yield* letConfigurationsGo(workspaceId, old, most)
    const states = keep.states === 0 ? [] : yield* letStatesGo(workspaceId, old, most)
    yield* removeUnnamed([...configurations, ...states])
    const count = runs.length + configurations.length + states.length
    if (count > 0) {
      yield* Effect.logInfo("what is old was removed", {
        workspace: name,
        runs: runs.length,
        configurations: configurations.length,
        states: states.length
      })
    }
    return count
  })

  /** Says whether there may be more. A clock that is set back only keeps more. */
  const pass = Effect.fn("Retention.pass")(function*() {
    if (keep.days === 0) return false
    const old = yield* instantAfter(-Duration.toMillis(Duration.days(keep.days)))
    let most = atOnce
    for (const workspace of yield* workspaces.list) if (most > 0) most -= yield* passOf(workspace, old, most)
    return most <= 0
  })

  return { pass }
})

export class Retention extends Context.Service<Retention>()("agent-job/server/Retention", { make }) {
  static readonly layer = Layer.effect(this, this.make)
}
