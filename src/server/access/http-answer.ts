// What every API answers: the bodies of successes, and each failure as one sentence in the form of its API.
// Invariant: every failure gets that form, and none that is made here reveals what a request held or what the server is made of.
// Used by all routes.
import { Cause, Effect, Schema, type Scope, Stream } from "effect"
import { HttpRouter, type HttpServerError, type HttpServerRequest, HttpServerResponse } from "effect/http"
import { logged } from "../../http/request-log.ts"
import { taskHeader } from "../../schema/api/task-api.ts"
import { Refused, type StoreFailure } from "../refused.ts"
import type { Blobs, Stored } from "../store/blobs.ts"
import { newId } from "../store/ids.ts"

export type Failure = StoreFailure | HttpServerError.HttpServerError
/** A response. Its scope ends once the server has sent it; what must last until the client has the answer is held by until-taken. */
export type Answer = Effect.Effect<HttpServerResponse.HttpServerResponse, Failure, Scope.Scope>
export type Params = Readonly<Record<string, string>>

export const refusedOf = (failure: Failure): Refused => {
  switch (failure._tag) {
    case "Refused":
      return failure
    case "SqlError":
      return new Refused({
        status: 503,
        error: "storage",
        message: "The server cannot use its database now, so nothing was stored; check its log and its disk, and repeat.",
        beneath: { cause: failure }
      })
    case "HttpServerError":
      return new Refused({ status: 400, error: "bad-request", message: "The request broke off or is malformed; send it again." })
  }
}

/** Logs what failed beneath a refusal of something, such as a request; what was only refused is not logged. */
export const logBeneath = ({ beneath }: Refused, of: Readonly<Record<string, string>>): Effect.Effect<void> => {
  if (beneath === undefined) return Effect.void
  const { cause, ...known } = beneath
  return Effect.logError("what is stored cannot be used", { ...of, ...known }, cause)
}

/** Stock clients wait by `x-ratelimit-reset` alone, and without it give up a 429 after 30 quick tries. */
const headersOf = ({ retryAfterSeconds, status }: Refused): Readonly<Record<string, string>> => ({
  ...(status === 401 && { "www-authenticate": "Bearer, Basic realm=\"agent-job\"" }),
  ...(retryAfterSeconds !== undefined && {
    "retry-after": String(retryAfterSeconds),
    "x-ratelimit-reset": String(retryAfterSeconds)
  })
})

/** Returns a refusal in the form of our own APIs (schema/api/problem). */
export const problem = (refused: Refused) =>
  HttpServerResponse.jsonUnsafe({ ...refused.details, error: refused.error, message: refused.message }, {
    status: refused.status,
    headers: headersOf(refused)
  })

/** Returns a refusal in the form of the TFE API, whose clients show the title and then the detail. */
export const jsonApiErrors = (refused: Refused) =>
  HttpServerResponse.jsonUnsafe(
    { errors: [{ status: String(refused.status), title: refused.error.replaceAll("-", " "), detail: refused.message }] },
    { status: refused.status, headers: headersOf(refused), contentType: "application/vnd.api+json" }
  )

type Method = Parameters<typeof HttpRouter.route>[0]

export type Handler = (request: HttpServerRequest.HttpServerRequest, params: Params, requestId: string) => Answer

/**
 * Logs a mistake of this program and returns a 500. A decoder's message may hold values of a stored row, so only its stack trace is logged.
 */
const mistake = (cause: Cause.Cause<unknown>, requestId: string): Effect.Effect<Refused> => {
  const error = Cause.squash(cause)
  const said = Schema.isSchemaError(error)
    ? new Error("a stored row does not decode", { cause: error.stack?.replace(error.message, "") })
    : cause
  return Effect.as(
    Effect.logError("a request ended in a mistake of this program", { requestId }, said),
    new Refused({
      status: 500,
      error: "internal",
      message: `The server made a mistake; look for the request ${requestId} in its log, and report it.`
    })
  )
}

/**
 * Returns the function that makes the routes of one API. A handler gets the request, the path's parameters and the request's id; its
 * failures get the API's form.
 */
export const routesWith = (form: typeof problem) => (method: Method, path: HttpRouter.PathInput, handler: Handler) =>
  HttpRouter.route(method, path, (request) =>
    Effect.gen(function*() {
      const requestId = yield* newId("req")
      const params: Record<string, string> = {}
      for (const [name, value] of Object.entries(yield* HttpRouter.params)) if (value !== undefined) params[name] = value
      const refuse = (refused: Refused) => Effect.as(logBeneath(refused, { requestId }), form(refused))
      const answer = yield* handler(request, params, requestId).pipe(
        Effect.catch((failure) => refuse(refusedOf(failure))),
        Effect.catchCause((cause) =>
          Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : Effect.map(mistake(cause, requestId), form)
        ),
        logged("a request was answered", () => ({ method: request.method, route: path, requestId })) // not its address, which may have a secret
      )
      return HttpServerResponse.setHeader(answer, "x-request-id", requestId)
    }))

/**
 * Answers with a blob as the body, with its length and digest, unless it is seen to be damaged. To read an archive or a plan for its digest
 * would cost as much as the answer does, so of these the size is compared; the worker, which takes the digest, finds the rest.
 */
export const blobAnswer = (blobs: Blobs["Service"], stored: Stored, contentType = "application/octet-stream"): Answer =>
  Effect.map(
    blobs.sizeOfWhole(stored),
    (contentLength) => {
      const { sha256 } = stored
      const bytes = Stream.tapError(blobs.stream(sha256), (refused) => logBeneath(refused, { sha256 })) // its answer has begun
      return HttpServerResponse.stream(bytes, { contentType, contentLength, headers: { [taskHeader.digest]: sha256 } })
    }
  )

/**
 * Answers with a state, which is given whole or not at all: its digest is checked first, and then it is streamed from the disk, as fast as
 * its client takes it.
 */
export const stateAnswer = (blobs: Blobs["Service"], { sha256 }: { readonly sha256: string }): Answer =>
  blobAnswer(blobs, { sha256, sizeBytes: null }, "application/json")

/** Success without a body. */
export const noContent = HttpServerResponse.empty({ status: 204 })

/** Success of an unlock: the engines' http backend takes exactly 200 there (tofu 1.12.6: "Unexpected HTTP response code 204"). */
export const unlocked = HttpServerResponse.empty({ status: 200 })
