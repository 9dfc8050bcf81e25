// Our own APIs (pool, task, state, runs) and what is served of TFE's as an OpenAPI document, from the schemas that the routes decode with.
// It is only a description: the routes are not built from it, since half of them stream bytes. Of answers of TFE it has the envelope alone.
// Used by the generator of schemas/server.openapi.json; a test asks the server for every path in it.
import { Schema } from "effect"
import { HttpApi, HttpApiEndpoint, HttpApiGroup, HttpApiMiddleware, HttpApiSchema, HttpApiSecurity, OpenApi } from "effect/http-api"
import { AuditList, auditPath, auditRoute } from "../../schema/api/audit.ts"
import { JournalPosition, JournalRequest } from "../../schema/api/effects.ts"
import {
  AcknowledgeRequest,
  AcquireRequest,
  AcquireResponse,
  CancellationsRequest,
  CancellationsResponse,
  poolPath,
  poolRoute,
  ResultQuery,
  WaitRequest
} from "../../schema/api/pool-api.ts"
import { PoolList, poolsPath } from "../../schema/api/pools.ts"
import { Problem } from "../../schema/api/problem.ts"
import { RunList, runPath, runRoute, RunView } from "../../schema/api/run.ts"
import { ForceUnlock, ImportStarted, SettleRescue, stateRoute, StateView } from "../../schema/api/state.ts"
import { LockGranted, LockInfo, LogPosition, TaskDetails, taskHeader, taskPath } from "../../schema/api/task-api.ts"
import {
  ApplyRun,
  CreateConfigurationVersion,
  CreateRun,
  CreateVariable,
  CreateWorkspace,
  organization,
  tfePath,
  UpdateWorkspace
} from "../../schema/api/tfe-api.ts"
import { Uid } from "../../schema/names.ts"
import { ToldResult } from "../../schema/task/stage-result.ts"

const bearer = (description: string) => HttpApiSecurity.bearer.pipe(HttpApiSecurity.annotate(OpenApi.Description, description))

class UserToken extends HttpApiMiddleware.Service<UserToken>()("UserToken", {
  security: {
    user: bearer(
      "A token of the user token file; also taken as the password of basic authentication. One with a role gets 403 for what that does not allow, and one for some workspaces 404 for what is of others."
    )
  }
}) {}
class PoolToken
  extends HttpApiMiddleware.Service<PoolToken>()("PoolToken", { security: { pool: bearer("A token of the pool token file.") } })
{}
class TaskToken extends HttpApiMiddleware.Service<TaskToken>()("TaskToken", {
  security: { task: bearer("The token of one assignment; over with the stage's result, but for a state that is left as evidence.") }
}) {}

const refusal = {
  description:
    "A refusal, by a status from 400 on. Some say more: offset or number, where a log or a journal ends; another's lock; or kept, that a state is evidence now.",
  content: { "application/json": { schema: { $ref: "#/components/schemas/Problem" } } }
}
const errors = {
  description: "A refusal by the TFE API, by a status from 400 on.",
  content: { "application/vnd.api+json": { schema: { $ref: "#/components/schemas/Errors" } } }
}
/** Returns the operation with a refusal, which is described once, as what it may answer instead. */
const refusing = (response: "Refusal" | "Errors") => (operation: { readonly requestBody?: object; readonly responses?: object }) => ({
  ...operation,
  responses: { ...operation.responses, default: { $ref: `#/components/responses/${response}` } }
})
const mayRefuse = refusing("Refusal")
const mayFail = refusing("Errors")
const bytes = HttpApiSchema.StreamUint8Array()
const storedState = Schema.Struct({ serial: Schema.Int, lineage: Schema.String }).annotate({
  identifier: "State",
  description: "A state, byte for byte as its engine wrote it."
})
const outputs = Schema.Struct({ outputs: Schema.Record(Schema.String, Schema.Unknown) }).annotate({
  identifier: "Outputs",
  description: "A state that has nothing but outputs, as the engines write them; sensitive ones only for a token without a role."
})
const done = HttpApiSchema.NoContent
const id = { id: Schema.String }
const digest = { [taskHeader.digest]: Schema.optionalKey(Schema.String) }
const taskUid = { [taskHeader.taskUid]: Uid }

const pool = HttpApiGroup.make("pool").add(
  HttpApiEndpoint.post("acquire", poolPath.acquire, { payload: AcquireRequest, success: AcquireResponse }),
  HttpApiEndpoint.post("cancellations", poolPath.cancellations, { payload: CancellationsRequest, success: CancellationsResponse }),
  HttpApiEndpoint.post("acknowledge", poolRoute.acknowledge, { params: id, payload: AcknowledgeRequest, success: done }),
  HttpApiEndpoint.post("wait", poolRoute.wait, { params: id, payload: WaitRequest, success: done }),
  HttpApiEndpoint.post("result", poolRoute.result, {
    params: id,
    query: ResultQuery,
    payload: ToldResult,
    success: done
  })
).middleware(PoolToken).annotateEndpoints(OpenApi.Transform, mayRefuse)

const task = HttpApiGroup.make("task").add(
  HttpApiEndpoint.get("assignment", taskPath.assignment, { headers: taskUid, success: TaskDetails }),
  HttpApiEndpoint.get("archive", taskPath.archive, { headers: taskUid, success: bytes }),
  HttpApiEndpoint.get("plan", taskPath.plan, { headers: taskUid, success: bytes }),
  HttpApiEndpoint.put("savePlan", taskPath.plan, {
    headers: { ...taskUid, [taskHeader.digest]: Schema.String },
    payload: bytes,
    success: done
  }),
  HttpApiEndpoint.post("appendLog", taskPath.log, {
    headers: taskUid,
    query: { offset: Schema.optionalKey(Schema.FiniteFromString) },
    payload: bytes,
    success: LogPosition
  }),
  HttpApiEndpoint.post("appendEffects", taskPath.effects, { headers: taskUid, payload: JournalRequest, success: JournalPosition }),
  HttpApiEndpoint.post("taskResult", taskPath.result, { headers: taskUid, payload: ToldResult, success: done }),
  HttpApiEndpoint.get("readState", taskPath.state, { headers: taskUid, success: storedState }),
  HttpApiEndpoint.post("writeState", taskPath.state, {
    headers: { ...taskUid, ...digest, [taskHeader.lockId]: Schema.String, [taskHeader.lockEpoch]: Schema.String },
    payload: storedState,
    success: done
  }),
  HttpApiEndpoint.post("takeKeptState", taskPath.keptState, { headers: taskUid, payload: bytes, success: done }),
  HttpApiEndpoint.post("lockState", taskPath.lock, { headers: taskUid, payload: LockInfo, success: LockGranted }),
  HttpApiEndpoint.post("unlockState", taskPath.unlock, { headers: taskUid, payload: LockInfo, success: HttpApiSchema.Empty(200) })
).middleware(TaskToken).annotateEndpoints(OpenApi.Transform, mayRefuse)

const name = { name: Schema.String }
const state = HttpApiGroup.make("state").add(
  HttpApiEndpoint.get("readWorkspaceState", stateRoute.backend, { params: name, success: storedState }),
  HttpApiEndpoint.get("readWorkspaceOutputs", stateRoute.outputs, { params: name, success: outputs }),
  HttpApiEndpoint.post("writeWorkspaceState", stateRoute.backend, {
    params: name,
    query: { ID: Schema.String },
    payload: storedState,
    success: done
  }),
  HttpApiEndpoint.put("lockWorkspaceState", stateRoute.backend, { params: name, payload: LockInfo, success: LockGranted }),
  HttpApiEndpoint.make("DELETE")("unlockWorkspaceState", stateRoute.backend, {
    params: name,
    payload: LockInfo,
    success: HttpApiSchema.Empty(200)
  })
).middleware(UserToken).annotateEndpoints(OpenApi.Transform, mayRefuse)

const rescue = HttpApiGroup.make("rescue").add(
  HttpApiEndpoint.get("getState", stateRoute.view, { params: name, success: StateView }),
  HttpApiEndpoint.get("readEvidence", `${stateRoute.view}/evidence/:id`, { params: { ...name, ...id }, success: storedState }),
  HttpApiEndpoint.post("bringEvidence", `${stateRoute.view}/evidence`, { params: name, payload: bytes, success: StateView }),
  HttpApiEndpoint.post("pushState", `${stateRoute.view}/push`, {
    params: name,
    query: { replace: Schema.optionalKey(Schema.String) },
    payload: bytes,
    success: StateView
  }),
  HttpApiEndpoint.post("settleRescue", `${stateRoute.view}/rescue`, { params: name, payload: SettleRescue, success: StateView }),
  HttpApiEndpoint.post("importMissing", `${stateRoute.view}/import`, { params: name, success: ImportStarted }),
  HttpApiEndpoint.post("forceUnlock", `${stateRoute.view}/unlock`, { params: name, payload: ForceUnlock, success: StateView })
).middleware(UserToken).annotateEndpoints(OpenApi.Transform, mayRefuse)

const before = { before: Schema.optionalKey(Schema.FiniteFromString) }
const runs = HttpApiGroup.make("runs").add(
  HttpApiEndpoint.get("listRuns", runPath.list, {
    query: {
      workspace: Schema.optionalKey(Schema.String),
      before: Schema.optionalKey(Schema.String),
      open: Schema.optionalKey(Schema.Literal("true")),
      "page[size]": Schema.optionalKey(Schema.FiniteFromString)
    },
    success: RunList
  }),
  HttpApiEndpoint.get("listPools", poolsPath, { success: PoolList }),
  HttpApiEndpoint.get("listAudit", auditPath.all, { query: before, success: AuditList }),
  HttpApiEndpoint.get("listAuditOfWorkspace", auditRoute.workspace, { params: name, query: before, success: AuditList }),
  HttpApiEndpoint.get("listAuditOfRun", auditRoute.run, { params: id, query: before, success: AuditList }),
  HttpApiEndpoint.get("getRun", runRoute, { params: id, success: RunView })
).middleware(UserToken).annotateEndpoints(OpenApi.Transform, mayRefuse)

const jsonApi = HttpApiSchema.asJson({ contentType: "application/vnd.api+json" })
const resource = Schema.Struct({
  id: Schema.String,
  type: Schema.String,
  attributes: Schema.Record(Schema.String, Schema.Unknown),
  relationships: Schema.optionalKey(Schema.Record(Schema.String, Schema.Unknown))
}).annotate({ identifier: "Resource", description: "As the public documentation of the TFE API has it, or less of that." })
const shown = jsonApi(
  Schema.Struct({ data: resource, included: Schema.optionalKey(Schema.Array(resource)) }).annotate({ identifier: "Document" })
)
const made = shown.pipe(HttpApiSchema.status(201))
const listed = jsonApi(
  Schema.Struct({
    data: Schema.Array(resource),
    meta: Schema.Struct({ pagination: Schema.Record(Schema.String, Schema.NullOr(Schema.Int)) })
  }).annotate({ identifier: "Documents" })
)
const Errors = Schema.Struct({
  errors: Schema.Array(
    Schema.Struct({
      status: Schema.String,
      title: Schema.String.annotate({ description: "The word of a problem, with spaces for its hyphens." }),
      detail: Schema.String.annotate({ description: "One sentence for a person." })
    })
  )
}).annotate({ identifier: "Errors" })
const body = <S extends Schema.Top>(identifier: string, schema: S) => jsonApi(schema.annotate({ identifier }))
const configured = body("UpdateWorkspace", UpdateWorkspace)

const inOrganization = { organization: Schema.Literal(organization) }
const page = { "page[number]": Schema.optionalKey(Schema.FiniteFromString), "page[size]": Schema.optionalKey(Schema.FiniteFromString) }
const tfeRoute = {
  organization: "/api/v2/organizations/:organization",
  namedWorkspace: "/api/v2/organizations/:organization/workspaces/:name",
  workspace: "/api/v2/workspaces/:id",
  run: "/api/v2/runs/:id"
} as const

const tfe = HttpApiGroup.make("tfe").add(
  HttpApiEndpoint.get("ping", tfePath.ping, { success: done }),
  HttpApiEndpoint.get("getAccount", "/api/v2/account/details", { success: shown }),
  HttpApiEndpoint.get("getEntitlements", `${tfeRoute.organization}/entitlement-set`, { params: inOrganization, success: shown }),
  HttpApiEndpoint.get("getCapacity", `${tfeRoute.organization}/capacity`, { params: inOrganization, success: shown }),
  HttpApiEndpoint.get("listProjects", `${tfeRoute.organization}/projects`, { params: inOrganization, success: listed }),
  HttpApiEndpoint.get("listAgentPools", `${tfeRoute.organization}/agent-pools`, {
    params: inOrganization,
    query: { q: Schema.optionalKey(Schema.String) },
    success: listed
  }),
  HttpApiEndpoint.get("getAgentPool", "/api/v2/agent-pools/:id", { params: id, success: shown }),
  HttpApiEndpoint.get("listWorkspaces", `${tfeRoute.organization}/workspaces`, {
    params: inOrganization,
    query: { "search[name]": Schema.optionalKey(Schema.String), ...page },
    success: listed
  }),
  HttpApiEndpoint.post("createWorkspace", `${tfeRoute.organization}/workspaces`, {
    params: inOrganization,
    payload: body("CreateWorkspace", CreateWorkspace),
    success: made
  }),
  HttpApiEndpoint.get("getNamedWorkspace", tfeRoute.namedWorkspace, { params: { ...inOrganization, ...name }, success: shown }),
  HttpApiEndpoint.patch("updateNamedWorkspace", tfeRoute.namedWorkspace, {
    params: { ...inOrganization, ...name },
    payload: configured,
    success: shown
  }),
  HttpApiEndpoint.get("getWorkspace", tfeRoute.workspace, { params: id, success: shown }),
  HttpApiEndpoint.patch("updateWorkspace", tfeRoute.workspace, { params: id, payload: configured, success: shown }),
  HttpApiEndpoint.get("listVariables", `${tfeRoute.workspace}/vars`, { params: id, success: listed }),
  HttpApiEndpoint.get("listAllVariables", `${tfeRoute.workspace}/all-vars`, { params: id, success: listed }),
  HttpApiEndpoint.post("setVariable", `${tfeRoute.workspace}/vars`, {
    params: id,
    payload: body("CreateVariable", CreateVariable),
    success: made
  }),
  HttpApiEndpoint.get("getVariable", `${tfeRoute.workspace}/vars/:variable`, {
    params: { ...id, variable: Schema.String },
    success: shown
  }),
  HttpApiEndpoint.make("DELETE")("deleteVariable", `${tfeRoute.workspace}/vars/:variable`, {
    params: { ...id, variable: Schema.String },
    success: done
  }),
  HttpApiEndpoint.post("createConfigurationVersion", `${tfeRoute.workspace}/configuration-versions`, {
    params: id,
    payload: body("CreateConfigurationVersion", CreateConfigurationVersion),
    success: made
  }),
  HttpApiEndpoint.get("getConfigurationVersion", "/api/v2/configuration-versions/:id", { params: id, success: shown }),
  HttpApiEndpoint.post("createRun", tfePath.runs, { payload: body("CreateRun", CreateRun), success: made }),
  HttpApiEndpoint.get("getRun", tfeRoute.run, {
    params: id,
    query: { include: Schema.optionalKey(Schema.String) },
    success: shown
  }),
  HttpApiEndpoint.get("listRunEvents", `${tfeRoute.run}/run-events`, { params: id, success: listed }),
  HttpApiEndpoint.get("listRunsOfWorkspace", `${tfeRoute.workspace}/runs`, { params: id, query: page, success: listed }),
  HttpApiEndpoint.get("listQueue", `${tfeRoute.organization}/runs/queue`, { params: inOrganization, query: page, success: listed }),
  HttpApiEndpoint.post("discardRun", `${tfeRoute.run}/actions/discard`, { params: id, success: HttpApiSchema.Accepted }),
  HttpApiEndpoint.post("cancelRun", `${tfeRoute.run}/actions/cancel`, { params: id, success: HttpApiSchema.Accepted }),
  HttpApiEndpoint.post("forceCancelRun", `${tfeRoute.run}/actions/force-cancel`, { params: id, success: HttpApiSchema.Accepted }),
  HttpApiEndpoint.get("getPlan", "/api/v2/plans/:id", { params: id, success: shown }),
  HttpApiEndpoint.get("getApply", "/api/v2/applies/:id", { params: id, success: shown }),
  HttpApiEndpoint.get("getCurrentState", `${tfeRoute.workspace}/current-state-version`, { params: id, success: shown }),
  HttpApiEndpoint.get("listOutputs", `${tfeRoute.workspace}/current-state-version-outputs`, { params: id, success: listed }),
  HttpApiEndpoint.get("getOutput", "/api/v2/state-version-outputs/:id", { params: id, success: shown }),
  HttpApiEndpoint.get("getStateVersion", "/api/v2/state-versions/:id", { params: id, success: shown }),
  HttpApiEndpoint.get("downloadState", "/api/v2/state-versions/:id/download", { params: id, success: storedState })
).annotateEndpoints(OpenApi.Transform, mayFail).add(
  HttpApiEndpoint.post("applyRun", `${tfeRoute.run}/actions/apply`, {
    params: id,
    payload: body("ApplyRun", ApplyRun),
    success: HttpApiSchema.Accepted
  }).annotate(
    OpenApi.Transform,
    (operation: { readonly requestBody?: object }) => mayFail({ ...operation, requestBody: { ...operation.requestBody, required: false } })
  )
).middleware(UserToken).annotate(
  OpenApi.Description,
  "What is served of the TFE v2 API. Attributes that are not in its public documentation say that they are ours."
)

const secret = { ...id, secret: Schema.String }
const links = HttpApiGroup.make("links").add(
  HttpApiEndpoint.put("upload", "/api/v2/uploads/:id/:secret", { params: secret, payload: bytes, success: done }),
  HttpApiEndpoint.get("readLog", "/api/v2/logs/:id/:secret", {
    params: secret,
    query: {
      offset: Schema.optionalKey(Schema.FiniteFromString),
      limit: Schema.optionalKey(Schema.FiniteFromString),
      wait: Schema.optionalKey(Schema.FiniteFromString)
    },
    success: bytes
  })
).annotateEndpoints(OpenApi.Transform, mayFail).annotate(
  OpenApi.Description,
  "Addresses that other answers name (upload-url, log-read-url). They need no token, since each ends in a secret."
)

/** Returns a part of the document in which no object is closed: each side passes over what only a newer one says. */
const open = (part: object): Readonly<Record<string, unknown>> =>
  Object.fromEntries(
    Object.entries(part).flatMap(([key, value]) => key === "additionalProperties" && value === false ? [] : [[key, within(value)]])
  )
const within = (value: unknown): unknown =>
  Array.isArray(value) ? value.map(within) : typeof value === "object" && value !== null ? open(value) : value

const api = HttpApi.make("agent-job").add(pool, task, state, rescue, runs, tfe, links).annotate(HttpApi.AdditionalSchemas, [
  Problem,
  Errors
])
  .annotateMerge(
    OpenApi.annotations({ title: "agent-job server", version: "1" })
  )

/** Returns the document, OpenAPI 3.1. */
export const openApi = (): object => {
  const { components, ...document } = OpenApi.fromApi(api)
  return open({ ...document, components: { ...components, responses: { Refusal: refusal, Errors: errors } } })
}
