// The engine's way to its state: an HTTP address on loopback, for one command alone, with the pool's server behind it.
// Invariant: a client without this command's secret address gets nothing, and a state is acknowledged only after the server did.
// Used by worker/backing/pool-backing.ts.
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Option, Predicate, Schema, Semaphore } from "effect"
import { type HttpServerError, HttpServerRequest, HttpServerResponse } from "effect/http"
import { randomBytes, timingSafeEqual } from "node:crypto"
import { createServer, type Server } from "node:http"
import { wholeUpTo } from "../../http/body.ts"
import { withoutUpgrades } from "../../http/without-upgrades.ts"
import { LockInfo, lockLimitBytes, stateLimitBytes } from "../../schema/api/task-api.ts"
import type { Opened } from "../engine/engine.ts"
import { stageFailure, type TaskApiError } from "../network/task-api-error.ts"
import { invalid, type StageFailed } from "../stage-failed.ts"
import { inMebibytes } from "../volume/mebibytes.ts"
import { StateDelivery } from "./state-delivery.ts"

const secret = () => randomBytes(24).toString("base64url")

const equal = (a: string, b: string): boolean => {
  const [left, right] = [Buffer.from(a), Buffer.from(b)]
  return left.length === right.length && timingSafeEqual(left, right)
}

/**
 * The most connections at a time. An engine has one, and perhaps one on which it has hung up. Each may have a whole state on its way, and
 * the worker has the memory for this many.
 */
const mostConnections = 4

/** How long the head of a request may take: a client that only holds a connection takes it from the engine, which has something to ask. */
const headerMillis = 5000

/**
 * How long the body of a request may take. An engine has its state ready in memory, so a minute is long even on a busy node. An engine that
 * is refused leaves its state in a file, which the worker then settles.
 */
const bodyPatience = "1 minute"

class TooLarge extends Schema.TaggedError<TooLarge>()("TooLarge", {}) {}
class TooSlow extends Schema.TaggedError<TooSlow>()("TooSlow", {}) {}

const bodyOf = (
  request: HttpServerRequest.HttpServerRequest,
  limit: number
): Effect.Effect<Uint8Array, TooLarge | TooSlow | HttpServerError.HttpServerError> =>
  request.stream.pipe(
    wholeUpTo(limit, () => new TooLarge()),
    Effect.timeoutOrElse({ duration: bodyPatience, orElse: () => Effect.fail(new TooSlow()) })
  )

const decodeLock = Schema.decodeUnknownEffect(Schema.fromJsonString(LockInfo))
const text = (status: number, message: string) => HttpServerResponse.text(message, { status })

const notAllowed = text(405, "This command may not do that with the state.")

/** Returns the response to a refusal. The engine reads the holder of a lock from its body, and shows no body of 5xx, nor of any read. */
const refusal = (error: TaskApiError) =>
  error._tag === "Declined"
    ? error.body === undefined ? text(error.status, error.message) : HttpServerResponse.jsonUnsafe(error.body, { status: error.status })
    : text(503, error.message)

/**
 * Notes why the command was not given the state or the lock that it asked for last, unless it was, or `isTold` says that this is told without
 * us: by the engine, or of a state once it is settled.
 */
const makeNoting = () => {
  let why = Option.none<StageFailed>()
  const note = (now: typeof why) =>
    Effect.sync(() => {
      why = now
    })
  return {
    noting: <A>(ask: Effect.Effect<A, TaskApiError>, isTold: (error: TaskApiError) => boolean = () => false) =>
      ask.pipe(
        Effect.tap(note(Option.none())),
        Effect.tapError((error) => note(isTold(error) ? Option.none() : Option.some(stageFailure(error))))
      ),
    notGiven: Effect.sync(() => why)
  }
}
type Noting = ReturnType<typeof makeNoting>

const answer = Effect.fnUntraced(
  function*(
    request: HttpServerRequest.HttpServerRequest,
    path: string,
    writable: boolean,
    inTurn: Semaphore.Semaphore,
    noting: Noting["noting"]
  ) {
    const delivery = yield* StateDelivery
    if (!writable && request.method !== "GET") return notAllowed
    const lockInfo = Effect.flatMap(bodyOf(request, lockLimitBytes), (bytes) => decodeLock(new TextDecoder().decode(bytes)))
    switch (`${request.method} ${path}`) {
      case "GET ":
        return Option.match(yield* noting(delivery.read), {
          onNone: () => HttpServerResponse.empty({ status: 404 }),
          onSome: (bytes) => HttpServerResponse.uint8Array(bytes, { contentType: "application/json" })
        })
      case "POST ":
        yield* inTurn.withPermit(Effect.flatMap(bodyOf(request, stateLimitBytes), (bytes) => noting(delivery.push(bytes), () => true))) // otherwise each waiting state would be in memory
        return HttpServerResponse.empty({ status: 200 })
      case "POST /lock":
        yield* noting(delivery.lock(yield* lockInfo), (error) => error._tag === "Declined" && Predicate.hasProperty(error.body, "ID")) // the holder's
        return HttpServerResponse.empty({ status: 200 })
      case "POST /unlock":
        yield* delivery.unlock(yield* lockInfo)
        return HttpServerResponse.empty({ status: 200 })
      default:
        return notAllowed
    }
  }
)

/** How long a request may still take that an engine sent before it ended. */
const drainTimeout = "1 second"

/**
 * Closes the server, then all connections that are left. A request cannot be interrupted while its body comes or its answer goes, so a
 * client that stops half-way would hold up the end of the stage.
 */
const closing = (server: Server) => {
  const closed = Effect.callback<void>((resume) => void server.close(() => resume(Effect.void)))
  return Effect.andThen(Effect.timeoutOption(closed, drainTimeout), Effect.sync(() => server.closeAllConnections()))
}

/**
 * Listens until the scope closes; returns what the command's environment has to say about it. Unless `writable`, the state can only be
 * read. The address is in the environment and not in the configuration, so that no saved plan contains it. It alone is the secret: the
 * engine would send a user name and password of the environment also to the servers of a configuration's remote states.
 */
export const openGateway = Effect.fn("StateGateway.open")(function*(writable: boolean) {
  const secretPath = `/${secret()}`
  const inTurn = Semaphore.makeUnsafe(1)
  const { noting, notGiven } = makeNoting()
  const listener = withoutUpgrades(createServer({ headersTimeout: headerMillis, connectionsCheckingInterval: headerMillis / 5 }))
  listener.maxConnections = mostConnections
  listener.maxRequestsPerSocket = 1 // pipelined requests would be answered at once, and each answer may be a whole state in memory
  const server = yield* NodeHttpServer.make(() => listener, { port: 0, host: "127.0.0.1", disablePreemptiveShutdown: true }).pipe(
    Effect.mapError(() =>
      invalid("The worker cannot listen on 127.0.0.1 for the engine's state; the Pod's network needs a loopback address.")
    )
  )
  const log = Effect.runForkWith(yield* Effect.context<never>())
  // Without a listener, the error of a connection that the system cannot hand over would end the process.
  listener.on("error", ({ message }) => void log(Effect.logWarning("A connection of the engine could not be taken", message)))
  yield* server.serve(
    Effect.gen(function*() {
      const request = yield* HttpServerRequest.HttpServerRequest
      const { pathname } = new URL(request.url, "http://127.0.0.1")
      if (!equal(pathname.slice(0, secretPath.length), secretPath)) return text(401, "This is the state of another command.")
      return yield* answer(request, pathname.slice(secretPath.length), writable, inTurn, noting)
    }).pipe(
      Effect.catchTag(["NoAnswer", "TokenRefused", "Declined"], (error) => Effect.succeed(refusal(error))),
      Effect.catchTags({
        TooLarge: () => Effect.succeed(text(413, `A state may have ${inMebibytes(stateLimitBytes)} at most.`)),
        TooSlow: () => Effect.succeed(text(408, `The request did not come whole in ${bodyPatience}.`)),
        SchemaError: () => Effect.succeed(text(400, "This is no lock.")),
        HttpServerError: () => Effect.succeed(text(400, "The request broke off."))
      })
    )
  )
  yield* Effect.addFinalizer(() => closing(listener)) // runs before the server's own finalizer, which waits for its requests
  if (server.address._tag === "UnixPathAddress") return yield* Effect.die(new Error("not a TCP address"))
  const address = `http://127.0.0.1:${server.address.port}${secretPath}`
  return {
    env: {
      TF_HTTP_ADDRESS: address,
      TF_HTTP_UPDATE_METHOD: "POST",
      TF_HTTP_LOCK_ADDRESS: `${address}/lock`,
      TF_HTTP_LOCK_METHOD: "POST",
      TF_HTTP_UNLOCK_ADDRESS: `${address}/unlock`,
      TF_HTTP_UNLOCK_METHOD: "POST",
      TF_HTTP_RETRY_MAX: "0" // the worker has tried long enough when it answers with an error
    },
    secrets: [secretPath],
    notGiven
  } satisfies Opened
})
