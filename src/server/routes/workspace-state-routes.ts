// Our own JSON about the state of a workspace: what there is, what was refused, and the decisions that only a person makes.
// Used by server/lifecycle/server; the CLI's `state` asks here.
import { Effect, type Schema } from "effect"
import { HttpRouter, type HttpServerRequest, HttpServerResponse } from "effect/http"
import { ForceUnlock, type ImportStarted, SettleRescue, stateRoute } from "../../schema/api/state.ts"
import { keptStateLimitBytes, stateLimitBytes } from "../../schema/api/task-api.ts"
import { routesForUsers } from "../access/authorize.ts"
import { Bodies } from "../access/bodies.ts"
import { type Failure, problem, stateAnswer } from "../access/http-answer.ts"
import { jsonOf, queryOf, workspaceName } from "../access/http-request.ts"
import type { User } from "../access/tokens.ts"
import { invalid } from "../refused.ts"
import { ImportRuns } from "../rescue/import-runs.ts"
import { KeptStates } from "../rescue/kept-states.ts"
import { Settlements } from "../rescue/settlements.ts"
import { StateViews } from "../rescue/state-views.ts"
import { Blobs } from "../store/blobs.ts"
import { Evidence } from "../workspace/evidence.ts"
import { StateLocks } from "../workspace/state-locks.ts"
import { StateVersions } from "../workspace/state-versions.ts"
import { Workspaces } from "../workspace/workspaces.ts"

const place = stateRoute.view

/**
 * Decodes a decision, of which nothing is passed over: a newer command line may say what it depends on in words that are unknown here. An
 * older one leaves out what the person saw. So the refusal says that the version may be another.
 */
const decisionOf = <S extends Schema.ConstraintDecoder<unknown>>(schema: S) => {
  const decode = jsonOf(schema, { onExcessProperty: "error" })
  return (request: HttpServerRequest.HttpServerRequest) =>
    Effect.mapError(decode(request), (failure) =>
      failure._tag === "Refused" && failure.error === "invalid"
        ? invalid(`${failure.message} If a command line sent it, that is of another version; use one of the server's version.`)
        : failure)
}
const decision = decisionOf(SettleRescue)
const unlock = decisionOf(ForceUnlock)

/** Returns who decides: the token's holder, and what the client calls them. */
const who = (caller: User, by: string) => `${caller.name}, ${by}`

export const workspaceStateRoutes = HttpRouter.addAll(Effect.gen(function*() {
  const blobs = yield* Blobs
  const bodies = yield* Bodies
  const evidence = yield* Evidence
  const imports = yield* ImportRuns
  const keptStates = yield* KeptStates
  const locks = yield* StateLocks
  const settlements = yield* Settlements
  const versions = yield* StateVersions
  const views = yield* StateViews
  const workspaces = yield* Workspaces
  const { always, needing, route } = yield* routesForUsers(problem)

  /** Makes a route for what a person does about the state of a workspace. It answers with the view after it. */
  const actRoute = (
    make: typeof route,
    path: `/${string}`,
    where: "name" | "made",
    acted: (request: HttpServerRequest.HttpServerRequest, name: string, caller: User) => Effect.Effect<void, Failure>
  ) =>
    make("POST", `${place}${path}`, where, (request, { name = "" }, caller) =>
      Effect.map(
        Effect.andThen(acted(request, name, caller), views.viewAfter(name, caller)),
        (view) => HttpServerResponse.jsonUnsafe(view)
      ))

  return [
    route(
      "GET",
      place,
      "name",
      (_, { name = "" }, caller) => Effect.map(views.view(name, caller), (view) => HttpServerResponse.jsonUnsafe(view))
    ),
    needing("everything")("GET", `${place}/evidence/:id`, "name", (_, { id = "", name = "" }) =>
      Effect.gen(function*() {
        const workspace = yield* workspaces.named(name)
        return yield* stateAnswer(blobs, yield* evidence.get(workspace.id, id))
      })),
    actRoute(
      always(),
      "/evidence",
      "name",
      (request, name, caller) => bodies.whole(caller, request, keptStateLimitBytes, (bytes) => keptStates.bring(name, bytes, caller))
    ),
    actRoute(route, "/push", "made", (request, name, caller) =>
      Effect.gen(function*() {
        const valid = yield* workspaceName(name)
        const replace = queryOf(request, "replace")
        yield* bodies.whole(caller, request, stateLimitBytes, (bytes) => versions.push(valid, { bytes, replace }))
      })),
    actRoute(always(), "/rescue", "name", (request, name, caller) =>
      Effect.gen(function*() {
        const { by, ...decided } = yield* decision(request)
        yield* settlements.settle(name, { caller, shown: who(caller, by) }, decided)
      })),
    actRoute(always(), "/unlock", "name", (request, name, caller) =>
      Effect.gen(function*() {
        const { by, lock } = yield* unlock(request)
        const workspace = yield* workspaces.named(name)
        yield* locks.forceUnlock(workspace.id, lock, who(caller, by))
      })),
    route(
      "POST",
      `${place}/import`,
      "name",
      (_, { name = "" }, caller) =>
        Effect.map(
          imports.start(name, caller),
          ({ id, options }) => HttpServerResponse.jsonUnsafe({ runId: id, addresses: options.targets ?? [] } satisfies ImportStarted)
        )
    )
  ]
}))
