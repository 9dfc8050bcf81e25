// The tables, as steps that are only ever appended to: a step that was released is never edited.
// Times are RFC 3339 texts, JSON is text, large things are digests of blobs; the value of a column without NOT NULL may be unknown yet.
// Used by server/store/database.
import { Effect } from "effect"
import { Migrator, SqlClient } from "effect/sql"

const statements = (...texts: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    for (const text of texts) yield* sql.unsafe(text)
  })

export const migrations = Migrator.fromRecord({
  "0001_start": statements(
    `CREATE TABLE workspaces (
      id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, autoApply INTEGER NOT NULL, terraformVersion TEXT NOT NULL, workingDirectory TEXT NOT NULL, createdAt TEXT NOT NULL,
      currentRunId TEXT, -- the run that holds the workspace; the others stay pending
      stateVersionId TEXT,
      epoch INTEGER NOT NULL DEFAULT 0, -- raised by every lock of the state
      lockInfo TEXT, lockHolder TEXT -- as the engine wrote it; the stage or person that has it
    ) STRICT`,
    `CREATE TABLE configurationVersions (
      id TEXT PRIMARY KEY, seq INTEGER NOT NULL UNIQUE, workspaceId TEXT NOT NULL REFERENCES workspaces (id), speculative INTEGER NOT NULL,
      status TEXT NOT NULL, sha256 TEXT, sizeBytes INTEGER, createdAt TEXT NOT NULL
    ) STRICT`,
    `CREATE TABLE variables (
      id TEXT PRIMARY KEY, workspaceId TEXT NOT NULL REFERENCES workspaces (id), key TEXT NOT NULL, value TEXT NOT NULL, description TEXT NOT NULL,
      category TEXT NOT NULL, hcl INTEGER NOT NULL, sensitive INTEGER NOT NULL, UNIQUE (workspaceId, key, category)
    ) STRICT`,
    `CREATE TABLE runs (
      id TEXT PRIMARY KEY, seq INTEGER NOT NULL UNIQUE, workspaceId TEXT NOT NULL REFERENCES workspaces (id),
      configurationVersionId TEXT NOT NULL REFERENCES configurationVersions (id), archiveSha256 TEXT NOT NULL,
      status TEXT NOT NULL, planOnly INTEGER NOT NULL, autoApply INTEGER NOT NULL, cancelAsked INTEGER NOT NULL, destroy INTEGER NOT NULL,
      message TEXT NOT NULL, engine TEXT, options TEXT NOT NULL, variables TEXT NOT NULL,
      planSha256 TEXT, hasChanges INTEGER, changes TEXT, failure TEXT, createdAt TEXT NOT NULL, timestamps TEXT NOT NULL
    ) STRICT`,
    `CREATE INDEX runsByWorkspace ON runs (workspaceId, seq)`,
    `CREATE INDEX runsPending ON runs (workspaceId, seq) WHERE status = 'pending'`,
    `CREATE TABLE stages (
      id TEXT PRIMARY KEY, seq INTEGER NOT NULL UNIQUE, runId TEXT NOT NULL REFERENCES runs (id), stage TEXT NOT NULL, attempt INTEGER NOT NULL,
      agent TEXT, offeredAt TEXT, acknowledgedAt TEXT, startedAt TEXT, endedAt TEXT, waitReason TEXT, waitMessage TEXT, result TEXT,
      cancelSeq INTEGER UNIQUE, logEnd INTEGER NOT NULL DEFAULT 0, logStored INTEGER NOT NULL DEFAULT 0
    ) STRICT`,
    `CREATE INDEX stagesByRun ON stages (runId)`,
    `CREATE INDEX stagesToOffer ON stages (seq) WHERE acknowledgedAt IS NULL AND endedAt IS NULL`,
    `CREATE TABLE taskTokens (hash TEXT PRIMARY KEY, stageId TEXT NOT NULL REFERENCES stages (id)) STRICT, WITHOUT ROWID`,
    `CREATE TABLE logChunks (stageId TEXT NOT NULL REFERENCES stages (id), position INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (stageId, position)) STRICT`,
    `CREATE TABLE stateVersions (
      id TEXT PRIMARY KEY, seq INTEGER NOT NULL UNIQUE, workspaceId TEXT NOT NULL REFERENCES workspaces (id), runId TEXT REFERENCES runs (id),
      serial INTEGER NOT NULL, lineage TEXT NOT NULL, sha256 TEXT NOT NULL, sizeBytes INTEGER NOT NULL, epoch INTEGER NOT NULL, createdAt TEXT NOT NULL
    ) STRICT`,
    `CREATE TABLE agents (name TEXT PRIMARY KEY, firstSeenAt TEXT NOT NULL, seenAt TEXT NOT NULL) STRICT, WITHOUT ROWID`
  ),
  /** The UID of the one AgentTask that a stage belongs to, set once. */
  "0002_stage_task": statements(`ALTER TABLE stages ADD COLUMN taskUid TEXT`),
  "0003_rescues": statements(
    `CREATE TABLE rescues (
      id TEXT PRIMARY KEY, seq INTEGER NOT NULL UNIQUE, workspaceId TEXT NOT NULL REFERENCES workspaces (id), stageId TEXT NOT NULL REFERENCES stages (id),
      reason TEXT NOT NULL, message TEXT NOT NULL, openedAt TEXT NOT NULL,
      settledAt TEXT, settledBy TEXT, how TEXT
    ) STRICT`,
    `CREATE UNIQUE INDEX rescuesPending ON rescues (workspaceId, stageId) WHERE settledAt IS NULL`,
    `CREATE INDEX rescuesByStage ON rescues (stageId)`,
    // Refused states, kept aside until a person decides whether to take one.
    `CREATE TABLE evidence (
      id TEXT PRIMARY KEY, seq INTEGER NOT NULL UNIQUE, workspaceId TEXT NOT NULL REFERENCES workspaces (id), stageId TEXT NOT NULL REFERENCES stages (id),
      serial INTEGER NOT NULL, lineage TEXT NOT NULL, sha256 TEXT NOT NULL, sizeBytes INTEGER NOT NULL, why TEXT NOT NULL, receivedAt TEXT NOT NULL, UNIQUE (stageId, sha256)
    ) STRICT`,
    // Locks that a person opened by force: a stage that held one never gets the lock again.
    `CREATE TABLE forcedUnlocks (
      seq INTEGER PRIMARY KEY, workspaceId TEXT NOT NULL REFERENCES workspaces (id), holder TEXT NOT NULL, lockInfo TEXT NOT NULL, epoch INTEGER NOT NULL, forcedBy TEXT NOT NULL, forcedAt TEXT NOT NULL
    ) STRICT`,
    `CREATE INDEX forcedUnlocksByHolder ON forcedUnlocks (holder)`
  ),
  /** The time before which a stage that is made again is not offered. */
  "0004_stage_not_before": statements(`ALTER TABLE stages ADD COLUMN notBefore TEXT`),
  /** Entries of the audit trail are never changed or removed. */
  "0005_audit": statements(
    `CREATE TABLE audit (
      seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL, requestId TEXT NOT NULL
    ) STRICT`,
    `CREATE TRIGGER auditIsNotChanged BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is only added to'); END`,
    `CREATE TRIGGER auditIsNotShortened BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is only added to'); END`
  ),
  "0006_effects": statements(
    `CREATE TABLE effects (stageId TEXT NOT NULL REFERENCES stages (id), number INTEGER NOT NULL, entry TEXT NOT NULL, PRIMARY KEY (stageId, number)) STRICT, WITHOUT ROWID`,
    // What a stage that has ended made and the state lacks.
    `ALTER TABLE stages ADD COLUMN effects TEXT`
  ),
  /** Who approved which plan, and when, as JSON. */
  "0007_approval": statements(`ALTER TABLE runs ADD COLUMN approval TEXT`),
  /** The rescue that a run imports for; NULL for other runs. */
  "0008_import_runs": statements(`ALTER TABLE runs ADD COLUMN rescueId TEXT REFERENCES rescues (id)`),
  /** The end of a log that is longer than what is kept. */
  "0009_log_tails": statements(`CREATE TABLE logTails (stageId TEXT PRIMARY KEY REFERENCES stages (id), bytes BLOB NOT NULL) STRICT`),
  /** Since when the body of a state is gone, because later states took its place; its digest still tells that it was stored. */
  "0010_superseded_states": statements(
    `ALTER TABLE stateVersions ADD COLUMN supersededAt TEXT`,
    `CREATE INDEX stateVersionsByWorkspace ON stateVersions (workspaceId, epoch, seq)`
  ),
  /** Indexes, so that no statement reads a table that grows from end to end; a test checks each statement. */
  "0011_indexes": statements(
    `CREATE INDEX runsByStatus ON runs (status, seq)`,
    `CREATE INDEX runsByPlan ON runs (planSha256) WHERE planSha256 IS NOT NULL`,
    `CREATE INDEX runsByRescue ON runs (rescueId) WHERE rescueId IS NOT NULL`,
    `CREATE INDEX runsByConfiguration ON runs (configurationVersionId)`,
    `CREATE INDEX configurationVersionsByWorkspace ON configurationVersions (workspaceId, seq)`,
    `CREATE INDEX stateVersionsByBody ON stateVersions (sha256)`,
    `CREATE INDEX evidenceByBody ON evidence (sha256)`,
    `CREATE INDEX evidenceByWorkspace ON evidence (workspaceId, seq)`,
    `CREATE INDEX rescuesByWorkspace ON rescues (workspaceId, seq)`,
    `CREATE INDEX taskTokensByStage ON taskTokens (stageId)`,
    `DROP INDEX runsPending` // made again in 0016
  ),
  /** How often a stage was offered: an agent that cannot keep it is asked less and less often. */
  "0012_stage_offers": statements(`ALTER TABLE stages ADD COLUMN offers INTEGER NOT NULL DEFAULT 0`),
  /** Since when nothing of a run or a configuration version is left but its row. */
  "0013_removed": statements(
    `ALTER TABLE runs ADD COLUMN removedAt TEXT`,
    `ALTER TABLE configurationVersions ADD COLUMN removedAt TEXT`,
    `CREATE INDEX runsByArchive ON runs (archiveSha256) WHERE removedAt IS NULL`,
    `CREATE INDEX runsByAge ON runs (workspaceId, createdAt) WHERE removedAt IS NULL`,
    `CREATE INDEX configurationVersionsByArchive ON configurationVersions (sha256) WHERE removedAt IS NULL`,
    `CREATE INDEX configurationVersionsByAge ON configurationVersions (workspaceId, createdAt) WHERE removedAt IS NULL`,
    `CREATE INDEX stateVersionsByAge ON stateVersions (workspaceId, createdAt) WHERE supersededAt IS NULL`
  ),
  /** Whether a stage was ended by a person, or by an agent without its task: the agent that has the task may not know of the end. */
  "0014_forced_ends": statements(`ALTER TABLE stages ADD COLUMN forced INTEGER NOT NULL DEFAULT 0`),
  /** Files that no row names: since when, and when a sweep saw that last. */
  "0015_unnamed": statements(
    `CREATE TABLE unnamed (sha256 TEXT PRIMARY KEY, since TEXT NOT NULL, seenAt TEXT NOT NULL) STRICT, WITHOUT ROWID`
  ),
  /** For the turn of a workspace: the index runsByStatus has the pending runs of all workspaces. */
  "0016_runs_pending": statements(`CREATE INDEX runsPending ON runs (workspaceId, seq) WHERE status = 'pending'`),
  /** When the archive came: a removed one may be uploaded again long after its version was made. */
  "0017_uploaded_at": statements(`ALTER TABLE configurationVersions ADD COLUMN uploadedAt TEXT`),
  /** For the states of a run, of which the last few stay, whatever locks they came under. */
  "0018_states_of_runs": statements(`CREATE INDEX stateVersionsByRun ON stateVersions (runId, seq) WHERE runId IS NOT NULL`),
  /**
   * Whether a person has decided on what the stage left in doubt after the evidence came. Times cannot tell, because clocks may be put
   * back.
   */
  "0019_decided_evidence": statements(
    `ALTER TABLE evidence ADD COLUMN decided INTEGER NOT NULL DEFAULT 0`,
    `UPDATE evidence SET decided = 1 WHERE EXISTS (SELECT 1 FROM rescues WHERE rescues.stageId = evidence.stageId AND rescues.settledAt > evidence.receivedAt)`
  ),
  /** The version that was stored when the evidence came; for evidence from before this column, as the times of both tell. */
  "0020_stored_beside_evidence": statements(
    `ALTER TABLE evidence ADD COLUMN storedVersionId TEXT`,
    `UPDATE evidence SET storedVersionId = (SELECT id FROM stateVersions
      WHERE stateVersions.workspaceId = evidence.workspaceId AND createdAt <= receivedAt ORDER BY epoch DESC, seq DESC LIMIT 1)`
  ),
  /** When the passes of the retention ran: the last one that is some hours old, and those since. */
  "0021_retention_passes": statements(`CREATE TABLE retentionPasses (at TEXT PRIMARY KEY) STRICT, WITHOUT ROWID`),
  /** The stages of removed runs whose logs are not deleted to their end yet. */
  "0022_logs_to_remove": statements(`CREATE TABLE logsToRemove (stageId TEXT PRIMARY KEY REFERENCES stages (id)) STRICT, WITHOUT ROWID`),
  /** For the agents that asked lately or long ago, for those that have a stage, and for the lock that a stage has at its end. */
  "0023_agents_and_locks": statements(
    `CREATE INDEX agentsByAge ON agents (seenAt)`,
    `CREATE INDEX stagesOfAgents ON stages (agent) WHERE endedAt IS NULL`,
    `CREATE INDEX workspacesByLockHolder ON workspaces (lockHolder) WHERE lockHolder IS NOT NULL`
  ),
  /** The name of a version had no limit. It is shown with each workspace, and decides nothing. */
  "0024_long_versions": statements(`UPDATE workspaces SET terraformVersion = 'latest' WHERE length(terraformVersion) > 64`),
  /** Who cancelled or discarded a run; unknown for those from before. */
  "0025_stopped_by": statements(`ALTER TABLE runs ADD COLUMN stoppedBy TEXT`),
  /** All that a count of the runs before another one asks for: with each list of thousands that wait, it is made a hundred times. */
  "0026_runs_pending": statements(
    `DROP INDEX runsPending`,
    `CREATE INDEX runsPending ON runs (workspaceId, seq, planOnly, rescueId, id) WHERE status = 'pending'`
  ),
  /** Whether a run takes its workspace only when its saved plan is approved. Runs from before have taken theirs, or wait for it. */
  "0027_saved_runs": statements(
    `ALTER TABLE runs ADD COLUMN saved INTEGER NOT NULL DEFAULT 0`,
    `CREATE INDEX runsSaved ON runs (workspaceId, seq) WHERE saved = 1 AND status = 'planned'`,
    `DROP INDEX runsPending`,
    `CREATE INDEX runsPending ON runs (workspaceId, seq, planOnly, saved, rescueId, id) WHERE status = 'pending'`
  ),
  /** Whether a plan of the run may wait for a person though the run applies by itself. */
  "0028_runs_that_may_ask": statements(`ALTER TABLE runs ADD COLUMN mayAsk INTEGER NOT NULL DEFAULT 0`),
  /** Whether a plan of the run that changes nothing is applied too. */
  "0029_empty_applies": statements(`ALTER TABLE runs ADD COLUMN allowEmptyApply INTEGER NOT NULL DEFAULT 0`),
  /** The pool that a workspace is bound to, if any; that of an offered token, and of an agent, unknown for those from before. */
  "0030_pools": statements(
    `ALTER TABLE workspaces ADD COLUMN pool TEXT`,
    `ALTER TABLE taskTokens ADD COLUMN pool TEXT`,
    `ALTER TABLE agents ADD COLUMN pool TEXT`,
    `CREATE INDEX workspacesByPool ON workspaces (pool)`
  ),
  /** In which directory of its configuration a run is. Those from before stay in the one that their workspace has now. */
  "0031_directories_of_runs": statements(
    `ALTER TABLE runs ADD COLUMN workingDirectory TEXT NOT NULL DEFAULT ''`,
    `UPDATE runs SET workingDirectory = workspaces.workingDirectory
      FROM workspaces WHERE workspaces.id = runs.workspaceId AND workspaces.workingDirectory <> ''`
  ),
  /** Why an agent asks for no work though it is there: `drained` or `full`; NULL for one that asks. */
  "0032_resting_agents": statements(`ALTER TABLE agents ADD COLUMN resting TEXT`),
  /** How many bytes a journal has up to the end of the entry, so that nothing has to read it to append to it. */
  "0033_journal_bytes": statements(
    `ALTER TABLE effects ADD COLUMN journalBytes INTEGER NOT NULL DEFAULT 0`,
    `UPDATE effects SET journalBytes = sizes.bytes
      FROM (SELECT stageId, number, SUM(OCTET_LENGTH(entry)) OVER (PARTITION BY stageId ORDER BY number) AS bytes FROM effects) AS sizes
      WHERE sizes.stageId = effects.stageId AND sizes.number = effects.number`
  ),
  /**
   * The pool of the agent that was offered a stage, and once a task has it, of the token that took it; not known of what an older version
   * offered. An agent has a row for each pool, so that no pool hides another's; `''` is of one that is not known.
   */
  "0034_agents_of_pools": statements(
    `ALTER TABLE stages ADD COLUMN agentPool TEXT`,
    `CREATE TABLE agentsOfPools (
      name TEXT NOT NULL, pool TEXT NOT NULL, firstSeenAt TEXT NOT NULL, seenAt TEXT NOT NULL, resting TEXT, PRIMARY KEY (name, pool)
    ) STRICT, WITHOUT ROWID`,
    `INSERT INTO agentsOfPools (name, pool, firstSeenAt, seenAt, resting) SELECT name, COALESCE(pool, ''), firstSeenAt, seenAt, resting FROM agents`,
    `DROP TABLE agents`,
    `ALTER TABLE agentsOfPools RENAME TO agents`,
    `CREATE INDEX agentsByAge ON agents (seenAt)`,
    `CREATE INDEX agentsByPool ON agents (pool, seenAt)`
  ),
  /** Who started a run, who may stop it with a token that only plans, and whether a version of a configuration was made with such a token. */
  "0035_roles": statements(
    `ALTER TABLE runs ADD COLUMN startedBy TEXT`,
    `ALTER TABLE configurationVersions ADD COLUMN onlyNamed INTEGER NOT NULL DEFAULT 0`
  ),
  /**
   * So that what is over costs nothing, however much of it there is: the cancelled stages of which somebody may have to be told, the rescues
   * that wait, the states that have a body, the locks that were opened by force in a workspace, and how many runs have each status.
   */
  "0036_years": statements(
    `CREATE INDEX stagesOnFeed ON stages (cancelSeq, endedAt, id) WHERE cancelSeq IS NOT NULL AND (endedAt IS NULL OR result IS NULL OR forced = 1)`,
    `CREATE INDEX rescuesOpen ON rescues (workspaceId, seq) WHERE settledAt IS NULL`,
    `CREATE INDEX stateVersionsKept ON stateVersions (workspaceId, epoch, seq) WHERE supersededAt IS NULL`,
    `CREATE INDEX forcedUnlocksByWorkspace ON forcedUnlocks (workspaceId, seq)`,
    `CREATE TABLE runCounts (status TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
    `INSERT INTO runCounts (status, n) SELECT status, count(*) FROM runs GROUP BY status`,
    `CREATE TRIGGER runIsCounted AFTER INSERT ON runs BEGIN
      INSERT INTO runCounts (status, n) VALUES (NEW.status, 1) ON CONFLICT (status) DO UPDATE SET n = n + 1;
    END`,
    `CREATE TRIGGER runIsCountedAnew AFTER UPDATE OF status ON runs WHEN OLD.status <> NEW.status BEGIN
      UPDATE runCounts SET n = n - 1 WHERE status = OLD.status;
      INSERT INTO runCounts (status, n) VALUES (NEW.status, 1) ON CONFLICT (status) DO UPDATE SET n = n + 1;
    END`
  ),
  /** The runs of a workspace that plan, among which are those that have not begun. */
  "0037_runs_planning": statements(`CREATE INDEX runsPlanning ON runs (workspaceId, seq, id) WHERE status = 'planning'`),
  /** How large the plan was that a stage stored. Not known of those from before. */
  "0038_plan_bytes": statements(`ALTER TABLE stages ADD COLUMN planBytes INTEGER NOT NULL DEFAULT 0`)
})
