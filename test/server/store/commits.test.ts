import { describe, expect, it } from "@effect/vitest"
import { Array as Arrays, Clock, Deferred, Effect, Exit, Fiber, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { Commits, Waiters } from "../../../src/server/store/commits.ts"
import { layerDatabase } from "../../../src/server/store/database.ts"

/** Starts a poll of up to a minute that finds nothing until `find` is called; `looked` waits until it has looked that often. */
const polling = Effect.fnUntraced(function*(topic: Parameters<Commits["Service"]["await"]>[0]) {
  let looks = 0
  let there = false
  const commits = yield* Commits
  const poll = yield* Effect.forkChild(
    commits.await(topic, 60, Effect.sync(() => (++looks, { found: there ? looks : undefined })))
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
      expect(yield* Fiber.join(two.poll)).toBe(2)
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
      expect(yield* Effect.forEach(followers, ({ poll }) => Fiber.join(poll))).toEqual(Array.from({ length: 50 }, () => 2))
      yield* Effect.forEach(agents, ({ poll }) => Fiber.interrupt(poll))
    }).pipe(inMemory))

  it.effect.each(["assignments", "cancellations"] as const)(
    "of %s looks in its turn among all that a commit wakes, so that others are answered between them",
    (topic) =>
      Effect.gen(function*() {
        let turn = 0
        yield* Effect.forkChild(Effect.forever(Effect.andThen(Effect.yieldNow, Effect.sync(() => turn++))))
        const looks: Array<number> = []
        const look = Effect.sync(() => {
          looks.push(turn)
          return { found: undefined }
        })
        const commits = yield* Commits
        const polls = yield* Effect.replicateEffect(Effect.forkChild(commits.await(topic, 60, look)), 100)
        yield* Effect.repeat(Effect.yieldNow, { until: () => looks.length === 100 })
        yield* committed(topic)
        yield* TestClock.adjust("1 second")
        yield* Effect.repeat(Effect.yieldNow, { until: () => looks.length === 200 })
        const inTurns = Object.values(Arrays.groupBy(looks.slice(100), String)).map(({ length }) => length)
        expect(Math.max(...inTurns)).toBeLessThanOrEqual(16) // eight that go, and eight that come
        yield* Effect.forEach(polls, Fiber.interrupt)
      }).pipe(inMemory)
  )

  it.effect("of a log does not wait for that beyond its own time, and has the news then", () =>
    Effect.gen(function*() {
      const { find, poll } = yield* polling("logs run-one")
      yield* TestClock.adjust("59995 millis")
      find()
      yield* committed("logs run-one")
      yield* TestClock.adjust("5 millis")
      expect(poll.pollUnsafe()).toEqual(Exit.succeed(2))
    }).pipe(inMemory))

  it.effect("of a log does not wait for that when the server stops", () =>
    Effect.gen(function*() {
      const { poll } = yield* polling("logs run-one")
      yield* committed("logs run-one")
      yield* Effect.yieldNow
      yield* (yield* Commits).stop
      expect(yield* Fiber.join(poll)).toBe(undefined)
    }).pipe(inMemory))

  it.effect("misses no commit between its look and its wait", () =>
    Effect.gen(function*() {
      const commits = yield* Commits
      const [begun, goOn] = [yield* Deferred.make<void>(), yield* Deferred.make<void>()]
      let there = false
      const look = Effect.gen(function*() {
        const found = there ? "found" : undefined
        yield* Deferred.succeed(begun, undefined)
        yield* Deferred.await(goOn)
        return { found }
      })
      const poll = yield* Effect.forkChild(commits.await("assignments", 60, look))
      yield* Deferred.await(begun)
      there = true
      yield* committed("assignments")
      yield* Deferred.succeed(goOn, undefined)
      expect(yield* Fiber.join(poll)).toBe("found")
    }).pipe(inMemory))

  it.effect("of a topic goes on waiting when another of it ends", () =>
    Effect.gen(function*() {
      const [one, two] = [yield* polling("assignments"), yield* polling("assignments")]
      yield* Fiber.interrupt(one.poll)
      two.find()
      yield* committed("assignments")
      yield* TestClock.adjust("1 second")
      expect(two.poll.pollUnsafe()).toEqual(Exit.succeed(2))
    }).pipe(inMemory))

  it.effect("looks again, without any commit, at the time that its look named", () =>
    Effect.gen(function*() {
      yield* TestClock.adjust("1 minute")
      const againAt = (yield* Clock.currentTimeMillis) + 10_000
      const { await: poll } = yield* Commits
      const look = Effect.map(Clock.currentTimeMillis, (now) => ({ found: now < againAt ? undefined : now, againAt }))
      const polled = yield* Effect.forkChild(poll("assignments", 60, look))
      yield* TestClock.adjust("9 seconds")
      expect(polled.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust("1 second")
      expect(polled.pollUnsafe()).toEqual(Exit.succeed(againAt))
    }).pipe(inMemory))

  it.effect("of a log takes a second where too many wait, and not its time, and then has what there is", () =>
    Effect.gen(function*() {
      const { await: poll } = yield* Commits
      const first = yield* polling("logs run-one")
      const second = yield* polling("logs run-two")
      const third = yield* polling("logs run-two")
      yield* TestClock.adjust("999 millis")
      expect(second.poll.pollUnsafe()).toBeUndefined()
      third.find()
      yield* TestClock.adjust("1 millis")
      expect(second.poll.pollUnsafe()).toEqual(Exit.succeed(undefined))
      expect(third.poll.pollUnsafe()).toEqual(Exit.succeed(2))
      expect(yield* poll("logs run-two", 60, Effect.succeed({ found: "there" }))).toBe("there")
      expect(first.poll.pollUnsafe()).toBeUndefined()
      yield* Fiber.interrupt(first.poll)
    }).pipe(inMemory, Effect.provideService(Waiters, { agents: 1, logs: 1 })))

  it.effect("of a log has its news as soon as if none were there for whom too many wait", () =>
    Effect.gen(function*() {
      const { find, poll } = yield* polling("logs run-one")
      const others = yield* Effect.forEach(Array.from({ length: 50 }), () => polling("logs run-one"))
      find()
      yield* committed("logs run-one")
      yield* TestClock.adjust("10 millis")
      expect(poll.pollUnsafe()).toEqual(Exit.succeed(2))
      yield* Effect.forEach(others, ({ poll }) => Fiber.interrupt(poll))
    }).pipe(inMemory, Effect.provideService(Waiters, { agents: 1, logs: 1 })))

  it.effect("of agents is refused where too many wait, and waits once another is over", () =>
    Effect.gen(function*() {
      const { await: poll } = yield* Commits
      const first = yield* polling("assignments")
      const nothing = Effect.succeed({ found: undefined })
      const refused = yield* Effect.forkChild(Effect.flip(poll("cancellations", 60, nothing)))
      yield* TestClock.adjust("1 second")
      expect(refused.pollUnsafe()).toMatchObject({ value: { status: 429, error: "too-many-waiting" } })
      yield* Fiber.interrupt(first.poll)
      const next = yield* Effect.forkChild(poll("cancellations", 60, nothing))
      yield* TestClock.adjust("1 minute")
      expect(next.pollUnsafe()).toEqual(Exit.succeed(undefined))
    }).pipe(inMemory, Effect.provideService(Waiters, { agents: 1, logs: 1 })))

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
      expect(poll.pollUnsafe()).toMatchObject({ _tag: "Success", value: undefined })
    }).pipe(inMemory))
})
