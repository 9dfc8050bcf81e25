// The pool API: what agents ask and say, by the contract of schema/api/pool-api.
// Every request may be repeated. Only the pool token is accepted.
// Used by server/lifecycle/server.
import { Effect, Option } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { Speaker } from "../../core/run/standing.ts"
import {
  AcknowledgeRequest,
  AcquireRequest,
  CancellationsRequest,
  poolPath,
  poolRoute,
  ResultQuery,
  WaitRequest
} from "../../schema/api/pool-api.ts"
import { ToldResult } from "../../schema/task/stage-result.ts"
import { routesForPools } from "../access/authorize.ts"
import { logBeneath, noContent, problem, refusedOf } from "../access/http-answer.ts"
import { jsonOf, parametersAs } from "../access/http-request.ts"
import { Agents } from "../run/agents.ts"
import { Assignments } from "../run/assignments.ts"

const acknowledgeRequest = jsonOf(AcknowledgeRequest)
const acquireRequest = jsonOf(AcquireRequest)
const cancellationsRequest = jsonOf(CancellationsRequest)
const waitRequest = jsonOf(WaitRequest)
const result = jsonOf(ToldResult)
const resultQuery = parametersAs(ResultQuery)

export const poolRoutes = HttpRouter.addAll(Effect.gen(function*() {
  const agents = yield* Agents
  const assignments = yield* Assignments
  const route = yield* routesForPools(problem)
  /** Notes that an agent is resting, and why. A disk without room for that must not keep it from hearing cancellations. */
  const note = (agent: string, pool: string, because: string) =>
    Effect.catch(agents.heard(agent, pool, because === "drained" ? "drained" : "full"), (error) => logBeneath(refusedOf(error), { agent }))
  return [
    route("POST", poolPath.acquire, (request, _, { name: pool, tokenHash }) =>
      Effect.gen(function*() {
        const { agent, max, waitSeconds } = yield* acquireRequest(request)
        const asking = { name: agent, pool, tokenHash }
        return HttpServerResponse.jsonUnsafe({ assignments: yield* assignments.acquire(asking, waitSeconds, max) })
      })),
    route("POST", poolPath.cancellations, (request, _, { name: pool }) =>
      Effect.gen(function*() {
        const { after, resting, waitSeconds } = yield* cancellationsRequest(request)
        if (resting !== undefined) yield* note(resting.agent, pool, resting.because)
        return HttpServerResponse.jsonUnsafe(yield* assignments.cancellations(after, waitSeconds))
      })),
    route("POST", poolRoute.acknowledge, (request, { id = "" }, { name: pool }) =>
      Effect.gen(function*() {
        const { agent, taskUid } = yield* acknowledgeRequest(request)
        yield* assignments.acknowledge(id, Speaker.Agent({ pool, taskUid: Option.some(taskUid), name: agent }))
        return noContent
      })),
    route("POST", poolRoute.wait, (request, { id = "" }, { name: pool }) =>
      Effect.gen(function*() {
        const { agent, message, reason, taskUid } = yield* waitRequest(request)
        const by = Speaker.Agent({ pool, taskUid: Option.fromUndefinedOr(taskUid), name: agent })
        yield* assignments.wait(id, by, reason, message)
        return noContent
      })),
    route("POST", poolRoute.result, (request, { id = "" }, { name: pool }) =>
      Effect.gen(function*() {
        const { agent, taskUid } = yield* resultQuery(request)
        const by = Speaker.Agent({ pool, taskUid: Option.fromUndefinedOr(taskUid), name: agent })
        yield* assignments.end(id, by, yield* result(request))
        return noContent
      }))
  ]
}))
