import { describe, expect, it } from "@effect/vitest"
import { Clock, Deferred, Duration, Effect, Exit, Fiber, Logger, Option, References, Schema, Scope } from "effect"
import { TestClock } from "effect/testing"
import { makeBackoff } from "../../src/queue/backoff.ts"
import { make } from "../../src/queue/keyed-queue.ts"

const backoff = () => makeBackoff<string>(Duration.seconds(1), Duration.minutes(5))
const none = Option.none<Duration.Duration>()
const seconds = Effect.map(Clock.currentTimeMillis, (now) => now / 1000)

/** Work that takes a second and logs `key@start`. `overlaps` counts how often a key ran twice at once, which is a defect. */
const recorder = () => {
  const log: Array<string> = []
  const active = new Set<string>()
  const most = { keys: 0, overlaps: 0 }
  const work = (key: string) =>
    Effect.gen(function*() {
      log.push(`${key}@${yield* seconds}`)
      if (active.has(key)) most.overlaps++
      active.add(key)
      most.keys = Math.max(most.keys, active.size)
      yield* Effect.sleep("1 second")
      active.delete(key)
      return none
    })
  return { log, most, work }
}

describe("KeyedQueue", () => {
  it.effect("absorbs adds while a key waits, and runs it once more after adds while it runs", () =>
    Effect.gen(function*() {
      const { log, work } = recorder()
      const queue = yield* make({ concurrency: 1, work, backoff: backoff() })
      yield* Effect.all([queue.add("a"), queue.add("b"), queue.add("a"), queue.add("b"), queue.addAfter("b", "5 seconds")])
      yield* TestClock.adjust("500 millis")
      yield* Effect.all([queue.add("a"), queue.add("a")])
      yield* TestClock.adjust("10 seconds")
      expect(log).toEqual(["a@0", "b@1", "a@2"])
    }))

  it.effect("runs different keys together, up to the bound", () =>
    Effect.gen(function*() {
      const { log, most, work } = recorder()
      const queue = yield* make({ concurrency: 2, work, backoff: backoff() })
      yield* Effect.forEach(["a", "b", "c"], queue.add)
      yield* TestClock.adjust("10 seconds")
      expect(log).toEqual(["a@0", "b@0", "c@1"])
      expect(most).toEqual({ keys: 2, overlaps: 0 })
    }))

  it.effect("names the key in all that its work logs, and in what is logged of a failure", () =>
    Effect.gen(function*() {
      const logged: Array<unknown> = []
      const logger = Logger.make(({ fiber, message }) => void logged.push([message, fiber.getRef(References.CurrentLogAnnotations)]))
      const work = () => Effect.andThen(Effect.logInfo("it was made by an earlier try"), Effect.fail("no"))
      const queue = yield* Effect.provide(make({ concurrency: 1, work, backoff: backoff() }), Logger.layer([logger]))
      yield* queue.add("tasks/a")
      yield* TestClock.adjust("500 millis")
      expect(logged).toEqual([
        [["it was made by an earlier try"], { key: "tasks/a" }],
        [expect.arrayContaining(["work failed"]), { key: "tasks/a", failures: 1, retryIn: "1s" }]
      ])
    }))

  it.effect("backs off failures, and forgets them after a success", () =>
    Effect.gen(function*() {
      const at: Array<number> = []
      const work = () =>
        Effect.flatMap(seconds, (now) => at.push(now) === 4 ? Effect.succeed(Option.some(Duration.minutes(1))) : Effect.fail("no"))
      const queue = yield* make({ concurrency: 1, work, backoff: makeBackoff(Duration.seconds(1), Duration.seconds(3)) })
      yield* queue.add("a")
      yield* TestClock.adjust("67 seconds")
      expect(at).toEqual([0, 1, 3, 6, 66, 67])
    }))

  it.effect("leaves a key alone for as long as its failure asks, if that is longer than the backoff", () =>
    Effect.gen(function*() {
      const at: Array<number> = []
      const work = () => Effect.flatMap(seconds, (now) => Effect.fail(at.push(now) === 1 ? 10 : 1))
      const queue = yield* make({ concurrency: 1, work, backoff: backoff(), pauseOf: Duration.seconds })
      yield* queue.add("a")
      yield* TestClock.adjust("20 seconds")
      expect(at).toEqual([0, 10, 12, 16])
    }))

  it.effect("works on after a defect and after an interruption from inside", () =>
    Effect.gen(function*() {
      const runs: Array<string> = []
      const work = (key: string) => {
        runs.push(key)
        return key === "dies" ? Effect.die("broken") : key === "interrupts" ? Effect.interrupt : Effect.succeed(none)
      }
      const queue = yield* make({ concurrency: 1, work, backoff: makeBackoff(Duration.minutes(40), Duration.minutes(40)) })
      yield* Effect.forEach(["dies", "interrupts", "works"], queue.add)
      yield* TestClock.adjust("1 hour")
      yield* TestClock.adjust("1 minute")
      expect(runs).toEqual(["dies", "interrupts", "works", "dies", "interrupts"])
    }))

  it.effect("lets the earliest of several delays win", () =>
    Effect.gen(function*() {
      const { log, work } = recorder()
      const queue = yield* make({ concurrency: 1, work, backoff: backoff() })
      yield* queue.addAfter("a", "30 seconds")
      yield* queue.addAfter("a", "10 seconds")
      yield* queue.addAfter("a", "20 seconds")
      yield* queue.addAfter("b", "20 seconds")
      yield* TestClock.adjust("15 seconds")
      yield* queue.add("b")
      yield* TestClock.adjust("1 hour")
      expect(log).toEqual(["a@10", "b@15"])
    }))

  it.effect("tells how many keys wait for a worker, and not for their time", () =>
    Effect.gen(function*() {
      const { work } = recorder()
      const queue = yield* make({ concurrency: 1, work, backoff: backoff() })
      yield* Effect.forEach(["a", "b", "c"], queue.add)
      yield* queue.addAfter("d", "1 minute")
      yield* TestClock.adjust("10 millis")
      expect(yield* queue.waiting).toBe(2)
      yield* Effect.forEach(["a", "b"], queue.add)
      expect(yield* queue.waiting).toBe(2) // "a" runs, and will run again
      yield* TestClock.adjust("2 minutes")
      expect(yield* queue.waiting).toBe(0)
    }))

  it.effect("lets no timer of a key sleep on that runs sooner, since thousands of tasks that are gone would leave one each", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      let asleep = 0
      const sleep: Clock.Clock["sleep"] = (duration) =>
        Effect.suspend(() => {
          asleep++
          return Effect.ensuring(clock.sleep(duration), Effect.sync(() => asleep--))
        })
      yield* Effect.gen(function*() {
        const queue = yield* make({ concurrency: 4, work: () => Effect.succeedNone, backoff: backoff() })
        for (const key of ["a", "b", "c"]) yield* queue.addAfter(key, "10 minutes")
        yield* TestClock.adjust(0)
        expect(asleep).toBe(3)
        for (const key of ["a", "b"]) yield* queue.add(key)
        yield* TestClock.adjust("1 second")
        expect(asleep).toBe(1)
        yield* TestClock.adjust("10 minutes")
        expect(asleep).toBe(0)
      }).pipe(Effect.provideService(Clock.Clock, { ...clock, sleep }))
    }))

  it.effect("finishes what runs and begins nothing more when it drains", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const log: Array<string> = []
      const work = (key: string) =>
        Effect.sync(() => void log.push(`${key} begins`)).pipe(
          Effect.andThen(Deferred.await(gate)),
          Effect.andThen(Effect.sync(() => (log.push(`${key} ends`), none)))
        )
      const queue = yield* make({ concurrency: 1, work, backoff: backoff() })
      yield* Effect.forEach(["a", "b"], queue.add)
      yield* TestClock.adjust("1 second")
      const draining = yield* Effect.forkChild(queue.drain)
      yield* TestClock.adjust("1 second")
      expect(draining.pollUnsafe()).toBeUndefined()
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(draining)
      yield* queue.add("c")
      yield* TestClock.adjust("1 minute")
      expect(log).toEqual(["a begins", "a ends"])
    }))

  it.effect("stops with its scope", () =>
    Effect.gen(function*() {
      const { log, work } = recorder()
      const scope = yield* Scope.make()
      const queue = yield* make({ concurrency: 1, work, backoff: backoff() }).pipe(Scope.provide(scope))
      yield* Effect.forEach(["a", "b"], queue.add)
      yield* TestClock.adjust("500 millis")
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust("1 minute")
      expect(log).toEqual(["a@0"])
    }))

  const Step = Schema.Struct({
    key: Schema.Literals(["a", "b", "c"]),
    delayMillis: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2000 })),
    waitMillis: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3000 }))
  })
  it.effect.prop("loses no add and never runs a key twice at once", { steps: Schema.Array(Step) }, ({ steps }) =>
    Effect.gen(function*() {
      const { log, most, work } = recorder()
      const queue = yield* make({ concurrency: 2, work, backoff: backoff() })
      const lastAdd = new Map<string, number>()
      for (const { delayMillis, key, waitMillis } of steps) {
        yield* TestClock.adjust(waitMillis)
        lastAdd.set(key, yield* seconds)
        yield* delayMillis === 0 ? queue.add(key) : queue.addAfter(key, delayMillis)
      }
      yield* TestClock.adjust("1 minute")
      expect(most.overlaps).toBe(0)
      for (const [key, added] of lastAdd) {
        expect(Number(log.findLast((run) => run.startsWith(key))?.slice(2))).toBeGreaterThanOrEqual(added)
      }
    }).pipe(Effect.scoped, Effect.provide(TestClock.layer())))
})
