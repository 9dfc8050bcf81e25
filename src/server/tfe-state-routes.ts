// The TFE API's states, as far as they are read: the current one, its outputs, and the download.
// A sensitive output's value is given only to who asks for that one output, as stock clients do. Always holds: no more of outputs is in memory than server/bodies has room for.
// Used by server/server.
import { Effect, Schema } from "effect"
import { HttpRouter, type HttpServerRequest, type HttpServerResponse } from "effect/http"
import { isLongerThan } from "../core/json-length.ts"
import { stateAnswer } from "./answer.ts"
import { Blobs } from "./blobs.ts"
import { Bodies } from "./bodies.ts"
import { invalid, notFound, orNotFound, Refused } from "./refused.ts"
import { State } from "./state-body.ts"
import { type StateVersion, StateVersions } from "./state-versions.ts"
import { asListed, outputDocument, parseOutputId, stateVersionDocument } from "./tfe-documents.ts"
import { document, documents, makeTfe } from "./tfe-envelope.ts"
import type { Caller } from "./tokens.ts"
import { Workspaces } from "./workspaces.ts"

/** A person reads a few kilobytes of them, and other programs pass on what a configuration can hold. */
const outputsLimitBytes = 4 * 1024 * 1024
const tooLarge = ({ id }: StateVersion) =>
  new Refused({
    status: 413,
    error: "too-large",
    message:
      `These outputs of ${id} are more than ${outputsLimitBytes} bytes, which are not given out at once; ask for one of them, or take the whole state from /api/v2/state-versions/${id}/download.`
  })

/** Of a stage's state only the head was read when it was stored. */
const unreadable = ({ id, serial }: StateVersion) =>
  invalid(
    `The state ${id} with the serial ${serial} is not as the engines write one, so its outputs cannot be read; look at it at /api/v2/state-versions/${id}/download, and push a good one over it.`
  )

type Outputs = ReadonlyArray<readonly [name: string, output: NonNullable<State["outputs"]>[string]]>

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(State))

export const tfeStateRoutes = HttpRouter.addAll(Effect.gen(function*() {
  const { base, route } = yield* makeTfe
  const blobs = yield* Blobs
  const bodies = yield* Bodies
  const states = yield* StateVersions
  const workspaces = yield* Workspaces

  /**
   * The answer that `shown` makes of the outputs of a state as they are `asked` for. The state has its room until then, and the answer has
   * one of its own.
   */
  const outputsOf = (
    caller: Caller,
    request: HttpServerRequest.HttpServerRequest,
    version: StateVersion,
    asked: (outputs: Outputs) => Outputs,
    shown: (outputs: Outputs) => Effect.Effect<HttpServerResponse.HttpServerResponse, Refused>
  ) =>
    bodies.room(
      version.sizeBytes,
      Effect.gen(function*() {
        const state = yield* Effect.mapError(decode(new TextDecoder().decode(yield* states.read(version))), () => unreadable(version))
        const outputs = asked(Object.entries(state.outputs ?? {}))
        if (isLongerThan(outputsLimitBytes, outputs)) return yield* tooLarge(version)
        const answer = yield* shown(outputs)
        const sizeBytes = answer.body._tag === "Uint8Array" ? answer.body.contentLength : 0
        if (sizeBytes > outputsLimitBytes) return yield* tooLarge(version)
        yield* bodies.answer(caller, request, sizeBytes)
        return answer
      })
    )

  return [
    route(
      "GET",
      "/api/v2/workspaces/:id/current-state-version",
      (request, { id = "" }) =>
        Effect.map(Effect.flatMap(states.current(id), orNotFound), (version) => document(stateVersionDocument(version, base(request))))
    ),
    route("GET", "/api/v2/workspaces/:id/current-state-version-outputs", (request, { id = "" }, caller) =>
      Effect.gen(function*() {
        const workspace = yield* workspaces.get(id)
        const version = yield* states.current(workspace.id)
        if (version === undefined) return documents([])
        return yield* outputsOf(
          caller,
          request,
          version,
          (outputs) => outputs.map(([name, output]) => [name, asListed(output)] as const),
          (outputs) => Effect.succeed(documents(outputs.map((output) => outputDocument(version, ...output))))
        )
      })),
    route("GET", "/api/v2/state-version-outputs/:id", (request, { id = "" }, caller) =>
      Effect.gen(function*() {
        const parsed = parseOutputId(id)
        const version = yield* Effect.flatMap(states.find(parsed?.versionId ?? ""), orNotFound)
        return yield* outputsOf(
          caller,
          request,
          version,
          (outputs) => outputs.filter(([name]) => name === parsed?.name),
          ([output]) => output === undefined ? Effect.fail(notFound()) : Effect.succeed(document(outputDocument(version, ...output)))
        )
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
