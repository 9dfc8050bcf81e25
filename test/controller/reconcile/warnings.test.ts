// What warnings say of objects that start is read once for all tasks that ask, and asked of each object only where there are too many.
import { describe, expect, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Logger, Option } from "effect"
import { TestClock } from "effect/testing"
import { answerMillis, mostPages, patienceMillis, sharedWarnings, tooManyMillis } from "../../../src/controller/reconcile/warnings.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { type KubernetesError, Unreachable } from "../../../src/kubernetes/errors.ts"
import { events } from "../../../src/kubernetes/kinds.ts"
import { before, noon } from "../../core/worlds.ts"
import type { ApiServer } from "../../simulation/api-server.ts"
import { instantCluster } from "../instant-cluster.ts"

const plant = (server: ApiServer, name: string, uid: string, event: object) =>
  server.plant(events, {
    metadata: { name, namespace: "tasks", uid: name, resourceVersion: "" },
    regarding: { uid },
    type: "Warning",
    reason: "FailedMount",
    note: name,
    ...event
  })

const about = (uid: string) => ({ namespace: "tasks", uid })

/** An API server; `selected` has the field selector of each read, and the answer to it comes after `first`. */
const asked = (first: (selector: string | undefined) => Effect.Effect<void, KubernetesError> = () => Effect.void, limit?: number) => {
  const { kubernetes, server } = instantCluster()
  const selected: Array<string | undefined> = []
  const counting = Kubernetes.of({
    ...kubernetes,
    list: (kind, selection) => {
      selected.push(selection?.fieldSelector)
      return Effect.andThen(first(selection?.fieldSelector), kubernetes.list(kind, { ...selection, ...(limit !== undefined && { limit }) }))
    }
  })
  return { selected, server, provide: Effect.provideService(Kubernetes, counting) }
}

const all = "type=Warning"

describe("the warning about an object", () => {
  const old = before(60)
  it.effect.each([
    {
      is: "the newest of it, by whichever time it has",
      given: [
        { name: "a", deprecatedLastTimestamp: noon },
        { name: "b", deprecatedLastTimestamp: old },
        { name: "c", eventTime: old, series: { lastObservedTime: old } },
        { name: "d", eventTime: null, deprecatedLastTimestamp: old }
      ],
      warning: { reason: "FailedMount", message: "a", at: noon }
    },
    {
      is: "the one that was told again last",
      given: [{ name: "a", eventTime: before(30) }, { name: "b", eventTime: old, series: { lastObservedTime: noon } }],
      warning: { reason: "FailedMount", message: "b", at: noon }
    },
    {
      is: "the newest of those that have the time of one event alone, as the scheduler's have",
      given: [{ name: "a", eventTime: noon }, { name: "b", eventTime: old }],
      warning: { reason: "FailedMount", message: "a", at: noon }
    },
    {
      is: "the newest that says why something does not start, whatever else is told of it later",
      given: [
        { name: "a", eventTime: old, reason: "FailedAttachVolume" },
        { name: "b", eventTime: noon, reason: "PolicyViolation" },
        { name: "c", eventTime: noon, reason: "Unhealthy" }
      ],
      warning: { reason: "FailedAttachVolume", message: "a", at: old }
    },
    { is: "none where another object has one", given: [{ name: "a", regarding: { uid: "other" } }], warning: undefined },
    { is: "none where all is normal", given: [{ name: "a", type: "Normal" }], warning: undefined },
    {
      is: "found beside events that say nothing",
      given: [{ name: "a", regarding: {} }, { name: "b", note: 1 }, { name: "c" }],
      warning: { reason: "FailedMount", message: "c", at: "" }
    }
  ])("is $is", ({ given, warning }) => {
    const { provide, server } = asked()
    for (const { name, ...event } of given) plant(server, name, "pod", event)
    return Effect.gen(function*() {
      const warned = yield* sharedWarnings
      expect(yield* warned(about("pod"))).toEqual(Option.fromUndefinedOr(warning))
    }).pipe(provide)
  })
})

describe("the warnings of a namespace", () => {
  it.effect("are read once for all who ask, whatever they ask about, until the answer is a second old", () => {
    const { provide, selected, server } = asked()
    plant(server, "first", "pod-1", {})
    return Effect.gen(function*() {
      const warned = yield* sharedWarnings
      const messages = Effect.forEach(Array.from({ length: 200 }, (_, index) => `pod-${index}`), (uid) => warned(about(uid)), {
        concurrency: 16
      }).pipe(Effect.map((found) => found.flatMap((_) => Option.toArray(_).map(({ message }) => message))))
      expect(yield* messages).toEqual(["first"])
      plant(server, "second", "pod-2", {})
      yield* TestClock.adjust(answerMillis - 1)
      expect(yield* messages).toEqual(["first"])
      expect(selected).toEqual([all])
      yield* TestClock.adjust(1)
      expect(yield* messages).toEqual(["first", "second"])
      expect(selected).toEqual([all, all])
    }).pipe(provide)
  })

  it.effect("are read by one request at a time: who asks meanwhile waits for its answer, also when whoever asked first is gone", () =>
    Effect.gen(function*() {
      const answered = yield* Deferred.make<void>()
      const { provide, selected, server } = asked(() => Deferred.await(answered))
      plant(server, "first", "pod", {})
      yield* Effect.gen(function*() {
        const warned = yield* sharedWarnings
        const gone = yield* Effect.forkChild(warned(about("pod")))
        yield* TestClock.adjust(answerMillis)
        const first = yield* Effect.forkChild(warned(about("pod")))
        yield* TestClock.adjust(3 * answerMillis)
        const second = yield* Effect.forkChild(warned(about("pod")))
        yield* TestClock.adjust(answerMillis)
        yield* Fiber.interrupt(gone)
        yield* Deferred.succeed(answered, undefined)
        const found = yield* Fiber.joinAll([first, second])
        yield* TestClock.adjust(answerMillis - 1)
        expect([...found, yield* warned(about("pod"))].map(Option.isSome)).toEqual([true, true, true])
        expect(selected).toEqual([all])
      }).pipe(provide)
    }))

  it.effect("are read page after page", () => {
    const { provide, selected, server } = asked(undefined, 2)
    for (const index of [1, 2, 3, 4, 5]) plant(server, `event-${index}`, `pod-${index}`, {})
    return Effect.gen(function*() {
      const warned = yield* sharedWarnings
      expect((yield* Effect.forEach([1, 2, 3, 4, 5, 6], (index) => warned(about(`pod-${index}`)))).map(Option.isSome))
        .toEqual([true, true, true, true, true, false])
      expect(selected).toEqual([all, all, all])
    }).pipe(provide)
  })

  it.effect("are asked of each object for a minute, where there are too many to read them all", () => {
    const { provide, selected, server } = asked(undefined, 1)
    for (let index = 0; index <= mostPages; index++) plant(server, `event-${index}`, `pod-${index}`, {})
    const one = `regarding.uid=pod-7,${all}`
    return Effect.gen(function*() {
      const warned = yield* sharedWarnings
      const look = warned(about("pod-7"))
      for (const millis of [0, answerMillis, tooManyMillis - answerMillis - 1]) {
        yield* TestClock.adjust(millis)
        expect(Option.isSome(yield* look)).toBe(true)
      }
      expect(selected).toEqual([...Array.from({ length: mostPages }, () => all), one, one, one])
      server.remove(events, { namespace: "tasks", name: "event-0" })
      yield* TestClock.adjust(1)
      expect(Option.isSome(yield* look)).toBe(true)
      expect(selected.slice(mostPages + 3)).toEqual(Array.from({ length: mostPages }, () => all))
    }).pipe(provide)
  })

  it.effect("are given up in time and in the log also where each object is asked about by itself", () => {
    const { provide, server } = asked((selector) => selector === all ? Effect.void : Effect.never, 1)
    for (let index = 0; index <= mostPages; index++) plant(server, `event-${index}`, `pod-${index}`, {})
    const logged: Array<unknown> = []
    const logger = Logger.make(({ message }) => void logged.push(message))
    return Effect.gen(function*() {
      const warned = yield* sharedWarnings
      const asking = yield* Effect.forkChild(Effect.flip(warned(about("pod-7"))))
      yield* TestClock.adjust(patienceMillis)
      const { _tag, message } = yield* Fiber.join(asking)
      expect([_tag, logged]).toEqual(["Unreachable", [[message]]])
    }).pipe(provide, Effect.provide(Logger.layer([logger])))
  })

  it.effect("are read anew after a read that broke down", () => {
    let reads = 0
    const { provide, server } = asked(() => Effect.suspend(() => reads++ === 0 ? Effect.die("unforeseen") : Effect.void))
    plant(server, "first", "pod", {})
    return Effect.gen(function*() {
      const warned = yield* sharedWarnings
      expect(Exit.hasDies(yield* Effect.exit(warned(about("pod"))))).toBe(true)
      expect(Option.isSome(yield* warned(about("pod")))).toBe(true)
    }).pipe(provide)
  })

  it.effect.each([
    {
      given: "fails",
      first: Effect.fail(new Unreachable({ verb: "list", object: "events in tasks", detail: "no answer" })),
      tookMillis: 0
    },
    { given: "takes too long", first: Effect.never, tookMillis: patienceMillis }
  ])("are asked for again a while after a read that $given, and not by each who asks", ({ first, tookMillis }) => {
    const { provide, selected } = asked(() => first)
    return Effect.gen(function*() {
      const warned = yield* sharedWarnings
      const failed = Effect.gen(function*() {
        const asking = yield* Effect.forkChild(Effect.flip(warned(about("pod"))))
        yield* TestClock.adjust(tookMillis)
        return (yield* Fiber.join(asking))._tag
      })
      expect(yield* failed).toBe("Unreachable")
      yield* TestClock.adjust(patienceMillis - 1)
      expect((yield* Effect.flip(warned(about("other"))))._tag).toBe("Unreachable")
      expect(selected).toHaveLength(1)
      yield* TestClock.adjust(1)
      expect(yield* failed).toBe("Unreachable")
      expect(selected).toHaveLength(2)
    }).pipe(provide)
  })
})
