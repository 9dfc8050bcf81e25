// Runs that import what a stage made and the state lacks: the stage's configuration with import blocks, planned for these addresses alone.
// Invariant: while its rescue is pending, no other run of the workspace starts, but for a plan offered before; it ends with the rescue; a person confirms its plan.
// Used by workspace-state-routes; runs and assignments know of it by the run's `rescueId`.
import { Context, Effect, Layer, Schema, Stream } from "effect"
import { Tar } from "effect/encoding"
import { SqlClient } from "effect/sql"
import { gzipSync } from "node:zlib"
import { isFinal } from "../../core/run/run-machine.ts"
import { importable, importBlocks } from "../../core/state/import-blocks.ts"
import type { Effected } from "../../schema/api/effects.ts"
import { archiveLimitBytes } from "../../schema/api/task-api.ts"
import { RunId } from "../../schema/names.ts"
import type { Caller } from "../access/tokens.ts"
import { conflict, type StoreFailure } from "../refused.ts"
import { Configurations } from "../run/configurations.ts"
import { LeftOvers } from "../run/left-overs.ts"
import { Runs, type WholeRun } from "../run/runs.ts"
import { Stages } from "../run/stages.ts"
import { Blobs } from "../store/blobs.ts"
import { row } from "../store/database.ts"
import { nothingPending, type Rescue, Rescues } from "../workspace/rescues.ts"
import { Workspaces } from "../workspace/workspaces.ts"

const fileName = "agent-job-import.tf"
/**
 * The length of the two empty blocks that end an archive. What comes before them has no fixed length: a long path, or one that is not
 * ASCII, has an entry of its own.
 */
const endBytes = 2 * 512

/** Returns one file as the beginning of a tar.gz: a member of gzip without the end of the archive, so that another archive may follow. */
const beginning = (path: string, content: string) =>
  Stream.runCollect(Stream.fromIterable([Tar.file(path, content)]).pipe(Stream.pipeThroughChannel(Tar.encode()))).pipe(
    Effect.orDie,
    Effect.map((parts) => gzipSync(Buffer.concat(parts).subarray(0, -endBytes)))
  )

export class ImportRuns extends Context.Service<ImportRuns, {
  /**
   * Starts an import for the oldest rescue that something can be imported for. It takes the first of what is missing, as many as a plan may
   * be narrowed to; the next import takes the rest. Fails with 409 `nothing-pending`, `nothing-to-import`, `import-runs` where one is not
   * over, `wrong-moment` while a run applies, `configuration-removed` where nobody knows what was made, and `state-unread`; and with 503.
   */
  readonly start: (name: string, by: Caller) => Effect.Effect<WholeRun, StoreFailure>
}>()("agent-job/server/ImportRuns") {
  static readonly layer = Layer.effect(ImportRuns, Effect.suspend(() => make))
}

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const blobs = yield* Blobs
  const configurations = yield* Configurations
  const leftOvers = yield* LeftOvers
  const rescues = yield* Rescues
  const runs = yield* Runs
  const stages = yield* Stages
  const workspaces = yield* Workspaces

  /** Makes an archive of the run's configuration with the import blocks beside it; it is not stored yet. */
  const archiveWith = Effect.fnUntraced(function*(configurationVersionId: string, directory: string, found: ReadonlyArray<Effected>) {
    const { sha256 } = yield* configurations.get(configurationVersionId)
    if (sha256 === null) return yield* Effect.die(new Error(`the configuration version ${configurationVersionId} has a run and no archive`))
    const path = directory === "" ? fileName : `${directory.replace(/\/+$/u, "")}/${fileName}`
    const blocks = importBlocks({ unsaved: found, unsavedCount: found.length, unknown: [], unknownCount: 0 })
    yield* blobs.check(sha256) // the archive gets a digest of its own, which would be right of damaged bytes too
    const bytes = Stream.concat(Stream.fromEffect(beginning(path, blocks)), blobs.stream(sha256))
    return yield* blobs.receive(bytes, { limitBytes: archiveLimitBytes })
  })

  /** Returns for each rescue what its stage made that a run can import. */
  const foundFor = Effect.fnUntraced(function*(by: Caller, workspaceId: string, pending: ReadonlyArray<Rescue>) {
    const left = yield* leftOvers.look(by, workspaceId, pending)
    return pending.map((rescue) => {
      const { unread = false, unsaved = [] } = left.get(rescue.stageId) ?? {}
      return { rescue, found: importable(unsaved), unread }
    })
  })

  /** Fails if an import for one of these rescues is not over, because a workspace has one import at a time. */
  const refuseIfImporting = Effect.fnUntraced(function*(pending: ReadonlyArray<Rescue>) {
    const open = (yield* Effect.forEach(pending, ({ id }) => runs.ofRescue(id))).flat().find(({ status }) => !isFinal(status))
    if (open !== undefined) {
      return yield* conflict("import-runs", `The run ${open.id} imports already; look at it with: agent-job get ${open.id}`)
    }
  })

  /**
   * Fails if a run of the workspace is applying: an apply that began before the doubt goes on, and an import would be a second one beside
   * it.
   */
  const refuseIfApplying = Effect.fnUntraced(function*(workspaceId: string) {
    const AtWork = Schema.Struct({ runId: RunId })
    // The "+" has it begin with the stages that are not over, of which there are few.
    const other = yield* row(AtWork)(sql`SELECT runs.id AS runId FROM runs JOIN stages ON stages.runId = runs.id
      WHERE +runs.workspaceId = ${workspaceId} AND stages.stage <> 'plan' AND stages.startedAt IS NOT NULL AND stages.endedAt IS NULL LIMIT 1`)
    if (other !== undefined) {
      return yield* conflict(
        "wrong-moment",
        `The run ${other.runId} is still applying, so nothing can be imported before its end; look at it with: agent-job get ${other.runId}`
      )
    }
  })

  /** Fails if a run behind these rescues was emptied, because nobody knows what it made. */
  const refuseIfRemoved = Effect.fnUntraced(function*(pending: ReadonlyArray<Rescue>) {
    const of = yield* Effect.forEach(pending, ({ stageId }) => Effect.flatMap(stages.get(stageId), ({ runId }) => runs.get(runId)))
    const removed = of.find(({ removedAt }) => removedAt !== null)
    if (removed !== undefined) {
      return yield* conflict(
        "configuration-removed",
        `The configuration of ${removed.id} and what it made are gone, as it is old; import by hand what is missing, and then settle with --keep.`
      )
    }
  })

  const start = Effect.fn("ImportRuns.start")(function*(name: string, by: Caller) {
    const workspace = yield* workspaces.find(name)
    const pending = workspace === undefined ? [] : yield* rescues.pending(workspace.id)
    if (workspace === undefined || pending.length === 0) return yield* nothingPending(name)
    yield* refuseIfImporting(pending)
    const next = (yield* foundFor(by, workspace.id, pending)).find(({ found }) => found.length > 0)
    if (next === undefined) {
      yield* refuseIfRemoved(pending)
      return yield* conflict(
        "nothing-to-import",
        `Nothing that is missing in the state of ${name} has an id to import it by and an address where the state has nothing; look at what is left in doubt with: agent-job state rescue ${name}`
      )
    }
    const { found, rescue, unread } = next
    if (unread) { // every import would be for the same things, and none would settle the rescue
      return yield* conflict(
        "state-unread",
        `The state of ${name} is encrypted, damaged, or too large for the server to look into, so nobody knows whether it has what ${rescue.stageId} made; import by hand what it lacks, with: agent-job state rescue ${name} --import-blocks FILE, and then settle with --keep.`
      )
    }
    const before = yield* runs.whole((yield* stages.get(rescue.stageId)).runId)
    const archive = yield* archiveWith(before.configurationVersionId, before.workingDirectory, found)
    const create = runs.create({
      workspaceId: workspace.id,
      configurationVersionId: before.configurationVersionId,
      archiveSha256: archive.sha256,
      workingDirectory: before.workingDirectory,
      planOnly: false,
      autoApply: false,
      destroy: false,
      message: `Imports what ${before.id} made and the state does not have`,
      engine: before.engine ?? undefined,
      options: { targets: found.map(({ address }) => address) },
      variables: before.variables,
      rescueId: rescue.id
    })
    return yield* sql.withTransaction(Effect.gen(function*() { // another may have begun, or the rescue been settled, meanwhile
      const waiting = yield* rescues.pending(workspace.id)
      if (waiting.every(({ id }) => id !== rescue.id)) return yield* nothingPending(name)
      yield* refuseIfImporting(waiting)
      yield* refuseIfApplying(workspace.id)
      yield* blobs.store(archive)
      return yield* create
    }))
  }, Effect.scoped)

  return ImportRuns.of({ start })
})
