// The TFE API's states, which can only be read: the current one, its outputs, and the download. Used by server/lifecycle/server.
// A sensitive output's value is given only to a request for that one output, as stock clients send it, and not to a token with a role.
import { Effect } from "effect"
import { HttpRouter } from "effect/http"
import { allows } from "../../core/run/permission.ts"
import { permit } from "../access/authorize.ts"
import { stateAnswer } from "../access/http-answer.ts"
import { orNotFound } from "../refused.ts"
import { makeOutputs } from "../routes/outputs.ts"
import { Blobs } from "../store/blobs.ts"
import { parseOutputId } from "../store/ids.ts"
import { StateVersions } from "../workspace/state-versions.ts"
import { Workspaces } from "../workspace/workspaces.ts"
import { asListed, outputDocument, stateVersionDocument } from "./tfe-documents.ts"
import { document, documents, makeTfe } from "./tfe-envelope.ts"

export const tfeStateRoutes = HttpRouter.addAll(Effect.gen(function*() {
  const { base, needing, route } = yield* makeTfe
  const blobs = yield* Blobs
  const outputsOf = yield* makeOutputs
  const states = yield* StateVersions
  const workspaces = yield* Workspaces

  return [
    route("GET", "/api/v2/workspaces/:id/current-state-version", "workspace", (request, { id = "" }, user) =>
      Effect.gen(function*() {
        // Of 404 stock clients take that there is no state, and go on. For any other they would download it, and even their `init` fail.
        yield* permit(user, "everything", "the state of the workspace", 404)
        return document(stateVersionDocument(yield* Effect.flatMap(states.current(id), orNotFound), base(request)))
      })),
    route(
      "GET",
      "/api/v2/workspaces/:id/current-state-version-outputs",
      "workspace",
      (_, { id = "" }, caller) =>
        Effect.gen(function*() {
          const workspace = yield* workspaces.get(id)
          const version = yield* states.current(workspace.id)
          if (version === undefined) return documents([])
          return yield* outputsOf(
            caller,
            version,
            (outputs) => outputs.map(([name, output]) => [name, asListed(output)] as const),
            (outputs) => documents(outputs.map((output) => outputDocument(version, ...output)))
          )
        })
    ),
    route("GET", "/api/v2/state-version-outputs/:id", "output", (_, { id = "" }, caller) =>
      Effect.gen(function*() {
        const parsed = parseOutputId(id)
        const whole = allows(caller.role, "everything")
        const version = yield* states.get(parsed?.versionId ?? "")
        return yield* outputsOf(
          caller,
          version,
          (outputs) => outputs.filter(([name]) => name === parsed?.name).map(([name, output]) => [name, whole ? output : asListed(output)]),
          ([output]) => output === undefined ? undefined : document(outputDocument(version, ...output))
        )
      })),
    route(
      "GET",
      "/api/v2/state-versions/:id",
      "state version",
      (request, { id = "" }) => Effect.map(states.get(id), (version) => document(stateVersionDocument(version, base(request))))
    ),
    needing("everything")(
      "GET",
      "/api/v2/state-versions/:id/download",
      "state version",
      (_, { id = "" }) => Effect.flatMap(states.get(id), (version) => stateAnswer(blobs, version))
    )
  ]
}))
