// The client of the server's user API: workspaces, uploads and runs in the TFE shapes, and our own views of runs and states.
// Invariant: every call ends in time, with a value or a ServerFailure, as cli/server/server-requests sees to.
// Used by run, logs, get, cancel, approve, discard, vars, state, pool and bundle.
import { Context, Effect, Layer, type Option } from "effect"
import { HttpClient } from "effect/http"
import { proxyTo, toServer, usableCertificate } from "../../http/connections.ts"
import type { AuditList } from "../../schema/api/audit.ts"
import type { PoolList } from "../../schema/api/pools.ts"
import type { RunList, RunView } from "../../schema/api/run.ts"
import type { ImportStarted, SettleRescue, StateView } from "../../schema/api/state.ts"
import type { EngineName, Sha256 } from "../../schema/names.ts"
import { BadInput, type ServerFailure } from "../terminal/failure.ts"
import { auditCall, type AuditOf } from "./audit-call.ts"
import type { Connection } from "./connection.ts"
import { runCalls } from "./run-calls.ts"
import type { Output, WorkspaceRow, WorkspaceVariable } from "./server-answers.ts"
import { makeRequests } from "./server-requests.ts"
import { stateCalls } from "./state-calls.ts"
import { workspaceCalls } from "./workspace-calls.ts"

export interface NewRun {
  readonly workspaceId: string
  readonly configurationVersionId: string
  readonly destroy: boolean
  readonly autoApply: boolean
  readonly allowEmptyApply: boolean
  readonly planOnly: boolean
  readonly engine: Option.Option<EngineName>
  /** Variables of the run; their values are HCL expressions. */
  readonly variables: ReadonlyArray<{ readonly key: string; readonly value: string }>
}

export class ServerClient extends Context.Service<ServerClient, {
  readonly url: string
  /** Returns the workspace, and makes it if there is none of that name. */
  readonly ensureWorkspace: (name: string) => Effect.Effect<{ readonly id: string; readonly created: boolean }, ServerFailure>
  /** `workingDirectory`: where the engine works, below the directory of a run; empty: there itself. */
  readonly workspace: (name: string) => Effect.Effect<{ readonly id: string; readonly workingDirectory: string }, ServerFailure>
  readonly workspaces: Effect.Effect<ReadonlyArray<WorkspaceRow>, ServerFailure>
  readonly pools: Effect.Effect<PoolList, ServerFailure>
  /** Binds the workspace to the pool, and makes it if there is none of that name. Refused if the server has no such pool. */
  readonly bindPool: (workspace: string, pool: string) => Effect.Effect<{ readonly created: boolean }, ServerFailure>
  /** Takes the workspace from its pool, if it has one. */
  readonly unbindPool: (workspace: string) => Effect.Effect<void, ServerFailure>
  readonly variables: (workspaceId: string) => Effect.Effect<ReadonlyArray<WorkspaceVariable>, ServerFailure>
  /** Sets a variable. Replaces the one with the same key and category. */
  readonly setVariable: (workspaceId: string, variable: Omit<WorkspaceVariable, "id">) => Effect.Effect<void, ServerFailure>
  readonly deleteVariable: (workspaceId: string, id: string) => Effect.Effect<void, ServerFailure>
  /** Makes a configuration version without an archive. One that is speculative can only be planned. */
  readonly createVersion: (
    workspaceId: string,
    options: { readonly speculative: boolean }
  ) => Effect.Effect<{ readonly id: string; readonly uploadUrl: string }, ServerFailure>
  /** Uploads the archive (tar.gz) of a configuration version. The same one again is success. */
  readonly upload: (uploadUrl: string, archive: Uint8Array) => Effect.Effect<void, ServerFailure>
  readonly createRun: (run: NewRun) => Effect.Effect<string, ServerFailure>
  readonly run: (id: string) => Effect.Effect<RunView, ServerFailure>
  readonly newestRun: (workspace: Option.Option<string>) => Effect.Effect<Option.Option<RunView>, ServerFailure>
  /**
   * Returns the runs of a workspace, or of all, newest first: a hundred older ones than `before`, or the newest hundred and older ones that
   * are not over or left a state in doubt, 900 at most.
   */
  readonly runs: (workspace: Option.Option<string>, before: Option.Option<string>) => Effect.Effect<RunList, ServerFailure>
  /** Returns who changed what, newest first. `before` is the number of an entry, and only older ones are returned. */
  readonly audit: (about: AuditOf, before: Option.Option<number>) => Effect.Effect<AuditList, ServerFailure>
  /** Discards or cancels a run. Doing it again succeeds; at the wrong moment it is refused. */
  readonly act: (id: string, action: "discard" | "cancel" | "force-cancel") => Effect.Effect<void, ServerFailure>
  /** Approves the plan with this seal and no other; each that waits for a decision has one. */
  readonly approve: (id: string, seal: Sha256 | undefined) => Effect.Effect<void, ServerFailure>
  /** Returns the next bytes of a stage's log from `offset`. Waits up to `waitSeconds` for the first, and returns none if none came. */
  readonly log: (logUrl: string, offset: number, waitSeconds: number) => Effect.Effect<Uint8Array, ServerFailure>
  /** Returns the outputs of the workspace's state; none before there is a state. */
  readonly outputs: (workspaceId: string) => Effect.Effect<ReadonlyArray<Output>, ServerFailure>
  /** Returns the state of the workspace of that name. */
  readonly state: (workspace: string) => Effect.Effect<StateView, ServerFailure>
  /** Returns the bytes of a refused state. */
  readonly evidence: (workspace: string, id: string) => Effect.Effect<Uint8Array, ServerFailure>
  /** Uploads as evidence a state, or an encrypted one that a worker kept outside of its Pod. */
  readonly bringEvidence: (workspace: string, bytes: Uint8Array) => Effect.Effect<StateView, ServerFailure>
  /** Stores a state as the next one, in the place of the version `replace` if one is named. */
  readonly pushState: (workspace: string, bytes: Uint8Array, replace: Option.Option<string>) => Effect.Effect<StateView, ServerFailure>
  /** Settles what is pending: a refused state becomes the next one, or the stored one stays. Refused if anything came since the look. */
  readonly settleRescue: (workspace: string, decision: SettleRescue) => Effect.Effect<StateView, ServerFailure>
  /** Starts a run that imports what is missing in the state. */
  readonly importMissing: (workspace: string) => Effect.Effect<ImportStarted, ServerFailure>
  /** Opens this lock and no other. */
  readonly forceUnlock: (workspace: string, by: string, lock: string) => Effect.Effect<StateView, ServerFailure>
}>()("agent-job/cli/ServerClient") {
  /** Connects through the proxy that the environment names, if any. */
  static readonly layer = (connection: Connection): Layer.Layer<ServerClient, BadInput> =>
    Layer.effect(
      ServerClient,
      Effect.gen(function*() {
        yield* Effect.mapError(usableCertificate, ({ message }) => new BadInput({ message }))
        const requests = makeRequests(connection, yield* HttpClient.HttpClient, yield* proxyTo(connection.url))
        return ServerClient.of({
          url: connection.url,
          ...workspaceCalls(requests),
          ...runCalls(requests),
          ...stateCalls(requests),
          audit: auditCall(requests)
        })
      })
    ).pipe(
      Layer.provide(toServer({ connections: 16 })),
      Layer.catchTag(
        "ProxyUnusable",
        (error) => Layer.effect(ServerClient, Effect.fail(new BadInput({ message: error.sayingTo("correct or unset that variable") })))
      )
    )
}
