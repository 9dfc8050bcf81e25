// The memory for bodies that are held whole: states, plain or encrypted, and answers made of them. When it is full, states wait unread.
// Invariant: a body counts in full before it arrives, though not for long; small bodies have their own room; no caller ever has all of it.
// Used by task-, state-, workspace-state- and tfe-state-routes, settlements and left-overs; lifecycle/listen limits requests without room.
import { Context, Duration, Effect, Layer, Scope, Semaphore, Stream } from "effect"
import type { HttpServerRequest } from "effect/http"
import { keptStateLimitBytes, stateLimitBytes } from "../../schema/api/task-api.ts"
import { Refused, tooLarge } from "../refused.ts"
import type { Failure } from "./http-answer.ts"
import { saidBytes } from "./http-request.ts"
import { makeQueues, makeShares } from "./shares.ts"
import type { Caller } from "./tokens.ts"
import { untilTaken } from "./until-taken.ts"

const mebibyte = 1024 * 1024
/** The largest state, with what surrounds it where it is encrypted. */
const largest = Math.max(stateLimitBytes, keptStateLimitBytes)
/** Leaves room for one person's body beside the largest body of another. */
const roomBesideLargest = 8 * mebibyte

interface Room {
  readonly smallUpTo: number
  /** The room of all small bodies together, and of all others. */
  readonly small: number
  readonly large: number
  /**
   * The part of that room for bodies that have not arrived yet, or are read from the disk: those of one task, and those of everyone with
   * the same user token. A single body may be larger.
   */
  readonly ofCaller: Readonly<Record<"task" | "user", Readonly<Record<"small" | "large", number>>>>
  /**
   * The room of answers that are made of states: of one caller, and of all. An answer of up to `smallUpTo` bytes needs none, because
   * server/access/limits bounds how many a caller has.
   */
  readonly answers: { readonly smallUpTo: number; readonly ofCaller: number; readonly all: number }
  /**
   * How long a body waits for room. A decision may wait twice, for its state and for the view after it, and the client hangs up after 30 s
   * (cli/server/server-client).
   */
  readonly wait: Duration.Duration
  /** How long a body that has room may take to arrive: a sender of a byte now and then would keep the room from all others. */
  readonly arrival: Readonly<Record<"small" | "large", Duration.Duration>>
}

/**
 * The limits. Half of the server's memory (core/manifest/installation/server) is the heap; the other half has to hold these bodies, the program, and the
 * text of the one state that is being parsed, at two bytes a character.
 */
export const BodyRoom = Context.Reference<Room>("agent-job/server/BodyRoom", {
  defaultValue: () => ({
    smallUpTo: 4 * mebibyte,
    small: 32 * mebibyte,
    large: 2 * largest + roomBesideLargest,
    ofCaller: { task: { small: 4 * mebibyte, large: largest }, user: { small: 16 * mebibyte, large: largest + roomBesideLargest } },
    answers: { smallUpTo: 64 * 1024, ofCaller: 8 * mebibyte, all: 16 * mebibyte },
    wait: Duration.seconds(10),
    arrival: { small: Duration.seconds(30), large: Duration.minutes(5) }
  })
})

const retryAfterSeconds = 5
const busy = new Refused({
  status: 503,
  error: "busy",
  retryAfterSeconds,
  message: `The server has too many states in memory, for this token or in all; try again in ${retryAfterSeconds} s.`
})
const untaken = new Refused({
  status: 503,
  error: "busy",
  retryAfterSeconds,
  message:
    `Too many large answers of the server, for this token or in all, have not been read by their clients yet; try again in ${retryAfterSeconds} s.`
})

const tooSlow = (arrival: Duration.Duration) =>
  new Refused({
    status: 408,
    error: "request-timeout",
    message: `The state did not arrive in ${Duration.format(arrival)}, and others wait for its room; send it again, and faster.`
  })

/** Reads the body into one buffer, without a second copy; fails with 413 if it has more than `sizeBytes`. */
const readWhole = (request: HttpServerRequest.HttpServerRequest, sizeBytes: number) =>
  Effect.suspend(() => {
    const whole = Buffer.allocUnsafe(sizeBytes)
    let read = 0
    return Stream.runForEach(request.stream, (chunk) => {
      if (read + chunk.byteLength > sizeBytes) return Effect.fail(tooLarge(sizeBytes))
      whole.set(chunk, read)
      read += chunk.byteLength
      return Effect.void
    }).pipe(Effect.map(() => whole.subarray(0, read)))
  })

export class Bodies extends Context.Service<Bodies, {
  /**
   * Runs `use` with room for a state that it reads from the disk for the caller, who has one small and one large state at a time:
   * while one is parsed, all others wait. Fails with 503 when there is no room in time.
   */
  readonly room: <A, E, R>(caller: Caller, sizeBytes: number, use: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Refused, R>
  /**
   * Takes room for an answer until its client has it. Fails with 503 at once when there is none, because the caller holds room for the
   * state meanwhile.
   */
  readonly answer: (
    caller: Caller,
    request: HttpServerRequest.HttpServerRequest,
    sizeBytes: number
  ) => Effect.Effect<void, Refused, Scope.Scope>
  /**
   * Reads the caller's whole body and runs `use` with it; the body has its room until `use` ends. Fails with 413 past the limit, 503 when
   * there is no room in time, and 408 when the body does not arrive in time.
   */
  readonly whole: <A, E>(
    caller: Caller,
    request: HttpServerRequest.HttpServerRequest,
    limitBytes: number,
    use: (bytes: Uint8Array) => Effect.Effect<A, E>
  ) => Effect.Effect<A, E | Failure>
}>()("agent-job/server/Bodies") {
  static readonly layer = Layer.effect(
    Bodies,
    Effect.map(BodyRoom, ({ answers, arrival, large, ofCaller, small, smallUpTo, wait }) => {
      const ofSmall = { size: "small", room: Semaphore.makeUnsafe(small), queues: makeQueues(), reads: makeQueues() } as const
      const ofLarge = { size: "large", room: Semaphore.makeUnsafe(large), queues: makeQueues(), reads: makeQueues() } as const
      const ofAnswers = Semaphore.makeUnsafe(answers.all)
      const shares = makeShares()

      const roomFor = (sizeBytes: number) => sizeBytes <= smallUpTo ? ofSmall : ofLarge
      const inTime = Effect.timeoutOrElse({ duration: wait, orElse: () => Effect.fail(busy) })
      /**
       * Takes room until `held` ends, and a part of the caller's own until the scope ends. That comes first, so that a body that waits for
       * others of its caller holds no room.
       */
      const take = (caller: Caller, sizeBytes: number, held: Scope.Scope) => {
        const { queues, room, size } = roomFor(sizeBytes)
        const most = ofCaller[caller.kind === "task" ? "task" : "user"][size]
        return Effect.andThen(queues.take(caller, sizeBytes, most), Scope.provide(room.takeScoped(sizeBytes), held))
      }
      const takeToRead = (caller: Caller, sizeBytes: number, held: Scope.Scope) =>
        Scope.provide(inTime(Effect.andThen(roomFor(sizeBytes).reads.take(caller, 1, 1), take(caller, sizeBytes, held))), held)
      const arrive = Effect.fnUntraced(
        function*(caller: Caller, request: HttpServerRequest.HttpServerRequest, sizeBytes: number, held: Scope.Scope) {
          yield* inTime(take(caller, sizeBytes, held))
          const within = arrival[roomFor(sizeBytes).size]
          return yield* readWhole(request, sizeBytes).pipe(
            Effect.timeoutOrElse({ duration: within, orElse: () => Effect.fail(tooSlow(within)) })
          )
        },
        Effect.scoped
      )

      /** Takes part of the room for all answers, without waiting for it; returns whether there was enough. */
      const takeNow = (sizeBytes: number) =>
        Effect.acquireRelease(
          ofAnswers.takeIfAvailable(sizeBytes),
          (taken) => taken ? ofAnswers.release(sizeBytes) : Effect.void
        )
      const orUntaken = (taken: boolean) => taken ? Effect.void : Effect.fail(untaken)

      return Bodies.of({
        room: (caller, sizeBytes, use) => Effect.scopedWith((held) => Effect.andThen(takeToRead(caller, sizeBytes, held), use)),
        answer: (caller, request, sizeBytes) =>
          sizeBytes <= answers.smallUpTo
            ? Effect.void
            : untilTaken(
              request,
              Effect.flatMap(shares.take(caller, sizeBytes, answers.ofCaller), orUntaken).pipe(
                Effect.andThen(takeNow(sizeBytes)),
                Effect.flatMap(orUntaken)
              )
            ),
        whole: (caller, request, limitBytes, use) =>
          Effect.scopedWith((held) =>
            Effect.suspend(() => {
              const sizeBytes = saidBytes(request) ?? limitBytes
              return sizeBytes <= limitBytes
                ? Effect.flatMap(arrive(caller, request, sizeBytes, held), use)
                : Effect.fail(tooLarge(limitBytes))
            })
          )
      })
    })
  )
}
