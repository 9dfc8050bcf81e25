// The state of a workspace as people see it: what is stored, who has the lock, which states were refused, and what waits to be settled.
// Used by the server's own JSON and by the CLI's `state`.
import { Schema } from "effect"
import { RunId, Sha256, Timestamp, WorkspaceName } from "../names.ts"
import { LeftOver } from "./effects.ts"
import { pathOf } from "./route.ts"

/** What is told about a state without showing its content. */
const body = { serial: Schema.Int, lineage: Schema.String, sha256: Sha256, sizeBytes: Schema.Int }

const EvidenceView = Schema.Struct({
  id: Schema.String,
  stage: Schema.String.annotate({ description: "The assignment that sent it." }),
  ...body,
  why: Schema.String.annotate({ description: "Why it was refused." }),
  receivedAt: Timestamp,
  storedVersion: Schema.optionalKey(
    Schema.String.annotate({
      description:
        "The id of the version that was stored when it came; none: there was none, or newer ones may have been stored since its stage wrote it."
    })
  )
}).annotate({ identifier: "EvidenceView", description: "A state that was refused, kept aside." })

export const RescueView = Schema.Struct({
  id: Schema.String,
  stage: Schema.String.annotate({ description: "The assignment whose end left the state in doubt." }),
  reason: Schema.String.annotate({ description: "From the list of reasons; a newer server may have others." }),
  message: Schema.String,
  effects: Schema.optionalKey(
    LeftOver.annotateKey({ description: "Pending only: what the stage made that the state, as it is now, does not have." })
  ),
  journal: Schema.optionalKey(
    Schema.Int.annotate({ description: "Pending only: the number of the last entry of the stage's journal; 0: it has none." })
  ),
  openedAt: Timestamp,
  settledAt: Schema.optionalKey(Timestamp),
  settledBy: Schema.optionalKey(Schema.String),
  how: Schema.optionalKey(Schema.String)
}).annotate({ identifier: "RescueView" })
export type RescueView = typeof RescueView.Type

/** `GET /api/agent-job/v1/workspaces/:name/state` */
export const StateView = Schema.Struct({
  workspace: WorkspaceName,
  version: Schema.optionalKey(Schema.Struct({ id: Schema.String, ...body, runId: Schema.optionalKey(RunId), createdAt: Timestamp })),
  epoch: Schema.Int.annotate({ description: "Raised by every lock and every unlock by force." }),
  lock: Schema.optionalKey(Schema.Struct({
    id: Schema.String,
    who: Schema.optionalKey(Schema.String),
    operation: Schema.optionalKey(Schema.String),
    created: Schema.optionalKey(Schema.String),
    stage: Schema.optionalKey(Schema.String.annotate({ description: "The assignment that holds it; none: a person." })),
    agent: Schema.optionalKey(Schema.String),
    taskUid: Schema.optionalKey(Schema.String)
  })),
  pending: Schema.Array(RescueView).annotate({ description: "While there is one, no stage of the workspace starts." }),
  settled: Schema.Array(RescueView).annotate({ description: "Newest first, 20 at most." }),
  evidence: Schema.Array(EvidenceView).annotate({ description: "Newest first." }),
  forcedUnlocks: Schema.Array(
    Schema.Struct({ lockId: Schema.String, holder: Schema.String, epoch: Schema.Int, forcedBy: Schema.String, forcedAt: Timestamp })
  ).annotate({ description: "Newest first, 20 at most." })
}).annotate({ identifier: "StateView" })
export type StateView = typeof StateView.Type

/** A newer client may say in such a key what its decision depends on. */
const nothingElse = { description: "Refused if it has a key that the server does not know." }

/** Who does it, as the client says. It is shown beside what was done. */
const By = Schema.String.check(Schema.isMinLength(1), Schema.isMaxLength(200))

/**
 * `POST …/state/rescue` settles what is pending: all of it with the stored state as it is, or what one stage left with the refused state of
 * that stage as the next version. The server refuses if anything came after what is named here as seen.
 */
export const SettleRescue = Schema.Struct({
  by: By,
  use: Schema.optionalKey(Schema.String.annotate({ description: "The id of the evidence; none: the stored state stays." })),
  pending: Schema.Array(Schema.String).annotate({ description: "The ids of all rescues that were pending when the person looked." }),
  journals: Schema.optionalKey(
    Schema.Record(Schema.String, Schema.Int).annotate({
      description:
        "By the id of each of these rescues, its `journal` then. A rescue that is left out is settled with all that its stage told since."
    })
  ),
  evidence: Schema.optionalKey(
    Schema.String.annotate({ description: "The id of the newest evidence that there was then; none: there was none." })
  ),
  version: Schema.optionalKey(Schema.String.annotate({ description: "The id of the version that was stored then; none: there was none." }))
}).annotate(nothingElse)
export type SettleRescue = typeof SettleRescue.Type

/** `POST …/state/unlock` opens this lock and no other. It succeeds if there is no lock any more. */
export const ForceUnlock = Schema.Struct({
  by: By,
  lock: Schema.String.annotate({ description: "The id of the lock that the person saw." })
}).annotate(nothingElse)

/** `POST …/state/import` starts a run that imports what is missing: its plan waits for a person. */
export const ImportStarted = Schema.Struct({
  runId: RunId,
  addresses: Schema.Array(Schema.String).annotate({ description: "What it imports." })
}).annotate({ identifier: "ImportStarted" })
export type ImportStarted = typeof ImportStarted.Type

/** Below it the `http` backend of the engines finds the state of each workspace; docs/state.md has its block. */
export const statesPath = "/api/state/v1/workspaces/"

/**
 * Where the server has the state of a workspace, with the workspace's name as a parameter: for the `http` backend, with nothing but its
 * outputs for a configuration that reads these, and as people see it.
 */
export const stateRoute = {
  backend: `${statesPath}:name`,
  outputs: `${statesPath}:name/outputs`,
  view: "/api/agent-job/v1/workspaces/:name/state"
} as const

const place = pathOf(stateRoute.view)

export const statePath = {
  state: place,
  rescue: (workspace: string) => `${place(workspace)}/rescue`,
  import: (workspace: string) => `${place(workspace)}/import`,
  unlock: (workspace: string) => `${place(workspace)}/unlock`,
  /** `replace`: the version that the state takes the place of, whatever lineage that has. */
  push: (workspace: string) => `${place(workspace)}/push`,
  bring: (workspace: string) => `${place(workspace)}/evidence`,
  evidence: (workspace: string, id: string) => `${place(workspace)}/evidence/${encodeURIComponent(id)}`
} as const
