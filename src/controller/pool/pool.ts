// The controller's side of the pool API: takes assignments, acknowledges them, and reports what no worker could.
// Every call may be repeated: a call whose answer was lost changes nothing the second time.
// Used by controller/pool/pool-intake and controller/pool/pool-reports; cli/commands/worker asks it once.
import { Context, Data, Effect, Layer, Option, Redacted, Schema } from "effect"
import { HttpClient, HttpClientRequest as Request, type HttpClientResponse } from "effect/http"
import { readFile } from "node:fs/promises"
import { meaningOf, notOwn, problemIn, ServerRefusal, trustInPods } from "../../core/network/server-refusal.ts"
import { type Offer, readOffer } from "../../core/task/offer.ts"
import { jsonExcess, type JsonLimits } from "../../core/text/json-limits.ts"
import { shortened } from "../../core/text/sentence.ts"
import { firstToken } from "../../core/text/token-lines.ts"
import { bytesUpTo, refusalText } from "../../http/body.ts"
import { toServer } from "../../http/connections.ts"
import { certificateRemedy, failureInWords } from "../../http/failure-words.ts"
import { CancellationsResponse, poolPath, type Resting } from "../../schema/api/pool-api.ts"
import { isOneOf, type Problem, type ProblemCode } from "../../schema/api/problem.ts"
import { errorInWords } from "../../schema/system-error.ts"
import type { Reason } from "../../schema/task/reason.ts"
import type { StageResult } from "../../schema/task/stage-result.ts"

/** The server gave no answer, or something before it answered; asking again may help. */
export class PoolUnreachable extends Data.TaggedError("PoolUnreachable")<{ readonly url: string; readonly detail: string }> {
  override get message() {
    const next = certificateRemedy(this.detail, trustInPods) ?? "check agent.url, the server and the network between"
    return `The pool at ${this.url} gave no usable answer (${this.detail}); ${next}.`
  }
}

/** The pool was not asked, because the file of its token cannot be read; the file may come, so asking again may help. */
export class PoolTokenUnreadable
  extends Data.TaggedError("PoolTokenUnreadable")<{ readonly url: string; readonly file: string; readonly detail: string }>
{
  override get message() {
    return `The pool at ${this.url} is not asked, because its token cannot be read from ${this.file} (${this.detail}); check the Secret that agent.tokenExistingSecret names and where it is mounted.`
  }
}

/** The server itself said no; asking the same again cannot help, unless the token was refused, which may become valid. */
export class PoolRefused extends Data.TaggedError("PoolRefused")<{
  readonly url: string
  readonly status: number
  /** The server's machine-readable code. */
  readonly code: string
  readonly detail: string
}> {
  override get message() {
    return this.status === 401
      ? `The pool at ${this.url} refuses the token; put a valid pool token into the Secret that agent.tokenExistingSecret names.`
      : `The pool at ${this.url} refused a request with ${this.status}: ${this.detail}`
  }
}

/** How long the server may take for an answer. */
export const answerSeconds = 15

export type PoolError = PoolUnreachable | PoolTokenUnreadable | PoolRefused

export class Pool extends Context.Service<Pool, {
  /** Waits up to `waitSeconds` for work, and returns `max` offers at most; an empty list is a normal answer. */
  readonly acquire: (agent: string, waitSeconds: number, max: number) => Effect.Effect<ReadonlyArray<Offer>, PoolError>
  /**
   * Fails with `PoolRefused` and the code `taken` when another agent was faster, or `rescue-pending` when the state that the stage would
   * change is in doubt by now.
   */
  readonly acknowledge: (id: string, taskUid: string) => Effect.Effect<void, PoolError>
  /**
   * Waits up to `waitSeconds` for ids after the cursor. An agent that asks for no work meanwhile is `resting`, so that it is not taken for
   * gone.
   */
  readonly cancellations: (
    after: number,
    waitSeconds: number,
    resting?: { readonly agent: string; readonly because: Resting }
  ) => Effect.Effect<typeof CancellationsResponse.Type, PoolError>
  /**
   * Reports the result of a stage, from the AgentTask with this UID or from no task. The pool keeps the first result of a stage. It counts
   * as a success if the pool has a result already or gave the stage to another agent; also if it does not know the stage, provided that the
   * stage is `from` this very pool, which is the default.
   */
  readonly report: (id: string, taskUid: Option.Option<string>, result: StageResult, from?: string) => Effect.Effect<void, PoolError>
  /** Tells why a stage waits, from the AgentTask with this UID, or from no task while none could be made. */
  readonly wait: (id: string, taskUid: Option.Option<string>, reason: Reason, message: string) => Effect.Effect<void, PoolError>
}>()("agent-job/controller/Pool") {
  /** `agent` names who has a stage, says why one waits, or that there is no task of one. */
  static readonly layer = (url: string, tokenFile: string, agent?: string) =>
    Layer.effect(Pool, make(url, tokenFile, agent)).pipe(
      Layer.provide(toServer({ connections: 16 }))
    )
}

const isRefusedAs = (error: PoolError, ...codes: ReadonlyArray<ProblemCode>): boolean =>
  error._tag === "PoolRefused" && isOneOf(error.code, ...codes)

/** Reports whether the pool does not know the stage. */
export const isUnknown = (error: PoolError): boolean => isRefusedAs(error, "not-found")

/** Reports whether the same request again cannot help. A refused token does not count, because the token may become valid. */
export const isFinalRefusal = (error: PoolError): boolean => error._tag === "PoolRefused" && error.status !== 401

/** Reports whether the pool will never take a result of this task for the stage, which is `from` the pool of that URL. */
export const isSettled = (error: PoolError, from: string): boolean =>
  isUnknown(error) ? error.url === from : isRefusedAs(error, "result-exists", "taken")

/** The most bytes of an answer, and the most values: more than the longest hundred assignments have, and few enough for the controller's memory. */
const largestAnswer = 8 * 1024 * 1024
const answerLimits: JsonLimits = { levels: 64, values: 100_000 }

/** An `AcquireResponse` as it is read: of a newer server, one assignment may be understood and another not. */
const Offered = Schema.Struct({ assignments: Schema.Array(Schema.Unknown) })

const notUnderstood = "it answers what this version of agent-job does not understand; if it is the server, give both the same version"

/** Returns what an answer other than the expected success means. */
const refusalOf = (url: string, status: number, text: string): PoolUnreachable | PoolRefused => {
  const refused = ({ error: code, message }: Problem) => new PoolRefused({ url, status, code, detail: shortened(message, 600) })
  return ServerRefusal.$match(meaningOf(status, problemIn(text)), {
    NotOwn: (): PoolUnreachable | PoolRefused => {
      const page = text.trim() === "" ? "" : `: ${shortened(text.trim(), 200)}`
      return new PoolUnreachable({ url, detail: `${notOwn(status)}${page}` })
    },
    AskAgain: ({ message }) => new PoolUnreachable({ url, detail: `${status} ${shortened(message, 600).replace(/\.$/u, "")}` }),
    TokenRefused: refused,
    Final: refused
  })
}

const make = Effect.fnUntraced(function*(url: string, tokenFile: string, agent: string | undefined) {
  const http = yield* HttpClient.HttpClient
  const unusable = (detail: string) => new PoolUnreachable({ url, detail })
  const unreachable = (error: unknown) => unusable(failureInWords(error))

  const unreadable = (detail: string) => new PoolTokenUnreadable({ url, file: tokenFile, detail })

  /** Reads the token anew for each call: the kubelet replaces the file when the Secret changes. */
  const token = Effect.tryPromise({
    try: () => readFile(tokenFile, "utf8"),
    catch: (cause) => unreadable(errorInWords(cause))
  }).pipe(
    Effect.flatMap((text) => Effect.mapError(Effect.fromNullishOr(firstToken(text)), () => unreadable("it has none in clear"))),
    Effect.map(Redacted.make)
  )

  /**
   * Sends a request and reads its answer, both within one limit: `waitSeconds`, during which the server may hold the request, and `answerSeconds`.
   * Only `expectedStatus` means that the server agrees.
   */
  const post = <A>(
    path: string,
    body: unknown,
    expectedStatus: 200 | 204,
    read: (response: HttpClientResponse.HttpClientResponse) => Effect.Effect<A, PoolError>,
    waitSeconds = 0
  ): Effect.Effect<A, PoolError> =>
    Effect.gen(function*() {
      const request = Request.post(path).pipe(
        Request.prependUrl(url),
        Request.bearerToken(yield* token),
        Request.bodyText(JSON.stringify(body), "application/json")
      )
      const response = yield* http.execute(request).pipe(Effect.mapError(unreachable))
      if (response.status === expectedStatus) return yield* read(response)
      return yield* refusalOf(url, response.status, yield* refusalText(response))
    }).pipe(
      Effect.timeoutOrElse({
        duration: (waitSeconds + answerSeconds) * 1000,
        orElse: () => Effect.fail(unusable("no whole answer in time"))
      })
    )

  const bytesOf = (response: HttpClientResponse.HttpClientResponse) => Effect.mapError(bytesUpTo(largestAnswer)(response), unreachable)
  const tell = (path: string, body: unknown) => post(path, body, 204, (response) => Effect.asVoid(bytesOf(response)))
  const ask = <S extends Schema.ConstraintDecoder<unknown>>(path: string, body: unknown, waitSeconds: number, schema: S) => {
    const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(schema))
    const understood = (bytes: Uint8Array): Effect.Effect<S["Type"], PoolError> =>
      jsonExcess(answerLimits, bytes) === undefined
        ? Effect.mapError(decode(new TextDecoder().decode(bytes)), () => unusable(notUnderstood))
        : Effect.fail(unusable(notUnderstood))
    return post(path, body, 200, (response) => Effect.flatMap(bytesOf(response), understood), waitSeconds)
  }

  /** Returns the query that says who reports a result: the task, or the agent that has none. */
  const by = Option.match({
    onNone: () => agent === undefined ? "" : `?agent=${encodeURIComponent(agent)}`,
    onSome: (uid: string) => `?taskUid=${encodeURIComponent(uid)}`
  })

  return Pool.of({
    acquire: (agent, waitSeconds, max) =>
      Effect.map(
        ask(poolPath.acquire, { agent, waitSeconds, max }, waitSeconds, Offered),
        ({ assignments }) => assignments.slice(0, max).map(readOffer) // a hostile server would fill the cluster with more
      ),
    acknowledge: (id, taskUid) => tell(poolPath.acknowledge(id), { agent, taskUid }),
    cancellations: (after, waitSeconds, resting) =>
      ask(poolPath.cancellations, { after, waitSeconds, resting }, waitSeconds, CancellationsResponse),
    report: (id, taskUid, result, from = url) =>
      tell(`${poolPath.result(id)}${by(taskUid)}`, result).pipe(
        Effect.catchIf(
          (error) => isSettled(error, from),
          (error) => Effect.logInfo("the pool has another result, gave the stage to another agent, or does not know it", error)
        )
      ),
    wait: (id, taskUid, reason, message) =>
      tell(poolPath.wait(id), { agent, ...(Option.isSome(taskUid) && { taskUid: taskUid.value }), reason, message })
  })
})

/** Checks whether the pool answers and takes the token, by a request that changes nothing there. */
export const askPool = (url: string, tokenFile: string) =>
  Effect.flatMap(Pool, (pool) => pool.cancellations(0, 0)).pipe(
    Effect.andThen(Effect.logInfo(`The pool at ${url} answers and takes the token.`)),
    Effect.provide(Pool.layer(url, tokenFile))
  )
