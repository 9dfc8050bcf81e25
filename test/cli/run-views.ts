// Runs as the server shows them, for tests of what the CLI does with them.
// Used by the tests of summary, rows, follow-run and cancel.
import type { RunView, StageView } from "../../src/schema/api/run.ts"
import { RunId, Sha256, WorkspaceName } from "../../src/schema/names.ts"

export const run = (more: Partial<RunView>): RunView => ({
  id: RunId.make("run-a1"),
  workspace: WorkspaceName.make("demo"),
  status: "planning",
  final: false,
  cancelAsked: false,
  planOnly: false,
  autoApply: false,
  destroy: false,
  archiveSha256: Sha256.make("0".repeat(64)),
  stages: [],
  createdAt: "2026-01-31T11:58:00Z",
  timestamps: { pending: "2026-01-31T11:58:00Z" },
  ...more
})

export const stage = (more: Partial<StageView>): StageView => ({
  id: "run-a1.plan.1",
  stage: "plan",
  attempt: 1,
  status: "waiting",
  logUrl: "http://server/log",
  ...more
})

const finishedAt = "2026-01-31T11:59:30Z"

export const pending = run({
  status: "pending",
  queue: { position: 1, blockedBy: RunId.make("run-b2"), message: "The run run-b2 holds the workspace and is applying." }
})

export const planned = run({
  status: "planned",
  hasChanges: true,
  changes: { add: 1, change: 2, destroy: 3 },
  stages: [stage({ status: "finished", agent: "agent-1", startedAt: "2026-01-31T11:59:00Z", finishedAt })]
})

export const sealed = run({ ...planned, planSha256: Sha256.make("0123456789abcdef".repeat(4)) })

export const applied = run({
  status: "applied",
  final: true,
  hasChanges: true,
  changes: { add: 1, change: 2, destroy: 3 },
  stages: [
    ...planned.stages,
    stage({
      stage: "apply",
      status: "finished",
      agent: "agent-1",
      startedAt: "2026-01-31T11:59:20Z",
      finishedAt,
      result: {
        outcome: "succeeded",
        reason: "Completed",
        message: "The stage ended with success.",
        changes: { add: 1, change: 0, destroy: 0 },
        finishedAt
      }
    })
  ]
})

export const failed = run({
  status: "errored",
  final: true,
  failure: "tofu ended with exit code 1.",
  stages: [
    stage({
      status: "errored",
      startedAt: "2026-01-31T11:59:00Z",
      finishedAt,
      result: { outcome: "failed", reason: "ExitCode", message: "tofu ended with exit code 1.", exitCode: 1, finishedAt }
    })
  ]
})
