// What a worker and the server say to each other, authorised by the token of one stage of one run.
// Large things (archive, saved plan, state, log) are plain bytes with their SHA-256 in a header; the rest is JSON.
// Used by worker/network/task-api and server/routes/task-routes, and for its limits and headers by whoever moves states, plans or archives.
import { Schema } from "effect"
import { joined } from "../joined.ts"
import { RunId, Sha256, WorkspaceName } from "../names.ts"
import { PlanOptions, Stage, ToldOptions } from "../task/agent-task.ts"
import { StateMark } from "../task/seal.ts"
import { Variable } from "../task/variable.ts"

/** The most bytes of a configuration's archive, as it is packed. */
export const archiveLimitBytes = 256 * 1024 * 1024
/** The most bytes of a saved plan as it is kept: a tar with the plan, its seal and its lock file. */
export const planLimitBytes = 256 * 1024 * 1024
/** The most bytes of what a lock says about its holder and the reason. Everybody else who wants the lock is shown it. */
export const lockLimitBytes = 64 * 1024
/** The most bytes of a state. */
export const stateLimitBytes = 64 * 1024 * 1024
/** The most bytes of a state that is kept encrypted, with the line before it and what the encryption adds. */
export const keptStateLimitBytes = stateLimitBytes + 1024

/** A variable of a stage. */
export const StageVariable = Schema.Struct({
  ...Variable.fields,
  declared: Schema.optionalKey(
    Schema.Boolean.annotate({ description: "True: a plan fails if the configuration does not declare it; of the run's own alone." })
  )
}).annotate({ identifier: "StageVariable" })
export type StageVariable = typeof StageVariable.Type

/** `GET /api/task/v1/assignment`: everything the worker needs beside the bytes. */
export const TaskDetails = Schema.Struct({
  id: Schema.String,
  runId: RunId,
  workspace: WorkspaceName,
  stage: Stage,
  archiveSha256: Sha256,
  planSha256: Schema.optionalKey(Sha256),
  workingDirectory: Schema.optionalKey(Schema.String),
  options: Schema.optionalKey(PlanOptions),
  variables: Schema.Array(StageVariable),
  state: Schema.optionalKey(StateMark.annotate({ description: "The workspace's newest, at this moment; absent: there is none." })),
  sealKey: Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/u)).annotate({
    description: "Of the digests of variables in the plan's seal: 256 bits in hex, the same for all stages of the run."
  }),
  keptStateKey: Schema.String.check(Schema.isPattern(/^[0-9a-f]{64}$/u)).annotate({
    description: "Of a state that is kept outside of the Pod: 256 bits in hex, of this stage alone."
  })
}).annotate({ identifier: "TaskDetails" })
export type TaskDetails = typeof TaskDetails.Type

/** The same as the worker reads it, since a newer server may have given the run an option that is unknown here. */
export const ToldDetails = Schema.Struct({ ...TaskDetails.fields, options: Schema.optionalKey(ToldOptions) })

/** `POST /api/task/v1/log?offset=N` appends bytes at N; 409 says where the stored log really ends. Repeating what is stored is success. */
export const LogPosition = Schema.Struct({ offset: Schema.Int }).annotate({ identifier: "LogPosition" })

/** `POST /api/task/v1/state/lock` and `/unlock` take the engine's lock info; `409` carries the holder's. */
export const LockInfo = Schema.Struct({
  ID: Schema.String,
  Operation: Schema.optionalKey(Schema.String),
  Info: Schema.optionalKey(Schema.String),
  Who: Schema.optionalKey(Schema.String),
  Version: Schema.optionalKey(Schema.String),
  Created: Schema.optionalKey(Schema.String),
  Path: Schema.optionalKey(Schema.String)
}).annotate({ identifier: "LockInfo" })
export type LockInfo = typeof LockInfo.Type

/** The lock as the server knows it. A state is only taken with the current lock's id and epoch (headers below). */
export const LockGranted = Schema.Struct({ epoch: Schema.Int }).annotate({ identifier: "LockGranted" })

/** What a refusal of a state also says if the server has kept the state as evidence, so that nobody else has to keep it. */
export const KeptRefusal = Schema.Struct({ kept: Schema.Literal(true) })

export const taskPath = {
  assignment: "/api/task/v1/assignment",
  archive: "/api/task/v1/archive",
  plan: "/api/task/v1/plan",
  log: "/api/task/v1/log",
  effects: "/api/task/v1/effects",
  result: "/api/task/v1/result",
  state: "/api/task/v1/state",
  lock: "/api/task/v1/state/lock",
  unlock: "/api/task/v1/state/unlock",
  keptState: "/api/task/v1/kept-state"
} as const

/**
 * A state that could not be saved, as it is kept where others could read it: a line, followed by the initialization vector (12 bytes), the
 * tag (16 bytes) and the encrypted bytes. The encryption is AES-256-GCM with the stage's key and the line as additional data. The server
 * takes it at `POST /api/task/v1/kept-state` from the worker of any stage, because only the stage that it names can have made it.
 */
export interface KeptStateParts {
  readonly stage: string
  readonly vector: Uint8Array
  readonly tag: Uint8Array
  readonly hidden: Uint8Array
}
export const keptStateBytes = { vector: 12, tag: 16 } as const
const lineLimitBytes = 512

/** Returns the line before a kept state, which names the state's stage. */
export const keptStateLine = (stage: string): Uint8Array => new TextEncoder().encode(`agent-job-state/1 ${stage}\n`)

export const frame = ({ hidden, stage, tag, vector }: KeptStateParts): Uint8Array => joined([keptStateLine(stage), vector, tag, hidden])

/** Returns the parts of a kept state, which may be cut short, or undefined if the bytes do not begin as a kept state does. */
export const unframe = (bytes: Uint8Array): KeptStateParts | undefined => {
  const stage = /^agent-job-state\/1 (?<stage>.*)/u.exec(new TextDecoder().decode(bytes.subarray(0, lineLimitBytes)))?.groups?.stage
  if (stage === undefined) return undefined
  const rest = bytes.subarray(keptStateLine(stage).byteLength)
  const [afterVector, afterTag] = [keptStateBytes.vector, keptStateBytes.vector + keptStateBytes.tag]
  return { stage, vector: rest.subarray(0, afterVector), tag: rest.subarray(afterVector, afterTag), hidden: rest.subarray(afterTag) }
}

/** Request headers: the AgentTask that asks, in every request; digest of the body, and the lock a state is written under. */
export const taskHeader = { taskUid: "x-task-uid", digest: "x-content-sha256", lockId: "x-lock-id", lockEpoch: "x-lock-epoch" } as const
