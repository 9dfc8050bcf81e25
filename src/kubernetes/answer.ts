// What an API server's answer means: a refusal as a typed error, a page of a list, one line of a watch.
// Pure; nothing here trusts the shape of what came over the wire.
// Used by client.ts.
import { Duration, Effect, Option, Result, Schema, SchemaIssue } from "effect"
import { Headers } from "effect/http"
import {
  AlreadyExists,
  type Call,
  type Cause,
  Conflict,
  Forbidden,
  Gone,
  Invalid,
  type KubernetesError,
  Malformed,
  NotFound,
  Rejected,
  TooManyRequests,
  Unauthorized,
  Unreachable
} from "./errors.ts"
import type { Kind } from "./kinds.ts"
import { isStoredObject, type KubernetesObject, type Page, type WatchEvent } from "./object.ts"

const text = Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed("")))
const causes = Schema.Array(Schema.Struct({ field: text, reason: text, message: text }))
const Status = Schema.Struct({
  code: Schema.Int.pipe(Schema.withDecodingDefaultKey(Effect.succeed(500))),
  message: text,
  reason: text,
  details: Schema.optionalKey(Schema.Struct({ causes: Schema.optionalKey(Schema.NullOr(causes)) }))
})
const decodeStatus = Schema.decodeUnknownOption(Schema.fromJsonString(Status))

/**
 * Reports whether the object with the UID of the request is gone, or its name belongs to another one. The API server has three answers that
 * mean this, and the code of none is enough to tell.
 */
const otherUid = (code: number, message: string, causes: ReadonlyArray<Cause>): boolean =>
  code === 409
    ? /uid mismatch|UID in (?:the )?precondition/u.test(message)
    : code === 422 && causes.some(({ field, message }) => field === "metadata.uid" && message.includes("immutable"))

/**
 * Reports whether a 422 is a denial by a policy or a webhook and not an invalid field: its message then begins like that of a 403. A
 * ValidatingAdmissionPolicy denies with 422 unless it names another reason.
 */
const isDenial = (message: string): boolean =>
  /^\S+(?: "[^"]*")? is forbidden: |^admission webhook "[^"]*" denied the request/u.test(message)

/** What to do where the API server's own time was over: it does not say what it waited for. */
export const findSlow =
  "see which webhook hangs or is slow (kubectl get mutatingwebhookconfigurations,validatingwebhookconfigurations), or whether etcd is, and try again"

const errorOf = (call: Call, code: number, status: typeof Status.Type, retryAfter: Option.Option<Duration.Duration>): KubernetesError => {
  const causes = (status.details?.causes ?? []).filter(({ field }) => field !== "<nil>") // "<nil>" stands for "rules were not checked" and names no field
  const refusal = { ...call, code, reason: status.reason || "Unknown", detail: status.message || `HTTP ${code}` }
  const notFound = new NotFound({ ...refusal, isKindServed: status.reason !== "" })
  if (otherUid(code, status.message, causes)) return notFound
  switch (code) {
    case 401:
      return new Unauthorized(refusal)
    case 403:
      return new Forbidden(refusal)
    case 404:
      return notFound
    case 409:
      return status.reason === "AlreadyExists" ? new AlreadyExists(refusal) : new Conflict(refusal)
    case 410:
      return new Gone(refusal)
    case 422:
      return isDenial(status.message) ? new Forbidden(refusal) : new Invalid({ ...refusal, causes })
    case 429:
      return new TooManyRequests({ ...refusal, retryAfter: Option.getOrElse(retryAfter, () => Duration.seconds(1)) })
  }
  if (code === 503 && Option.isSome(retryAfter)) return new TooManyRequests({ ...refusal, retryAfter: retryAfter.value })
  return code >= 400 && code < 500 // a redirect is of something before the API server
    ? new Rejected(refusal)
    : new Unreachable({
      ...call,
      detail: `HTTP ${code} ${refusal.reason}: ${refusal.detail}`,
      answered: status.reason !== "",
      remedy: status.reason === "Timeout" ? findSlow : undefined
    })
}

/** The longest delay that is believed: one answer, which may be a proxy's, would otherwise keep a watch or a task waiting for a day. */
const longestDelay = Duration.minutes(1)

/** Returns the error of a response with status 300 or above; `now` (Unix milliseconds) is for a Retry-After that is a date. */
export const refusal = (call: Call, code: number, body: string, retryAfter: Option.Option<string>, now: number): KubernetesError => {
  const delay = retryAfter.pipe(
    Option.flatMap((value) => Result.getSuccess(Headers.parseRetryAfter(value))),
    Option.map((parsed) => Duration.min(Headers.retryAfterDelay(parsed, now), longestDelay))
  )
  return errorOf(call, code, Option.getOrElse(decodeStatus(body), () => ({ code, message: body, reason: "" })), delay)
}

/** Returns the texts of a Warning header, which has each as `299 - "text"`. */
export const warningsOf = (header: Option.Option<string>): ReadonlyArray<string> =>
  [...Option.getOrElse(header, () => "").matchAll(/"(?<text>(?:[^"\\]|\\.)*)"/gu)].map(({ groups }) =>
    (groups?.["text"] ?? "").replace(/\\(?<sign>.)/gu, "$<sign>")
  )

const malformed = (call: Call, detail: string) => new Malformed({ ...call, detail })

const paths = SchemaIssue.makeFormatterStandardSchemaV1()
/** Returns only the names of the wrong fields, because their values may be secret. */
const fieldsOf = (issue: SchemaIssue.Issue): string =>
  `see ${[...new Set(paths(issue).issues.map(({ path }) => (path ?? []).map(String).join(".") || "the object itself"))].join(", ")}`

export const objectOf = <A>(kind: Kind<A>, call: Call, answer: unknown): Result.Result<A, Malformed> =>
  isStoredObject(answer)
    ? Result.mapError(kind.decode(answer), ({ issue }) => malformed(call, fieldsOf(issue)))
    : Result.fail(malformed(call, "it is not a Kubernetes object"))

const object = Schema.declare((value: unknown): value is KubernetesObject => isStoredObject(value))
const ListAnswer = Schema.Struct({
  metadata: Schema.Struct({ resourceVersion: Schema.String, continue: text }),
  items: Schema.NullOr(Schema.Array(object))
})
const decodeList = Schema.decodeUnknownResult(ListAnswer)

export const pageOf = (call: Call, answer: unknown): Result.Result<Page, Malformed> =>
  decodeList(answer).pipe(
    Result.map(({ items, metadata }) => ({
      items: items ?? [],
      resourceVersion: metadata.resourceVersion,
      continue: metadata.continue || undefined
    })),
    Result.mapError(({ issue }) => malformed(call, fieldsOf(issue)))
  )

/** The annotation of the bookmark that comes after the initial objects of a watch. */
const initialEventsEnd = "k8s.io/initial-events-end"
const bookmark = Schema.Struct({
  metadata: Schema.Struct({ resourceVersion: Schema.String, annotations: Schema.optionalKey(Schema.Struct({ [initialEventsEnd]: text })) })
})

const Line = Schema.Union([
  Schema.Struct({ type: Schema.Literals(["ADDED", "MODIFIED", "DELETED"]), object }),
  Schema.Struct({ type: Schema.Literal("BOOKMARK"), object: bookmark }),
  Schema.Struct({ type: Schema.Literal("ERROR"), object: Status })
])
const decodeLine = Schema.decodeUnknownResult(Line)

/** Decodes one line of a watch. An ERROR line, most often a 410, is a failure of the watch. */
export const watchEventOf = (call: Call, line: unknown): Result.Result<WatchEvent, KubernetesError> => {
  const decoded = decodeLine(line)
  if (Result.isFailure(decoded)) return Result.fail(malformed(call, fieldsOf(decoded.failure.issue)))
  const event = decoded.success
  switch (event.type) {
    case "ERROR":
      return Result.fail(errorOf(call, event.object.code, event.object, Option.none()))
    case "BOOKMARK": {
      const { annotations, resourceVersion } = event.object.metadata
      return Result.succeed({ type: event.type, resourceVersion, whole: annotations?.[initialEventsEnd] === "true" })
    }
    default:
      return Result.succeed(event)
  }
}
