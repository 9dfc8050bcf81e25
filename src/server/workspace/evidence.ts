// States that were refused, kept aside as files and rows until a person has looked: no stage's state is ever dropped without a word.
// Invariant: bounded. A stage keeps its highest serials; a workspace first the highest of each stage that runs or has a pending rescue, which
// may be the only copy and gives way to none. Used by refused-states, and by what shows and takes them.
import { Context, Data, Effect, Layer, Schema } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { Sha256, Timestamp } from "../../schema/names.ts"
import { orNotFound, type Refused, type StoreFailure } from "../refused.ts"
import { endsAs } from "../store/act.ts"
import { Blobs, type Received } from "../store/blobs.ts"
import { row, rows } from "../store/database.ts"
import { newId } from "../store/ids.ts"
import { now } from "../store/instants.ts"
import { NamedBlobs } from "../store/named-blobs.ts"

const perStage = { count: 8, bytes: 128 * 1024 * 1024 }
const perWorkspace = { count: 40, bytes: 512 * 1024 * 1024 }

/**
 * A refused state. `why` says in a sentence for a person why the state is here. `storedVersionId` is the version that was stored when it
 * came; null if there was none, or if newer ones may have been stored between its writing and its arrival.
 */
const EvidenceRow = Schema.Struct({
  id: Schema.String,
  workspaceId: Schema.String,
  stageId: Schema.String,
  serial: Schema.Int,
  lineage: Schema.String,
  sha256: Sha256,
  sizeBytes: Schema.Int,
  why: Schema.String,
  receivedAt: Timestamp,
  storedVersionId: Schema.NullOr(Schema.String)
})
export type EvidenceRow = typeof EvidenceRow.Type
/** A refused state as it comes, before it is kept. */
export interface RefusedState extends Omit<EvidenceRow, "id" | "receivedAt" | "sha256" | "sizeBytes" | "storedVersionId"> {
  readonly received: Received
  /** `unknown`: nothing says which stage wrote the state, so `stageId` is only the stage whose evidence it becomes. */
  readonly writer?: "unknown" | undefined
}

const Gone = Schema.Struct({ id: Schema.String, sha256: Sha256 })

/** What became of a state that was to be evidence. */
export type RefusedStateFate = Data.TaggedEnum<{
  /** It is kept under this id. */
  Evidence: { readonly id: string }
  /** It is not kept, since it was stored before. */
  Stored: { readonly serial: number }
  /** It is not kept: its stage has enough states of higher serials, or its workspace has so many that give way to none. */
  Dropped: { readonly limit: "stage" | "workspace" }
}>
export const RefusedStateFate = Data.taggedEnum<RefusedStateFate>()

export class Evidence extends Context.Service<Evidence, {
  /** Returns a state of a workspace; fails with 404 if it is not there. */
  readonly get: (workspaceId: string, id: string) => Effect.Effect<EvidenceRow, StoreFailure>
  /** Returns the states of a workspace, newest first. */
  readonly list: (workspaceId: string) => Effect.Effect<ReadonlyArray<EvidenceRow>, SqlError.SqlError>
  /**
   * Keeps a state, unless a limit drops it. The same state of a stage is kept once. For a new state that is kept, `ifNew` runs in the same
   * transaction, and if it fails nothing is kept.
   */
  readonly keep: (refused: RefusedState, ifNew: Effect.Effect<void, StoreFailure>) => Effect.Effect<RefusedStateFate, StoreFailure>
  /** Returns the whole body. Fails with 503 when it is damaged. */
  readonly read: (state: EvidenceRow) => Effect.Effect<Uint8Array, Refused>
}>()("agent-job/server/Evidence") {
  static readonly layer = Layer.effect(Evidence, Effect.suspend(() => make))
}

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const blobs = yield* Blobs
  const { removeUnnamed } = yield* NamedBlobs

  const get = (workspaceId: string, id: string) =>
    Effect.flatMap(row(EvidenceRow)(sql`SELECT * FROM evidence WHERE workspaceId = ${workspaceId} AND id = ${id}`), orNotFound)
  const list = (workspaceId: string) => rows(EvidenceRow)(sql`SELECT * FROM evidence WHERE workspaceId = ${workspaceId} ORDER BY seq DESC`)

  /** Removes the states of a stage past its limits, and returns them. The first state is kept however large it is. */
  const pruneStage = (stageId: string) =>
    rows(Gone)(sql`DELETE FROM evidence WHERE id IN (
      SELECT id FROM (SELECT id, ROW_NUMBER() OVER kept AS place, SUM(sizeBytes) OVER kept AS bytes FROM evidence WHERE stageId = ${stageId} WINDOW kept AS (ORDER BY serial DESC, seq DESC))
      WHERE place > ${perStage.count} OR (place > 1 AND bytes > ${perStage.bytes})) RETURNING id, sha256`)
  /**
   * Removes the states of a workspace past its limits, and returns them: the new one alone, if there is no room beside those that give way
   * to none. What their senders were told is that nobody else has to keep them.
   */
  const pruneWorkspace = Effect.fnUntraced(function*(workspaceId: string, newId: string) {
    const past = yield* rows(Gone)(sql`SELECT id, sha256 FROM (
        SELECT id, sha256, ROW_NUMBER() OVER kept AS place, SUM(sizeBytes) OVER kept AS bytes FROM (
          SELECT *, id = ${newId} AS isNew, ROW_NUMBER() OVER (PARTITION BY stageId, id = ${newId} ORDER BY serial DESC, seq DESC) = 1 AS isHighest,
            EXISTS (SELECT 1 FROM rescues WHERE rescues.stageId = evidence.stageId AND settledAt IS NULL)
              OR EXISTS (SELECT 1 FROM stages WHERE stages.id = evidence.stageId AND endedAt IS NULL) AS waits
          FROM evidence WHERE workspaceId = ${workspaceId})
        WINDOW kept AS (ORDER BY waits AND isHighest AND NOT isNew DESC, isNew DESC, waits DESC, seq DESC))
      WHERE place > ${perWorkspace.count} OR (place > 1 AND bytes > ${perWorkspace.bytes})`)
    const isDropped = past.some(({ id }) => id === newId)
    const gone = past.filter(({ id }) => !isDropped || id === newId)
    if (gone.length > 0) yield* sql`DELETE FROM evidence WHERE ${sql.in("id", gone.map(({ id }) => id))}`
    return gone
  })

  /**
   * Returns SQL for the version that is stored, or for NULL if later runs may have stored it since the state was written: they could begin
   * once the stage had ended without a rescue, or with one that was settled. A rescue that such a late state opened makes the next one no
   * earlier.
   */
  const storedBefore = ({ stageId, workspaceId, writer }: RefusedState) =>
    writer === "unknown" ? sql`NULL` : sql`(SELECT stateVersionId FROM workspaces WHERE id = ${workspaceId}
      AND (EXISTS (SELECT 1 FROM stages WHERE id = ${stageId} AND endedAt IS NULL)
        OR (EXISTS (SELECT 1 FROM rescues WHERE stageId = ${stageId} AND settledAt IS NULL)
          AND NOT EXISTS (SELECT 1 FROM rescues WHERE stageId = ${stageId} AND settledAt IS NOT NULL)
          AND NOT EXISTS (SELECT 1 FROM evidence WHERE stageId = ${stageId} AND storedVersionId IS NULL))))`

  const keep = Effect.fn("Evidence.keep")(function*(refused: RefusedState, ifNew: Effect.Effect<void, StoreFailure>) {
    const { stageId, workspaceId } = refused
    const { sha256, sizeBytes } = refused.received
    const id = yield* newId("ev")
    const isIn = (gone: ReadonlyArray<typeof Gone.Type>) => gone.some((one) => one.id === id)
    const ofWorkspace = yield* sql.withTransaction(Effect.gen(function*() {
      const made =
        yield* sql`INSERT INTO evidence (id, seq, workspaceId, stageId, serial, lineage, sha256, sizeBytes, why, receivedAt, storedVersionId)
        SELECT ${id}, COALESCE(MAX(seq), 0) + 1, ${workspaceId}, ${stageId}, ${refused.serial}, ${refused.lineage}, ${sha256}, ${sizeBytes}, ${refused.why}, ${yield* now},
          ${storedBefore(refused)}
        FROM evidence WHERE true ON CONFLICT DO NOTHING RETURNING id`
      const ofStages = yield* pruneStage(stageId)
      const ofWorkspace = yield* pruneWorkspace(workspaceId, id)
      const gone = [...ofStages, ...ofWorkspace]
      if (made.length > 0 && !isIn(gone)) yield* ifNew
      yield* blobs.store(refused.received) // also a known state, whose file may be damaged
      yield* sql.afterCommit(removeUnnamed(gone))
      yield* endsAs(isIn(gone) ? "not kept" : "kept as evidence")
      return ofWorkspace
    }))
    const kept = yield* row(EvidenceRow)(sql`SELECT * FROM evidence WHERE stageId = ${stageId} AND sha256 = ${sha256}`)
    return kept === undefined
      ? RefusedStateFate.Dropped({ limit: isIn(ofWorkspace) ? "workspace" : "stage" })
      : RefusedStateFate.Evidence({ id: kept.id })
  })

  return Evidence.of({ get, list, keep, read: ({ sha256 }) => blobs.read(sha256) })
})
