// The worker's own output while nobody reads it: neither the engine nor the end of its stage waits for ever.
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Option, Stream } from "effect"
import { TestClock } from "effect/testing"
import { printTo } from "../../../src/worker/engine/container-output.ts"
import { Log } from "../../../src/worker/engine/log-shipper.ts"

/** A pipe that nobody reads until `read` runs. */
const pipe = () => {
  const written: Array<string> = []
  const waiting: Array<() => void> = []
  let isRead = false
  const print = printTo((bytes, taken) => {
    written.push(Buffer.from(bytes).toString("utf8"))
    if (isRead) taken()
    else waiting.push(taken)
  })
  const read = Effect.sync(() => {
    isRead = true
    waiting.splice(0).forEach((taken) => taken())
  })
  return { written, print: (text: string) => print(Buffer.from(text)), bytes: print, read }
}

describe("the worker's own output", () => {
  it.effect("is written at the pace at which it is read", () =>
    Effect.gen(function*() {
      const { print, read, written } = pipe()
      const printing = yield* Effect.forkChild(Effect.andThen(print("one"), print("two")))
      yield* TestClock.adjust("10 seconds")
      expect([written, printing.pollUnsafe()]).toEqual([["one"], undefined])
      yield* read
      yield* Fiber.join(printing)
      expect(written).toEqual(["one", "two"])
    }))

  it.effect("is dropped while nobody reads it, and goes on with a mark when somebody does", () =>
    Effect.gen(function*() {
      const { print, read, written } = pipe()
      const printing = yield* Effect.forkChild(Effect.forEach(["one", "two", "three"], print))
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.join(printing)
      expect(written).toEqual(["one"])
      yield* read
      yield* Effect.andThen(print("four"), print("five"))
      expect(written).toEqual(["one", "\n[8 bytes of the log are missing here: nobody took this output in time]\nfour", "five"])
    }))

  it.effect("holds up the end of an engine's output no longer than once, and the server has all of it", () =>
    Effect.gen(function*() {
      const { bytes } = pipe()
      let shipped = ""
      const ship = (_: number, piece: Uint8Array) =>
        Effect.sync(() => {
          shipped += Buffer.from(piece).toString("utf8")
          return { _tag: "StoredUpTo", end: shipped.length } as const
        })
      const { show } = Context.get(yield* Layer.build(Log.layer({ secrets: [], parts: [], ship: Option.some(ship), print: bytes })), Log)
      const shown = yield* Effect.forkChild(
        show(Stream.range(1, 100).pipe(Stream.map((at) => ({ stream: "stdout" as const, bytes: Buffer.from(`${at}\n`) }))), [])
      )
      yield* TestClock.adjust("30 seconds")
      const all = Array.from({ length: 100 }, (_, at) => `${at + 1}\n`).join("")
      expect([yield* Fiber.join(shown), shipped]).toEqual([all, all])
    }))
})
