// The tables, and how a database of an earlier version becomes one of this: by steps that are only ever appended to, and never edited.
// Times are RFC 3339 texts, JSON is text, large things are digests of blobs; the value of a column without NOT NULL may be unknown yet.
// Used by server/store/database.
import { Effect } from "effect"
import { Migrator, SqlClient } from "effect/sql"

const statements = Effect.fnUntraced(function*(...texts: ReadonlyArray<string>) {
  const sql = yield* SqlClient.SqlClient
  for (const text of texts) yield* sql.unsafe(text)
})

/** A commit whose server has the steps before the first one here, and so brings a database from before them up to it. */
export const lastWithEarlierSteps = "988e39786ead"

export const migrations = Migrator.fromRecord({
  /**
   * All tables at once. Indexes are there so that no statement reads a table that grows from end to end, which a test checks of each
   * statement; SQLite may choose by their order among equal ones.
   */
  "0038_start": statements(
    // Workspaces.
    `CREATE TABLE workspaces (
      id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE,
      autoApply INTEGER NOT NULL, terraformVersion TEXT NOT NULL, workingDirectory TEXT NOT NULL, createdAt TEXT NOT NULL,
      currentRunId TEXT, -- the run that holds the workspace; the others stay pending
      stateVersionId TEXT,
      epoch INTEGER NOT NULL DEFAULT 0, -- raised by every lock of the state
      lockInfo TEXT, lockHolder TEXT, -- as the engine wrote it; the stage or person that has it
      pool TEXT -- the one that it is bound to, if any
    ) STRICT`,
    `CREATE INDEX workspacesByLockHolder ON workspaces (lockHolder) WHERE lockHolder IS NOT NULL`,
    `CREATE INDEX workspacesByPool ON workspaces (pool)`,
    `CREATE TABLE variables (
      id TEXT PRIMARY KEY, workspaceId TEXT NOT NULL REFERENCES workspaces (id),
      key TEXT NOT NULL, value TEXT NOT NULL, description TEXT NOT NULL, category TEXT NOT NULL, hcl INTEGER NOT NULL, sensitive INTEGER NOT NULL,
      UNIQUE (workspaceId, key, category)
    ) STRICT`,
    // Runs.
    `CREATE TABLE configurationVersions (
      id TEXT PRIMARY KEY, seq INTEGER NOT NULL UNIQUE, workspaceId TEXT NOT NULL REFERENCES workspaces (id),
      speculative INTEGER NOT NULL, status TEXT NOT NULL, sha256 TEXT, sizeBytes INTEGER, createdAt TEXT NOT NULL,
      removedAt TEXT, -- since when nothing is left but this row
      uploadedAt TEXT, -- a removed archive may be uploaded again long after its version was made
      onlyNamed INTEGER NOT NULL DEFAULT 0 -- whether a token that only plans made it, so that only a run that names it has it
    ) STRICT`,
    `CREATE INDEX configurationVersionsByWorkspace ON configurationVersions (workspaceId, seq)`,
    `CREATE INDEX configurationVersionsByArchive ON configurationVersions (sha256) WHERE removedAt IS NULL`,
    `CREATE INDEX configurationVersionsByAge ON configurationVersions (workspaceId, createdAt) WHERE removedAt IS NULL`,
    `CREATE TABLE runs (
      id TEXT PRIMARY KEY, seq INTEGER NOT NULL UNIQUE, workspaceId TEXT NOT NULL REFERENCES workspaces (id),
      configurationVersionId TEXT NOT NULL REFERENCES configurationVersions (id), archiveSha256 TEXT NOT NULL,
      status TEXT NOT NULL, planOnly INTEGER NOT NULL, autoApply INTEGER NOT NULL, cancelAsked INTEGER NOT NULL, destroy INTEGER NOT NULL,
      message TEXT NOT NULL, engine TEXT, options TEXT NOT NULL, variables TEXT NOT NULL,
      planSha256 TEXT, hasChanges INTEGER, changes TEXT, failure TEXT, createdAt TEXT NOT NULL, timestamps TEXT NOT NULL,
      approval TEXT, -- who approved which plan, and when, as JSON
      rescueId TEXT REFERENCES rescues (id), -- the one that the run imports for
      removedAt TEXT, -- since when nothing is left but this row
      stoppedBy TEXT, -- who cancelled or discarded it
      saved INTEGER NOT NULL DEFAULT 0, -- whether it takes its workspace only when its saved plan is approved
      mayAsk INTEGER NOT NULL DEFAULT 0, -- whether its plan may wait for a person though the run applies by itself
      allowEmptyApply INTEGER NOT NULL DEFAULT 0, -- whether a plan that changes nothing is applied too
      workingDirectory TEXT NOT NULL DEFAULT '',
      startedBy TEXT -- who may stop it with a token that only plans
    ) STRICT`,
    `CREATE INDEX runsByWorkspace ON runs (workspaceId, seq)`,
    `CREATE INDEX runsByStatus ON runs (status, seq)`,
    `CREATE INDEX runsByPlan ON runs (planSha256) WHERE planSha256 IS NOT NULL`,
    `CREATE INDEX runsByRescue ON runs (rescueId) WHERE rescueId IS NOT NULL`,
    `CREATE INDEX runsByConfiguration ON runs (configurationVersionId)`,
    `CREATE INDEX runsByArchive ON runs (archiveSha256) WHERE removedAt IS NULL`,
    `CREATE INDEX runsByAge ON runs (workspaceId, createdAt) WHERE removedAt IS NULL`,
    `CREATE INDEX runsSaved ON runs (workspaceId, seq) WHERE saved = 1 AND status = 'planned'`,
    // All that a count of the runs before another one asks for: with each list of thousands that wait, it is made a hundred times.
    `CREATE INDEX runsPending ON runs (workspaceId, seq, planOnly, saved, rescueId, id) WHERE status = 'pending'`,
    `CREATE INDEX runsPlanning ON runs (workspaceId, seq, id) WHERE status = 'planning'`,
    `CREATE TABLE runCounts (status TEXT PRIMARY KEY, n INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
    `CREATE TRIGGER runIsCounted AFTER INSERT ON runs BEGIN
      INSERT INTO runCounts (status, n) VALUES (NEW.status, 1) ON CONFLICT (status) DO UPDATE SET n = n + 1;
    END`,
    `CREATE TRIGGER runIsCountedAnew AFTER UPDATE OF status ON runs WHEN OLD.status <> NEW.status BEGIN
      UPDATE runCounts SET n = n - 1 WHERE status = OLD.status;
      INSERT INTO runCounts (status, n) VALUES (NEW.status, 1) ON CONFLICT (status) DO UPDATE SET n = n + 1;
    END`,
    // Stages, and who carries them out.
    `CREATE TABLE stages (
      id TEXT PRIMARY KEY, seq INTEGER NOT NULL UNIQUE, runId TEXT NOT NULL REFERENCES runs (id), stage TEXT NOT NULL, attempt INTEGER NOT NULL,
      agent TEXT, offeredAt TEXT, acknowledgedAt TEXT, startedAt TEXT, endedAt TEXT, waitReason TEXT, waitMessage TEXT, result TEXT,
      cancelSeq INTEGER UNIQUE, logEnd INTEGER NOT NULL DEFAULT 0, logStored INTEGER NOT NULL DEFAULT 0,
      taskUid TEXT, -- of the one AgentTask that the stage belongs to, set once
      notBefore TEXT, -- when a stage that is made again is first offered
      effects TEXT, -- what a stage that has ended made and the state lacks
      offers INTEGER NOT NULL DEFAULT 0, -- how many there were: an agent that cannot keep the stage is asked less and less often
      forced INTEGER NOT NULL DEFAULT 0, -- whether its end came without its task's word, so that the agent that has the task may not know of it
      agentPool TEXT, -- that of the agent that was offered it, and once a task has it, of the token that took it
      planBytes INTEGER NOT NULL DEFAULT 0 -- how large the plan was that it stored
    ) STRICT`,
    `CREATE INDEX stagesByRun ON stages (runId)`,
    `CREATE INDEX stagesToOffer ON stages (seq) WHERE acknowledgedAt IS NULL AND endedAt IS NULL`,
    `CREATE INDEX stagesOfAgents ON stages (agent) WHERE endedAt IS NULL`,
    // The cancelled ones of which somebody may have to be told.
    `CREATE INDEX stagesOnFeed ON stages (cancelSeq, endedAt, id) WHERE cancelSeq IS NOT NULL AND (endedAt IS NULL OR result IS NULL OR forced = 1)`,
    `CREATE TABLE taskTokens (
      hash TEXT PRIMARY KEY, stageId TEXT NOT NULL REFERENCES stages (id),
      pool TEXT -- to which it was offered
    ) STRICT, WITHOUT ROWID`,
    `CREATE INDEX taskTokensByStage ON taskTokens (stageId)`,
    // An agent has a row for each pool, so that no pool hides another's; '' is of one that is not known.
    `CREATE TABLE agents (
      name TEXT NOT NULL, pool TEXT NOT NULL, firstSeenAt TEXT NOT NULL, seenAt TEXT NOT NULL,
      resting TEXT, -- why it asks for no work though it is there: drained or full
      PRIMARY KEY (name, pool)
    ) STRICT, WITHOUT ROWID`,
    `CREATE INDEX agentsByAge ON agents (seenAt)`,
    `CREATE INDEX agentsByPool ON agents (pool, seenAt)`,
    // The logs of stages: pieces from the beginning, and of a log that is longer than what is kept its end.
    `CREATE TABLE logChunks (
      stageId TEXT NOT NULL REFERENCES stages (id), position INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (stageId, position)
    ) STRICT`,
    `CREATE TABLE logTails (stageId TEXT PRIMARY KEY REFERENCES stages (id), bytes BLOB NOT NULL) STRICT`,
    // The stages of removed runs whose logs are not deleted to their end yet.
    `CREATE TABLE logsToRemove (stageId TEXT PRIMARY KEY REFERENCES stages (id)) STRICT, WITHOUT ROWID`,
    // States, and what is in doubt about them.
    `CREATE TABLE stateVersions (
      id TEXT PRIMARY KEY, seq INTEGER NOT NULL UNIQUE, workspaceId TEXT NOT NULL REFERENCES workspaces (id), runId TEXT REFERENCES runs (id),
      serial INTEGER NOT NULL, lineage TEXT NOT NULL, sha256 TEXT NOT NULL, sizeBytes INTEGER NOT NULL, epoch INTEGER NOT NULL, createdAt TEXT NOT NULL,
      supersededAt TEXT -- since when the body is gone, because later states took its place; its digest still tells that it was stored
    ) STRICT`,
    `CREATE INDEX stateVersionsByWorkspace ON stateVersions (workspaceId, epoch, seq)`,
    `CREATE INDEX stateVersionsByBody ON stateVersions (sha256)`,
    `CREATE INDEX stateVersionsByAge ON stateVersions (workspaceId, createdAt) WHERE supersededAt IS NULL`,
    // For the states of a run, of which the last few stay, whatever locks they came under.
    `CREATE INDEX stateVersionsByRun ON stateVersions (runId, seq) WHERE runId IS NOT NULL`,
    `CREATE INDEX stateVersionsKept ON stateVersions (workspaceId, epoch, seq) WHERE supersededAt IS NULL`,
    // The journal of what a stage makes.
    `CREATE TABLE effects (
      stageId TEXT NOT NULL REFERENCES stages (id), number INTEGER NOT NULL, entry TEXT NOT NULL,
      journalBytes INTEGER NOT NULL DEFAULT 0, -- of the journal up to the end of the entry, so that nothing has to read it to append to it
      PRIMARY KEY (stageId, number)
    ) STRICT, WITHOUT ROWID`,
    // What a person has to decide, because a stage may have made what the state lacks.
    `CREATE TABLE rescues (
      id TEXT PRIMARY KEY, seq INTEGER NOT NULL UNIQUE, workspaceId TEXT NOT NULL REFERENCES workspaces (id), stageId TEXT NOT NULL REFERENCES stages (id),
      reason TEXT NOT NULL, message TEXT NOT NULL, openedAt TEXT NOT NULL, settledAt TEXT, settledBy TEXT, how TEXT
    ) STRICT`,
    `CREATE UNIQUE INDEX rescuesPending ON rescues (workspaceId, stageId) WHERE settledAt IS NULL`,
    `CREATE INDEX rescuesByStage ON rescues (stageId)`,
    `CREATE INDEX rescuesByWorkspace ON rescues (workspaceId, seq)`,
    `CREATE INDEX rescuesOpen ON rescues (workspaceId, seq) WHERE settledAt IS NULL`,
    // Refused states, kept aside until a person decides whether to take one.
    `CREATE TABLE evidence (
      id TEXT PRIMARY KEY, seq INTEGER NOT NULL UNIQUE, workspaceId TEXT NOT NULL REFERENCES workspaces (id), stageId TEXT NOT NULL REFERENCES stages (id),
      serial INTEGER NOT NULL, lineage TEXT NOT NULL, sha256 TEXT NOT NULL, sizeBytes INTEGER NOT NULL, why TEXT NOT NULL, receivedAt TEXT NOT NULL,
      decided INTEGER NOT NULL DEFAULT 0, -- whether a person has, after it came; times cannot tell, because clocks may be put back
      storedVersionId TEXT, -- the version that was stored when it came
      UNIQUE (stageId, sha256)
    ) STRICT`,
    `CREATE INDEX evidenceByBody ON evidence (sha256)`,
    `CREATE INDEX evidenceByWorkspace ON evidence (workspaceId, seq)`,
    // Locks that a person opened by force: a stage that held one never gets the lock again.
    `CREATE TABLE forcedUnlocks (
      seq INTEGER PRIMARY KEY, workspaceId TEXT NOT NULL REFERENCES workspaces (id),
      holder TEXT NOT NULL, lockInfo TEXT NOT NULL, epoch INTEGER NOT NULL, forcedBy TEXT NOT NULL, forcedAt TEXT NOT NULL
    ) STRICT`,
    `CREATE INDEX forcedUnlocksByHolder ON forcedUnlocks (holder)`,
    `CREATE INDEX forcedUnlocksByWorkspace ON forcedUnlocks (workspaceId, seq)`,
    // The audit trail, whose entries are never changed or removed.
    `CREATE TABLE audit (
      seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, kind TEXT NOT NULL, name TEXT NOT NULL, action TEXT NOT NULL, object TEXT NOT NULL, requestId TEXT NOT NULL
    ) STRICT`,
    `CREATE TRIGGER auditIsNotChanged BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is only added to'); END`,
    `CREATE TRIGGER auditIsNotShortened BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit trail is only added to'); END`,
    // Upkeep. Files that no row names: since when, and when a sweep saw that last.
    `CREATE TABLE unnamed (sha256 TEXT PRIMARY KEY, since TEXT NOT NULL, seenAt TEXT NOT NULL) STRICT, WITHOUT ROWID`,
    // When the passes of the retention ran: the last one that is some hours old, and those since.
    `CREATE TABLE retentionPasses (at TEXT PRIMARY KEY) STRICT, WITHOUT ROWID`
  ),
  "0039_offered_to": statements(
    // The SHA-256 of the pool's token that asked.
    `ALTER TABLE taskTokens ADD COLUMN offeredTo TEXT`
  )
})
