// The TFE API's agent pools, which stock clients look up by name before they bind a workspace to one.
// Used by server/lifecycle/server.
import { Effect } from "effect"
import { HttpRouter } from "effect/http"
import { queryOf } from "../access/http-request.ts"
import { orNotFound } from "../refused.ts"
import { Pools } from "../run/pools.ts"
import { agentPoolDocument } from "./tfe-documents.ts"
import { document, documents, makeTfe } from "./tfe-envelope.ts"

export const tfePoolRoutes = HttpRouter.addAll(Effect.gen(function*() {
  const { route } = yield* makeTfe
  const pools = yield* Pools

  return [
    route("GET", "/api/v2/organizations/:organization/agent-pools", "asked", (request, _, { workspaces }) =>
      Effect.gen(function*() {
        const part = queryOf(request, "q") ?? ""
        const { pools: all } = yield* pools.list(workspaces)
        return documents(all.filter(({ name }) => name.includes(part)).map(agentPoolDocument))
      })),
    route("GET", "/api/v2/agent-pools/:id", "asked", (_, { id }, { workspaces }) =>
      Effect.gen(function*() {
        const { pools: all } = yield* pools.list(workspaces)
        return document(agentPoolDocument(yield* orNotFound(all.find((pool) => pool.id === id))))
      }))
  ]
}))
