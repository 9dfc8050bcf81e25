// Our own JSON beside the TFE API: runs, with what the TFE shapes lack, pools, and the audit trail.
// Used by server/lifecycle/server; the CLI's get and run ask here why something waits.
import { Effect, Option } from "effect"
import { HttpRouter, type HttpServerRequest, HttpServerResponse } from "effect/http"
import { auditPath, auditRoute } from "../../schema/api/audit.ts"
import { poolsPath } from "../../schema/api/pools.ts"
import { runPath, runRoute } from "../../schema/api/run.ts"
import { type About, Audit, everything } from "../access/audit.ts"
import { routesForUsers } from "../access/authorize.ts"
import { problem } from "../access/http-answer.ts"
import { countOf, onlyParameters, pageSizeOf, queryOf } from "../access/http-request.ts"
import { baseUrl } from "../access/links.ts"
import type { User } from "../access/tokens.ts"
import { invalid } from "../refused.ts"
import { Pools } from "../run/pools.ts"
import { makeRunViews } from "../run/run-view.ts"
import { Runs } from "../run/runs.ts"
import { Settings } from "../settings.ts"
import { actsOn, workspaceNamed } from "../store/act.ts"
import { Workspaces } from "../workspace/workspaces.ts"

const listLimit = 100

export const runRoutes = HttpRouter.addAll(Effect.gen(function*() {
  const { publicUrl } = yield* Settings
  const audit = yield* Audit
  const pools = yield* Pools
  const runs = yield* Runs
  const views = yield* makeRunViews
  const workspaces = yield* Workspaces
  const { reach, route } = yield* routesForUsers(problem)

  const chosen = Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest, user: User) {
    const [name, before, open] = ["workspace", "before", "open"].map((parameter) => queryOf(request, parameter))
    if (open !== undefined && open !== "true") return yield* invalid("The parameter open can only be true; leave it out to have all runs.")
    if (name !== undefined) yield* Effect.andThen(actsOn(workspaceNamed(name)), reach.named(user, name))
    if (before !== undefined) yield* Effect.andThen(actsOn(before), reach.thing(user, "run", before))
    return {
      reach: user.workspaces,
      ...(name !== undefined && { workspaceId: (yield* workspaces.named(name)).id }),
      ...(before !== undefined && { before: yield* runs.get(before) }),
      ...(open !== undefined && { open: true as const })
    }
  })

  const trail = Effect.fnUntraced(function*(request: HttpServerRequest.HttpServerRequest, about: About) {
    yield* onlyParameters(request, "before")
    const before = queryOf(request, "before") === undefined ? Option.none() : Option.some(yield* countOf(request, "before", 0))
    return HttpServerResponse.jsonUnsafe(yield* audit.page(about, before))
  })

  return [
    route("GET", runPath.list, "asked", (request, _, user) =>
      Effect.gen(function*() {
        yield* onlyParameters(request, "workspace", "before", "open", "page[size]")
        const size = yield* pageSizeOf(request, listLimit, listLimit)
        const found = yield* runs.page(yield* chosen(request, user), size + 1)
        const shown = found.slice(0, size)
        const last = found.length > size ? shown.at(-1) : undefined
        return HttpServerResponse.jsonUnsafe({
          runs: yield* views.listed(shown, baseUrl(publicUrl, request)),
          ...(last !== undefined && { older: last.id })
        })
      })),
    route(
      "GET",
      poolsPath,
      "asked",
      (_, __, { workspaces }) => Effect.map(pools.list(workspaces), (list) => HttpServerResponse.jsonUnsafe(list))
    ),
    route("GET", auditPath.all, "all", (request) => trail(request, everything)),
    route(
      "GET",
      auditRoute.workspace,
      "name",
      (request, { name = "" }) => Effect.flatMap(workspaces.named(name), (workspace) => trail(request, { workspace }))
    ),
    route(
      "GET",
      auditRoute.run,
      "run",
      (request, { id = "" }) => Effect.flatMap(runs.get(id), (run) => trail(request, { run }))
    ),
    route("GET", runRoute, "run", (request, { id = "" }) =>
      Effect.gen(function*() {
        return HttpServerResponse.jsonUnsafe(yield* views.view(yield* runs.get(id), baseUrl(publicUrl, request)))
      }))
  ]
}))
