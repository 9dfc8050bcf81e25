// The memory for bodies that are held whole: requests, states, and answers. When it is full, what arrives waits unread.
// Invariant: a body counts in full before it arrives, though not for long; each kind has its own room, which no caller ever has for itself.
// Used by authorize, the routes of states, settlements and left-overs; server/lifecycle/listen limits requests without room.
import { Context, Duration, Effect, Layer, type Scope, Stream } from "effect"
import type { HttpServerRequest, HttpServerResponse } from "effect/http"
import { keptStateLimitBytes, stateLimitBytes } from "../../schema/api/task-api.ts"
import { Refused, tooLarge } from "../refused.ts"
import type { Failure } from "./http-answer.ts"
import { type Arrive, saidBytes } from "./http-request.ts"
import { makeRoom, type RoomLimits } from "./room.ts"
import type { Caller } from "./tokens.ts"
import { untilTaken } from "./until-taken.ts"

const kibibyte = 1024
const mebibyte = 1024 * kibibyte
/** The largest state, with what surrounds it where it is encrypted. */
const largest = Math.max(stateLimitBytes, keptStateLimitBytes)
/** Leaves room for one person's body beside the largest body of another. */
const roomBesideLargest = 8 * mebibyte
/**
 * How long a body waits for room. A decision may wait twice, for its state and for the view after it, and the client hangs up after 30 s
 * (cli/server/server-client).
 */
const wait = Duration.seconds(10)
/** How long a state that has room may stop on its way: no longer than a worker lets it (worker/network/silence), which then sends it again. */
const longestSilence = Duration.minutes(1)

interface Arriving extends RoomLimits {
  /** How long a body that has room may take to arrive: a sender of a byte now and then would keep the room from all others. */
  readonly arrival: Duration.Duration
}

/** One of up to so many bytes needs no room, because server/access/limits bounds how many a caller has. */
interface SmallOnesFree {
  readonly freeUpTo: number
}

interface Rooms {
  /**
   * Bodies that are no states: JSON, and pieces of logs. A task has a piece of its log and one of its journal on their way; a pool or a
   * user has more.
   */
  readonly requests: Arriving & SmallOnesFree
  /** States of up to so many bytes that arrive, are read from the disk, or are worked with; and all others. */
  readonly smallStates: Arriving & { readonly upTo: number }
  readonly largeStates: Arriving
  /**
   * Answers to tasks, and to all others who look, until their clients have them. They do not wait, because they would be in memory meanwhile.
   */
  readonly answers: SmallOnesFree & Readonly<Record<"task" | "other", Omit<RoomLimits, "wait">>>
}

/**
 * The limits. Half of the server's memory (core/manifest/installation/server) is the heap; the other half has to hold these bodies, the program, and the
 * text of the one state that is being parsed, at two bytes a character.
 */
export const Rooms = Context.Reference<Rooms>("agent-job/server/Rooms", {
  defaultValue: () => ({
    requests: {
      freeUpTo: 16 * kibibyte,
      all: 32 * mebibyte,
      ofCaller: { task: mebibyte, other: 4 * mebibyte },
      wait,
      arrival: Duration.seconds(30)
    },
    smallStates: {
      upTo: 4 * mebibyte,
      all: 32 * mebibyte,
      ofCaller: { task: 4 * mebibyte, other: 16 * mebibyte },
      wait,
      arrival: Duration.minutes(5)
    },
    largeStates: {
      all: 2 * largest + roomBesideLargest,
      ofCaller: { task: largest, other: largest + roomBesideLargest },
      wait,
      arrival: Duration.minutes(5)
    },
    answers: {
      freeUpTo: 64 * kibibyte,
      task: { all: 8 * mebibyte, ofCaller: { task: 2 * mebibyte, other: 0 } },
      other: { all: 24 * mebibyte, ofCaller: { task: 0, other: 8 * mebibyte } }
    }
  })
})

const full = {
  requests: "Too many large requests are on their way to the server, with this token or in all",
  states: "The server has too many states in memory, for this token or in all",
  answers: "Too many large answers of the server, for this token or in all, have not been read by their clients yet"
}

const tooSlow = (said: string, limit: Duration.Duration) =>
  new Refused({
    status: 408,
    error: "request-timeout",
    message: `${said} in ${Duration.format(limit)}, after which its room is for others; send it again, and faster.`
  })

/** Fails with 408 if the body does not arrive in time. */
const arrivesIn = (arrival: Duration.Duration, what: "request" | "state") =>
  Effect.timeoutOrElse({ duration: arrival, orElse: () => Effect.fail(tooSlow(`The ${what} did not arrive`, arrival)) })

/** Reads the body into one buffer, without a second copy; fails with 413 if it has more than `sizeBytes`, and with 408 if it stops. */
const readWhole = (request: HttpServerRequest.HttpServerRequest, sizeBytes: number) =>
  Effect.suspend(() => {
    const whole = Buffer.allocUnsafe(sizeBytes)
    let read = 0
    const stream = Stream.timeoutOrElse(request.stream, {
      duration: longestSilence,
      orElse: () => Stream.fail(tooSlow("Nothing more of the state came", longestSilence))
    })
    return Stream.runForEach(stream, (chunk) => {
      if (read + chunk.byteLength > sizeBytes) return Effect.fail(tooLarge(sizeBytes))
      whole.set(chunk, read)
      read += chunk.byteLength
      return Effect.void
    }).pipe(Effect.map(() => whole.subarray(0, read)))
  })

export class Bodies extends Context.Service<Bodies, {
  /** Returns how the caller's bodies that are no states are read. */
  readonly arrival: (caller: Caller) => Arrive
  /**
   * Runs `use` with room for a state that it reads from the disk for the caller, who has one small and one large state at a time:
   * while one is parsed, all others wait. Fails with 503 when there is no room in time.
   */
  readonly room: <A, E, R>(caller: Caller, sizeBytes: number, use: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Refused, R>
  /** Takes room for an answer until its client has it; what is streamed needs none. Fails with 503 at once when there is none. */
  readonly answer: (
    caller: Caller,
    request: HttpServerRequest.HttpServerRequest,
    answer: HttpServerResponse.HttpServerResponse
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
    Effect.map(Rooms, ({ answers, largeStates, requests, smallStates }) => {
      const ofRequests = makeRoom(requests, full.requests)
      const ofSmall = { ...makeRoom(smallStates, full.states), inTime: arrivesIn(smallStates.arrival, "state") }
      const ofLarge = { ...makeRoom(largeStates, full.states), inTime: arrivesIn(largeStates.arrival, "state") }
      const answersTo = (kind: "task" | "other") => makeRoom({ ...answers[kind], wait: Duration.zero }, full.answers)
      const [ofTasks, ofOthers] = [answersTo("task"), answersTo("other")] // so that nobody who looks keeps a task from its start
      const roomFor = (sizeBytes: number) => sizeBytes <= smallStates.upTo ? ofSmall : ofLarge
      return Bodies.of({
        arrival: (caller) => (sizeBytes, read) =>
          sizeBytes <= requests.freeUpTo
            ? read
            : ofRequests.arrive(caller, sizeBytes, arrivesIn(requests.arrival, "request")(read), Effect.succeed),
        room: (caller, sizeBytes, use) => roomFor(sizeBytes).inTurn(caller, sizeBytes, use),
        answer: (caller, request, { body }) =>
          body._tag !== "Uint8Array" || body.contentLength <= answers.freeUpTo
            ? Effect.void
            : untilTaken(request, (caller.kind === "task" ? ofTasks : ofOthers).takeNow(caller, body.contentLength)),
        whole: (caller, request, limitBytes, use) =>
          Effect.suspend(() => {
            const sizeBytes = saidBytes(request) ?? limitBytes
            if (sizeBytes > limitBytes) return Effect.fail(tooLarge(limitBytes))
            const { arrive, inTime } = roomFor(sizeBytes)
            return arrive(caller, sizeBytes, inTime(readWhole(request, sizeBytes)), use)
          })
      })
    })
  )
}
