// The state API for people: what the stock `http` backend of tofu and terraform asks for, locking included, and outputs for its data source.
// Invariant: it locks with PUT and DELETE, and with the backend's own LOCK and UNLOCK, which lifecycle/listen takes for these.
// Used by server/lifecycle/server.
import { Effect, Schema } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { allows } from "../../core/run/permission.ts"
import { stateRoute } from "../../schema/api/state.ts"
import { LockInfo, lockLimitBytes, stateLimitBytes, taskHeader } from "../../schema/api/task-api.ts"
import { routesForUsers } from "../access/authorize.ts"
import { Bodies } from "../access/bodies.ts"
import { noContent, type Params, problem, stateAnswer, unlocked } from "../access/http-answer.ts"
import { jsonOf, queryOf, workspaceName } from "../access/http-request.ts"
import { invalid, orNotFound, Refused } from "../refused.ts"
import { Blobs } from "../store/blobs.ts"
import { StateLocks } from "../workspace/state-locks.ts"
import { StateVersions } from "../workspace/state-versions.ts"
import { Workspaces } from "../workspace/workspaces.ts"
import { makeOutputs } from "./outputs.ts"

const lockInfo = jsonOf(LockInfo, { limitBytes: lockLimitBytes })
/** As force-unlock sends it: tofu the id alone, and terraform nothing. */
const lockToOpen = jsonOf(Schema.Struct({ ID: Schema.optionalKey(Schema.String) }), { nothing: "{}", limitBytes: lockLimitBytes })
const noLockNamed = (name: string) =>
  invalid(`The request names no lock, so none was opened; see who has it, and open it, with: agent-job state unlock ${name} --force`)
const address = stateRoute.backend

/** Answers a refusal. The backend reads 423 as "somebody else has it", with that lock as the body. */
const asLocked = (refused: Refused) => {
  const { message } = refused // of an Error, so no copy has it
  return problem(refused.error === "locked" ? new Refused({ ...refused, message, status: 423 }) : refused)
}

export const stateRoutes = HttpRouter.addAll(Effect.gen(function*() {
  const blobs = yield* Blobs
  const bodies = yield* Bodies
  const locks = yield* StateLocks
  const outputsOf = yield* makeOutputs
  const states = yield* StateVersions
  const workspaces = yield* Workspaces
  const { always, needing, route } = yield* routesForUsers(asLocked)

  const existing = ({ name = "" }: Params) => workspaces.named(name)
  /** Returns the stored state; fails with 404 if there is no such workspace, or none in it. */
  const stored = (params: Params) => existing(params).pipe(Effect.flatMap(({ id }) => states.current(id)), Effect.flatMap(orNotFound))

  return [
    needing("everything")(
      "GET",
      address,
      "name",
      (_, params) => Effect.flatMap(stored(params), (version) => stateAnswer(blobs, version))
    ),
    // At an address of its own: a backend would take the answer for the whole state, and plan everything as new.
    route("GET", stateRoute.outputs, "name", (_, params, caller) =>
      Effect.gen(function*() {
        const version = yield* stored(params)
        const { lineage, serial } = version
        const whole = allows(caller.role, "everything")
        return yield* outputsOf(
          caller,
          version,
          (outputs) => outputs.filter(([, { sensitive }]) => whole || sensitive !== true),
          (outputs) => HttpServerResponse.jsonUnsafe({ version: 4, serial, lineage, outputs: Object.fromEntries(outputs), resources: [] })
        )
      })),
    always()("POST", address, "name", (request, params, caller) =>
      Effect.gen(function*() {
        const { id } = yield* existing(params)
        const written = { sha256: request.headers[taskHeader.digest], lockId: queryOf(request, "ID"), by: undefined }
        yield* bodies.whole(caller, request, stateLimitBytes, (bytes) => states.accept(id, { bytes, ...written }))
        return noContent
      })),
    // The first lock of a name makes its workspace, so that a state can be moved here with nothing but a backend block.
    route("PUT", address, "made", (request, { name = "" }, caller) =>
      Effect.gen(function*() {
        const valid = yield* workspaceName(name)
        return HttpServerResponse.jsonUnsafe({ epoch: yield* locks.lockNamed(valid, yield* lockInfo(request), { person: caller.name }) })
      })),
    route("DELETE", address, "name", (request, params, caller) =>
      Effect.gen(function*() {
        const { id, name } = yield* existing(params)
        const { ID } = yield* lockToOpen(request)
        if (ID === undefined) return yield* noLockNamed(name)
        yield* locks.unlock(id, ID, { person: caller.name })
        return unlocked
      }))
  ]
}))
