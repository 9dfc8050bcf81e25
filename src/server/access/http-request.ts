// What a request says: its body within a limit, as bytes or as decoded JSON, and the parameters of its query.
// Invariant: a refusal names the first field or parameter that is wrong, and never its value.
// Used by the routes.
import { Context, Effect, Schema, SchemaIssue } from "effect"
import type { HttpServerRequest } from "effect/http"
import { isUtf8 } from "node:buffer"
import { jsonExcess, type JsonLimits } from "../../core/text/json-limits.ts"
import { wholeUpTo } from "../../http/body.ts"
import { WorkspaceName } from "../../schema/names.ts"
import { invalid, type Refused, tooLarge } from "../refused.ts"
import type { Failure } from "./http-answer.ts"

/** Returns the length of the body that the request states, if it does. */
export const saidBytes = ({ headers }: HttpServerRequest.HttpServerRequest): number | undefined =>
  headers["content-length"] === undefined ? undefined : Number(headers["content-length"])

/** Reads a body of at most so many bytes with room for it; fails with 503 when there is none in time, and with 408 when it is too slow. */
export type Arrive = <A, E>(sizeBytes: number, read: Effect.Effect<A, E>) => Effect.Effect<A, E | Refused>

/** How the body of the present request is read. */
export const CurrentArrival = Context.Reference<Arrive>("agent-job/server/CurrentArrival", { defaultValue: () => (_, read) => read })

/** Reads a whole body that is never large; fails with 413 past the limit, and as there is room for it. */
export const bytesOf = (request: HttpServerRequest.HttpServerRequest, limitBytes: number): Effect.Effect<Uint8Array, Failure> =>
  Effect.flatMap(CurrentArrival, (arrive) => {
    const most = Math.min(saidBytes(request) ?? limitBytes, limitBytes)
    return arrive(most, wholeUpTo(limitBytes, () => tooLarge(limitBytes))(request.stream))
  })

const explain = SchemaIssue.makeFormatterStandardSchemaV1()

const unexpected = ({ issue }: Schema.SchemaError): Refused => {
  const [first] = explain(issue).issues
  const where = (first?.path ?? []).map(String).join(".")
  return invalid(`The request is not as expected${where === "" ? "" : ` at ${where}`}: ${first?.message ?? "it cannot be read"}.`)
}

const jsonLimitBytes = 1024 * 1024
/**
 * How deeply a request's JSON is nested at most, and how many values it has, since each costs far more than its bytes. None of our requests
 * has ten levels, and the largest journal has a thousand values.
 */
const requestLimits: JsonLimits = { levels: 64, values: 10_000 }
const excesses = {
  levels: invalid(`The request is not as expected: it is nested more than ${requestLimits.levels} levels deep.`),
  values: invalid(`The request is not as expected: it has more than ${requestLimits.values} values.`)
}

/** Its values would be other ones without a word. */
const notUtf8 = invalid("The request is not as expected: it is not UTF-8, in which JSON is sent.")

/** `nothing` is the text that an empty body stands for. Keys that the schema does not have are passed over, unless they are an error. */
interface JsonBody {
  readonly nothing?: string
  readonly limitBytes?: number
  readonly onExcessProperty?: "error"
}

/** Reads the body as JSON and decodes it; fails with 422, which names the first wrong field without its value. */
export const jsonOf = <S extends Schema.ConstraintDecoder<unknown>>(
  schema: S,
  { limitBytes = jsonLimitBytes, nothing = "", ...parsing }: JsonBody = {}
) => {
  const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(schema), parsing)
  return (request: HttpServerRequest.HttpServerRequest): Effect.Effect<S["Type"], Failure> =>
    Effect.flatMap(bytesOf(request, limitBytes), (bytes) => {
      const excess = jsonExcess(requestLimits, bytes)
      if (excess !== undefined) return Effect.fail(excesses[excess])
      if (!isUtf8(bytes)) return Effect.fail(notUtf8)
      return Effect.mapError(decode(bytes.byteLength === 0 ? nothing : new TextDecoder().decode(bytes)), unexpected)
    })
}

const searchOf = ({ url }: HttpServerRequest.HttpServerRequest): URLSearchParams => new URL(url, "http://localhost").searchParams

/** Decodes the parameters of the query; fails with 422, which names the first wrong one without its value. */
export const parametersAs = <S extends Schema.ConstraintDecoder<unknown>>(schema: S) => {
  const decode = Schema.decodeUnknownEffect(schema)
  return (request: HttpServerRequest.HttpServerRequest): Effect.Effect<S["Type"], Refused> =>
    Effect.mapError(decode(Object.fromEntries(searchOf(request))), unexpected)
}

/** Returns the names of the parameters of the query. */
export const parametersOf = (request: HttpServerRequest.HttpServerRequest): Iterable<string> => searchOf(request).keys()

/** Fails with 422 if the query has a parameter that the list does not know, because the answer would not be what was to be chosen. */
export const onlyParameters = (
  request: HttpServerRequest.HttpServerRequest,
  ...known: ReadonlyArray<string>
): Effect.Effect<void, Refused> => {
  const other = [...parametersOf(request)].find((name) => !known.includes(name))
  return other === undefined
    ? Effect.void
    : Effect.fail(
      invalid(`The parameter ${other} is none of this list (${known.join(", ")}), which would have others too; leave it out.`)
    )
}

/** Returns a parameter of the query; undefined if it is absent. */
export const queryOf = (request: HttpServerRequest.HttpServerRequest, name: string): string | undefined =>
  searchOf(request).get(name) ?? undefined

/** Returns a whole number of the query, such as an offset, or `otherwise` if it is absent; fails with 422 if it is no number. */
export const countOf = (request: HttpServerRequest.HttpServerRequest, name: string, otherwise: number): Effect.Effect<number, Refused> => {
  const text = queryOf(request, name)
  if (text === undefined) return Effect.succeed(otherwise)
  return /^\d{1,15}$/u.test(text) ? Effect.succeed(Number(text)) : Effect.fail(invalid(`The parameter ${name} must be a whole number.`))
}

/** Returns how many items a page of a list has: what the query asks for, or `otherwise` if it asks for nothing; from 1 to `most`. */
export const pageSizeOf = (request: HttpServerRequest.HttpServerRequest, otherwise: number, most: number): Effect.Effect<number, Refused> =>
  Effect.map(countOf(request, "page[size]", otherwise), (size) => Math.min(most, Math.max(1, size)))

/** Returns the name of a workspace that may have to be made; fails with 422 if none can have it. */
export const workspaceName = (name: string): Effect.Effect<WorkspaceName, Refused> =>
  Effect.mapError(
    Effect.fromOption(WorkspaceName.makeOption(name)),
    () => invalid("A workspace's name has letters, digits, '-' and '_', begins with a letter or digit, and has at most 90 characters.")
  )
