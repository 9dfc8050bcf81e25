// The TFE API's states, as far as they are read: the current one, its outputs, and the download.
// A sensitive output's value is given only to who asks for that one output, as stock clients do.
// Used by server/server.
import { Effect, Schema } from "effect"
import { HttpRouter } from "effect/http"
import { stateAnswer } from "./answer.ts"
import { Blobs } from "./blobs.ts"
import { Bodies } from "./bodies.ts"
import { notFound, orNotFound } from "./refused.ts"
import { State } from "./state-body.ts"
import { type StateVersion, StateVersions } from "./state-versions.ts"
import { outputDocument, parseOutputId, stateVersionDocument } from "./tfe-documents.ts"
import { document, documents, makeTfe } from "./tfe-envelope.ts"
import { Workspaces } from "./workspaces.ts"

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(State))

export const tfeStateRoutes = HttpRouter.addAll(Effect.gen(function*() {
  const { base, route } = yield* makeTfe
  const blobs = yield* Blobs
  const bodies = yield* Bodies
  const states = yield* StateVersions
  const workspaces = yield* Workspaces

  const outputsOf = (version: StateVersion) =>
    Effect.gen(function*() {
      const state = yield* bodies.room(
        version.sizeBytes,
        Effect.flatMap(states.read(version), (bytes) => Effect.orDie(decode(new TextDecoder().decode(bytes))))
      ) // it was decoded when it was accepted
      return state.outputs ?? {}
    })

  return [
    route(
      "GET",
      "/api/v2/workspaces/:id/current-state-version",
      (request, { id = "" }) =>
        Effect.map(Effect.flatMap(states.current(id), orNotFound), (version) => document(stateVersionDocument(version, base(request))))
    ),
    route("GET", "/api/v2/workspaces/:id/current-state-version-outputs", (_, { id = "" }) =>
      Effect.gen(function*() {
        const workspace = yield* workspaces.get(id)
        const version = yield* states.current(workspace.id)
        if (version === undefined) return documents([])
        return documents(Object.entries(yield* outputsOf(version)).map(([name, output]) => outputDocument(version, name, output, false)))
      })),
    route("GET", "/api/v2/state-version-outputs/:id", (_, { id = "" }) =>
      Effect.gen(function*() {
        const parsed = parseOutputId(id)
        const version = yield* Effect.flatMap(states.find(parsed?.versionId ?? ""), orNotFound)
        const output = Object.entries(yield* outputsOf(version)).find(([name]) => name === parsed?.name)
        return output === undefined ? yield* notFound() : document(outputDocument(version, ...output, true))
      })),
    route(
      "GET",
      "/api/v2/state-versions/:id",
      (request, { id = "" }) =>
        Effect.map(Effect.flatMap(states.find(id), orNotFound), (version) => document(stateVersionDocument(version, base(request))))
    ),
    route(
      "GET",
      "/api/v2/state-versions/:id/download",
      (_, { id = "" }) => Effect.flatMap(Effect.flatMap(states.find(id), orNotFound), (version) => stateAnswer(blobs, version))
    )
  ]
}))
