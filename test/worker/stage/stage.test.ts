// What a stage tells of its plan before it goes on.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { makeJournal } from "../../../src/worker/engine/journal.ts"
import { Log } from "../../../src/worker/engine/log-shipper.ts"
import { tellPlanned } from "../../../src/worker/stage/stage.ts"
import { podSettings } from "../pod-settings.ts"

describe("a plan that is too large to be read", () => {
  it.effect("says so in its log, and to the server that its apply makes more than it knows", () =>
    Effect.gen(function*() {
      const heard: Array<string> = []
      const told: Array<string> = []
      const journal = yield* makeJournal(
        { redact: (text) => text, redactKey: (key) => key },
        Option.some((entries) =>
          Effect.sync(() => {
            heard.push(...entries.map(({ kind }) => kind))
            return { _tag: "StoredUpTo", end: entries.at(-1)?.number ?? 0 } as const
          })
        )
      )
      const telling = yield* Effect.forkChild(
        tellPlanned(Option.none(), journal, true).pipe(Effect.provide(Layer.mergeAll(
          podSettings("/none", "/none"),
          Log.layer({
            secrets: [],
            parts: [],
            ship: Option.none(),
            print: (bytes) => Effect.sync(() => void told.push(Buffer.from(bytes).toString("utf8")))
          })
        )))
      )
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(telling)
      expect(heard).toEqual(["full"])
      expect(told.join("")).toContain("larger than the worker reads")
    }))
})
