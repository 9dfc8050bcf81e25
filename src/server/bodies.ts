// The bodies that are held in memory whole: states, as they are or encrypted, that arrive or are looked into, and answers made of them. So many bytes of them at once, whoever sends or asks; the others wait and are not read.
// Invariant: what has not arrived yet counts in full, though not for long; small bodies have room of their own; and one caller never has all of it.
// Used by the task, state, workspace and TFE state routes, state-rescue and effects; how long a request may take that holds no room is in server/listen.
import { Context, Duration, Effect, Layer, Scope, Semaphore, Stream } from "effect"
import type { HttpServerRequest } from "effect/http"
import { keptStateLimitBytes, stateLimitBytes } from "../schema/task-api.ts"
import type { Failure } from "./answer.ts"
import { Refused, tooLarge } from "./refused.ts"
import { makeQueues, makeShares } from "./shares.ts"
import type { Caller } from "./tokens.ts"
import { untilTaken } from "./until-taken.ts"

const mebibyte = 1024 * 1024
/** A state, with what it has around it where it is encrypted. */
const largest = Math.max(stateLimitBytes, keptStateLimitBytes)
/** So that the largest of one person leaves another a place beside it. */
const beside = 8 * mebibyte

interface Room {
  readonly smallUpTo: number
  /** Of all small ones together, and of all others. */
  readonly small: number
  readonly large: number
  /** Of these, until they have arrived, those of one task, and of all who have one token of a user; one may be as large as it likes. */
  readonly ofCaller: Readonly<Record<"task" | "user", Readonly<Record<"small" | "large", number>>>>
  /** Of answers that were made of states: those of one caller, and of all. Small ones need none: of a caller there are only so many (server/limits). */
  readonly answers: { readonly smallUpTo: number; readonly ofCaller: number; readonly all: number }
  /** A decision may wait twice, for its state and for what is shown after it; whoever looks hangs up after 30 s (cli/server-client). */
  readonly wait: Duration.Duration
  /** Of one that has its room: whoever sends a byte now and then would keep it from all others. */
  readonly arrival: Readonly<Record<"small" | "large", Duration.Duration>>
}

/**
 * Beside half of the memory that the server has (core/manifest/server), which is the heap, it has room for these, for the program, and for
 * the text of the one state that is parsed, of two bytes a character.
 */
export const BodyRoom = Context.Reference<Room>("agent-job/server/BodyRoom", {
  defaultValue: () => ({
    smallUpTo: 4 * mebibyte,
    small: 32 * mebibyte,
    large: 2 * largest + beside,
    ofCaller: { task: { small: 4 * mebibyte, large: largest }, user: { small: 16 * mebibyte, large: largest + beside } },
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
  message:
    `The server holds as many states in memory as it may, of one token or of all together, and none of them was done in time; repeat it in ${retryAfterSeconds} s.`
})
const untaken = new Refused({
  status: 503,
  error: "busy",
  retryAfterSeconds,
  message:
    `The server holds as many large answers as it may, of one token or of all together, that their clients have not read yet; repeat it in ${retryAfterSeconds} s.`
})

const tooSlow = (arrival: Duration.Duration) =>
  new Refused({
    status: 408,
    error: "request-timeout",
    message: `The state did not arrive in ${Duration.format(arrival)}, and others wait for its room; send it again, and faster.`
  })

/** What it says of its length, or else the most that it may have. */
const sizeOf = (request: HttpServerRequest.HttpServerRequest, limitBytes: number): number => {
  const said = request.headers["content-length"]
  return said === undefined ? limitBytes : Number(said)
}

/** Without a second copy of it. */
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
  /** What `use` does with so many bytes that it reads from the disk. 503 when there is no room for them in time. */
  readonly room: <A, E, R>(sizeBytes: number, use: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Refused, R>
  /** Room for an answer until its client has it. 503 at once when there is none, since who asks has room for the state meanwhile. */
  readonly answer: (
    caller: Caller,
    request: HttpServerRequest.HttpServerRequest,
    sizeBytes: number
  ) => Effect.Effect<void, Refused, Scope.Scope>
  /**
   * What `use` does with the whole body of the caller, which has its room until then. 413 past the limit, 503 when there is no room for it
   * in time, 408 when it does not arrive in time.
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
      const ofSmall = { size: "small", room: Semaphore.makeUnsafe(small), queues: makeQueues() } as const
      const ofLarge = { size: "large", room: Semaphore.makeUnsafe(large), queues: makeQueues() } as const
      const ofAnswers = Semaphore.makeUnsafe(answers.all)
      const shares = makeShares()

      const roomFor = (sizeBytes: number) => sizeBytes <= smallUpTo ? ofSmall : ofLarge
      const inTime = Effect.timeoutOrElse({ duration: wait, orElse: () => Effect.fail(busy) })
      /** Until the scope ends. */
      const take = (sizeBytes: number) => inTime(roomFor(sizeBytes).room.takeScoped(sizeBytes))
      /** The same for what is yet to arrive, until `held` ends: who waits for its own bodies holds no room. Gives the time that it has. */
      const takeOf = Effect.fnUntraced(function*(caller: Caller, sizeBytes: number, held: Scope.Scope) {
        const { queues, room, size } = roomFor(sizeBytes)
        const most = ofCaller[caller.kind === "task" ? "task" : "user"][size]
        yield* inTime(Effect.andThen(queues.take(caller, sizeBytes, most), Scope.provide(room.takeScoped(sizeBytes), held)))
        return arrival[size]
      })
      const arrive = Effect.fnUntraced(
        function*(caller: Caller, request: HttpServerRequest.HttpServerRequest, sizeBytes: number, held: Scope.Scope) {
          const within = yield* takeOf(caller, sizeBytes, held)
          return yield* readWhole(request, sizeBytes).pipe(
            Effect.timeoutOrElse({ duration: within, orElse: () => Effect.fail(tooSlow(within)) })
          )
        },
        Effect.scoped
      )

      /** Of what all have together, without waiting for it. */
      const takeNow = (sizeBytes: number) =>
        Effect.acquireRelease(
          ofAnswers.takeIfAvailable(sizeBytes),
          (taken) => taken ? ofAnswers.release(sizeBytes) : Effect.void
        )
      const orUntaken = (taken: boolean) => taken ? Effect.void : Effect.fail(untaken)

      return Bodies.of({
        room: (sizeBytes, use) => Effect.scopedWith((held) => Effect.andThen(Scope.provide(take(sizeBytes), held), use)),
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
              const sizeBytes = sizeOf(request, limitBytes)
              return sizeBytes <= limitBytes
                ? Effect.flatMap(arrive(caller, request, sizeBytes, held), use)
                : Effect.fail(tooLarge(limitBytes))
            })
          )
      })
    })
  )
}
