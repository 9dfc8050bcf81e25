// A run as people and the CLI see it: its status, why it waits, its stages and what they came to.
// It stands beside the shapes of the TFE API, and has what those lack: why a run waits, and reasons.
// Used by core/run/run-machine, the server's own JSON and the CLI.
import { Schema } from "effect"
import { engineNames, RunId, Sha256, Timestamp, WorkspaceName } from "../names.ts"
import { Engine, Stage } from "../task/agent-task.ts"
import { Changes, ToldResult } from "../task/stage-result.ts"
import { LeftOver } from "./effects.ts"
import { oneOf } from "./one-of.ts"
import { pathOf } from "./route.ts"

/** The words of the TFE API. The last five are final. */
export const RunStatus = Schema.Literals([
  "pending",
  "planning",
  "planned",
  "confirmed",
  "applying",
  "applied",
  "planned_and_finished",
  "errored",
  "canceled",
  "discarded"
])
export type RunStatus = typeof RunStatus.Type

/** Reports whether this version knows the status. Of any other, `final` in the run's view says whether the run is over. */
export const isRunStatus = Schema.is(RunStatus)

/** Why a run or stage has not started, such as who is before it, or why it stands still, in one sentence. */
const QueueView = Schema.Struct({
  position: Schema.Int.annotate({ description: "1 is next." }),
  reason: Schema.optionalKey(Schema.String.annotate({ description: "From the list of reasons, where one is known." })),
  blockedBy: Schema.optionalKey(
    RunId.annotate({ description: "The run that holds the workspace, or the oldest of the plans that go before." })
  ),
  message: Schema.String
}).annotate({ identifier: "QueueView" })

/** Who approved that a plan is applied, and which plan. */
export const Approval = Schema.Struct({
  by: Schema.String.annotate({ description: "auto-apply, or whose user token was sent, as in the audit trail." }),
  seal: Sha256,
  at: Timestamp
}).annotate({ identifier: "Approval" })
export type Approval = typeof Approval.Type

const stageStatuses = ["waiting", "offered", "running", "finished", "errored", "canceled"] as const
export type StageStatus = (typeof stageStatuses)[number]

export const StageView = Schema.Struct({
  id: Schema.String.annotate({ description: "Of the assignment: <run>.<stage>.<attempt>." }),
  stage: oneOf(Stage.literals),
  attempt: Schema.Int,
  status: oneOf(stageStatuses),
  agent: Schema.optionalKey(Schema.String),
  reason: Schema.optionalKey(Schema.String),
  message: Schema.optionalKey(Schema.String),
  startedAt: Schema.optionalKey(Timestamp.annotate({ description: "When its worker began." })),
  finishedAt: Schema.optionalKey(Timestamp),
  logUrl: Schema.String.annotate({ description: "Needs no token; framed as the TFE API frames logs." }),
  result: Schema.optionalKey(ToldResult),
  effects: Schema.optionalKey(
    LeftOver.annotateKey({ description: "What it made that its state does not have, if anything; not in lists." })
  )
}).annotate({ identifier: "StageView" })
export type StageView = typeof StageView.Type

/** `GET /api/agent-job/v1/runs/:id` */
export const RunView = Schema.Struct({
  id: RunId,
  workspace: WorkspaceName,
  status: oneOf(RunStatus.literals),
  final: Schema.Boolean,
  cancelAsked: Schema.Boolean,
  failure: Schema.optionalKey(Schema.String.annotate({ description: "Why it ended as errored, in one sentence." })),
  inDoubt: Schema.optionalKey(Schema.Literal(true).annotate({ description: "What it left waits for a person: agent-job state rescue." })),
  message: Schema.optionalKey(Schema.String),
  planOnly: Schema.Boolean,
  autoApply: Schema.Boolean,
  destroy: Schema.Boolean,
  engine: Schema.optionalKey(Schema.Struct({ ...Engine.fields, name: oneOf(engineNames) })),
  archiveSha256: Sha256,
  planSha256: Schema.optionalKey(
    Sha256.annotate({ description: "The seal: of the saved plan and all that it was made with; what an approval names." })
  ),
  approval: Schema.optionalKey(Approval),
  startedBy: Schema.optionalKey(
    Schema.String.annotate({ description: "Who started it, as in the audit trail; absent: an import, or a run from before this was kept." })
  ),
  stoppedBy: Schema.optionalKey(Schema.String.annotate({ description: "Who cancelled or discarded it, as in the audit trail." })),
  hasChanges: Schema.optionalKey(Schema.Boolean),
  changes: Schema.optionalKey(Changes),
  queue: Schema.optionalKey(QueueView),
  stages: Schema.Array(StageView),
  createdAt: Timestamp,
  removedAt: Schema.optionalKey(Timestamp.annotate({ description: "Since when its archive, logs and variables are gone, as it is old." })),
  timestamps: Schema.Record(Schema.String, Timestamp).annotate({ description: "Status to when it was reached." })
}).annotate({ identifier: "RunView" })
export type RunView = typeof RunView.Type

/**
 * `GET /api/agent-job/v1/runs?workspace=NAME&before=RUN&open=true&page[size]=N`: newest first, 100 at most; `open`: only those that are not
 * over, or that left a state in doubt.
 */
export const RunList = Schema.Struct({
  runs: Schema.Array(RunView),
  older: Schema.optionalKey(
    RunId.annotate({ description: "As `before`, gives what is older; absent: there is nothing." })
  )
}).annotate({ identifier: "RunList" })
export type RunList = typeof RunList.Type

export const runRoute = "/api/agent-job/v1/runs/:id"

export const runPath = { list: "/api/agent-job/v1/runs", run: pathOf(runRoute) } as const
