// The log of a stage goes to the worker's own output at once and to the server in pieces by offset, without secrets on either way.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer, Option, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { OutputChunk } from "../../../src/worker/engine/exec-loop.ts"
import { Log, type ShipLog } from "../../../src/worker/engine/log-shipper.ts"
import type { ServerAnswer } from "../../../src/worker/network/sending.ts"

const out = (text: string, stream: OutputChunk["stream"] = "stdout"): OutputChunk => ({ stream, bytes: Buffer.from(text) })

/** A server's copy of the log, with answers that a test can set in advance. */
const server = () => {
  let stored = Buffer.alloc(0)
  const answers: Array<"no answer" | "lost answer" | ServerAnswer> = []
  const pieces: Array<number> = []
  const ship: ShipLog = (offset, bytes) =>
    Effect.suspend((): Effect.Effect<ServerAnswer, { readonly message: string }> => {
      const answer = answers.shift()
      if (answer === "no answer") return Effect.fail({ message: "down" })
      if (typeof answer === "object") return Effect.succeed(answer)
      if (offset <= stored.length) {
        stored = Buffer.concat([stored.subarray(0, Math.max(offset, stored.length)), bytes.subarray(stored.length - offset)])
      }
      if (answer === "lost answer") {
        return Effect.fail({ message: "reset" })
      }
      pieces.push(bytes.length)
      return Effect.succeed({ _tag: "StoredUpTo", end: stored.length })
    })
  return {
    ship,
    answers,
    pieces,
    text: () => stored.toString("utf8"),
    truncate: (length: number) => void (stored = stored.subarray(0, length))
  }
}

const logTo = (ship: Option.Option<ShipLog>, secrets: ReadonlyArray<string> = []) => {
  const printed: Array<string> = []
  const print = (bytes: Uint8Array) => Effect.sync(() => void printed.push(Buffer.from(bytes).toString("utf8")))
  return Effect.map(
    Layer.build(Log.layer({ secrets, parts: [], ship, print })),
    (context) => ({ log: Layer.succeedContext(context), printed })
  )
}
const using = <A>(log: Layer.Layer<Log>, use: (log: Log["Service"]) => Effect.Effect<A>) => Effect.provide(Effect.flatMap(Log, use), log)

describe("the log", () => {
  it.effect("is printed as it comes, without its secrets, and gives its end", () =>
    Effect.gen(function*() {
      const { log, printed } = yield* logTo(Option.none(), ["hunter2!"])
      const tail = yield* using(log, ({ show }) =>
        show(Stream.make(out("user root pass hun"), out("warning\n", "stderr"), out("ter2! and gate-word\n")), ["gate-word"]))
      expect(printed.join("")).toBe("user root pass warning\n*** and ***\n")
      expect(tail).toBe(printed.join(""))
    }))

  it.effect.each(["stdout", "stderr"] as const)("has the end of %s, though a secret begins like that", (stream) =>
    Effect.gen(function*() {
      const { log, printed } = yield* logTo(Option.none(), ["hunter2!"])
      yield* using(log, ({ show }) => show(Stream.make(out("no hun", stream)), []))
      expect(printed.join("")).toBe("no hun")
    }))

  it.effect("keeps no more than its end", () =>
    Effect.gen(function*() {
      const { log } = yield* logTo(Option.none())
      const tail = yield* using(log, ({ show }) =>
        show(Stream.range(1, 1000).pipe(Stream.map((n) => out(`${String(n).padStart(200)}\n`))), []))
      expect(tail).toHaveLength(64 * 1024)
      expect(tail).toMatch(/ 1000\n$/u)
    }))

  it.effect.prop("has the same end, whatever the pieces are that it comes in", [
    Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 150_000 }))).check(Schema.isMaxLength(8))
  ], ([sizes]) =>
    Effect.gen(function*() {
      const { log } = yield* logTo(Option.none())
      const text = Array.from({ length: sizes.reduce((sum, size) => sum + size, 0) }, (_, at) => String.fromCharCode(97 + at % 25)).join("")
      let from = 0
      const pieces = sizes.map((size) => out(text.slice(from, from += size)))
      expect(yield* using(log, ({ show }) => show(Stream.fromIterable(pieces), []))).toBe(text.slice(-64 * 1024))
    }), { arbitrary: { runs: 20 } })

  it.effect("goes to the server at once, and then in pieces of what came within 200 ms", () =>
    Effect.gen(function*() {
      const { pieces, ship, text } = server()
      const { log } = yield* logTo(Option.some(ship))
      yield* using(log, ({ line }) => Effect.andThen(line("one"), line("two")))
      yield* TestClock.adjust(0)
      expect([text(), pieces]).toEqual(["one\ntwo\n", [8]])
      yield* using(log, ({ line }) => Effect.andThen(line("three"), line("four")))
      yield* TestClock.adjust("199 millis")
      expect(pieces).toEqual([8])
      yield* TestClock.adjust("1 millis")
      expect([text(), pieces]).toEqual(["one\ntwo\nthree\nfour\n", [8, 11]])
      yield* TestClock.adjust("1 minute")
      yield* using(log, ({ line }) => line("after a silence"))
      yield* TestClock.adjust(0)
      expect(pieces).toEqual([8, 11, 16])
    }))

  it.effect("goes to the server five times a second at most, however many lines come", () =>
    Effect.gen(function*() {
      const { pieces, ship } = server()
      const { log } = yield* logTo(Option.some(ship))
      for (let turn = 0; turn < 200; turn++) {
        yield* using(log, ({ line }) => line("a line"))
        yield* TestClock.adjust("10 millis")
      }
      expect(pieces).toHaveLength(11) // the first, and ten in two seconds
    }))

  it.effect("goes to the server without a wait at the end, also what came while a piece was on its way", () =>
    Effect.gen(function*() {
      const { pieces, ship, text } = server()
      const gate = Latch.makeUnsafe(true)
      const { log } = yield* logTo(Option.some((offset, bytes) => Effect.andThen(gate.await, ship(offset, bytes))))
      yield* using(log, ({ line }) => line("one"))
      yield* TestClock.adjust(0)
      const last = (text: string) => Effect.forkChild(using(log, ({ flush, line }) => Effect.andThen(line(text), flush("1 hour"))))
      const first = yield* last("two")
      yield* Effect.repeat(TestClock.adjust(0), { until: () => pieces.length === 2, times: 99 })
      expect([text(), pieces]).toEqual(["one\ntwo\n", [4, 4]])
      yield* Fiber.join(first)
      yield* TestClock.adjust("200 millis")
      gate.closeUnsafe()
      yield* using(log, ({ line }) => line("three"))
      yield* TestClock.adjust(0)
      const second = yield* last("four")
      yield* TestClock.adjust(0)
      gate.openUnsafe()
      yield* Effect.repeat(TestClock.adjust(0), { until: () => pieces.length === 4, times: 99 })
      expect([text(), pieces]).toEqual(["one\ntwo\nthree\nfour\n", [4, 4, 6, 5]])
      yield* Fiber.join(second)
    }))

  it.effect("does not show the server the beginning of a secret, however soon it is sent", () =>
    Effect.gen(function*() {
      const { pieces, ship, text } = server()
      const { log } = yield* logTo(Option.some(ship), ["hunter2!"])
      const untilSent = Effect.as(Effect.andThen(TestClock.adjust("1 minute"), Effect.yieldNow), out("ter2! again\n"))
      yield* using(log, ({ show }) => show(Stream.concat(Stream.make(out("pass hun")), Stream.fromEffect(untilSent)), []))
      yield* TestClock.adjust("1 minute")
      expect([text(), pieces]).toEqual(["pass *** again\n", [5, 10]])
    }))

  it.effect("asks for nothing more when the server has what came while a piece was on its way", () =>
    Effect.gen(function*() {
      const { pieces, ship, text } = server()
      const { log } = yield* logTo(Option.some((offset, bytes) => Effect.delay(ship(offset, bytes), "100 millis")))
      yield* using(log, ({ line }) => line("one"))
      yield* TestClock.adjust("50 millis")
      yield* using(log, ({ line }) => line("two"))
      yield* TestClock.adjust("1 minute")
      expect([text(), pieces]).toEqual(["one\ntwo\n", [4, 4]])
    }))

  it.effect("goes to the server in pieces of 64 KiB at most, without a pause while a whole one waits", () =>
    Effect.gen(function*() {
      const { pieces, ship, text } = server()
      const { log } = yield* logTo(Option.some(ship))
      yield* using(log, ({ line }) => line("x".repeat(200_000)))
      yield* Effect.repeat(TestClock.adjust(0), { until: () => pieces.length === 3, times: 99 })
      expect(pieces).toEqual([65_536, 65_536, 65_536])
      yield* TestClock.adjust("200 millis")
      expect(text()).toHaveLength(200_001)
      expect(pieces).toHaveLength(4)
    }))

  it.effect("arrives once and whole through answers that are lost or do not come", () =>
    Effect.gen(function*() {
      const { answers, ship, text } = server()
      answers.push("no answer", "lost answer", "no answer")
      const { log } = yield* logTo(Option.some(ship))
      yield* using(log, ({ line }) => line("one"))
      yield* TestClock.adjust("30 seconds")
      yield* using(log, ({ line }) => line("two"))
      yield* TestClock.adjust("30 seconds")
      expect(text()).toBe("one\ntwo\n")
    }))

  it.effect("goes on where the server's copy really ends, and is marked there", () =>
    Effect.gen(function*() {
      const { answers, ship, text, truncate } = server()
      const { log } = yield* logTo(Option.some(ship))
      yield* using(log, ({ line }) => line("one"))
      yield* TestClock.adjust("1 second")
      truncate(2) // the server lost what it had acknowledged
      answers.push({ _tag: "StoredUpTo", end: 2 })
      yield* using(log, ({ line }) => line("two"))
      yield* TestClock.adjust("1 second")
      yield* using(log, ({ line }) => line("three"))
      yield* TestClock.adjust("1 second")
      expect(text()).toBe("on\n[2 bytes of the log are missing here: the server has lost them]\ntwo\nthree\n")
    }))

  it.effect("is marked where something had to be dropped, and keeps its end", () =>
    Effect.gen(function*() {
      const { answers, ship, text } = server()
      answers.push(...Array.from({ length: 10 }, () => "no answer" as const))
      const { log } = yield* logTo(Option.some(ship))
      yield* using(log, ({ line }) => line("first"))
      yield* TestClock.adjust("1 second")
      yield* using(log, ({ line }) => Effect.forEach(Array.from({ length: 60 }, (_, at) => `${at} ${"x".repeat(100_000)}`), line))
      // In steps of a second, because the loop may fall behind a clock that is set forward in one go.
      yield* Effect.repeat(TestClock.adjust("1 second"), { until: () => text().endsWith("x\n"), times: 300 })
      expect(text()).toMatch(/^first\n\n\[\d+ bytes of the log are missing here: the server did not take them in time\]\nx/u)
      expect(text()).toMatch(/\n59 x+\n$/u)
      expect(text().length).toBeLessThan(4.2 * 1024 ** 2)
    }))

  it.effect("goes to a slow server with its end, where there is not the time for all", () =>
    Effect.gen(function*() {
      const { ship, text } = server()
      const { log } = yield* logTo(Option.some((offset, bytes) => Effect.delay(ship(offset, bytes), "1 second")))
      yield* using(log, ({ line }) => line("x".repeat(3_000_000)))
      yield* using(log, ({ line }) => line("the last words"))
      const flushing = yield* Effect.forkChild(using(log, ({ flush }) => flush("10 seconds")))
      yield* Effect.repeat(TestClock.adjust("500 millis"), { until: () => text().endsWith("x\nthe last words\n"), times: 19 })
      expect(text()).toMatch(
        /^x+\n\[\d+ bytes of the log are missing here: the server did not take them in time\]\nx{60000,170000}\nthe last words\n$/u
      )
      yield* TestClock.adjust("500 millis")
      yield* Fiber.join(flushing)
    }))

  it.effect("goes to a slow server whole, where there is the time for all, if little more", () =>
    Effect.gen(function*() {
      const { ship, text } = server()
      const { log } = yield* logTo(Option.some((offset, bytes) => Effect.delay(ship(offset, bytes), "1 second")))
      yield* using(log, ({ line }) => line("x".repeat(6.5 * 64 * 1024)))
      const flushing = yield* Effect.forkChild(using(log, ({ flush }) => flush("10 seconds")))
      yield* Effect.repeat(TestClock.adjust("500 millis"), { times: 19 })
      yield* Fiber.join(flushing)
      expect(text()).toMatch(/^x+\n$/u)
    }))

  it.effect("does not hold up the engine when the server takes none", () =>
    Effect.gen(function*() {
      const { answers, ship, text } = server()
      answers.push({ _tag: "Refused" })
      const { log, printed } = yield* logTo(Option.some(ship))
      yield* using(log, ({ line }) => line("one"))
      yield* TestClock.adjust("1 second")
      yield* using(log, ({ flush, line }) => Effect.andThen(line("two"), flush("1 hour")))
      expect(text()).toBe("")
      expect(printed.join("")).toBe("one\ntwo\n")
    }))

  it.effect("is flushed when the server has it, and no later than asked", () =>
    Effect.gen(function*() {
      const { answers, ship, text } = server()
      answers.push(...Array.from({ length: 12 }, () => "no answer" as const))
      const { log } = yield* logTo(Option.some(ship))
      yield* using(log, ({ line }) => line("one"))
      const soon = yield* Effect.forkChild(using(log, ({ flush }) => flush("2 seconds")))
      const later = yield* Effect.forkChild(using(log, ({ flush }) => flush("10 minutes")))
      yield* TestClock.adjust("2 seconds")
      yield* Fiber.join(soon)
      expect(text()).toBe("")
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(later)
      expect(text()).toBe("one\n")
    }))

  it.effect("is sent soon when it is flushed, however long the server gave no answer before", () =>
    Effect.gen(function*() {
      const { answers, ship, text } = server()
      answers.push(...Array.from({ length: 9 }, () => "no answer" as const))
      const { log } = yield* logTo(Option.some(ship))
      yield* using(log, ({ line }) => line("one"))
      yield* Effect.repeat(TestClock.adjust("1 second"), { until: () => answers.length === 1, times: 60 })
      const flushing = yield* Effect.forkChild(using(log, ({ flush }) => flush("2 seconds")))
      yield* TestClock.adjust("500 millis")
      expect(text()).toBe("one\n")
      yield* Fiber.join(flushing)
    }))
})
