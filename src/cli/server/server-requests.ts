// How the server is asked: a request, with the token where one is wanted, its answer decoded, and the failure of it in words.
// Invariant: every request ends with a value or one of five errors, and no error holds the token. It ends in time: by the response headers, then by silence.
// Used by cli/server/server-client, and by the calls beside it, which say what to ask for.
import { Duration, Effect, Option, Redacted, Schema, Stream } from "effect"
import { type HttpClient, HttpClientRequest as Request, type HttpClientResponse } from "effect/http"
import { meaningOf, notOwn, ServerRefusal } from "../../core/network/server-refusal.ts"
import { parseExactly } from "../../core/text/exact-json.ts"
import { letGo, refusalText, wholeUpTo } from "../../http/body.ts"
import type { ChosenProxy } from "../../http/chosen-proxy.ts"
import { certificateRemedy, closed, failureInWords, unconnected } from "../../http/failure-words.ts"
import { isOneOf } from "../../schema/api/problem.ts"
import { archiveLimitBytes, stateLimitBytes } from "../../schema/api/task-api.ts"
import { tfePath } from "../../schema/api/tfe-api.ts"
import {
  NotAllowed,
  NothingThere,
  NoUse,
  type ServerFailure,
  ServerRefused,
  ServerUnreachable,
  TokenRefused,
  unanswered
} from "../terminal/failure.ts"
import type { Connection } from "./connection.ts"
import { type Expected, isOwn, saidBy, strangeAnswer } from "./own-answer.ts"

/** How long the headers of a response may take, unless a request says otherwise. */
export const callTimeout = Duration.seconds(30)
/** How long the body of a response may bring nothing more. A large one may take longer in all. */
const longestSilence = callTimeout
/** The most bytes of an answer: no other is as long as a refused state. */
const largestAnswer = 2 * stateLimitBytes
/** The answer to a request that makes something. */
export const made = { status: 201 }

/** What each path with a secret in it begins with. */
const tfeApi = "/api/v2/"

/** The longest time that the client leaves a server alone, whatever it asks for. */
const longestPauseSeconds = 30

/** Returns why an answer is of no use that may be another one soon: it may say that the server has too much to do, and for how long. */
const soonAnother = ({ headers, status }: HttpClientResponse.HttpClientResponse, hadNoEffect: boolean): NoUse => {
  const seconds = Number(headers["retry-after"])
  if (seconds >= 0) return NoUse.Busy({ seconds: Math.min(seconds, longestPauseSeconds), hadNoEffect })
  return status === 429 ? NoUse.Busy({ seconds: 0, hadNoEffect }) : NoUse.Failing({ status, hadNoEffect })
}

/** The largest body that the server takes, in words. */
const largestUpload = `${archiveLimitBytes / 1024 / 1024} MiB`

const trust = "set NODE_EXTRA_CA_CERTS=ca.pem to the certificate of that authority"

/** Returns the command that lists things such as this one: a run has its log, and a workspace all else. */
const listing = (thing: string): string => `agent-job get ${/^(?:run|log)\b/u.test(thing) ? "runs" : "workspaces"}`

export const jsonApi = (request: Request.HttpClientRequest, data: object) =>
  Request.bodyText(request, JSON.stringify({ data }), "application/vnd.api+json")
export const json = (request: Request.HttpClientRequest, body: object) =>
  Request.bodyText(request, JSON.stringify(body), "application/json")

export type Requests = ReturnType<typeof makeRequests>

/** `proxy`: the one that requests go through, so that it is named where one of them fails on the way. */
export const makeRequests = ({ token, url }: Connection, http: HttpClient.HttpClient, proxy?: ChosenProxy) => {
  const unreachable = (error: unknown) => {
    const reason = failureInWords(error)
    const throughProxy = proxy !== undefined && error instanceof Error
    const mayWantTls = reason === closed && url.startsWith("http:") && !throughProxy // our own server closes what is no TLS
    return new ServerUnreachable({
      url,
      detail: throughProxy ? `asked through the proxy of ${proxy.variable}, ${proxy.address}: ${reason}` : reason,
      why: NoUse.Unanswered({ hadNoEffect: unconnected.has(reason), throughProxy }),
      remedy: mayWantTls ? "check that it runs, and whether its address begins with https://" : certificateRemedy(reason, trust)
    })
  }

  const strange = (detail: string) => new ServerUnreachable({ url, detail, why: NoUse.Strange() })

  /**
   * Returns the address below `url` of a path with a secret in it, because the server may know itself by another address, and a proxy may
   * serve it below a path. Whatever is given, it is an address of that server, below its TFE API.
   */
  const atOwnUrl = (secretUrl: string) => {
    const path = URL.canParse(secretUrl, url) ? new URL(secretUrl, url).pathname : "" // without ".."
    const at = path.lastIndexOf(tfeApi)
    return `${url}${tfeApi}${at === -1 ? "" : path.slice(at + tfeApi.length)}`
  }

  /** Returns the failure of an answer that something before the server gives, perhaps while the server is away for a moment. */
  const refusedBefore = (response: HttpClientResponse.HttpClientResponse): ServerFailure => {
    const { status } = response
    if (status === 401 || status === 403) return strange(notOwn(status))
    if (status === 404 || status === 429 || status >= 500) {
      return new ServerUnreachable({ url, detail: `it answers ${status}`, why: soonAnother(response, status === 429) })
    }
    return new ServerRefused({
      status,
      message: status === 413
        ? `Something before the server at ${url} takes no body of this size (413); raise its limit to ${largestUpload} (nginx: client_max_body_size).`
        : `The server at ${url} refused the request with ${status}; check that it has the same version as this program.`
    })
  }

  const refused = (response: HttpClientResponse.HttpClientResponse, text: string, thing: string): ServerFailure => {
    const { status } = response
    return ServerRefusal.$match(meaningOf(status, saidBy(text)), {
      NotOwn: () => refusedBefore(response),
      AskAgain: ({ message }) =>
        new ServerUnreachable({ url, detail: `it answers ${status}: ${message}`, why: soonAnother(response, status < 500) }),
      TokenRefused: () => new TokenRefused({ url, given: Option.isSome(token) }),
      Final: ({ error, message }) => {
        if (isOneOf(error, "not-allowed")) return new NotAllowed({ message })
        return status === 404
          ? new NothingThere({ message: `There is no ${thing} on ${url} for this token; \`${listing(thing)}\` lists what there is.` })
          : new ServerRefused({ status, message })
      }
    })
  }

  /** Returns the request to a path of the server, with the token. */
  const authorised = (request: Request.HttpClientRequest) => {
    const local = request.pipe(Request.prependUrl(url), Request.accept("application/vnd.api+json, application/json"))
    return Option.match(token, { onNone: () => local, onSome: (token) => Request.bearerToken(local, Redacted.value(token)) })
  }

  const { origin, pathname } = new URL(url)
  /**
   * Fails if no API answers below the path of our address. The server gives the same 404 for all that is not there, so it is asked for what
   * surely is. What answers otherwise, or not at all, leaves the question open.
   */
  const pathIsRight: Effect.Effect<void, ServerFailure> = pathname === "/"
    ? Effect.void
    : http.execute(authorised(Request.get(tfePath.ping))).pipe(
      Effect.tap(letGo),
      Effect.timeoutOption("5 seconds"),
      Effect.orElseSucceed(Option.none),
      Effect.flatMap((answer) =>
        Option.exists(answer, ({ status }) => status === 404)
          ? Effect.fail(
            new ServerUnreachable({
              url,
              detail: `no agent-job API answers below ${pathname}; without that path it is ${origin}`,
              why: NoUse.Lasting()
            })
          )
          : Effect.void
      )
    )

  /** Sends a request as it is. Any answer but the expected one is a failure. */
  const send = (
    request: Request.HttpClientRequest,
    expected: Expected
  ): Effect.Effect<HttpClientResponse.HttpClientResponse, ServerFailure> => {
    const { thing, timeout = callTimeout } = expected
    const late = expected.timeout === undefined ? unanswered : NoUse.Lasting() // its minutes are over, and it would take as many again
    const detail = `no answer in ${Duration.format(timeout)}`
    return http.execute(request).pipe(
      Effect.mapError(unreachable),
      Effect.flatMap((response) => {
        if (isOwn(response, expected)) return Effect.succeed(response)
        if (response.status < 400) return Effect.andThen(letGo(response), Effect.fail(strange(strangeAnswer(url, request, response))))
        return Effect.flatMap(refusalText(response), (text) => Effect.fail(refused(response, text, thing)))
      }),
      Effect.timeoutOrElse({ duration: timeout, orElse: () => Effect.fail(new ServerUnreachable({ url, detail, why: late })) }),
      Effect.tapErrorTag("NothingThere", () => pathIsRight)
    )
  }

  /** Reads a body to its end. */
  const bytesOf = ({ stream }: HttpClientResponse.HttpClientResponse): Effect.Effect<Uint8Array, ServerFailure> =>
    stream.pipe(
      Stream.mapError(unreachable),
      Stream.timeoutOrElse({
        duration: longestSilence,
        orElse: () => Stream.fail(unreachable(`nothing more in ${Duration.format(longestSilence)}`))
      }),
      wholeUpTo(largestAnswer, strange),
      Effect.map((bytes) => new Uint8Array(bytes))
    )

  /** Sends a request with the token, and decodes the JSON of its answer, whose status is 200 unless `expected` says otherwise. */
  const decoded = <S extends Schema.ConstraintDecoder<unknown>>(
    schema: S,
    request: Request.HttpClientRequest,
    thing: string,
    expected: Partial<Expected> = {}
  ): Effect.Effect<S["Type"], ServerFailure> =>
    send(authorised(request), { status: 200, ...expected, thing }).pipe(
      Effect.flatMap(bytesOf),
      Effect.flatMap((answer) =>
        Effect.mapError(Effect.flatMap(Effect.fromOption(parseExactly(answer)), Schema.decodeUnknownEffect(schema)), () =>
          strange("what answers there is no agent-job server of this version"))
      )
    )

  return { url, atOwnUrl, authorised, bytesOf, decoded, send }
}
