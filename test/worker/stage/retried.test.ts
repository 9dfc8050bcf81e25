// What a stage runs again by itself: only what changed nothing and may succeed by then, after pauses, and never once it has to stop.
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { Log } from "../../../src/worker/engine/log-shipper.ts"
import { StageFailed } from "../../../src/worker/stage-failed.ts"
import { retried } from "../../../src/worker/stage/retried.ts"
import { tarGz, taskApi } from "../fake-task-api.ts"
import { neverStops } from "../never-stops.ts"
import { pod } from "../pod.ts"
import { poolTask, token } from "../whole-stage.ts"

const busy = new StageFailed({ reason: "ProviderMissing", message: "The registry is busy.", mayPass: true })
const wrong = new StageFailed({ reason: "InvalidConfiguration", message: "The configuration is wrong." })

/** A command that ends in these ways, one after the other. `log` is what the stage's log says between them. */
const command = (...ends: ReadonlyArray<StageFailed | "success">) => {
  const [left, log]: [Array<StageFailed | "success">, Array<string>] = [[...ends], []]
  const run = Effect.suspend(() => {
    const end = left.shift() ?? "success"
    return end === "success" ? Effect.succeed(end) : Effect.fail(end)
  })
  const logging = Log.layer({
    secrets: [],
    parts: [],
    ship: Option.none(),
    print: (bytes) => Effect.sync(() => void log.push(Buffer.from(bytes).toString("utf8")))
  })
  const running = (stop = neverStops()) => Effect.forkChild(Effect.result(retried(run)).pipe(Effect.provide(Layer.merge(logging, stop))))
  return { running, log, left }
}

describe("a command that may succeed when it is run again", () => {
  it.effect("is run again after 5 and after 20 seconds, which the log says", () =>
    Effect.gen(function*() {
      const { left, log, running } = command(busy, busy, "success")
      const fiber = yield* running()
      yield* TestClock.adjust("4 seconds")
      expect(left).toHaveLength(2)
      yield* TestClock.adjust("1 second")
      expect(left).toHaveLength(1)
      yield* TestClock.adjust("20 seconds")
      expect(yield* Fiber.join(fiber)).toMatchObject({ _tag: "Success", success: "success" })
      expect(log.join("")).toMatch(/again in 5 seconds[^]+again in 20 seconds/u)
    }))

  it.effect("fails as it did the third time", () =>
    Effect.gen(function*() {
      const { left, running } = command(busy, busy, busy, "success")
      const fiber = yield* running()
      yield* TestClock.adjust("1 minute")
      expect(yield* Fiber.join(fiber)).toMatchObject({ failure: busy })
      expect(left).toEqual(["success"])
    }))

  it.effect("is not run again if it then fails in another way", () =>
    Effect.gen(function*() {
      const { running } = command(busy, wrong, "success")
      const fiber = yield* running()
      yield* TestClock.adjust("1 minute")
      expect(yield* Fiber.join(fiber)).toMatchObject({ failure: wrong })
    }))

  it.effect("is not run again once the stage has to stop, which ends the pause", () =>
    Effect.gen(function*() {
      const { left, running } = command(busy, "success")
      const asked = yield* Deferred.make<"Cancelled">()
      const fiber = yield* running(neverStops({ asked: Deferred.await(asked) }))
      yield* TestClock.adjust("1 second")
      yield* Deferred.succeed(asked, "Cancelled")
      expect(yield* Fiber.join(fiber)).toMatchObject({ failure: { _tag: "StageStopped", cause: "Cancelled" } })
      expect(left).toEqual(["success"])
    }))
})

it.live("a stage pauses after an init whose server was busy, and can be cancelled meanwhile", () =>
  Effect.gen(function*() {
    const api = yield* taskApi
    api.archive = tarGz({ "main.tf": "" })
    const here = yield* pod({
      tofu:
        "#!/bin/sh\n[ \"$1\" = version ] && echo '{\"terraform_version\": \"9.9.9\"}' && exit\necho 'Error: Failed to install provider: 503 Service Unavailable'\nexit 1\n"
    })
    const kubernetes = poolTask(api, "plan")
    const running = yield* Effect.forkChild(here.run(kubernetes, token(here, api)))
    yield* here.logged("again in 5 seconds")
    yield* kubernetes.cancel
    yield* Fiber.join(running)
    expect(kubernetes.task().status.message, here.log()).toBe("The stage was cancelled; nothing was changed.")
  }))
