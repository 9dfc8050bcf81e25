// What stock clients ask of the TFE API and get refused: tags, projects, pools, queries, the end of a workspace, and states and locks of a person.
// Without these routes the answer would be 404, of which clients show only that a resource was not found, or that it is deleted.
// Used by server/lifecycle/server.
import { Effect } from "effect"
import { HttpRouter } from "effect/http"
import { statesPath } from "../../schema/api/state.ts"
import { invalid } from "../refused.ts"
import { type Workspace, Workspaces } from "../workspace/workspaces.ts"
import { documents, makeTfe } from "./tfe-envelope.ts"
import { noPoolsMade, noProjects, noQueries, noTags } from "./tfe-refusals.ts"

export const tfeRefusedRoutes = HttpRouter.addAll(Effect.gen(function*() {
  const { base, route } = yield* makeTfe
  const workspaces = yield* Workspaces

  const refused = (
    method: Parameters<typeof route>[0],
    path: "" | `/${string}`,
    refusal: (workspace: Workspace, base: string) => ReturnType<typeof invalid>
  ) =>
    route(
      method,
      `/api/v2/workspaces/:id${path}`,
      "workspace",
      (request, { id = "" }) => Effect.flatMap(workspaces.get(id), (workspace) => Effect.fail(refusal(workspace, base(request))))
    )

  const stateElsewhere = ({ name }: Workspace, url: string) =>
    invalid(
      `No state is written through the TFE API, as with a cloud block; use a backend "http" with the address ${url}${statesPath}${name}, lock_method PUT and unlock_method DELETE, as docs/state.md says.`
    )
  const lockElsewhere = ({ name }: Workspace) =>
    invalid(`No lock is opened through the TFE API; see who has it, and open it, with: agent-job state unlock ${name} --force`)
  const noDeletion = ({ name }: Workspace) =>
    invalid(
      `No workspace is deleted here, so ${name} stays, with its states and runs; where no other workspace or backend has taken its state over, destroy what it made with: agent-job run DIR --workspace ${name} --destroy`
    )

  const notDeleted = (method: "DELETE" | "POST", path: "" | `/${string}`) =>
    route(
      method,
      `/api/v2/organizations/:organization/workspaces/:name${path}`,
      "name",
      (_, { name = "" }) => Effect.flatMap(workspaces.named(name), (workspace) => Effect.fail(noDeletion(workspace)))
    )
  const variablesByName = ({ name }: Workspace) =>
    invalid(`A variable is not changed by its id here; set it again by its name, as with: agent-job vars set ${name} NAME`)

  return [
    /** None rather than a refusal, because clients look for a project before they make it, and say why it cannot be made. */
    route("GET", "/api/v2/organizations/:organization/projects", "none", () => Effect.succeed(documents([]))),
    route(
      "POST",
      "/api/v2/organizations/:organization/projects",
      "none",
      () => Effect.fail(noProjects())
    ),
    notDeleted("DELETE", ""),
    notDeleted("POST", "/actions/safe-delete"),
    route(
      "POST",
      "/api/v2/organizations/:organization/agent-pools",
      "none",
      () => Effect.fail(noPoolsMade())
    ),
    route("PATCH", "/api/v2/agent-pools/:id", "none", () => Effect.fail(noPoolsMade())),
    route("DELETE", "/api/v2/agent-pools/:id", "none", () => Effect.fail(noPoolsMade())),
    route("POST", "/api/v2/queries", "none", () => Effect.fail(noQueries())),
    refused("DELETE", "", noDeletion),
    refused("POST", "/actions/safe-delete", noDeletion),
    refused("PATCH", "/vars/:variable", variablesByName),
    refused("POST", "/relationships/tags", noTags),
    refused("PATCH", "/tag-bindings", noTags),
    refused("POST", "/actions/lock", stateElsewhere),
    refused("POST", "/actions/unlock", stateElsewhere),
    refused("POST", "/actions/force-unlock", lockElsewhere),
    refused("POST", "/state-versions", stateElsewhere)
  ]
}))
