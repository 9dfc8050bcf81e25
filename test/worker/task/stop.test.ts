// What makes a stage stop: a cancel, SIGTERM, its timeout or the worker itself, whichever comes first.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Option, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { Forbidden } from "../../../src/kubernetes/errors.ts"
import type { WatchEvent } from "../../../src/kubernetes/object.ts"
import { Stop } from "../../../src/worker/task/stop.ts"
import { type FakeKubernetes, fakeKubernetes } from "../fake-kubernetes.ts"
import { podSettings } from "../pod-settings.ts"

const spec = { workspace: "demo", stage: "plan", source: { inline: {} } }

const settings = podSettings("/none", "/none", { AGENT_JOB_GRACE_SECONDS: "120" })

const listening = (kubernetes: Layer.Layer<Kubernetes>) =>
  Effect.map(Layer.build(Stop.layer.pipe(Layer.provide(Layer.merge(kubernetes, settings)))), (context) => Effect.provide(Stop, context))

type Watching = (real: Kubernetes["Service"]) => Kubernetes["Service"]["watch"]

/** The API server of the task, but for its watch. */
const watchedBy = ({ layer }: FakeKubernetes, watch: Watching) =>
  Layer.effect(Kubernetes, Effect.map(Kubernetes, (real) => Kubernetes.of({ ...real, watch: watch(real) }))).pipe(Layer.provide(layer))

describe("a stop", () => {
  it.effect("is not asked for by itself", () =>
    Effect.gen(function*() {
      const { begin, now } = yield* yield* listening(fakeKubernetes(spec).layer)
      yield* begin("1 hour")
      yield* TestClock.adjust("59 minutes")
      expect(yield* now).toEqual(Option.none())
    }))

  it.effect("comes with the time of the stage", () =>
    Effect.gen(function*() {
      const { asked, begin } = yield* yield* listening(fakeKubernetes(spec).layer)
      yield* begin("10 minutes")
      yield* TestClock.adjust("10 minutes")
      expect(yield* asked).toBe("DeadlineExceeded")
    }))

  it.effect("comes with a cancel, as soon as the watch tells", () =>
    Effect.gen(function*() {
      const kubernetes = fakeKubernetes(spec)
      const { asked, begin } = yield* yield* listening(kubernetes.layer)
      yield* begin("1 hour")
      yield* TestClock.adjust("1 second")
      yield* kubernetes.change(() => ({}))
      yield* kubernetes.cancel
      expect(yield* asked).toBe("Cancelled")
    }))

  it.effect("comes with a cancel after a bookmark, which has no object", () =>
    Effect.gen(function*() {
      const kubernetes = fakeKubernetes(spec)
      const bookmark = Stream.make({ type: "BOOKMARK", resourceVersion: "1", whole: false } as const)
      const watch: Watching = (real) => (...asked) => Stream.concat(bookmark, real.watch(...asked))
      const { asked, begin } = yield* yield* listening(watchedBy(kubernetes, watch))
      yield* begin("1 hour")
      yield* TestClock.adjust("1 second")
      yield* kubernetes.cancel
      expect(yield* asked).toBe("Cancelled")
    }))

  it.effect("comes with a cancel that was there before the watch", () =>
    Effect.gen(function*() {
      const kubernetes = fakeKubernetes({ ...spec, cancel: true })
      const { asked, begin } = yield* yield* listening(kubernetes.layer)
      yield* begin("1 hour")
      expect(yield* asked).toBe("Cancelled")
    }))

  it.effect("comes with a cancel although the task may not be watched", () =>
    Effect.gen(function*() {
      const kubernetes = fakeKubernetes(spec)
      const forbidden = new Forbidden({ verb: "watch", object: "atasks", code: 403, reason: "Forbidden", detail: "no" })
      const { asked, begin } = yield* yield* listening(watchedBy(kubernetes, () => () => Stream.fail(forbidden)))
      yield* begin("1 hour")
      yield* TestClock.adjust("1 second")
      yield* kubernetes.cancel
      const cause = yield* Effect.forkChild(asked)
      yield* TestClock.adjust("3 seconds")
      expect(yield* Fiber.join(cause)).toBe("Cancelled")
    }))

  it.effect("comes with a cancel within minutes although the watch is dead without an error", () =>
    Effect.gen(function*() {
      const kubernetes = fakeKubernetes(spec)
      const { begin, now } = yield* yield* listening(watchedBy(kubernetes, () => () => Stream.never))
      yield* begin("1 hour")
      yield* TestClock.adjust("1 second")
      yield* kubernetes.cancel
      yield* TestClock.adjust("5 minutes")
      expect(yield* now).toEqual(Option.some("Cancelled"))
    }))

  it.effect("does not come with the cancel of another task", () =>
    Effect.gen(function*() {
      const kubernetes = fakeKubernetes(spec)
      const another: WatchEvent = { type: "MODIFIED", object: { ...kubernetes.task(), spec: { ...spec, cancel: true } } }
      const watch: Watching = (real) => (kind, asked) =>
        asked.fieldSelector === "metadata.name=demo" ? real.watch(kind, asked) : Stream.make(another)
      const { begin, now } = yield* yield* listening(watchedBy(kubernetes, watch))
      yield* begin("1 hour")
      yield* TestClock.adjust("1 second")
      expect(yield* now).toEqual(Option.none())
    }))

  it.live("comes with SIGTERM, even before the stage has begun", () =>
    Effect.gen(function*() {
      const { asked, now } = yield* yield* listening(fakeKubernetes(spec).layer)
      process.emit("SIGTERM", "SIGTERM")
      expect(yield* asked).toBe("Evicted")
      expect(yield* now).toEqual(Option.some("Evicted"))
    }))

  it.effect("comes from the worker itself, unless there was one before", () =>
    Effect.gen(function*() {
      const { asked, because } = yield* yield* listening(fakeKubernetes(spec).layer)
      yield* because("OutOfMemory")
      yield* because("DeadlineExceeded")
      expect(yield* asked).toBe("OutOfMemory")
    }))

  it.effect("is the first of them, however many come", () =>
    Effect.gen(function*() {
      const kubernetes = fakeKubernetes(spec)
      const { asked, begin } = yield* yield* listening(kubernetes.layer)
      yield* begin("1 minute")
      yield* TestClock.adjust("1 second")
      yield* kubernetes.cancel
      expect(yield* asked).toBe("Cancelled")
      process.emit("SIGTERM", "SIGTERM")
      yield* TestClock.adjust("2 minutes")
      expect(yield* asked).toBe("Cancelled")
    }))

  it.effect.each(["Cancelled", "DeadlineExceeded"] as const)(
    "lets the engine wait ten seconds more for a server after %s",
    (cause) =>
      Effect.gen(function*() {
        const { because, released } = yield* yield* listening(fakeKubernetes(spec).layer)
        yield* because(cause)
        const waiting = yield* Effect.forkChild(released)
        yield* TestClock.adjust("9 seconds")
        expect(waiting.pollUnsafe()).toBeUndefined()
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(waiting)
      })
  )

  it.effect("is too late for all but the result when most of the grace is over", () =>
    Effect.gen(function*() {
      const kubernetes = fakeKubernetes({ ...spec, cancel: true })
      const { begin, tooLate } = yield* yield* listening(kubernetes.layer)
      yield* begin("1 hour")
      const late = yield* Effect.forkChild(tooLate)
      yield* TestClock.adjust("99 seconds")
      expect(late.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(late)
    }))

  it.effect("that comes with the time of the stage leaves its state all the time that it needs, until somebody stops it too", () =>
    Effect.gen(function*() {
      const { begin, isEnding, isLeaving, now, tooLate } = yield* yield* listening(fakeKubernetes(spec).layer)
      yield* begin("1 second")
      const late = yield* Effect.forkChild(tooLate)
      yield* TestClock.adjust("1 hour")
      expect([yield* now, late.pollUnsafe(), yield* isLeaving, yield* isEnding]).toEqual([
        Option.some("DeadlineExceeded"),
        undefined,
        false,
        false
      ])
      process.emit("SIGTERM", "SIGTERM")
      yield* TestClock.adjust("100 seconds")
      yield* Fiber.join(late)
      expect([yield* now, yield* isLeaving, yield* isEnding]).toEqual([Option.some("DeadlineExceeded"), true, true])
    }))

  it.effect("by a cancel ends the Pod soon, also one that comes after the time of the stage", () =>
    Effect.gen(function*() {
      const kubernetes = fakeKubernetes(spec)
      const { begin, isEnding, isLeaving, now } = yield* yield* listening(kubernetes.layer)
      yield* begin("1 second")
      yield* TestClock.adjust("1 minute")
      expect(yield* isEnding).toBe(false)
      yield* kubernetes.cancel
      yield* TestClock.adjust("1 second")
      expect([yield* now, yield* isLeaving, yield* isEnding]).toEqual([Option.some("DeadlineExceeded"), false, true])
    }))
})
