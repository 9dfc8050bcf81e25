// The Kubernetes API as this program uses it: get, list, watch, create, apply, update, delete, logs.
// Every unary call ends within its time limit, reads its whole answer, and fails only with a KubernetesError.
// Built from credentials.ts and connections.ts, once by each program; used by informers, the controller, the worker and the command line.
import { Clock, Context, Duration, Effect, Layer, Option, Random, Schedule, Stream } from "effect"
import { Headers, HttpClient, HttpClientRequest as Request, type HttpClientResponse } from "effect/http"
import { refusalText, wholeUpTo } from "../http/body.ts"
import { certificateRemedy, failureInWords } from "../http/failure-words.ts"
import { logged } from "../http/request-log.ts"
import { findSlow, objectOf, pageOf, refusal, warningsOf, watchEventOf } from "./answer.ts"
import { monotonicMillis } from "./clock.ts"
import { connections } from "./connections.ts"
import type { Credentials } from "./credentials.ts"
import { type Call, type KubernetesError, Malformed, Unauthorized, Unreachable, type Verb } from "./errors.ts"
import { type Kind, pods } from "./kinds.ts"
import type { KubernetesObject, NamespacedName, Page, WatchEvent, Writable } from "./object.ts"
import { acceptFor, watchEvents } from "./watch-stream.ts"

/**
 * A collection of objects; without a namespace, those of all namespaces. Selectors are as in kubectl: "app=x,tier!=y",
 * "status.phase!=Failed".
 */
export interface Selection {
  readonly namespace?: string | undefined
  readonly labelSelector?: string | undefined
  readonly fieldSelector?: string | undefined
}

/** A precondition: the API server refuses the write when the object is another one (UID) or a newer one (resource version). */
export interface Guard {
  readonly uid?: string | undefined
  readonly resourceVersion?: string | undefined
}

export interface PatchStep {
  readonly op: "test" | "add"
  readonly path: string
  readonly value: unknown
}

/** For a caller who waits for a shorter time than this client does. */
export interface Limit {
  /** How long the API server may take for the write: less than the caller waits, so that its own words on the delay are heard. */
  readonly within: Duration.Input
}

export interface LogOptions {
  readonly container?: string | undefined
  /** Whether the stream goes on until the container ends. */
  readonly follow?: boolean | undefined
  /** Whether the log is that of the container before it was started again. */
  readonly previous?: boolean | undefined
}

/**
 * The errors of all methods are in errors.ts. A call is tried up to three times: after `Unreachable` if it may be repeated (`get`, `list`,
 * `review`, `apply` with a UID, `delete` with a guard), and after `TooManyRequests` if its delay is at most five seconds; the caller has to
 * wait for a longer delay. After a 401 a call is tried once more with credentials read anew. Any other write that fails with `Unreachable`
 * may have happened: read before writing again. A try ends after 30 s, and a write after 25 s by the API server's clock, or as its `Limit`
 * says. Streams (`watch`, `logs`) have no time limit of their own, and only a 401 makes them try again.
 */
export class Kubernetes extends Context.Service<Kubernetes, {
  /** The namespace of the credentials: the Pod's own, or the kubeconfig context's. */
  readonly namespace: string
  readonly get: <A>(kind: Kind<A>, name: NamespacedName) => Effect.Effect<A, KubernetesError>
  /**
   * Returns one page, of at most 500 objects unless `limit` says otherwise. Fails with `Gone` when `continue` is too old: start anew. Fails
   * with `Malformed` when the page has more than `mostBytes`, beyond which nothing is read.
   */
  readonly list: (
    kind: Kind<unknown>,
    selection?: Selection & { readonly limit?: number; readonly continue?: string | undefined; readonly mostBytes?: number | undefined }
  ) => Effect.Effect<Page, KubernetesError>
  /** Streams all objects, with never more than one page in memory. */
  readonly listAll: (
    kind: Kind<unknown>,
    selection?: Selection & { readonly limit?: number }
  ) => Stream.Stream<KubernetesObject, KubernetesError>
  /**
   * Watches over one connection, with bookmarks. Without a version it begins with all objects, as ADDED, and a bookmark that is `whole`;
   * servers that cannot do so (before 1.32, or without their feature WatchList) answer `Invalid`. The stream ends when the server closes
   * it, and fails on an ERROR event, with `Gone` when the version is too old.
   */
  readonly watch: (
    kind: Kind<unknown>,
    options: Selection & { readonly resourceVersion: string | undefined; readonly timeoutSeconds?: number }
  ) => Stream.Stream<WatchEvent, KubernetesError>
  /** Fails with `AlreadyExists` when the name is taken, perhaps by an earlier try whose answer was lost: compare the owner. */
  readonly create: <A, O extends Writable>(kind: Kind<A>, object: O, limit?: Limit) => Effect.Effect<A, KubernetesError>
  /**
   * Applies on the server side as field manager `agent-job`, and takes over fields that other managers own; if `force` is false it fails
   * with `Conflict` instead, where they have another value. It creates an object that does not exist; with `metadata.uid` in the object it never does, and fails with `NotFound` when the object of that UID is gone. With a
   * resource version it fails with `Conflict` when the object is newer, but still creates one that is gone.
   */
  readonly apply: <A, O extends Writable>(
    kind: Kind<A>,
    object: O,
    options?: { readonly force?: boolean }
  ) => Effect.Effect<A, KubernetesError>
  /** Replaces the whole object (PUT). Fails with `Conflict` unless `metadata.resourceVersion` is the newest. */
  readonly update: <A, O extends Writable & Versioned>(kind: Kind<A>, object: O, limit?: Limit) => Effect.Effect<A, KubernetesError>
  /**
   * Replaces the status (PUT) and ignores the rest of the object. Fails with `Conflict` unless `metadata.resourceVersion` is the newest. A
   * field that an older CRD does not know is refused (`Rejected`), or with `Warn` not stored, which is logged.
   */
  readonly updateStatus: <A, O extends Writable & Versioned>(
    kind: Kind<A>,
    object: O,
    fieldValidation?: "Strict" | "Warn"
  ) => Effect.Effect<A, KubernetesError>
  /**
   * Applies a JSON patch. If a `test` does not hold, it changes nothing and fails with `Invalid`; this guards a write to an object that the
   * program may not read.
   */
  readonly patch: <A>(kind: Kind<A>, name: NamespacedName, steps: ReadonlyArray<PatchStep>) => Effect.Effect<A, KubernetesError>
  /** Asks a question in the form of an object that is never stored, such as a SubjectAccessReview. Returns the answer undecoded. */
  readonly review: (
    kind: Kind<unknown>,
    question: { readonly metadata?: { readonly namespace?: string }; readonly spec: object }
  ) => Effect.Effect<unknown, KubernetesError>
  /**
   * Succeeds when the deletion was accepted; finalizers may keep the object for a while, and the objects that it owns are deleted after it.
   * Fails with `NotFound` when the object, or the one of that UID, is gone.
   */
  readonly delete: (
    kind: Kind<unknown>,
    name: NamespacedName,
    options?: Guard & { readonly gracePeriodSeconds?: number }
  ) => Effect.Effect<void, KubernetesError>
  /**
   * Streams the log of a Pod's container, as bytes. It is empty while the Pod has no node, and fails with `Rejected` (400) while the
   * container waits to start.
   */
  readonly logs: (pod: NamespacedName, options?: LogOptions) => Stream.Stream<Uint8Array, KubernetesError>
}>()("agent-job/kubernetes/Kubernetes") {
  /** `through`: what each request passes through, such as a program's own words about a slow one. */
  static readonly layer = <E, R>(
    credentials: Effect.Effect<Credentials, E, R>,
    through = (http: HttpClient.HttpClient, _to: Credentials): HttpClient.HttpClient => http
  ): Layer.Layer<Kubernetes, E, R> =>
    Layer.effect(
      Kubernetes,
      Effect.gen(function*() {
        const found = yield* credentials
        const http = yield* HttpClient.HttpClient.pipe(Effect.provide(yield* Layer.build(connections(found))))
        return make(found, through(http, found))
      })
    )
}

interface Target {
  readonly namespace?: string | undefined
  readonly name?: string | undefined
}
interface Versioned {
  readonly metadata: { readonly resourceVersion: string }
}

/**
 * How long the API server may take for a write. Webhooks that do not answer can use that up, and it is less than `callTimeout`, so that it
 * says so: no answer at all tells nothing. It mostly does; some requests end with their connection at that time.
 */
const inTime = { timeout: "25s" }
const asManager = { fieldManager: "agent-job", ...inTime }
/** Strict: the API server refuses a field that it does not know, as it does for `apply`. By default it would drop the field. */
const strictly = { ...asManager, fieldValidation: "Strict" }
const strictlyBy = (limit: Limit | undefined) =>
  limit === undefined ? strictly : { ...strictly, timeout: `${Duration.toSeconds(limit.within)}s` }
/** Says what to look for also where the API server, at the limit, ended the connection and said nothing, as it does about every second time. */
const toldAt = (limit: Limit | undefined) => <A>(write: Effect.Effect<A, KubernetesError>): Effect.Effect<A, KubernetesError> =>
  limit === undefined
    ? write
    : Effect.flatMap(monotonicMillis, (begun) =>
      Effect.catchTag(write, "Unreachable", (error) =>
        Effect.flatMap(monotonicMillis, (now) => {
          const isCutOff = error.answered !== true && now - begun >= Duration.toMillis(limit.within)
          return Effect.fail(isCutOff ? new Unreachable({ ...error, remedy: findSlow }) : error)
        })))
const pageLimit = 500
/** How many warnings are remembered, so that each is logged once. Later ones are not logged. */
const mostWarnings = 100
/** How long a try of a unary call waits for its whole answer. */
export const callTimeout = Duration.seconds(30)
const longestWait = Duration.seconds(5)

/**
 * Encodes a name for a path. A name that would change the meaning of the path gets a colon: no object here has such a name, so the answer
 * is `NotFound`.
 */
const segment = (name: string): string => encodeURIComponent(["", ".", ".."].includes(name) ? `:${name}` : name)

const pathOf = ({ apiVersion, plural }: Kind<unknown>, { name, namespace }: Target, subresource?: "status" | "log"): string =>
  [
    apiVersion.includes("/") ? `apis/${apiVersion}` : `api/${apiVersion}`,
    ...(namespace === undefined ? [] : ["namespaces", segment(namespace)]),
    plural,
    ...(name === undefined ? [] : [segment(name)]),
    ...(subresource === undefined ? [] : [subresource])
  ].join("/")

const one = (verb: Verb, { kind }: Kind<unknown>, { name, namespace }: Target): Call => ({
  verb,
  object: [kind, [namespace, name].filter((part) => part !== undefined).join("/")].join(" ")
})
const many = (verb: Verb, { kind }: Kind<unknown>, { namespace }: Selection): Call => ({
  verb,
  object: `${kind} objects in ${namespace ?? "all namespaces"}`
})

const ofKind = ({ apiVersion, kind }: Kind<unknown>, object: object) => ({ ...object, apiVersion, kind })
const json = (request: Request.HttpClientRequest, body: object, type = "application/json") =>
  Request.bodyText(request, JSON.stringify(body), type)

const trust = "name that authority as certificate-authority of the cluster in the kubeconfig"

interface Sending {
  /** Whether it may be sent again though it may have been carried out. */
  readonly idempotent?: boolean
  /** What to do with a response that is no refusal, before its body is read. */
  readonly heard?: (response: HttpClientResponse.HttpClientResponse) => Effect.Effect<void>
  readonly mostBytes?: number | undefined
}

/** Reports whether to try again. The caller has to wait for a longer `Retry-After` itself. */
const mayRepeat = (idempotent: boolean) => (error: KubernetesError): boolean =>
  error._tag === "TooManyRequests"
    ? Duration.isLessThanOrEqualTo(error.retryAfter, longestWait)
    : error._tag === "Unreachable" && idempotent

/** The pauses between tries: none ends before `Retry-After`, and the jitter keeps clients from trying again all at once. */
const pauses = Schedule.exponential("100 millis", 4).pipe(
  Schedule.setInputType<KubernetesError>(),
  Schedule.modifyDelay(({ duration, input }) =>
    Effect.map(
      Random.nextBetween(1, 1.5),
      (jitter) => Duration.times(input._tag === "TooManyRequests" ? Duration.max(input.retryAfter, duration) : duration, jitter)
    )
  )
)

const make = (credentials: Credentials, http: HttpClient.HttpClient) => {
  const unreachable = (call: Call) => (error: unknown) => {
    const reason = failureInWords(error)
    return new Unreachable({ ...call, detail: `${credentials.server}: ${reason}`, remedy: certificateRemedy(reason, trust) })
  }

  /** Sends one request. It reads the body of a refusal too, because an unread body keeps the connection from being used again. */
  const once = (request: Request.HttpClientRequest, call: Call): Effect.Effect<HttpClientResponse.HttpClientResponse, KubernetesError> =>
    credentials.headers.pipe(
      Effect.mapError(({ message }) => new Unauthorized({ ...call, code: 401, reason: "Unauthorized", detail: message })),
      Effect.flatMap((headers) =>
        http.execute(request.pipe(Request.prependUrl(`${credentials.server}/`), Request.setHeaders(headers))).pipe(
          logged("the API server was asked", () => ({ verb: call.verb, path: `/${request.url}` })),
          Effect.mapError(unreachable(call))
        )
      ),
      Effect.flatMap((response) =>
        response.status < 300 ? Effect.succeed(response) : refusalText(response).pipe(
          Effect.zip(Clock.currentTimeMillis),
          Effect.flatMap(([text, now]) =>
            Effect.fail(refusal(call, response.status, text, Headers.get(response.headers, "retry-after"), now))
          )
        )
      )
    )

  /**
   * Sends a request, and once more with new credentials after a 401. That is safe for every verb, because a 401 means that nothing was
   * done.
   */
  const send = (request: Request.HttpClientRequest, call: Call) =>
    Effect.catchTag(once(request, call), "Unauthorized", () => Effect.andThen(credentials.refresh, once(request, call)))

  /** Reads an answer. One that has a limit is read as a stream, after which Node may not use its connection again. */
  const bodyOf = (call: Call, mostBytes: number | undefined) => (response: HttpClientResponse.HttpClientResponse) => {
    if (mostBytes === undefined) return Effect.mapError(response.json, unreachable(call))
    const read = wholeUpTo(mostBytes, (said) => new Malformed({ ...call, detail: said }))
    return Effect.flatMap(
      read(Stream.mapError(response.stream, unreachable(call))),
      (bytes) => Effect.try({ try: (): unknown => JSON.parse(bytes.toString()), catch: unreachable(call) })
    )
  }

  const unary = (
    request: Request.HttpClientRequest,
    call: Call,
    { heard = () => Effect.void, idempotent = false, mostBytes }: Sending
  ): Effect.Effect<unknown, KubernetesError> =>
    send(request, call).pipe(
      Effect.tap(heard),
      Effect.flatMap(bodyOf(call, mostBytes)),
      Effect.timeoutOrElse({
        duration: callTimeout,
        orElse: () => Effect.fail(unreachable(call)(`no answer in ${Duration.format(callTimeout)}`))
      }),
      Effect.retry({ while: mayRepeat(idempotent), times: 2, schedule: pauses })
    )

  const single = <A>(
    kind: Kind<A>,
    request: Request.HttpClientRequest,
    call: Call,
    options: Sending = {}
  ): Effect.Effect<A, KubernetesError> =>
    Effect.flatMap(unary(request, call, options), (answer) => Effect.fromResult(objectOf(kind, call, answer)))

  const warned = new Set<string>()
  const logUnknown = ({ object }: Call) => ({ headers }: HttpClientResponse.HttpClientResponse) =>
    Effect.forEach(warningsOf(Headers.get(headers, "warning")), (text) => {
      if (!text.startsWith("unknown field ") || warned.has(text) || warned.size >= mostWarnings) return Effect.void
      warned.add(text)
      return Effect.logWarning(
        `The API server warns about the status of ${object}: ${text}; it does not store what the CRD does not know, so apply the CRD of the newest version that runs here.`
      )
    }, { discard: true })

  const list: Kubernetes["Service"]["list"] = (kind, { namespace, limit = pageLimit, mostBytes, ...query } = {}) => {
    const call = many("list", kind, { namespace })
    return unary(Request.get(pathOf(kind, { namespace }), { urlParams: { ...query, limit } }), call, { idempotent: true, mostBytes }).pipe(
      Effect.flatMap((answer) => Effect.fromResult(pageOf(call, answer)))
    )
  }

  return Kubernetes.of({
    namespace: credentials.namespace,
    get: (kind, name) => single(kind, Request.get(pathOf(kind, name)), one("get", kind, name), { idempotent: true }),
    list,
    listAll: (kind, selection = {}) =>
      Stream.paginate<string | undefined, KubernetesObject, KubernetesError>(
        undefined,
        (page) =>
          Effect.map(
            list(kind, { ...selection, continue: page }),
            (found) => [found.items, Option.fromNullishOr(found.continue)]
          )
      ),
    watch: (kind, { namespace, ...query }) => {
      const call = many("watch", kind, { namespace })
      const initial = query.resourceVersion === undefined ? { sendInitialEvents: true, resourceVersionMatch: "NotOlderThan" } : {}
      const request = Request.get(pathOf(kind, { namespace }), {
        urlParams: { ...query, ...initial, watch: true, allowWatchBookmarks: true }
      })
      return Stream.unwrap(
        Effect.map(
          send(Request.accept(request, acceptFor(kind.watched)), call),
          ({ headers, stream }) =>
            watchEvents(stream, Option.getOrUndefined(Headers.get(headers, "content-type")), kind.watched).pipe(
              Stream.mapError(unreachable(call)), // the connection broke
              Stream.mapArrayEffect((events) => Effect.forEach(events, (event) => Effect.fromResult(watchEventOf(call, event)))) // a wrong event ends the watch, and the events beside it come again in the next watch
            )
        )
      )
    },
    create: (kind, object, limit) =>
      single(
        kind,
        json(Request.post(pathOf(kind, { namespace: object.metadata.namespace }), { urlParams: strictlyBy(limit) }), ofKind(kind, object)),
        one("create", kind, object.metadata)
      ).pipe(toldAt(limit)),
    apply: (kind, object, { force = true } = {}) => {
      const request = Request.patch(pathOf(kind, object.metadata), { urlParams: { ...asManager, force } })
      return single(kind, json(request, ofKind(kind, object), "application/apply-patch+yaml"), one("apply", kind, object.metadata), {
        idempotent: object.metadata.uid !== undefined
      })
    },
    update: (kind, object, limit) =>
      single(
        kind,
        json(Request.put(pathOf(kind, object.metadata), { urlParams: strictlyBy(limit) }), ofKind(kind, object)),
        one("update", kind, object.metadata)
      ).pipe(toldAt(limit)),
    updateStatus: (kind, object, fieldValidation = "Strict") => {
      const call = one("update the status of", kind, object.metadata)
      return single(
        kind,
        json(Request.put(pathOf(kind, object.metadata, "status"), { urlParams: { ...strictly, fieldValidation } }), ofKind(kind, object)),
        call,
        { heard: logUnknown(call) }
      )
    },
    patch: (kind, name, steps) =>
      single(
        kind,
        json(Request.patch(pathOf(kind, name), { urlParams: strictly }), steps, "application/json-patch+json"),
        one("patch", kind, name)
      ),
    review: (kind, question) => {
      const request = Request.post(pathOf(kind, { namespace: question.metadata?.namespace }))
      return unary(json(request, ofKind(kind, question)), { verb: "create", object: kind.kind }, { idempotent: true })
    },
    delete: (kind, name, { gracePeriodSeconds, ...guard } = {}) => {
      const preconditions = guard.uid === undefined && guard.resourceVersion === undefined ? undefined : guard
      const body = { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy: "Background", gracePeriodSeconds, preconditions }
      return Effect.asVoid(
        unary(json(Request.delete(pathOf(kind, name), { urlParams: inTime }), body), one("delete", kind, name), {
          idempotent: preconditions !== undefined
        })
      )
    },
    logs: (pod, options = {}) => {
      const call = one("read the logs of", pods, pod)
      const answer = send(Request.get(pathOf(pods, pod, "log"), { urlParams: { ...options } }), call)
      return Stream.unwrap(Effect.map(answer, ({ stream }) => Stream.mapError(stream, unreachable(call))))
    }
  })
}
