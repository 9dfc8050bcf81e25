// Removes old runs, configuration versions and states that have newer ones after them, except the rows with their ids, results and digests.
// Invariant: nothing goes that a stage, a rescue or a next run may ask for, or that became old only lately; files go after the commit.
// Used by server/lifecycle/upkeep.
import { Context, Duration, Effect, Layer, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { finalStatuses } from "../../core/run/run-machine.ts"
import { Timestamp } from "../../schema/names.ts"
import { latestIn } from "../run/configurations.ts"
import { Settings } from "../settings.ts"
import { isAny, row, rows } from "../store/database.ts"
import { instantAfter, instantOf, now } from "../store/instants.ts"
import { Named, NamedBlobs } from "../store/named-blobs.ts"
import { type Workspace, Workspaces } from "../workspace/workspaces.ts"

/** The most that one pass removes of one kind in a workspace, so that nobody else has to wait for long; the next pass takes the rest. */
const atOnce = 200

/**
 * How long what is old stays still: as long, a clock that is ahead costs nothing once it is corrected, however far ahead it was.
 */
const staysStill = Duration.hours(6)

/** The most pieces of a log that one statement deletes: 2 MiB as workers send them, of the 64 MiB that a log may have. */
const piecesAtOnce = 32

/** The most pages that one statement cuts off the database's file, of 4 KiB each; as pieces of logs, in some milliseconds. */
const pagesAtOnce = 256

const Id = Schema.Struct({ id: Schema.String })

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const { removeUnnamed } = yield* NamedBlobs
  const { keep } = yield* Settings
  const workspaces = yield* Workspaces

  /**
   * Holds for a run that may be removed: it ended before `old`, none of its stages may come back or was withdrawn since, no rescue of it is
   * open or was settled since, it imports for no open rescue, and it holds neither its workspace nor the lock of the state.
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

  /**
   * Removes what a run holds but its logs, which nobody can read any more and `removeLogs` deletes. Returns the digests that the run no
   * longer needs; none if it came to be needed since it was looked up.
   */
  const removeContents = Effect.fnUntraced(function*(id: string, old: string) {
    const emptied = yield* rows(Named)(
      sql`UPDATE runs SET removedAt = ${yield* now}, variables = '[]' WHERE id = ${id} AND ${isPast(old)} RETURNING archiveSha256 AS sha256`
    )
    if (emptied.length === 0) return []
    const ofRun = sql`stageId IN (SELECT id FROM stages WHERE runId = ${id})`
    yield* sql`INSERT INTO logsToRemove SELECT id FROM stages WHERE runId = ${id}`
    for (const table of ["taskTokens", "logTails", "effects"]) yield* sql`DELETE FROM ${sql(table)} WHERE ${ofRun}`
    const evidence = yield* rows(Named)(sql`DELETE FROM evidence WHERE ${ofRun} RETURNING sha256`)
    yield* sql`UPDATE stages SET effects = NULL, waitMessage = NULL WHERE runId = ${id}`
    return [...emptied, ...evidence]
  }, sql.withTransaction)

  /**
   * Cuts the pages with nothing on them off the database's file, if it was made so (store/database). It is done after each log, because a
   * step takes longer the more such pages there are.
   */
  const cutFreePages = Effect.gen(function*() {
    while (yield* isAny(sql.unsafe(`PRAGMA incremental_vacuum(${pagesAtOnce})`))) yield* Effect.yieldNow // a row for each page
  })

  /**
   * Deletes the logs of removed runs a few pieces at a time, so that no request waits until a whole log is deleted. Goes on with the logs
   * that an earlier pass did not finish because the server stopped.
   */
  const removeLogs = Effect.gen(function*() {
    for (const { id } of yield* rows(Id)(sql`SELECT stageId AS id FROM logsToRemove`)) {
      const some =
        sql`DELETE FROM logChunks WHERE rowid IN (SELECT rowid FROM logChunks WHERE stageId = ${id} LIMIT ${piecesAtOnce}) RETURNING position`
      while ((yield* some).length === piecesAtOnce) yield* Effect.yieldNow
      yield* sql`DELETE FROM logsToRemove WHERE stageId = ${id}`
      yield* Effect.ignore(cutFreePages) // what fails is told at the end of the pass
    }
  })

  /**
   * Removes configuration versions of no kept run; such a run may have another archive, as an import has. The version stays that the next
   * run takes.
   */
  const removeConfigurations = Effect.fnUntraced(function*(workspaceId: string, old: string, most: number) {
    return yield* rows(Named)(sql`UPDATE configurationVersions SET removedAt = ${yield* now} WHERE id IN (
      SELECT id FROM configurationVersions AS version WHERE workspaceId = ${workspaceId} AND removedAt IS NULL AND sha256 IS NOT NULL AND createdAt < ${old} AND (uploadedAt IS NULL OR uploadedAt < ${old})
        AND NOT EXISTS (SELECT 1 FROM runs WHERE configurationVersionId = version.id AND removedAt IS NULL)
        AND id IS NOT (SELECT id FROM (${latestIn(sql, workspaceId)}))
      LIMIT ${most}) RETURNING sha256`)
  })

  /**
   * Removes the bodies of old states; their rows stay, so that it is known for good that a state was stored. A workspace whose state is in
   * doubt keeps all.
   */
  const removeStates = Effect.fnUntraced(function*(workspaceId: string, old: string, most: number) {
    return yield* rows(Named)(sql`UPDATE stateVersions SET supersededAt = ${yield* now} WHERE id IN (
      SELECT id FROM stateVersions WHERE workspaceId = ${workspaceId} AND supersededAt IS NULL AND createdAt < ${old}
        AND seq <= (SELECT seq FROM stateVersions WHERE workspaceId = ${workspaceId} AND supersededAt IS NULL ORDER BY epoch DESC, seq DESC LIMIT 1 OFFSET ${keep.states})
        AND id IS NOT (SELECT stateVersionId FROM workspaces WHERE id = ${workspaceId})
        AND NOT EXISTS (SELECT 1 FROM rescues WHERE workspaceId = ${workspaceId} AND settledAt IS NULL)
      LIMIT ${most}) RETURNING sha256`)
  })

  /** Returns how many runs, configuration versions and states it found old; a run that came to be needed since counts too. */
  const passOf = Effect.fnUntraced(function*({ id: workspaceId, name }: Workspace, old: string, most: number) {
    const past = keep.runs === 0 ? [] : yield* pastRuns(workspaceId, old, most)
    let runs = 0
    for (const { id } of past) {
      const digests = yield* removeContents(id, old)
      if (digests.length > 0) runs++
      yield* removeUnnamed(digests)
      yield* Effect.andThen(removeLogs, Effect.yieldNow)
    }
    const configurations = keep.runs === 0 ? [] : yield* removeConfigurations(workspaceId, old, most)
    const states = keep.states === 0 ? [] : yield* removeStates(workspaceId, old, most)
    yield* removeUnnamed([...configurations, ...states])
    if (runs + configurations.length + states.length > 0) {
      yield* Effect.logInfo("what is old was removed", {
        workspace: name,
        runs,
        configurations: configurations.length,
        states: states.length
      })
    }
    return past.length + configurations.length + states.length
  })

  /**
   * Notes this pass, and returns the instant of the last one that was at least `staysStill` ago; undefined if there was none. Passes of the
   * time to come are of a clock that was ahead, and are forgotten.
   */
  const earlierPass = sql.withTransaction(Effect.gen(function*() {
    const at = yield* now
    const earlier = sql`SELECT MAX(at) AS at FROM retentionPasses WHERE at <= ${yield* instantAfter(-Duration.toMillis(staysStill))}`
    yield* sql`DELETE FROM retentionPasses WHERE at > ${at} OR at < (${earlier})`
    yield* sql`INSERT INTO retentionPasses ${sql.insert({ at })} ON CONFLICT DO NOTHING`
    return (yield* row(Schema.Struct({ at: Schema.NullOr(Timestamp) }))(earlier))?.at ?? undefined
  }))

  /** Makes the database's file smaller by the pages with nothing on them; until the checkpoint it stays as large as it was. */
  const giveBack = Effect.andThen(cutFreePages, sql`PRAGMA wal_checkpoint(PASSIVE)`).pipe(
    Effect.catch((error) => Effect.logWarning("the database's file could not be made smaller, which the next pass tries again", error))
  )

  /**
   * Removes what an earlier pass saw as old already, gives its room back, and returns whether there may be more. A clock that is set back
   * only makes it keep more.
   */
  const pass = Effect.fn("Retention.pass")(function*() {
    yield* removeLogs
    const since = keep.days === 0 ? undefined : yield* earlierPass
    if (since === undefined) return false
    const old = instantOf(Math.max(0, Date.parse(since) - Duration.toMillis(Duration.days(keep.days)))) // a date goes not back as far as any number
    let most = atOnce
    for (const workspace of yield* workspaces.list) if (most > 0) most -= yield* passOf(workspace, old, most)
    return most <= 0
  }, Effect.tap(giveBack))

  return { pass }
})

export class Retention extends Context.Service<Retention>()("agent-job/server/Retention", { make }) {
  static readonly layer = Layer.effect(this, this.make)
}
