// The border of HTTP: bodies in with a limit and a schema, failures out as one sentence in the form of the API that was asked.
// Invariant: no failure leaves without a form, and none says what a request held or what the server is made of.
// Used by all routes.
import { Effect, Schema, SchemaIssue, Stream } from "effect"
import { HttpRouter, HttpServerResponse, type HttpServerError, type HttpServerRequest } from "effect/http"
import type { SqlError } from "effect/sql"
import { taskHeader } from "../schema/task-api.ts"
import type { Blobs } from "./blobs.ts"
import { invalid, Refused } from "./refused.ts"

export type Failure = Refused | SqlError.SqlError | HttpServerError.HttpServerError
export type Answer = Effect.Effect<HttpServerResponse.HttpServerResponse, Failure>
export type Params = Readonly<Record<string, string>>

const toRefused = (failure: Failure): Effect.Effect<Refused> => {
  switch (failure._tag) {
    case "Refused":
      return Effect.succeed(failure)
    case "SqlError":
      return Effect.as(
        Effect.logError("the database failed", failure),
        new Refused({ status: 503, error: "storage", message: "The server cannot use its database now, so nothing was stored; check its log and its disk, and repeat." })
      )
    case "HttpServerError":
      return Effect.succeed(new Refused({ status: 400, error: "bad-request", message: "The request broke off or is malformed; send it again." }))
  }
}

const headersOf = ({ status }: Refused) => status === 401 ? { "www-authenticate": "Bearer, Basic realm=\"agent-job\"" } : {}

/** The form of our own APIs (schema/problem). */
export const problem = (refused: Refused) =>
  HttpServerResponse.jsonUnsafe({ ...refused.details, error: refused.error, message: refused.message }, { status: refused.status, headers: headersOf(refused) })

/** The form of the TFE API; clients show the title, then the detail. */
export const jsonApiErrors = (refused: Refused) =>
  HttpServerResponse.jsonUnsafe(
    { errors: [{ status: String(refused.status), title: refused.error.replaceAll("-", " "), detail: refused.message }] },
    { status: refused.status, headers: headersOf(refused), contentType: "application/vnd.api+json" }
  )

type Method = Parameters<typeof HttpRouter.route>[0]

/** Makes the routes of one API: the handler gets the request and the path's parameters, its failures get the API's form. */
export const routesWith = (form: typeof problem) => (method: Method, path: HttpRouter.PathInput, handler: (request: HttpServerRequest.HttpServerRequest, params: Params) => Answer) =>
  HttpRouter.route(method, path, (request) =>
    Effect.gen(function*() {
      const params: Record<string, string> = {}
      for (const [name, value] of Object.entries(yield* HttpRouter.params)) if (value !== undefined) params[name] = value
      return yield* handler(request, params)
    }).pipe(Effect.catch((failure) => Effect.map(toRefused(failure), form))))

/** The whole body; 413 past the limit. */
export const bytesOf = (request: HttpServerRequest.HttpServerRequest, limitBytes: number): Effect.Effect<Uint8Array, Failure> =>
  Effect.gen(function*() {
    const chunks: Array<Uint8Array> = []
    let sizeBytes = 0
    yield* Stream.runForEach(request.stream, (chunk) => {
      sizeBytes += chunk.byteLength
      chunks.push(chunk)
      return sizeBytes > limitBytes
        ? Effect.fail(new Refused({ status: 413, error: "too-large", message: `The body has more than ${limitBytes} bytes; make it smaller.` }))
        : Effect.void
    })
    return Buffer.concat(chunks)
  })

const explain = SchemaIssue.makeFormatterStandardSchemaV1()

/** The body as JSON, decoded; 422 names the first field that is wrong, without its value. */
export const jsonOf = <S extends Schema.ConstraintDecoder<unknown>>(schema: S, limitBytes = 1024 * 1024) => {
  const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(schema))
  return (request: HttpServerRequest.HttpServerRequest): Effect.Effect<S["Type"], Failure> =>
    Effect.flatMap(bytesOf(request, limitBytes), (bytes) =>
      Effect.mapError(decode(new TextDecoder().decode(bytes)), ({ issue }) => {
        const [first] = explain(issue).issues
        const where = (first?.path ?? []).map(String).join(".")
        return invalid(`The request is not as expected${where === "" ? "" : ` at ${where}`}: ${first?.message ?? "it cannot be read"}.`)
      }))
}

/** One parameter of the query. */
export const queryOf = (request: HttpServerRequest.HttpServerRequest, name: string): string | undefined =>
  new URL(request.url, "http://localhost").searchParams.get(name) ?? undefined

/** A count in the query, such as an offset. */
export const countOf = (request: HttpServerRequest.HttpServerRequest, name: string, otherwise: number): Effect.Effect<number, Refused> => {
  const text = queryOf(request, name)
  if (text === undefined) return Effect.succeed(otherwise)
  return /^\d{1,15}$/u.test(text) ? Effect.succeed(Number(text)) : Effect.fail(invalid(`The parameter ${name} must be a whole number.`))
}

/** A blob as the body, with its length and digest. */
export const blobAnswer = (blobs: Blobs["Service"], sha256: string, contentType = "application/octet-stream"): Answer =>
  Effect.map(blobs.sizeBytes(sha256), (contentLength) =>
    HttpServerResponse.stream(blobs.stream(sha256), { contentType, contentLength, headers: { [taskHeader.digest]: sha256 } }))

/** Yes, and nothing more to say. */
export const noContent = HttpServerResponse.empty({ status: 204 })

/** The same to an unlock: the engines' http backend takes exactly 200 there (tofu 1.12.6: "Unexpected HTTP response code 204"). */
export const unlocked = HttpServerResponse.empty({ status: 200 })
