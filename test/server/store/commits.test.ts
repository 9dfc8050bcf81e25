import { describe, expect, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { Commits } from "../../../src/server/store/commits.ts"
import { layerDatabase } from "../../../src/server/store/database.ts"

/** Starts a poll of up to a minute that finds nothing until `find` is called; `looked` waits until it has looked that often. */
const polling = Effect.fnUntraced(function*(topic: Parameters<Commits["Service"]["await"]>[0]) {
  let looks = 0
  let there = false
  const commits = yield* Commits
  const poll = yield* Effect.forkChild(
    commits.await(topic, 60, Effect.sync(() => ({ found: there ? Option.some(++looks) : (looks++, Option.none<number>()) })))
  )
  const looked = (times: number) => Effect.repeat(Effect.yieldNow, { until: () => looks >= times })
  yield* looked(1)
  return {
    poll,
    looked,
    looks: () => looks,
    find: () => {
      there = true
    }
  }
})

const committed = (topic: Parameters<Commits["Service"]["news"]>[0]) =>
  Effect.gen(function*() {
    const [commits, sql] = [yield* Commits, yield* SqlClient.SqlClient]
    yield* sql.withTransaction(commits.news(topic))
  })

const inMemory = Effect.provide(Layer.provideMerge(Commits.layer, layerDatabase(":memory:")))

describe("a long poll", () => {
  it.effect("looks again at each commit that brings news of its topic, and at no other: not even of another run's log", () =>
    Effect.gen(function*() {
      const one = yield* polling("logs run-one")
      const two = yield* polling("logs run-two")
      yield* committed("logs run-one")
      yield* TestClock.adjust("10 millis")
      yield* one.looked(2)
      yield* committed("assignments")
      yield* committed("logs run-one")
      yield* TestClock.adjust("10 millis")
      yield* one.looked(3)
      expect(two.looks()).toBe(1)
      two.find()
      yield* committed("logs run-two")
      yield* TestClock.adjust("10 millis")
      expect(yield* Fiber.join(two.poll)).toEqual(Option.some(2))
      yield* Fiber.interrupt(one.poll)
    }).pipe(inMemory))

  it.effect("of a log looks the later the more follow it, so that together they ask a hundred times a second, and one of agents at once", () =>
    Effect.gen(function*() {
      const agents = yield* Effect.forEach(Array.from({ length: 50 }), () => polling("assignments"))
      const followers = yield* Effect.forEach(Array.from({ length: 50 }), () => polling("logs run-one"))
      yield* committed("assignments")
      yield* committed("logs run-one")
      yield* Effect.forEach(agents, ({ looked }) => looked(2))
      yield* TestClock.adjust("499 millis")
      expect(new Set(followers.map(({ looks }) => looks()))).toEqual(new Set([1]))
      for (const { find } of followers) find()
      yield* TestClock.adjust("1 millis")
      expect(yield* Effect.forEach(followers, ({ poll }) => Fiber.join(poll))).toEqual(Array.from({ length: 50 }, () => Option.some(2)))
      yield* Effect.forEach(agents, ({ poll }) => Fiber.interrupt(poll))
    }).pipe(inMemory))

  it.effect("of a log does not wait for that when the server stops", () =>
    Effect.gen(function*() {
      const { poll } = yield* polling("logs run-one")
      yield* committed("logs run-one")
      yield* Effect.yieldNow
      yield* (yield* Commits).stop
      expect(yield* Fiber.join(poll)).toEqual(Option.none())
    }).pipe(inMemory))

  it.effect("misses no commit between its look and its wait", () =>
    Effect.gen(function*() {
      const commits = yield* Commits
      const [begun, goOn] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      let there = false
      const look = Effect.gen(function*() {
        const found = there ? Option.some("found") : Option.none<string>()
        yield* Deferred.succeed(begun, undefined)
        yield* Deferred.await(goOn)
        return { found }
      })
      const poll = yield* Effect.forkChild(commits.await("assignments", 60, look))
      yield* Deferred.await(begun)
      there = true
      yield* committed("assignments")
      yield* Deferred.succeed(goOn, undefined)
      expect(yield* Fiber.join(poll)).toEqual(Option.some("found"))
    }).pipe(inMemory))

  it.effect("ends after its time, though the wall clock is set back meanwhile", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      let step = 0
      const stepped: Clock.Clock = {
        ...clock,
        sleep: clock.sleep.bind(clock),
        currentTimeMillis: Effect.map(clock.currentTimeMillis, (millis) => millis + step),
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe() + step
      }
      const { poll } = yield* Effect.provideService(polling("assignments"), Clock.Clock, stepped)
      step = -600_000
      yield* committed("assignments")
      yield* TestClock.adjust("1 minute")
      expect(poll.pollUnsafe()).toMatchObject({ _tag: "Success", value: Option.none() })
    }).pipe(inMemory))
})
