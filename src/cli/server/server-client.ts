// The client of the server's user API: workspaces, uploads and runs in the TFE shapes, and our own views of runs and states.
// Invariant: every call ends in time, with a value or a ServerFailure, as cli/server/server-requests sees to.
// Used by run, logs, get, cancel, approve, discard, vars, state, pool and bundle.
import { Context, Duration, Effect, Layer, Option, Stream } from "effect"
import { HttpClient, HttpClientRequest as Request, type HttpClientResponse } from "effect/http"
import { createHash } from "node:crypto"
import type { ChosenProxy } from "../../http/chosen-proxy.ts"
import { proxyTo, toAnybody } from "../../http/connections.ts"
import { type AuditEntry, AuditList, auditPath } from "../../schema/api/audit.ts"
import { poolId, PoolList, poolOfId, poolsPath } from "../../schema/api/pools.ts"
import { RunList, runPath, RunView } from "../../schema/api/run.ts"
import { ImportStarted, type SettleRescue, statePath, StateView } from "../../schema/api/state.ts"
import { taskHeader } from "../../schema/api/task-api.ts"
import { organization, tfePath } from "../../schema/api/tfe-api.ts"
import type { Sha256 } from "../../schema/names.ts"
import { BadInput, NothingThere, type ServerFailure, ServerUnreachable, unanswered } from "../terminal/failure.ts"
import type { Connection } from "./connection.ts"
import {
  ConfigurationVersion,
  Identified,
  type Output,
  OutputList,
  StateVersion,
  type StoredVersion,
  VariableList,
  WorkspaceList,
  type WorkspaceRow,
  type WorkspaceVariable
} from "./server-answers.ts"
import { callTimeout, makeRequests } from "./server-requests.ts"

export interface NewRun {
  readonly workspaceId: string
  readonly configurationVersionId: string
  readonly destroy: boolean
  readonly autoApply: boolean
  readonly allowEmptyApply: boolean
  readonly planOnly: boolean
  readonly engine: Option.Option<"tofu" | "terraform">
  /** Variables of the run; their values are HCL expressions. */
  readonly variables: ReadonlyArray<{ readonly key: string; readonly value: string }>
}

/** The time limit for uploading an archive: the server gives its bytes as long to arrive (server/lifecycle/listen). */
const uploadTimeout = Duration.minutes(15)
/** How long the server gives a state to arrive (server/access/bodies), and how long evidence may take to be checked before it is sent. */
const stateArrival = Duration.minutes(5)
/**
 * The time limit for uploading a state or deciding about one. The server gives a state 5 min to arrive, and waits for room in memory before
 * that and again for its answer. A request that only looks at a state waits for room once, 10 s at most, so it has the limit of any call.
 */
const stateTimeout = Duration.sum(stateArrival, callTimeout)
/** The answer to a request that makes something. */
const made = { status: 201 }
/** How many entries of the audit trail to ask for, of which the server may give a part at a time. */
const auditEntries = 100
/** How many runs that are not over to show beside the newest: to find the place of each in its queue costs the server something. */
const mostOpen = 900
/** How many bytes of a log to ask for at once. */
const logLimit = 65_536

/** The run or the workspace whose entries of the audit trail are meant; without either, all are. */
interface AuditOf {
  readonly run?: string
  readonly workspace?: string
}

export class ServerClient extends Context.Service<ServerClient, {
  readonly url: string
  /** Returns the workspace, and makes it if there is none of that name. */
  readonly ensureWorkspace: (name: string) => Effect.Effect<{ readonly id: string; readonly created: boolean }, ServerFailure>
  readonly workspace: (name: string) => Effect.Effect<{ readonly id: string }, ServerFailure>
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
   * are not over or left a state in doubt, 900 at most. A server of an older version gives the newest hundred and does not say what is older.
   */
  readonly runs: (workspace: Option.Option<string>, before: Option.Option<string>) => Effect.Effect<RunList, ServerFailure>
  /**
   * Returns who changed what, newest first. `before` is the number of an entry, and only older ones are returned. A server of an older
   * version gives the newest 100 and does not say what is older.
   */
  readonly audit: (about: AuditOf, before: Option.Option<number>) => Effect.Effect<AuditList, ServerFailure>
  /** Discards or cancels a run. Doing it again succeeds; at the wrong moment it is refused. */
  readonly act: (id: string, action: "discard" | "cancel" | "force-cancel") => Effect.Effect<void, ServerFailure>
  /** Approves the plan with this seal and no other. A run of an older server has no seal: then its plan is approved whatever it is. */
  readonly approve: (id: string, seal: Sha256 | undefined) => Effect.Effect<void, ServerFailure>
  /** Returns the next bytes of a stage's log from `offset`. Waits up to `waitSeconds` for the first, and returns none if none came. */
  readonly log: (logUrl: string, offset: number, waitSeconds: number) => Effect.Effect<Uint8Array, ServerFailure>
  /** Returns the outputs of the workspace's state; none before there is a state. */
  readonly outputs: (workspaceId: string) => Effect.Effect<ReadonlyArray<Output>, ServerFailure>
  /** Returns the newest version of the workspace's state. */
  readonly stateVersion: (workspaceId: string) => Effect.Effect<Option.Option<StoredVersion>, ServerFailure>
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
      Effect.zipWith(HttpClient.HttpClient, proxyTo(connection.url), (http, proxy) => make(connection, http, proxy))
    ).pipe(
      Layer.provide(toAnybody({ connections: 16 })),
      Layer.catchTag(
        "ProxyUnusable",
        (error) => Layer.effect(ServerClient, Effect.fail(new BadInput({ message: error.sayingTo("correct or unset that variable") })))
      )
    )
}

/** Reports whether the bytes of an answer have the digest in its headers, if there is one: a proxy may leave it out. */
const isWhole = ({ headers: { [taskHeader.digest]: digest } }: HttpClientResponse.HttpClientResponse) => (bytes: Uint8Array): boolean =>
  digest === undefined || digest === createHash("sha256").update(bytes).digest("hex")

const make = (connection: Connection, http: HttpClient.HttpClient, proxy: ChosenProxy | undefined): ServerClient["Service"] => {
  const { url } = connection
  const { atOwnUrl, authorised, bytesOf, decoded, send } = makeRequests(connection, http, proxy)
  const jsonApi = (request: Request.HttpClientRequest, data: object) =>
    Request.bodyText(request, JSON.stringify({ data }), "application/vnd.api+json")
  const json = (request: Request.HttpClientRequest, body: object) => Request.bodyText(request, JSON.stringify(body), "application/json")
  const workspace = (name: string) =>
    Effect.map(decoded(Identified, Request.get(tfePath.workspace(organization, name)), `workspace ${name}`), ({ data: { id } }) => ({ id }))
  const run = (id: string) => decoded(RunView, Request.get(runPath.run(id)), `run ${id}`)
  const runPage = (workspace: Option.Option<string>, asked: Readonly<Record<string, string | number>>) =>
    decoded(
      RunList,
      Request.get(runPath.list, { urlParams: { ...asked, ...(Option.isSome(workspace) && { workspace: workspace.value }) } }),
      Option.match(workspace, { onNone: () => "list of runs", onSome: (name) => `workspace ${name}` })
    )
  /** Returns the runs before this one that are not over or left a state in doubt. */
  const openRuns = (workspace: Option.Option<string>, before: string | undefined) =>
    before === undefined ? Effect.succeed([]) : Stream.paginate(before, (before) =>
      Effect.map(
        runPage(workspace, { before, open: "true" }),
        ({ older, runs }) => [runs, Option.fromUndefinedOr(older)]
      )).pipe(Stream.take(mostOpen), Stream.runCollect)
  const setMode = (id: string, attributes: object) =>
    Effect.asVoid(
      decoded(Identified, jsonApi(Request.patch(tfePath.workspaceById(id)), { type: "workspaces", attributes }), "workspace")
    )
  const ask = (id: string, action: Parameters<typeof tfePath.action>[1], body: object) =>
    Effect.asVoid(send(authorised(json(Request.post(tfePath.action(id, action)), body)), { thing: `run ${id}`, status: 202 }))
  /** Replaces a NothingThere of the call by one that says how to list the evidence that there is. */
  const noEvidence = (workspace: string, id: string) => <A>(ask: Effect.Effect<A, ServerFailure>): Effect.Effect<A, ServerFailure> =>
    Effect.catchTag(
      ask,
      "NothingThere",
      () =>
        Effect.fail(
          new NothingThere({
            message:
              `There is no evidence ${id} of workspace ${workspace} on ${url}; \`agent-job state show ${workspace}\` lists what there is.`
          })
        )
    )
  const noTrail = new NothingThere({
    message: `The server at ${url} has no such part of the audit trail; it is older than this command line.`
  })
  const damaged = new ServerUnreachable({
    url,
    detail: "what came is not what the server sent: its SHA-256 is another; try again",
    why: unanswered
  })
  const related = (type: string, id: string) => ({ data: { type, id } })

  return ServerClient.of({
    url,
    ensureWorkspace: Effect.fn("ServerClient.ensureWorkspace")(function*(name) {
      const get = Effect.map(workspace(name), ({ id }) => ({ id, created: false }))
      const create = jsonApi(Request.post(tfePath.workspaces(organization)), { type: "workspaces", attributes: { name } })
      return yield* get.pipe(
        Effect.catchTag("NothingThere", () =>
          decoded(Identified, create, "organization", made).pipe(
            Effect.map(({ data }) => ({ id: data.id, created: true })),
            // Somebody else may have made the workspace in between.
            Effect.catchTag("ServerRefused", (refusal) => Effect.catchTag(get, "NothingThere", () => Effect.fail(refusal)))
          ))
      )
    }),
    workspace,
    workspaces: Stream.paginate(1, (page) =>
      Effect.map(
        decoded(
          WorkspaceList,
          Request.get(tfePath.workspaces(organization), { urlParams: { "page[number]": page, "page[size]": 100 } }),
          "organization"
        ),
        ({ data, meta }) => [
          data.map(({ attributes: { "agent-pool-id": poolId, "created-at": createdAt, "in-doubt": inDoubt, name }, relationships }) => ({
            name,
            run: relationships["current-run"].data?.id ?? null,
            createdAt,
            ...(typeof poolId === "string" && { pool: Option.getOrElse(poolOfId(poolId), () => poolId) }),
            ...(inDoubt === true && { inDoubt })
          })),
          Option.fromNullishOr(meta.pagination["next-page"])
        ]
      )).pipe(Stream.runCollect),
    pools: decoded(PoolList, Request.get(poolsPath), "list of pools").pipe(
      Effect.catchTag("NothingThere", () =>
        Effect.fail(
          new NothingThere({
            message: `The server at ${url} has no pools; it is older than this command line, and gives work to whoever asks.`
          })
        ))
    ),
    bindPool: Effect.fn("ServerClient.bindPool")(function*(name, pool) {
      const bound = { "execution-mode": "agent", "agent-pool-id": poolId(pool) }
      const found = yield* Effect.catchTag(workspace(name), "NothingThere", () => Effect.undefined)
      if (found !== undefined) return yield* Effect.as(setMode(found.id, bound), { created: false })
      const create = jsonApi(Request.post(tfePath.workspaces(organization)), { type: "workspaces", attributes: { name, ...bound } })
      return yield* Effect.as(decoded(Identified, create, "organization", made), { created: true })
    }),
    unbindPool: (name) => Effect.flatMap(workspace(name), ({ id }) => setMode(id, { "execution-mode": "remote" })),
    variables: (workspaceId) =>
      Effect.map(
        decoded(VariableList, Request.get(tfePath.variables(workspaceId)), "workspace"),
        ({ data }) => data.map(({ attributes, id }) => ({ id, ...attributes }))
      ),
    setVariable: (workspaceId, attributes) =>
      Effect.asVoid(send(authorised(jsonApi(Request.post(tfePath.variables(workspaceId)), { type: "vars", attributes })), {
        ...made,
        thing: "workspace"
      })),
    deleteVariable: (workspaceId, id) =>
      Effect.asVoid(send(authorised(Request.delete(tfePath.variable(workspaceId, id))), { thing: "variable", status: 204 })),
    createVersion: (workspaceId, { speculative }) => {
      const request = jsonApi(Request.post(tfePath.configurationVersions(workspaceId)), {
        type: "configuration-versions",
        attributes: { speculative, "auto-queue-runs": false }
      })
      return Effect.map(
        decoded(ConfigurationVersion, request, "workspace", made),
        ({ data: { attributes: { "upload-url": uploadUrl }, id } }) => ({ id, uploadUrl })
      )
    },
    upload: (uploadUrl, archive) =>
      Effect.asVoid(
        send(
          Request.put(atOwnUrl(uploadUrl)).pipe(Request.bodyUint8Array(archive, "application/octet-stream")),
          { thing: "upload", status: 204, timeout: uploadTimeout }
        )
      ),
    createRun: ({ allowEmptyApply, autoApply, configurationVersionId, destroy, engine, planOnly, variables, workspaceId }) =>
      decoded(
        Identified,
        jsonApi(Request.post(tfePath.runs), {
          type: "runs",
          attributes: {
            "is-destroy": destroy,
            "auto-apply": autoApply,
            ...(allowEmptyApply && { "allow-empty-apply": true }),
            "may-ask": true,
            "plan-only": planOnly,
            variables,
            ...(Option.isSome(engine) && { engine: { name: engine.value } })
          },
          relationships: {
            workspace: related("workspaces", workspaceId),
            "configuration-version": related("configuration-versions", configurationVersionId)
          }
        }),
        "workspace",
        made
      ).pipe(Effect.map(({ data }) => data.id)),
    run,
    newestRun: (workspace) => Effect.map(runPage(workspace, { "page[size]": 1 }), ({ runs }) => Option.fromUndefinedOr(runs[0])),
    runs: Effect.fn("ServerClient.runs")(function*(workspace, before) {
      if (Option.isSome(before)) {
        return yield* Effect.catchTag(
          runPage(workspace, { "page[size]": 100, before: before.value }),
          "NothingThere",
          (nothing) => Effect.andThen(run(before.value), Effect.fail(nothing))
        )
      }
      const newest = yield* runPage(workspace, { "page[size]": 100 })
      const open = yield* openRuns(workspace, newest.older)
      return { ...newest, runs: [...newest.runs, ...open] }
    }),
    audit: Effect.fn("ServerClient.audit")(function*(about, before) {
      const [path, isThere] = about.run !== undefined
        ? [auditPath.run(about.run), run(about.run)] as const
        : about.workspace !== undefined
        ? [auditPath.workspace(about.workspace), workspace(about.workspace)] as const
        : [auditPath.all, Effect.void] as const
      const entries: Array<AuditEntry> = []
      let older = Option.getOrUndefined(before)
      do {
        const asked = Request.get(path, { urlParams: { ...(older !== undefined && { before: older }) } })
        const page = yield* Effect.catchTag(
          decoded(AuditList, asked, "audit trail"),
          "NothingThere",
          () => Effect.andThen(isThere, Effect.fail(noTrail))
        )
        entries.push(...page.entries)
        older = page.older
      } while (older !== undefined && entries.length < auditEntries)
      return { entries, ...(older !== undefined && { older }) }
    }),
    act: (id, action) => ask(id, action, {}),
    approve: (id, seal) => ask(id, "apply", seal === undefined ? {} : { seal }),
    log: (logUrl, offset, wait) =>
      send(Request.get(atOwnUrl(logUrl), { urlParams: { limit: logLimit, offset, wait } }), {
        thing: "log",
        status: 200,
        mediaType: "application/octet-stream"
      }).pipe(Effect.flatMap(bytesOf)),
    outputs: (workspaceId) =>
      decoded(OutputList, Request.get(tfePath.outputs(workspaceId)), "workspace").pipe(
        Effect.map(({ data }) => data.map(({ attributes }) => attributes))
      ),
    stateVersion: (workspaceId) =>
      decoded(StateVersion, Request.get(tfePath.stateVersion(workspaceId)), "state").pipe(
        Effect.map(({ data: { attributes: { "created-at": createdAt, serial }, id, relationships: { run } } }) =>
          Option.some({ id, serial, createdAt, runId: run.data?.id ?? null })
        ),
        Effect.catchTag("NothingThere", () => Effect.succeed(Option.none()))
      ),
    state: (workspace) => decoded(StateView, Request.get(statePath.state(workspace)), `workspace ${workspace}`),
    evidence: (workspace, id) =>
      send(authorised(Request.get(statePath.evidence(workspace, id))), {
        thing: "evidence",
        status: 200,
        mediaType: "application/json",
        timeout: stateArrival
      }).pipe(
        Effect.flatMap((response) => Effect.filterOrFail(bytesOf(response), isWhole(response), () => damaged)),
        noEvidence(workspace, id)
      ),
    bringEvidence: (workspace, bytes) =>
      decoded(
        StateView,
        Request.post(statePath.bring(workspace)).pipe(Request.bodyUint8Array(bytes, "application/octet-stream")),
        `workspace ${workspace}`,
        { timeout: stateTimeout }
      ),
    pushState: (workspace, bytes, replace) =>
      decoded(
        StateView,
        Request.post(statePath.push(workspace), {
          urlParams: Option.match(replace, { onNone: () => ({}), onSome: (version) => ({ replace: version }) })
        }).pipe(Request.bodyUint8Array(bytes, "application/octet-stream")),
        `workspace ${workspace}`,
        { timeout: stateTimeout }
      ),
    settleRescue: (workspace, decision) => {
      const request = json(Request.post(statePath.rescue(workspace)), decision)
      const settled = decoded(StateView, request, `workspace ${workspace}`, { timeout: stateTimeout })
      return decision.use === undefined ? settled : settled.pipe(noEvidence(workspace, decision.use))
    },
    importMissing: (workspace) => decoded(ImportStarted, Request.post(statePath.import(workspace)), `workspace ${workspace}`),
    forceUnlock: (workspace, by, lock) =>
      decoded(StateView, json(Request.post(statePath.unlock(workspace)), { by, lock }), `workspace ${workspace}`)
  })
}
