// The task API of the pool's server, as the worker calls it with the token of its stage.
// Invariant: the token goes to the server's own address and nowhere else, and is read anew for every request.
// Used by worker/stage/worker, worker/backing/pool-backing, and the parts that deliver states.
import { Context, Duration, Effect, Layer, Option, Schema, Stream } from "effect"
import { HttpBody, HttpClient, HttpClientRequest as Request, type HttpClientResponse } from "effect/http"
import { createHash } from "node:crypto"
import { createReadStream, readFileSync, statSync } from "node:fs"
import { notOwn } from "../../core/network/server-refusal.ts"
import { bytesUpTo, letGo, refusalText, wholeUpTo } from "../../http/body.ts"
import { toServer } from "../../http/connections.ts"
import { failureInWords } from "../../http/failure-words.ts"
import { logged } from "../../http/request-log.ts"
import { type JournalEntry, JournalPosition, JournalRequest } from "../../schema/api/effects.ts"
import { isOneOf } from "../../schema/api/problem.ts"
import {
  archiveLimitBytes,
  LockGranted,
  type LockInfo,
  LogPosition,
  planLimitBytes,
  stateLimitBytes,
  type TaskDetails,
  taskHeader,
  taskPath,
  ToldDetails
} from "../../schema/api/task-api.ts"
import { Sha256 } from "../../schema/names.ts"
import { whyUnreadable } from "../../schema/system-error.ts"
import { StageResult } from "../../schema/task/stage-result.ts"
import { Settings } from "../settings.ts"
import { fileTrouble, invalid, type StageFailed } from "../stage-failed.ts"
import { saveChecked } from "./download.ts"
import { askAgain, stopwatch, toldAfter } from "./patience.ts"
import { ServerAnswer } from "./sending.ts"
import { longestSilence, piecesOf, unlessSilent } from "./silence.ts"
import { mayBeRenewed, NoAnswer, problemCodeOf, refusalOf, stageFailure, type TaskApiError } from "./task-api-error.ts"

/** The lock that a state is written under. */
export interface StateLock {
  readonly id: string
  readonly epoch: number
}

export class TaskApi extends Context.Service<TaskApi, {
  /** What no log may show: the token. */
  readonly secrets: Effect.Effect<ReadonlyArray<string>>
  /** What the pool's server says about this stage, its variables included. */
  readonly details: Effect.Effect<TaskDetails, StageFailed>
  /** Downloads to a file, and checks its digest. */
  readonly download: (what: "archive" | "plan", file: string, sha256: string) => Effect.Effect<void, StageFailed>
  readonly storePlan: (file: string, sha256: string) => Effect.Effect<void, StageFailed>
  // Each of these asks once; its caller decides how long to go on asking.
  readonly appendLog: (offset: number, bytes: Uint8Array) => Effect.Effect<ServerAnswer, TaskApiError>
  readonly appendEffects: (entries: ReadonlyArray<JournalEntry>) => Effect.Effect<ServerAnswer, TaskApiError>
  readonly tellResult: (result: StageResult) => Effect.Effect<void, TaskApiError>
  readonly state: Effect.Effect<Option.Option<Uint8Array>, TaskApiError>
  /** Sends a state that another stage had to leave, still encrypted. */
  readonly takeKeptState: (bytes: Uint8Array) => Effect.Effect<void, TaskApiError>
  readonly pushState: (bytes: Uint8Array, sha256: string, lock: StateLock) => Effect.Effect<void, TaskApiError>
  readonly lockState: (info: LockInfo) => Effect.Effect<StateLock, TaskApiError>
  readonly unlockState: (info: LockInfo) => Effect.Effect<void, TaskApiError>
  /** Asks again while there is no answer, for as long as `poolPatience` in the settings. */
  readonly patiently: <A, E extends { readonly _tag: string; readonly message: string }>(ask: Effect.Effect<A, E>) => Effect.Effect<A, E>
}>()("agent-job/worker/TaskApi") {
  /** Asks the server at `url`, which is `https:` or `http:`, in the name of the AgentTask with this UID. */
  static readonly layer = (url: string, taskUid: string) =>
    Layer.effect(TaskApi, make(url, taskUid)).pipe(
      Layer.provide(toServer({ connections: 16 })),
      Layer.catchTag("ProxyUnusable", ({ message }) => Layer.effect(TaskApi, Effect.fail(invalid(message))))
    )
}

/** Returns the SHA-256 in hex, by which the server and the worker name a state. */
export const sha256 = (bytes: Uint8Array): Sha256 => Sha256.make(createHash("sha256").update(bytes).digest("hex"))

const smallBodyTimeout = Duration.seconds(30)
/** The most bytes of an answer that is neither an archive, a plan nor a state: more than the variables of a run and its workspace have. */
const largestAnswer = 16 * 1024 * 1024
/** As long as the server gives an upload (server/lifecycle/listen); what goes dead before is ended by `longestSilence`. */
const largeBodyTimeout = Duration.minutes(15)

/**
 * Appends to the server's copy of the log or the journal. The server answers where its copy ends, also when it refuses a request that does
 * not begin there. Any other refusal is final, but one of the token is a failure.
 */
export const storedUpTo = <S extends Schema.ConstraintDecoder<unknown>>(
  asked: Effect.Effect<S["Type"], TaskApiError>,
  position: S,
  endOf: (position: S["Type"]) => number
): Effect.Effect<ServerAnswer, TaskApiError> => {
  const answer = (position: S["Type"]): ServerAnswer => ServerAnswer.StoredUpTo({ end: endOf(position) })
  const decode = Schema.decodeUnknownOption(position)
  return Effect.map(asked, answer).pipe(
    Effect.catchTags({
      Declined: ({ body, status }) =>
        Effect.succeed(Option.match(status === 409 ? decode(body) : Option.none(), { onNone: ServerAnswer.Refused, onSome: answer })),
      TokenRefused: (error) => mayBeRenewed(error) ? Effect.fail(error) : Effect.succeed<ServerAnswer>(ServerAnswer.Refused())
    })
  )
}

const make = Effect.fnUntraced(function*(url: string, taskUid: string) {
  const { poolPatience, tokenFile } = yield* Settings
  const path = yield* Effect.mapError(
    Effect.fromOption(tokenFile),
    () => invalid("The Pod has no token of the pool; run the task again.")
  )
  const base = URL.canParse(url) && /^https?:$/u.test(new URL(url).protocol) ? url.replace(/\/+$/u, "") : undefined
  if (base === undefined) return yield* invalid("pool.url is not an http or https URL; correct it.")
  const http = yield* HttpClient.HttpClient
  const noAnswer = (detail: string) => new NoAnswer({ url: base, detail })
  const notOurs = (answer: number | string) => noAnswer(notOwn(answer))

  /** Reads the token, for each request anew: the kubelet replaces the file when the Secret changes. */
  const token = Effect.try({
    try: () => readFileSync(path, "utf8").trim(),
    catch: (cause) =>
      new NoAnswer({
        detail: `The worker cannot read the token of this stage in ${path} (${
          whyUnreadable(cause)
        }); check the Secret in spec.pool.tokenSecret.`,
        isSaid: true
      })
  })

  const once = (
    request: Request.HttpClientRequest,
    expectedStatus: 200 | 204
  ): Effect.Effect<HttpClientResponse.HttpClientResponse, TaskApiError> =>
    token.pipe(
      Effect.flatMap((secret) =>
        http.execute(request.pipe(Request.prependUrl(base), Request.bearerToken(secret), Request.setHeader(taskHeader.taskUid, taskUid)))
          .pipe(
            logged("the pool's server was asked", () => ({ method: request.method, path: request.url }))
          )
      ),
      Effect.mapError((error) => error._tag === "NoAnswer" ? error : noAnswer(failureInWords(error))),
      Effect.flatMap((response) =>
        response.status === expectedStatus
          ? Effect.succeed(response)
          : Effect.flatMap(refusalText(response), (text) => Effect.fail(refusalOf(base, response.status, text)))
      )
    )
  /**
   * Sends a request, and once more if the server does not accept the token (401), because it may just have been replaced. Only
   * `expectedStatus` means that the server agrees: another success is from something in front of it.
   */
  const send = (request: Request.HttpClientRequest, expectedStatus: 200 | 204) =>
    Effect.catchIf(
      once(request, expectedStatus),
      mayBeRenewed,
      () => Effect.delay(once(request, expectedStatus), "1 second")
    )
  const within = <A, E>(limit: Duration.Duration, effect: Effect.Effect<A, E | TaskApiError>) =>
    Effect.timeoutOrElse(effect, {
      duration: limit,
      orElse: () => Effect.fail(noAnswer(`not complete within ${Duration.format(limit)}`))
    })
  const silent = noAnswer(`nothing more for ${Duration.format(longestSilence)}`)

  /** Gets bytes, which the server never sends without their digest. */
  const get = (path: string) =>
    Effect.flatMap(
      Effect.timeoutOrElse(send(Request.get(path), 200), { duration: longestSilence, orElse: () => Effect.fail(silent) }),
      (response) => {
        const digest = response.headers[taskHeader.digest]
        if (digest === undefined) return Effect.andThen(letGo(response), Effect.fail(notOurs(200)))
        const bytes = Stream.timeoutOrElse(Stream.mapError(response.stream, (error) => noAnswer(failureInWords(error))), {
          duration: longestSilence,
          orElse: () => Stream.fail(silent)
        })
        return Effect.succeed({ digest, bytes })
      }
    )

  const bytes = (request: Request.HttpClientRequest, expectedStatus: 200 | 204, limit = smallBodyTimeout) =>
    within(
      limit,
      Effect.flatMap(
        send(request, expectedStatus),
        (response) => Effect.mapError(bytesUpTo(largestAnswer)(response), (error) => noAnswer(failureInWords(error)))
      )
    )
  const json = <S extends Schema.ConstraintDecoder<unknown>>(
    request: Request.HttpClientRequest,
    schema: S
  ): Effect.Effect<S["Type"], TaskApiError> =>
    Effect.flatMap(
      bytes(request, 200),
      (bytes) =>
        Effect.mapError(Schema.decodeUnknownEffect(Schema.fromJsonString(schema))(new TextDecoder().decode(bytes)), () =>
          noAnswer("it answers what this version of agent-job does not understand; if it is the server, give both the same version"))
    )
  const done = (request: Request.HttpClientRequest, limit = smallBodyTimeout) => Effect.asVoid(bytes(request, 204, limit))
  const upload = (request: Request.HttpClientRequest, type: string, size: number, pieces: Stream.Stream<Uint8Array, unknown>) =>
    unlessSilent(
      pieces,
      (pieces) => done(Request.setBody(request, HttpBody.stream(pieces, type, size)), largeBodyTimeout),
      Effect.fail(silent)
    )

  const append = <S extends Schema.ConstraintDecoder<unknown>>(
    request: Request.HttpClientRequest,
    position: S,
    endOf: (position: S["Type"]) => number
  ) => storedUpTo(json(request, position), position, endOf)

  const patiently: TaskApi["Service"]["patiently"] = (ask) =>
    Effect.flatMap(stopwatch, (spent) => {
      let isTold = false
      const tell = ({ message }: { readonly message: string }) =>
        Effect.flatMap(spent, (time) => {
          if (isTold || Duration.isLessThan(time, toldAfter)) return Effect.logDebug(message)
          isTold = true
          return Effect.logWarning(message)
        })
      return askAgain(Effect.tapError(ask, tell), {
        while: ({ _tag }) => _tag === "NoAnswer",
        first: "200 millis",
        spaced: "5 seconds",
        limit: poolPatience
      })
    })

  const download: TaskApi["Service"]["download"] = (what, file, sha256) => {
    const [name, limitBytes] = what === "archive"
      ? ["the configuration archive", archiveLimitBytes] as const
      : ["the saved plan", planLimitBytes] as const
    const failed = (error: TaskApiError | StageFailed) => error._tag === "StageFailed" ? error : stageFailure(error)
    const body = Stream.unwrap(Effect.map(get(taskPath[what]), ({ bytes }) => bytes))
    const attempt = within(largeBodyTimeout, saveChecked(body, file, { what: name, sha256, limitBytes }))
    return Effect.mapError(patiently(attempt), failed)
  }

  return TaskApi.of({
    secrets: Effect.map(Effect.option(token), Option.toArray),
    details: Effect.mapError(patiently(json(Request.get(taskPath.assignment), ToldDetails)), stageFailure),
    download,
    storePlan: (file, sha256) =>
      Effect.suspend(() => {
        const request = Request.setHeader(Request.put(taskPath.plan), taskHeader.digest, sha256)
        const pieces = Stream.suspend(() => Stream.fromAsyncIterable(createReadStream(file), fileTrouble("the saved plan"))) // each attempt reads the file anew
        return patiently(upload(request, "application/octet-stream", statSync(file).size, pieces))
      }).pipe(Effect.mapError(stageFailure)),
    appendLog: (offset, bytes) =>
      append(
        Request.post(taskPath.log, { urlParams: { offset } }).pipe(Request.bodyUint8Array(bytes)),
        LogPosition,
        ({ offset }) => offset
      ),
    appendEffects: (entries) =>
      append(
        posted(taskPath.effects, encodeEntries({ entries })),
        JournalPosition,
        ({ number }) => number
      ),
    tellResult: (result) => done(posted(taskPath.result, encodeResult(result))),
    state: get(taskPath.state).pipe(
      Effect.flatMap(({ bytes, digest }) => Effect.map(wholeUpTo(stateLimitBytes, noAnswer)(bytes), (whole) => ({ digest, whole }))),
      (read) => within(largeBodyTimeout, read),
      Effect.flatMap(({ digest, whole }) =>
        sha256(whole) === digest ? Effect.succeedSome(whole) : Effect.fail(notOurs("a state of another digest than it says"))
      ),
      Effect.catchTag(
        "Declined",
        (error): Effect.Effect<Option.Option<never>, TaskApiError> =>
          error.status !== 404
            ? Effect.fail(error)
            : isOneOf(problemCodeOf(error), "no-state")
            ? Effect.succeedNone
            : Effect.fail(noAnswer("it answers 404"))
      )
    ),
    takeKeptState: (bytes) => upload(Request.post(taskPath.keptState), "application/octet-stream", bytes.length, piecesOf(bytes)),
    pushState: (bytes, sha256, { epoch, id }) =>
      upload(
        Request.setHeaders(Request.post(taskPath.state), {
          [taskHeader.digest]: sha256,
          [taskHeader.lockId]: id,
          [taskHeader.lockEpoch]: String(epoch)
        }),
        "application/json",
        bytes.length,
        piecesOf(bytes)
      ),
    lockState: (info) =>
      Effect.map(
        json(posted(taskPath.lock, JSON.stringify(info)), LockGranted),
        ({ epoch }) => ({ id: info.ID, epoch })
      ),
    unlockState: (info) =>
      Effect.flatMap(
        bytes(posted(taskPath.unlock, JSON.stringify(info)), 200),
        (said) => said.length === 0 ? Effect.void : Effect.fail(notOurs(200))
      ),
    patiently
  })
})

const posted = (path: string, json: string) => Request.bodyText(Request.post(path), json, "application/json")
const encodeResult = Schema.encodeSync(Schema.fromJsonString(StageResult))
const encodeEntries = Schema.encodeSync(Schema.fromJsonString(JournalRequest))
