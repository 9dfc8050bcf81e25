// The TFE API's configuration versions, runs, plans and applies.
// Logs and uploads need no token: the last part of their path is a secret.
// Used by server/lifecycle/server.
import { Clock, Effect } from "effect"
import { HttpRouter, type HttpServerRequest, HttpServerResponse } from "effect/http"
import { SqlClient } from "effect/sql"
import { allows, neededToStart, neededToStop } from "../../core/run/permission.ts"
import { RunEvent, type Step } from "../../core/run/run-machine.ts"
import { ApplyRun, CreateConfigurationVersion, CreateRun, organization } from "../../schema/api/tfe-api.ts"
import type { PlanOptions } from "../../schema/task/agent-task.ts"
import { linkRoutes, permit } from "../access/authorize.ts"
import { jsonApiErrors, noContent } from "../access/http-answer.ts"
import { countOf, jsonOf, parametersOf, queryOf, saidBytes } from "../access/http-request.ts"
import { isLogSecret, isUploadSecret, logUrl, uploadUrl } from "../access/links.ts"
import { Tokens, type User } from "../access/tokens.ts"
import { invalid } from "../refused.ts"
import { Configurations } from "../run/configurations.ts"
import { Logs } from "../run/logs.ts"
import { RunQueue } from "../run/run-queue.ts"
import { type Run, Runs, type WholeRun } from "../run/runs.ts"
import { StageEnds } from "../run/stage-ends.ts"
import { Stages } from "../run/stages.ts"
import { actsOn } from "../store/act.ts"
import { runOfStep } from "../store/ids.ts"
import { ownVariables, Variables } from "../workspace/variables.ts"
import { Workspaces } from "../workspace/workspaces.ts"
import { configurationVersionDocument, listedRunDocument, runDocument, stepDocument, workspaceDocument } from "./tfe-documents.ts"
import { document, documents, makeTfe, paged } from "./tfe-envelope.ts"
import { noQueuedRun, unkeptRun, unknownRunFilter, unless } from "./tfe-refusals.ts"

const createConfigurationVersion = jsonOf(CreateConfigurationVersion)
const createRun = jsonOf(CreateRun)
const applyRun = jsonOf(ApplyRun, { nothing: "{}" })

/**
 * The most bytes of a log in one answer. Each connection may hold one answer, until its client takes it. Stock clients read once from an
 * answer, 4 KiB with its headers, and close the connection if there is more, so that each further read would need another one.
 */
const logReadLimitBytes = { follower: 64 * 1024, stock: 3 * 1024 }
const longestWaitSeconds = 30

/** Reports whether a log is read by a client of ours, which says by itself why a step failed. Stock clients know only the log. */
const follows = (request: HttpServerRequest.HttpServerRequest) => queryOf(request, "wait") !== undefined

const optionsOf = (attributes: CreateRun["data"]["attributes"]): PlanOptions => ({
  ...(attributes["is-destroy"] === true && { destroy: true }),
  ...(attributes.refresh === false && { refresh: false }),
  ...(attributes["refresh-only"] === true && { refreshOnly: true }),
  ...(attributes["target-addrs"] != null && { targets: attributes["target-addrs"] }),
  ...(attributes["replace-addrs"] != null && { replace: attributes["replace-addrs"] })
})

export const tfeRunRoutes = HttpRouter.addAll(Effect.gen(function*() {
  const { always, base, made, needing, reach, route } = yield* makeTfe
  const configurations = yield* Configurations
  const logs = yield* Logs
  const queue = yield* RunQueue
  const runs = yield* Runs
  const sql = yield* SqlClient.SqlClient
  const stageEnds = yield* StageEnds
  const stages = yield* Stages
  const tokens = yield* Tokens
  const variables = yield* Variables
  const workspaces = yield* Workspaces
  const linked = yield* linkRoutes(jsonApiErrors)

  /** Returns the workspace's variables that a run's own may replace; nothing is read for a run without any. */
  const besides = (workspaceId: string, own: ReadonlyArray<unknown>) => own.length === 0 ? Effect.succeed([]) : variables.list(workspaceId)
  const shown = (run: WholeRun, user: User) =>
    Effect.zipWith(
      queue.before([run]),
      besides(run.workspaceId, run.variables),
      (before, variables) => runDocument(run, user, before(run), variables)
    )

  const step = (which: Step, id: string, url: string) =>
    Effect.gen(function*() {
      const rows = yield* stages.ofRun(runOfStep(id)) // read before the run: a stage must not look over while its run does not
      const run = yield* runs.get(runOfStep(id))
      return stepDocument(run, rows, which, logUrl(tokens, url, run.id, which), yield* Clock.currentTimeMillis)
    })

  const stepRoute = (which: Step, path: HttpRouter.PathInput) =>
    route("GET", path, "step", (request, { id = "" }) => Effect.map(step(which, id, base(request)), (shape) => document(shape)))

  const included = (run: Run, user: User, wanted: string, url: string) =>
    Effect.gen(function*() {
      const names = wanted.split(",")
      const workspace = yield* workspaces.get(run.workspaceId)
      const holder = workspace.currentRunId === null ? undefined : yield* runs.find(workspace.currentRunId)
      return [
        ...(names.includes("workspace") ? [workspaceDocument(workspace, user.role, holder)] : []),
        ...(names.includes("plan") ? [yield* step("plan", run.id, url)] : []),
        ...(names.includes("apply") ? [yield* step("apply", run.id, url)] : [])
      ]
    })

  const create = Effect.fnUntraced(function*({ data: { attributes, relationships } }: CreateRun, user: User) {
    yield* unless(unkeptRun(attributes))
    const asked = relationships?.["configuration-version"]?.data?.id
    const workspaceId = relationships?.workspace.data.id ?? ""
    yield* actsOn(workspaceId) // in the trail, a run that is not started is about its workspace
    yield* reach.thing(user, "workspace", workspaceId)
    if (asked !== undefined) yield* reach.thing(user, "configuration version", asked)
    const workspace = yield* workspaces.get(workspaceId)
    const version = asked === undefined ? yield* configurations.latest(workspace.id) : yield* configurations.get(asked)
    if (version === undefined || version.workspaceId !== workspace.id || version.status !== "uploaded" || version.sha256 === null) {
      return yield* invalid("The run needs a configuration version of its workspace whose archive is uploaded; upload one first.")
    }
    const planOnly = attributes["plan-only"] === true || version.speculative
    const saved = attributes["save-plan"] === true && !planOnly
    const autoApply = !saved && (attributes["auto-apply"] ?? workspace.autoApply)
    yield* permit(user, neededToStart({ autoApply, planOnly }), "a run that applies by itself (auto-apply)")
    const own = attributes.variables ?? []
    return yield* runs.create({
      workspaceId: workspace.id,
      configurationVersionId: version.id,
      once: asked !== undefined, // a client that asks for another run makes another version, or names none
      archiveSha256: version.sha256,
      planOnly,
      saved,
      autoApply,
      allowEmptyApply: attributes["allow-empty-apply"] === true,
      mayAsk: attributes["may-ask"] === true,
      destroy: attributes["is-destroy"] === true,
      message: attributes.message ?? "",
      startedBy: user.name,
      engine: attributes.engine ?? undefined,
      options: optionsOf(attributes),
      variables: ownVariables(yield* besides(workspace.id, own), own)
    })
  })

  const accepted = HttpServerResponse.empty({ status: 202 })
  const action = (name: "discard" | "cancel", event: RunEvent) =>
    always("plan")("POST", `/api/v2/runs/:id/actions/${name}`, "run", (_, { id = "" }, user) =>
      sql.withTransaction(Effect.gen(function*() { // a plan may be approved meanwhile
        yield* permit(
          user,
          neededToStop(yield* runs.get(id), user),
          `to ${name} a run that somebody else started, or whose apply is approved`
        )
        yield* runs.step(id, event, { stoppedBy: user.name })
        return accepted
      })))

  return [
    needing("plan")(
      "POST",
      "/api/v2/workspaces/:id/configuration-versions",
      "workspace",
      (request, { id = "" }, { role }) =>
        Effect.gen(function*() {
          const workspace = yield* workspaces.get(id)
          const { data: { attributes } } = yield* createConfigurationVersion(request)
          if (attributes["auto-queue-runs"] === true) return yield* noQueuedRun()
          // So that nobody applies by mistake what was uploaded to be planned, or for a saved plan.
          const onlyNamed = attributes.provisional === true || !allows(role, "everything")
          const version = yield* configurations.create(workspace.id, attributes.speculative === true, onlyNamed)
          return made("/api/v2/configuration-versions", configurationVersionDocument(version, uploadUrl(tokens, base(request), version.id)))
        })
    ),
    route(
      "GET",
      "/api/v2/configuration-versions/:id",
      "configuration version",
      (_, { id = "" }) => Effect.map(configurations.get(id), (version) => document(configurationVersionDocument(version)))
    ),
    linked(
      "PUT",
      "/api/v2/uploads/:id/:secret",
      isUploadSecret,
      (request, { id = "" }) => Effect.as(configurations.upload(id, request.stream, saidBytes(request)), noContent)
    ),

    needing("plan")("POST", "/api/v2/runs", "asked", (request, _, user) =>
      Effect.gen(function*() {
        const run = yield* create(yield* createRun(request), user)
        return made("/api/v2/runs", yield* shown(run, user))
      })),
    route("GET", "/api/v2/runs/:id", "run", (request, { id = "" }, user) =>
      Effect.gen(function*() {
        const run = yield* runs.whole(id)
        const wanted = queryOf(request, "include")
        return document(yield* shown(run, user), wanted === undefined ? undefined : yield* included(run, user, wanted, base(request)))
      })),
    route("GET", "/api/v2/workspaces/:id/runs", "workspace", (request, { id = "" }, user) =>
      Effect.gen(function*() {
        const workspace = yield* workspaces.get(id)
        yield* unless(unknownRunFilter(parametersOf(request)))
        const listed = Effect.fnUntraced(function*(most: number, offset: number) {
          const found = yield* runs.list(workspace.id, most, offset)
          const before = yield* queue.before(found)
          return found.map((run) => listedRunDocument(run, user, before(run)))
        })
        return yield* paged(request, listed, Effect.succeed)
      })),
    route("GET", "/api/v2/organizations/:organization/runs/queue", "asked", (request, _, user) =>
      Effect.gen(function*() {
        yield* unless(unknownRunFilter(parametersOf(request)))
        return yield* paged(
          request,
          (most, before) => runs.pending(user.workspaces, most, before),
          (run, position) => Effect.succeed(listedRunDocument(run, user, position))
        )
      })),
    route("GET", "/api/v2/organizations/:organization/capacity", "asked", (_, __, { workspaces }) =>
      Effect.gen(function*() {
        const pending = yield* runs.count(workspaces, ["pending"])
        const running = yield* runs.count(workspaces, ["planning", "applying"])
        return document({ id: organization, type: "organization-capacity", attributes: { pending, running } })
      })),
    route("GET", "/api/v2/runs/:id/run-events", "run", (_, { id = "" }) => Effect.as(runs.get(id), documents([]))),
    route("POST", "/api/v2/runs/:id/actions/apply", "run", (request, { id = "" }, { name }) =>
      Effect.gen(function*() {
        const { seal } = yield* applyRun(request)
        yield* runs.step(id, RunEvent.Confirm(seal == null ? {} : { seal }), { approvedBy: name })
        return accepted
      })),
    action("discard", RunEvent.Discard()),
    action("cancel", RunEvent.Cancel()),
    always()(
      "POST",
      "/api/v2/runs/:id/actions/force-cancel",
      "run",
      (_, { id = "" }, { name }) => Effect.as(stageEnds.forceCancel(id, name), accepted)
    ),

    stepRoute("plan", "/api/v2/plans/:id"),
    stepRoute("apply", "/api/v2/applies/:id"),
    linked("GET", "/api/v2/logs/:id/:secret", isLogSecret, (request, { id = "" }) =>
      Effect.gen(function*() {
        const offset = yield* countOf(request, "offset", 0)
        const most = logReadLimitBytes[follows(request) ? "follower" : "stock"]
        const limit = Math.min(most, yield* countOf(request, "limit", most))
        const wait = Math.min(longestWaitSeconds, yield* countOf(request, "wait", 0))
        const bytes = yield* logs.read(id, offset, limit, wait, !follows(request))
        return HttpServerResponse.uint8Array(bytes, { contentType: "application/octet-stream" })
      }), follows)
  ]
}))
