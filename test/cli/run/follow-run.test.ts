// How often the client asks the server while it follows a run. The server here holds each poll of the log as long as the client asks it to, unless it is full.
import { expect, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { decide } from "../../../src/cli/run/approval.ts"
import { follow, followStep } from "../../../src/cli/run/follow-run.ts"
import { showRunLog } from "../../../src/cli/run/run-log.ts"
import { ServerClient } from "../../../src/cli/server/server-client.ts"
import type { RunView } from "../../../src/schema/api/run.ts"
import { pending, planned, run, stage } from "../run-views.ts"
import { toldScreen } from "../told-screen.ts"

const planning = run({ stages: [stage({ status: "running" })] })
const begin = "\x02Planning\n"

/** A mock server: its run is the view last set with `is`, it holds no poll once it is `full`, and its log has `begin` and, once `end` is completed, the closing byte. */
const following = Effect.gen(function*() {
  const end = yield* Deferred.make<void>()
  const asked: Array<string> = []
  let view: RunView = planning
  let isFull = false
  const server = Layer.mock(ServerClient, {
    url: "http://server",
    run: () =>
      Effect.sync(() => {
        asked.push("run")
        return view
      }),
    log: (_, offset, waitSeconds) => {
      asked.push(`log ${waitSeconds}`)
      if (offset === 0) return Effect.succeed(new TextEncoder().encode(begin))
      if (waitSeconds === 0) return Effect.succeed(new Uint8Array(0))
      const closing = offset === begin.length ? Effect.as(Deferred.await(end), new Uint8Array([3])) : Effect.never
      return Effect.raceFirst(closing, Effect.as(Effect.sleep(isFull ? 0 : waitSeconds * 1000), new Uint8Array(0)))
    }
  })
  const screen = toldScreen()
  return {
    asked,
    end,
    screen,
    full: () => {
      isFull = true
    },
    is: (now: RunView) => {
      view = now
    },
    started: Effect.forkChild(followStep("run-a1", follow("plan", false)).pipe(Effect.provide(server), Effect.provide(screen.layer)))
  }
})

it.effect("a log that stands still is held by the server, longer each time, and the run is looked at only in between", () =>
  Effect.gen(function*() {
    const { asked, started } = yield* following
    yield* started
    yield* TestClock.adjust("90 seconds")
    expect(asked).toEqual([
      "run",
      "log 1",
      "log 1",
      ...[2, 4, 8, 16, 20, 20, 20].flatMap((seconds) => ["run", `log ${seconds}`])
    ])
  }))

it.effect("a log that the server does not hold, since too many wait there, is read a quarter later each time, and every ten seconds in the end", () =>
  Effect.gen(function*() {
    const { asked, end, full, is, started } = yield* following
    full()
    const fiber = yield* started
    yield* TestClock.adjust("1 second") // the client looks at 0, 0.2, 0.45 and 0.76 s
    expect(asked).toEqual(["run", "log 1", "log 1", ...[2, 4, 8].flatMap((seconds) => ["run", `log ${seconds}`])])
    yield* TestClock.adjust("159 seconds")
    expect(asked.filter((what) => what === "run")).toHaveLength(30)
    is(planned)
    yield* Deferred.succeed(end, undefined)
    yield* TestClock.adjust("10 seconds")
    expect((yield* Fiber.join(fiber)).status).toBe("planned")
  }))

it.effect("the end of a log ends the wait for more of it", () =>
  Effect.gen(function*() {
    const { end, is, screen, started } = yield* following
    const fiber = yield* started
    yield* TestClock.adjust("40 seconds")
    is(planned)
    yield* Deferred.succeed(end, undefined)
    expect((yield* Fiber.join(fiber)).status).toBe("planned")
    expect(screen.transcript()).toBe("Planning\n")
  }))

it.effect("a clock that is set back does not prolong the wait for the end of a log", () =>
  Effect.gen(function*() {
    const { is, started } = yield* following
    yield* TestClock.setTime(100_000)
    is(planned) // the worker was killed, so that the closing byte never comes
    const fiber = yield* started
    yield* TestClock.adjust("1 second")
    yield* TestClock.setTime(0)
    yield* TestClock.adjust("102 seconds") // the client, which sleeps by this clock, looks again
    expect(fiber.pollUnsafe()).toBeDefined()
  }))

it.effect("a run that is doubted once its log has begun says so, and that it is at work once that is over", () =>
  Effect.gen(function*() {
    const { is, screen, started } = yield* following
    yield* started
    yield* TestClock.adjust("20 seconds")
    expect(screen.of("status")).toEqual(["Planning"])
    is(run({ ...planning, queue: { position: 1, reason: "NodeUnreachable", message: "Node n1 does not answer." } }))
    yield* TestClock.adjust("1 minute")
    expect(screen.of("status").slice(1)).toEqual(Array.from({ length: 3 }, () => "Node n1 does not answer"))
    is(planning)
    yield* TestClock.adjust("1 hour")
    expect(screen.of("status").slice(4)).toEqual(["Planning"])
  }))

it.effect("a run that has no stage yet is looked at a quarter later each time, and every ten seconds in the end", () =>
  Effect.gen(function*() {
    const { asked, is, started } = yield* following
    is(pending)
    yield* started
    yield* TestClock.adjust("1 second") // the client looks at 0, 0.2, 0.45 and 0.76 s
    expect(asked).toHaveLength(4)
    yield* TestClock.adjust("59 seconds")
    expect(asked).toHaveLength(20)
    yield* TestClock.adjust("100 seconds")
    expect(asked).toEqual(Array.from({ length: 30 }, () => "run"))
  }))

it.effect.each([
  {
    by: "logs -f",
    atOnce: 2,
    waits: showRunLog({ run: Option.some("run-a1"), workspace: Option.none(), step: Option.some("apply"), follow: true })
  },
  { by: "the question of run", atOnce: 1, waits: decide(planned, Effect.void) }
])(
  "a run that waits for a decision is looked at by $by less and less often, and every ten seconds in the end",
  ({ atOnce, waits }) =>
    Effect.gen(function*() {
      let asked = 0
      let view: RunView = planned
      const server = Layer.mock(ServerClient, {
        url: "http://server",
        run: () =>
          Effect.sync(() => {
            asked++
            return view
          })
      })
      const screen = toldScreen(Effect.never)
      const fiber = yield* Effect.forkChild(waits.pipe(Effect.provide(server), Effect.provide(screen.layer), Effect.exit))
      const looksBy: Array<number> = []
      for (const seconds of [8, 52, 100]) { // it is looked at after 2, 4.5, 7.6, 11.5, 16.4, 22.5, 30.1, 39.7 and 49.7 s
        yield* TestClock.adjust(Duration.seconds(seconds))
        looksBy.push(asked - atOnce)
      }
      expect(looksBy).toEqual([3, 10, 20])
      view = run({ ...planned, status: "discarded", final: true })
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
    })
)
