// The calls about states: their outputs and versions, evidence of refused ones, and what settles a doubt.
// Used by cli/server/server-client, whose calls they are.
import { Duration, Effect, Option } from "effect"
import { HttpClientRequest as Request, type HttpClientResponse } from "effect/http"
import { createHash } from "node:crypto"
import { ImportStarted, statePath, StateView } from "../../schema/api/state.ts"
import { taskHeader } from "../../schema/api/task-api.ts"
import { tfePath } from "../../schema/api/tfe-api.ts"
import { NothingThere, type ServerFailure, ServerUnreachable, unanswered } from "../terminal/failure.ts"
import { OutputList } from "./server-answers.ts"
import type { ServerClient } from "./server-client.ts"
import { callTimeout, json, type Requests } from "./server-requests.ts"

/** How long the server gives a state to arrive (server/access/bodies), and how long evidence may take to be checked before it is sent. */
const stateArrival = Duration.minutes(5)
/**
 * The time limit for uploading a state or deciding about one. The server gives a state 5 min to arrive, and waits for room in memory before
 * that and again for its answer. A request that only looks at a state waits for room once, 10 s at most, so it has the limit of any call.
 */
const stateTimeout = Duration.sum(stateArrival, callTimeout)

/** Reports whether the bytes of an answer have the digest in its headers, if there is one: a proxy may leave it out. */
const isWhole = ({ headers: { [taskHeader.digest]: digest } }: HttpClientResponse.HttpClientResponse) => (bytes: Uint8Array): boolean =>
  digest === undefined || digest === createHash("sha256").update(bytes).digest("hex")

export const stateCalls = ({ authorised, bytesOf, decoded, send, url }: Requests) => {
  /** Replaces a NothingThere of the call by one that says how to list the evidence that there is. */
  const noEvidence = (workspace: string, id: string) => <A>(ask: Effect.Effect<A, ServerFailure>): Effect.Effect<A, ServerFailure> =>
    Effect.catchTag(
      ask,
      "NothingThere",
      () =>
        Effect.fail(
          new NothingThere({
            message:
              `There is no evidence ${id} of workspace ${workspace} on ${url}; \`agent-job state show ${workspace}\` lists what there is.`
          })
        )
    )
  const damaged = new ServerUnreachable({
    url,
    detail: "what came is not what the server sent: its SHA-256 is another; try again",
    why: unanswered
  })

  return {
    outputs: (workspaceId) =>
      decoded(OutputList, Request.get(tfePath.outputs(workspaceId)), "workspace").pipe(
        Effect.map(({ data }) => data.map(({ attributes }) => attributes))
      ),
    state: (workspace) => decoded(StateView, Request.get(statePath.state(workspace)), `workspace ${workspace}`),
    evidence: (workspace, id) =>
      send(authorised(Request.get(statePath.evidence(workspace, id))), {
        thing: "evidence",
        status: 200,
        mediaType: "application/json",
        timeout: stateArrival
      }).pipe(
        Effect.flatMap((response) => Effect.filterOrFail(bytesOf(response), isWhole(response), () => damaged)),
        noEvidence(workspace, id)
      ),
    bringEvidence: (workspace, bytes) =>
      decoded(
        StateView,
        Request.post(statePath.bring(workspace)).pipe(Request.bodyUint8Array(bytes, "application/octet-stream")),
        `workspace ${workspace}`,
        { timeout: stateTimeout }
      ),
    pushState: (workspace, bytes, replace) =>
      decoded(
        StateView,
        Request.post(statePath.push(workspace), {
          urlParams: Option.match(replace, { onNone: () => ({}), onSome: (version) => ({ replace: version }) })
        }).pipe(Request.bodyUint8Array(bytes, "application/octet-stream")),
        `workspace ${workspace}`,
        { timeout: stateTimeout }
      ),
    settleRescue: (workspace, decision) => {
      const request = json(Request.post(statePath.rescue(workspace)), decision)
      const settled = decoded(StateView, request, `workspace ${workspace}`, { timeout: stateTimeout })
      return decision.use === undefined ? settled : settled.pipe(noEvidence(workspace, decision.use))
    },
    importMissing: (workspace) => decoded(ImportStarted, Request.post(statePath.import(workspace)), `workspace ${workspace}`),
    forceUnlock: (workspace, by, lock) =>
      decoded(StateView, json(Request.post(statePath.unlock(workspace)), { by, lock }), `workspace ${workspace}`)
  } satisfies Partial<ServerClient["Service"]>
}
