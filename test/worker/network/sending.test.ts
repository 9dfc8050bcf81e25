// How logs and journals are sent: one request at a time, again after a while, and without holding up anything else.
import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Option } from "effect"
import { TestClock } from "effect/testing"
import { ServerAnswer, startSending } from "../../../src/worker/network/sending.ts"

/** What has become of a request. The server `failed` when it gave no answer, or took nothing. */
type Sent = "taken" | "failed" | "untaken" | "refused"

const pause = () => Duration.millis(20)

/** Things to send, of which the server takes one with each request, after it has given these `answers`. */
const sending = Effect.fnUntraced(function*(...answers: ReadonlyArray<Exclude<Sent, "taken">>) {
  const [left, asked] = [[...answers], Array.of<Sent>()]
  let [things, stored] = [0, 0]
  const send = Effect.suspend((): Effect.Effect<ServerAnswer, { readonly message: string }> => {
    const sent = left.shift() ?? "taken"
    asked.push(sent)
    if (sent === "failed") return Effect.fail({ message: "down" })
    return Effect.succeed(
      sent === "refused" ? ServerAnswer.Refused() : ServerAnswer.StoredUpTo({ end: stored + (sent === "taken" ? 1 : 0) })
    )
  })
  const storedUpTo = (end: number) => {
    const isTaken = end > stored
    things -= end - stored
    stored = end
    return isTaken
  }
  const { wake, ...more } = yield* startSending({
    send: Option.some(send),
    storedUpTo,
    refused: Effect.void,
    isLeft: () => things > 0,
    pause
  })
  const add = (count: number) => {
    things += count
    wake()
  }
  return { add, asked, ...more }
})

describe("what is to be sent", () => {
  it.effect("goes at once, and the rest after a pause each, until nothing is left", () =>
    Effect.gen(function*() {
      const { add, asked } = yield* sending()
      add(3)
      yield* TestClock.adjust(0)
      expect(asked).toHaveLength(1)
      yield* TestClock.adjust("20 millis")
      expect(asked).toHaveLength(2)
      yield* TestClock.adjust("1 hour")
      expect(asked).toHaveLength(3)
    }))

  it.effect.each(
    [
      { limit: "1 second", atLeast: 5, atMost: 6 },
      { limit: "7 days", atLeast: 12, atMost: 25 }
    ] as const
  )(
    "goes to a server that is down as often as somebody who waits $limit for its end has use for",
    ({ atLeast, atMost, limit }) =>
      Effect.gen(function*() {
        const { add, asked, flush } = yield* sending(...Array.from({ length: 1000 }, () => "failed" as const))
        add(1)
        yield* Effect.repeat(TestClock.adjust("1 second"), { times: 29 }) // by then, each pause is five seconds
        const before = asked.length
        yield* Effect.forkChild(flush(limit))
        const seconds = limit === "1 second" ? 1 : 60
        yield* Effect.repeat(TestClock.adjust("100 millis"), { times: seconds * 10 - 1 })
        expect(asked.length - before).toBeGreaterThanOrEqual(atLeast - 1)
        expect(asked.length - before).toBeLessThanOrEqual(atMost)
      })
  )

  it.effect("goes without a pause while somebody waits for its end, and with pauses again after that", () =>
    Effect.gen(function*() {
      const { add, asked, flush } = yield* sending()
      add(3)
      yield* TestClock.adjust(0)
      const flushing = yield* Effect.forkChild(flush("1 hour"))
      yield* Effect.repeat(TestClock.adjust(0), { until: () => asked.length === 3, times: 99 })
      expect(asked).toHaveLength(3)
      expect(yield* Fiber.join(flushing)).toBe(true)
      expect(yield* flush("1 hour")).toBe(true) // nothing is left, so this hurries nothing that comes later
      yield* TestClock.adjust("20 millis")
      add(2)
      yield* TestClock.adjust("19 millis")
      expect(asked).toHaveLength(4)
    }))

  it.effect("is tried again no sooner because somebody waits for its end", () =>
    Effect.gen(function*() {
      const { add, asked, flush } = yield* sending("failed")
      add(2)
      const flushing = yield* Effect.forkChild(flush("1 hour"))
      yield* TestClock.adjust("199 millis")
      expect(asked).toEqual(["failed"])
      yield* TestClock.adjust("1 millis")
      expect(asked).toEqual(["failed", "taken", "taken"])
      expect(yield* Fiber.join(flushing)).toBe(true)
    }))

  it.effect("is tried again after 200 ms, then seldomer, and as at first when something was taken", () =>
    Effect.gen(function*() {
      const { add, asked } = yield* sending("failed", "untaken")
      add(2)
      yield* TestClock.adjust("199 millis")
      expect(asked).toHaveLength(1)
      yield* TestClock.adjust("1 millis")
      expect(asked).toHaveLength(2)
      yield* TestClock.adjust("399 millis")
      expect(asked).toHaveLength(2)
      yield* TestClock.adjust("1 millis")
      yield* TestClock.adjust("20 millis")
      expect(asked).toEqual(["failed", "untaken", "taken", "taken"])
    }))

  it.effect("is asked for every five seconds at least, however long nothing is taken", () =>
    Effect.gen(function*() {
      const { add, asked } = yield* sending(...Array.from({ length: 100 }, () => "failed" as const))
      add(1)
      yield* TestClock.adjust("1 hour")
      expect(asked).toHaveLength(101)
    }))

  it.effect("is waited for as long as asked, and it is said whether the server has it", () =>
    Effect.gen(function*() {
      const { add, flush } = yield* sending("failed", "failed")
      expect(yield* flush("1 second")).toBe(true)
      add(1)
      const [soon, later] = [yield* Effect.forkChild(flush("100 millis")), yield* Effect.forkChild(flush("1 hour"))]
      yield* TestClock.adjust("1 second")
      expect([yield* Fiber.join(soon), yield* Fiber.join(later)]).toEqual([false, true])
    }))

  it.effect("is not sent to a server that refuses it, nor waited for", () =>
    Effect.gen(function*() {
      const { add, asked, flush, isRefused } = yield* sending("refused")
      add(2)
      yield* TestClock.adjust("1 hour")
      add(1)
      yield* TestClock.adjust("1 hour")
      expect([asked, isRefused(), yield* flush("1 hour")]).toEqual([["refused"], true, false])
    }))

  it.effect("is tried again also after a mistake of ours, which may not hold up who waits for the end", () =>
    Effect.gen(function*() {
      let tries = 0
      const send = Effect.suspend(() =>
        tries++ === 0 ? Effect.die(new Error("a mistake")) : Effect.succeed(ServerAnswer.StoredUpTo({ end: 1 }))
      )
      const { flush, wake } = yield* startSending({
        send: Option.some(send),
        storedUpTo: () => true,
        refused: Effect.void,
        isLeft: () => tries < 2,
        pause
      })
      wake()
      const flushing = yield* Effect.forkChild(flush("1 hour"))
      yield* TestClock.adjust("200 millis")
      expect([flushing.pollUnsafe() === undefined, tries]).toEqual([false, 2])
    }))

  it.effect("is nothing without a server", () =>
    Effect.gen(function*() {
      const { flush, isRefused } = yield* startSending({
        send: Option.none(),
        storedUpTo: () => true,
        refused: Effect.void,
        isLeft: () => true,
        pause
      })
      expect([yield* flush("1 hour"), isRefused()]).toEqual([true, true])
    }))
})
