// The TFE API's workspaces and their variables, and what clients ask before anything else.
// Used by server/lifecycle/server.
import { Effect, Option } from "effect"
import { HttpRouter, type HttpServerRequest, HttpServerResponse } from "effect/http"
import { environmentFault } from "../../core/stage/environment-fault.ts"
import { poolOfId } from "../../schema/api/pools.ts"
import { CreateVariable, CreateWorkspace, tfePath, UpdateWorkspace } from "../../schema/api/tfe-api.ts"
import { jsonApiErrors, noContent, type Params, routesWith } from "../access/http-answer.ts"
import { jsonOf, parametersOf, queryOf } from "../access/http-request.ts"
import type { User } from "../access/tokens.ts"
import { invalid, notFound } from "../refused.ts"
import { Pools } from "../run/pools.ts"
import { Runs } from "../run/runs.ts"
import { actsOn, workspaceNamed } from "../store/act.ts"
import { Rescues } from "../workspace/rescues.ts"
import { Variables } from "../workspace/variables.ts"
import { type Workspace, Workspaces, type WorkspaceSettings } from "../workspace/workspaces.ts"
import { entitlements, variableDocument, workspaceDocument } from "./tfe-documents.ts"
import { document, documents, makeTfe, paged } from "./tfe-envelope.ts"
import { otherName, poolAsked, unkept, unknownFilter, unless } from "./tfe-refusals.ts"

const createWorkspace = jsonOf(CreateWorkspace)
const updateWorkspace = jsonOf(UpdateWorkspace)
const createVariable = jsonOf(CreateVariable)

/** Absolute URLs are not needed here: these are relative to the document, which clients look for at the root of their host. */
const servicesBelow = (path: string) => {
  const api = `${path}/api/v2/`
  return { "tfe.v2": api, "tfe.v2.1": api, "tfe.v2.2": api, "state.v2": api }
}

type Attributes = (typeof UpdateWorkspace.Type)["data"]["attributes"]

const plainSettingsOf = (attributes: Attributes): Partial<WorkspaceSettings> => {
  const { "auto-apply": autoApply, "terraform-version": terraformVersion, "working-directory": workingDirectory } = attributes
  return {
    ...(typeof autoApply === "boolean" && { autoApply }),
    ...(typeof terraformVersion === "string" && { terraformVersion }),
    ...(typeof workingDirectory === "string" && { workingDirectory })
  }
}

export const tfeWorkspaceRoutes = HttpRouter.addAll(Effect.gen(function*() {
  const { made, path, reach, route } = yield* makeTfe
  const pools = yield* Pools
  const rescues = yield* Rescues
  const runs = yield* Runs
  const variables = yield* Variables
  const workspaces = yield* Workspaces
  const open = routesWith(jsonApiErrors)

  const shown = Effect.fnUntraced(function*(workspace: Workspace, { role }: User) {
    const holder = workspace.currentRunId === null ? undefined : yield* runs.find(workspace.currentRunId)
    const pending = yield* rescues.pending(workspace.id)
    return workspaceDocument(workspace, role, holder, pending.length > 0)
  })

  /** Returns the settings that a request asks for; `bound` is the pool that the workspace has. */
  const settingsOf = Effect.fnUntraced(function*(attributes: Attributes, bound: string | null) {
    const id = yield* poolAsked(attributes, bound !== null)
    const plain = plainSettingsOf(attributes)
    if (id === undefined) return plain
    if (id === null) return { ...plain, pool: null }
    const pool = Option.getOrElse(poolOfId(id), () => id)
    return { ...plain, pool: pool === bound ? pool : yield* pools.existing(pool) }
  })

  /** Changes the workspace as it is once the request has come whole, which may take its time. */
  const changed = Effect.fnUntraced(
    function*<E>(found: Effect.Effect<Workspace, E>, request: HttpServerRequest.HttpServerRequest, user: User) {
      const { data } = yield* updateWorkspace(request)
      const { attributes } = data
      const { id, name, pool } = yield* found
      yield* unless((attributes.name ?? name) === name ? unkept(data) : otherName(name))
      const settings = yield* settingsOf(attributes, pool)
      return document(yield* shown(yield* workspaces.update(id, settings), user))
    }
  )

  const listed = Effect.fnUntraced(function*(_: unknown, { id = "" }: Params) {
    yield* workspaces.get(id)
    return documents((yield* variables.list(id)).map(variableDocument))
  })

  return [
    open("GET", tfePath.discovery, () => Effect.succeed(HttpServerResponse.jsonUnsafe(servicesBelow(path)))),
    route(
      "GET",
      tfePath.ping,
      "none",
      () => Effect.succeed(HttpServerResponse.empty({ status: 204, headers: { "TFP-API-Version": "2.6" } }))
    ),
    route(
      "GET",
      "/api/v2/account/details",
      "none",
      () => Effect.succeed(document({ id: "user-default", type: "users", attributes: { username: "user" } }))
    ),
    route(
      "GET",
      "/api/v2/organizations/:organization/entitlement-set",
      "none",
      () => Effect.succeed(document(entitlements))
    ),
    route("GET", "/api/v2/organizations/:organization/workspaces", "asked", (request, _, user) =>
      Effect.gen(function*() {
        yield* unless(unknownFilter(parametersOf(request)))
        return yield* paged(
          request,
          (most, before) => workspaces.search(user.workspaces, queryOf(request, "search[name]") ?? "", most, before),
          (workspace) => shown(workspace, user)
        )
      })),
    route("POST", "/api/v2/organizations/:organization/workspaces", "asked", (request, _, user) =>
      Effect.gen(function*() {
        const { data } = yield* createWorkspace(request)
        yield* actsOn(workspaceNamed(data.attributes.name))
        yield* reach.making(user, data.attributes.name)
        yield* unless(unkept(data))
        const { attributes } = data
        const settings = yield* settingsOf(attributes, null)
        return made("/api/v2/workspaces", yield* shown(yield* workspaces.create(attributes.name, settings), user))
      })),
    route("GET", "/api/v2/organizations/:organization/workspaces/:name", "name", (_, { name = "" }, user) =>
      Effect.gen(function*() {
        return document(yield* shown(yield* workspaces.named(name), user))
      })),
    route(
      "PATCH",
      "/api/v2/organizations/:organization/workspaces/:name",
      "name",
      (request, { name = "" }, user) => changed(workspaces.named(name), request, user)
    ),
    route("GET", "/api/v2/workspaces/:id", "workspace", (_, { id = "" }, user) =>
      Effect.gen(function*() {
        return document(yield* shown(yield* workspaces.get(id), user))
      })),
    route("PATCH", "/api/v2/workspaces/:id", "workspace", (request, { id = "" }, user) => changed(workspaces.get(id), request, user)),
    route("GET", "/api/v2/workspaces/:id/vars", "workspace", listed),
    route("GET", "/api/v2/workspaces/:id/all-vars", "workspace", listed), // there are no variable sets, which would add to them
    route("POST", "/api/v2/workspaces/:id/vars", "workspace", (request, { id = "" }) =>
      Effect.gen(function*() {
        const { id: workspaceId } = yield* workspaces.get(id)
        const { data: { attributes: { category, description, hcl, key, sensitive, value } } } = yield* createVariable(request)
        const fault = category === "env" ? environmentFault(key, value ?? "") : undefined
        if (fault !== undefined) return yield* invalid(`${fault}.`)
        const stored = yield* variables.set({
          workspaceId,
          key,
          value: value ?? "",
          description: description ?? "",
          category: category ?? "terraform",
          hcl: hcl ?? false,
          sensitive: sensitive ?? null
        })
        return made(`/api/v2/workspaces/${workspaceId}/vars`, variableDocument(stored))
      })),
    route("GET", "/api/v2/workspaces/:id/vars/:variable", "workspace", (_, { id = "", variable }) =>
      Effect.gen(function*() {
        const found = (yield* variables.list(id)).find((one) => one.id === variable)
        return found === undefined ? yield* notFound() : document(variableDocument(found))
      })),
    route(
      "DELETE",
      "/api/v2/workspaces/:id/vars/:variable",
      "workspace",
      (_, { id = "", variable = "" }) => Effect.as(variables.remove(id, variable), noContent)
    )
  ]
}))
