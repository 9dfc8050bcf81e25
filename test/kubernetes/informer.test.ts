import { describe, expect, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber, Metric, Schema } from "effect"
import { TestClock } from "effect/testing"
import { TooManyRequests } from "../../src/kubernetes/errors.ts"
import { longestWatch, make } from "../../src/kubernetes/informer.ts"
import { jobs } from "../../src/kubernetes/kinds.ts"
import { FakeCollection, gone, unreachable } from "./fake-collection.ts"
import { tell } from "./told-objects.ts"

interface Slim {
  readonly uid: string
  readonly version: string
}

/** Returns an informer of `collection`, the keys that it reported as changed, and the objects that exist by its reports. */
const informerOf = Effect.fnUntraced(function*(collection: FakeCollection, refused: ReadonlySet<string> = new Set()) {
  const changed: Array<string> = []
  const objects = new Map<string, Slim>()
  const informer = yield* make<Slim>({
    kind: jobs,
    namespace: "team",
    project: ({ metadata: { name, uid, resourceVersion } }) => {
      if (refused.has(name)) throw new Error("cannot read this one")
      return { uid, version: resourceVersion }
    },
    changed: (key, seen) =>
      Effect.sync(() => {
        changed.push(key)
        tell(objects, key, seen)
      })
  }).pipe(Effect.provide(collection.layer))
  return { informer, changed, objects }
})
const setupWith = Effect.fnUntraced(function*(streams: boolean) {
  const collection = new FakeCollection()
  collection.streams = streams
  yield* collection.put("old")
  const { changed, informer, objects } = yield* informerOf(collection)
  yield* informer.synced
  yield* TestClock.adjust("1 second")
  changed.length = 0
  return { changed, collection, informer, objects }
})
const setup = setupWith(true)
const overloadedFor = (retryAfter: Duration.Duration) =>
  new TooManyRequests({ verb: "watch", object: "jobs", code: 429, reason: "TooManyRequests", detail: "", retryAfter })
const heardAt = Effect.map(
  Metric.snapshot,
  (all) => all.find(({ attributes, id }) => id === "agent_job_watch_heard_timestamp_seconds" && attributes?.["kind"] === "jobs")?.state
)
const names = (objects: ReadonlyMap<string, unknown>) => [...objects.keys()].sort()

/** Begins a look by a watch that does not say that these are all objects. */
const untoldLook = Effect.gen(function*() {
  const collection = new FakeCollection()
  collection.tellsWhole = false
  yield* collection.put("old")
  const { informer, objects } = yield* informerOf(collection)
  return { collection, objects, synced: yield* Effect.forkChild(informer.synced) }
})

/** Has the server forget the versions that the watch has seen, and tell a new object, so that the informer looks anew. */
const losesItsPlace = Effect.fnUntraced(function*(collection: FakeCollection) {
  yield* collection.put("new")
  collection.compact()
  yield* collection.end(gone)
  yield* TestClock.adjust("1 minute")
})

describe("an informer", () => {
  it.effect("mirrors a collection as projections, and reports each change once", () =>
    Effect.gen(function*() {
      const { changed, collection, objects } = yield* setup
      expect(objects.get("team/old")).toEqual({ uid: "uid-100", version: "101" })
      yield* collection.put("new")
      yield* collection.put("old")
      yield* collection.remove("old")
      yield* TestClock.adjust("1 second")
      expect(names(objects)).toEqual(["team/new"])
      expect(changed).toEqual(["team/new", "team/old", "team/old"])
    }))

  it.effect.each([
    { look: "a watch", streams: true, breaks: unreachable, lists: 2 },
    { look: "a list", streams: false, breaks: unreachable, lists: 3 },
    { look: "a list of a server that has too much to do", streams: false, breaks: overloadedFor(Duration.millis(500)), lists: 3 }
  ])(
    "is synced only when it was told that this is all, and starts anew when $look breaks before",
    ({ breaks, lists, streams }) =>
      Effect.gen(function*() {
        const collection = new FakeCollection()
        yield* Effect.forEach(["a", "b", "c"], (name) => collection.put(name))
        collection.streams = streams
        collection.pageSize = 2
        collection.breaksAfter = 2
        collection.breaksWith = breaks
        const { informer, objects } = yield* informerOf(collection)
        const synced = yield* Effect.forkChild(informer.synced)
        yield* TestClock.adjust("1 millis")
        expect([synced.pollUnsafe(), objects.size]).toEqual([undefined, 2])
        yield* collection.remove("a") // no watch is open
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(synced)
        expect([names(objects), collection.lists]).toEqual([["team/b", "team/c"], lists])
      })
  )

  it.effect("lists page by page where the server cannot stream, and is synced only after the last page", () =>
    Effect.gen(function*() {
      const collection = new FakeCollection()
      collection.streams = false
      collection.pageSize = 2
      yield* Effect.forEach(["a", "b", "c", "d", "e"], (name) => collection.put(name))
      collection.failures.push(unreachable)
      const { informer, objects } = yield* informerOf(collection)
      const synced = yield* Effect.forkChild(informer.synced)
      yield* TestClock.adjust("1 millis")
      expect(synced.pollUnsafe()).toBeUndefined()
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(synced)
      expect(objects.size).toBe(5)
      expect(collection.lists).toBe(4)
    }))

  it.effect.each([
    { are: "of 1.5 MB", objectBytes: 1_500_000, together: 2, requests: 5 + 10 + 8 },
    { are: "larger than a page may be", objectBytes: 5_000_000, together: 1, requests: 6 + 20 + 19 }
  ])(
    "holds no more than 4 MiB of objects at once, or one that is larger: 20 that are $are",
    ({ objectBytes, requests, together }) =>
      Effect.gen(function*() {
        const collection = new FakeCollection()
        collection.streams = false
        collection.objectBytes = objectBytes
        yield* Effect.forEach(Array.from({ length: 20 }, (_, index) => `${index}`), (name) => collection.put(name))
        const { informer, objects } = yield* informerOf(collection)
        yield* informer.synced
        expect([objects.size, Math.max(...collection.pages), collection.lists]).toEqual([20, together, requests])
      })
  )

  it.effect("asks for 50 objects at once and no more, which it holds whole while it reads them", () =>
    Effect.gen(function*() {
      const collection = new FakeCollection()
      collection.streams = false
      yield* Effect.forEach(Array.from({ length: 101 }, (_, index) => `${index}`), (name) => collection.put(name))
      const { informer } = yield* informerOf(collection)
      yield* informer.synced
      expect(collection.lists).toBe(3)
    }))

  it.effect.each<{ readonly later: string; readonly goesOn: (collection: FakeCollection) => Effect.Effect<void> }>([
    { later: "falls silent", goesOn: () => Effect.void },
    { later: "goes on", goesOn: (collection) => collection.put("busy") }
  ])(
    "lists for good where a watch that began with all objects $later without having said that these are all",
    ({ goesOn }) =>
      Effect.gen(function*() {
        const { collection, objects, synced } = yield* untoldLook
        for (let second = 0; second < 31; second++) {
          yield* TestClock.adjust("1 second")
          yield* goesOn(collection)
        }
        expect([synced.pollUnsafe(), collection.lists]).toEqual([expect.anything(), 2])
        yield* losesItsPlace(collection)
        expect([objects.has("team/new"), collection.lists]).toEqual([true, 3])
      })
  )

  it.effect.each([
    { ends: "ends", as: "of a server that stops", error: undefined },
    { ends: "is cut off", as: "by a proxy on a slow line", error: unreachable }
  ])(
    "lists this once where a watch that began with all objects $ends before it has said that these are all, as $as",
    ({ error }) =>
      Effect.gen(function*() {
        const { collection, objects, synced } = yield* untoldLook
        yield* TestClock.adjust("1 second")
        yield* collection.end(error)
        yield* TestClock.adjust("1 second")
        expect([synced.pollUnsafe(), collection.lists, collection.watchedFrom.length]).toEqual([expect.anything(), 2, 1])
        collection.tellsWhole = true
        yield* losesItsPlace(collection)
        expect([objects.has("team/new"), collection.lists, collection.watchedFrom.length]).toEqual([true, 3, 1]) // by one watch, and no list before it
      })
  )

  it.effect.each([
    { server: "can stream", streams: true, watched: [] },
    { server: "can only list", streams: false, watched: ["101"] }
  ])("goes on where a watch ended in order, without a list, of a server that $server", ({ streams, watched }) =>
    Effect.gen(function*() {
      const { changed, collection, objects } = yield* setupWith(streams)
      yield* collection.put("seen")
      yield* collection.bookmark()
      yield* TestClock.adjust("1 second")
      yield* collection.end()
      yield* collection.put("while-away")
      yield* TestClock.adjust("1 second")
      expect(objects.has("team/while-away")).toBe(true)
      expect(changed).toEqual(["team/seen", "team/while-away"])
      yield* collection.end()
      yield* TestClock.adjust("1 second")
      expect([collection.lists, collection.watchedFrom]).toEqual([1, [...watched, "103", "104"]])
    }))

  it.effect("takes a bookmark that ends a look for no end of one where none was begun", () =>
    Effect.gen(function*() {
      const { changed, collection, objects } = yield* setup
      yield* collection.bookmark(true)
      yield* collection.put("new")
      yield* TestClock.adjust("1 second")
      expect(names(objects)).toEqual(["team/new", "team/old"])
      expect(changed).toEqual(["team/new"])
    }))

  it.effect("looks anew after 410, and notices what vanished and what changed meanwhile", () =>
    Effect.gen(function*() {
      const { changed, collection, objects } = yield* setup
      yield* collection.put("kept")
      yield* TestClock.adjust("1 second")
      changed.length = 0
      yield* collection.end()
      yield* collection.remove("old")
      yield* collection.put("fresh")
      collection.compact()
      yield* TestClock.adjust("5 seconds")
      expect(names(objects)).toEqual(["team/fresh", "team/kept"])
      expect(changed).toEqual(["team/fresh", "team/old"])
      expect(collection.lists).toBe(2)
    }))

  it.effect.each([
    { version: "is yet to come", writes: -50 },
    { version: "is of another history, since it has written as much again", writes: 50 }
  ])(
    "looks at all objects anew once it has lost a server, which may come back on an older copy of etcd: it has no 410 for a version that $version",
    ({ writes }) =>
      Effect.gen(function*() {
        const { changed, collection, objects } = yield* setup
        yield* collection.put("lost-by-the-restore")
        yield* TestClock.adjust("1 second")
        changed.length = 0
        yield* collection.restore("lost-by-the-restore", writes)
        yield* collection.put("fresh")
        yield* TestClock.adjust("1 second")
        expect(names(objects)).toEqual(["team/fresh", "team/old"])
        expect(changed).toEqual(["team/fresh", "team/lost-by-the-restore"]) // of what is as it was, nothing is told
      })
  )

  it.effect.each([{ look: "a watch", streams: true }, { look: "a list", streams: false }])(
    "does not hurry a server that answers 410 to $look of all objects",
    ({ streams }) =>
      Effect.gen(function*() {
        const { collection } = yield* setupWith(streams)
        collection.failures.push(...Array.from({ length: 200 }, () => gone))
        const before = collection.lists
        yield* collection.end(unreachable)
        yield* TestClock.adjust("1 minute")
        expect(collection.lists - before).toBeGreaterThan(5)
        expect(collection.lists - before).toBeLessThan(20)
      })
  )

  it.effect("finds a server that was away for 5 s or more again after half of that time at most", () =>
    Effect.gen(function*() {
      const { collection } = yield* setup
      collection.failures.push(...Array.from({ length: 200 }, () => unreachable))
      yield* collection.end(unreachable)
      const tries: Array<number> = []
      for (let seconds = 0; seconds < 40; seconds += 0.1) {
        const before = collection.asks
        yield* TestClock.adjust("100 millis")
        if (collection.asks > before) tries.push(seconds)
      }
      const waits = tries.flatMap((at, index) => at < 5 ? [] : [((tries[index + 1] ?? 40) - at) / at])
      expect(waits.length).toBeGreaterThan(4)
      expect(Math.max(...waits)).toBeLessThan(0.5)
    }))

  it.effect("takes each object anew after 410, which also a CRD that was replaced gives: it may have other fields at the same version", () =>
    Effect.gen(function*() {
      const collection = new FakeCollection()
      const refused = new Set(["pruned"])
      yield* collection.put("pruned")
      const { informer, objects } = yield* informerOf(collection, refused)
      yield* informer.synced
      expect(names(objects)).toEqual([])
      refused.clear()
      yield* collection.end(gone)
      yield* TestClock.adjust("5 seconds")
      expect(names(objects)).toEqual(["team/pruned"])
    }))

  it.effect("starts the list anew when a page has expired", () =>
    Effect.gen(function*() {
      const collection = new FakeCollection()
      collection.streams = false
      collection.pageSize = 1
      yield* collection.put("a")
      yield* collection.put("b")
      collection.failures.push(gone)
      const { informer, objects } = yield* informerOf(collection)
      yield* TestClock.adjust("2 seconds")
      yield* informer.synced
      expect(names(objects)).toEqual(["team/a", "team/b"])
    }))

  it.effect.each([
    { server: "fails", failure: unreachable },
    { server: "is overloaded", failure: overloadedFor(Duration.seconds(1)) }
  ])("asks a server that $server ever more seldom, and at the usual pace once it has answered", ({ failure }) =>
    Effect.gen(function*() {
      const { collection } = yield* setup
      collection.failures.push(...Array.from({ length: 200 }, () => failure))
      yield* collection.end()
      const before = collection.asks
      yield* TestClock.adjust("10 minutes")
      const tries = collection.asks - before
      expect(tries).toBeGreaterThan(10)
      expect(tries).toBeLessThan(40) // after the first two minutes, each wait is 30 to 39 s
      collection.failures.length = 0
      yield* TestClock.adjust("40 seconds")
      yield* collection.put("progress")
      yield* collection.end()
      const recovered = collection.asks
      yield* TestClock.adjust("200 millis")
      expect(collection.asks).toBe(recovered + 1)
    }))

  it.effect.each([
    { ends: "in order", error: undefined },
    { ends: "with its connection, so that each is a look at all objects", error: unreachable }
  ])("does not open a watch again and again that brings no news and ends at once $ends", ({ error }) =>
    Effect.gen(function*() {
      const { changed, collection } = yield* setup
      const before = collection.asks
      for (let second = 0; second < 120; second++) {
        yield* collection.end(error)
        yield* TestClock.adjust("1 second")
      }
      expect(collection.asks - before).toBeLessThan(20)
      expect(changed).toEqual([])
    }))

  it.effect("opens the next watch at once after one that was open for long, though it brought nothing", () =>
    Effect.gen(function*() {
      const { collection } = yield* setup
      for (let minute = 0; minute < 8; minute++) {
        yield* TestClock.adjust("1 minute")
        const before = collection.watchedFrom.length
        yield* collection.end()
        yield* TestClock.adjust("200 millis")
        expect(collection.watchedFrom.length).toBe(before + 1)
      }
    }))

  it.effect("waits as long as an overloaded server asks", () =>
    Effect.gen(function*() {
      const { collection } = yield* setup
      collection.failures.push(overloadedFor(Duration.minutes(1)))
      yield* collection.end(unreachable)
      yield* TestClock.adjust("5 seconds")
      const asked = collection.asks
      yield* TestClock.adjust("50 seconds")
      expect(collection.asks).toBe(asked)
      yield* TestClock.adjust("30 seconds")
      expect(collection.asks).toBe(asked + 1)
    }))

  it.effect("gives up a watch that stalls, and tells how long it has heard nothing", () =>
    Effect.gen(function*() {
      const { collection, informer, objects } = yield* setup
      collection.muted = true
      yield* collection.end()
      yield* collection.put("missed")
      yield* TestClock.adjust("260 seconds")
      expect(objects.has("team/missed")).toBe(false)
      expect(Duration.toSeconds(yield* informer.silence)).toBe(260)
      expect(yield* heardAt).toEqual({ value: 1 })
      collection.muted = false
      yield* TestClock.adjust(Duration.subtract(longestWatch, Duration.seconds(259)))
      expect(objects.has("team/missed")).toBe(true)
      expect(collection.lists).toBe(2) // an API server that ended without a word may come back on an older copy of etcd
      const silence = Duration.toSeconds(yield* informer.silence)
      expect(silence).toBeLessThan(330)
      expect(yield* heardAt).toMatchObject({ value: expect.closeTo((yield* Clock.currentTimeMillis) / 1000 - silence, 3) })
    }))

  it.effect("lists this once where a server says nothing at all for so long that its look is given up, and later looks by a watch again", () =>
    Effect.gen(function*() {
      const { collection, objects } = yield* setup
      collection.muted = true
      yield* collection.end(unreachable)
      yield* TestClock.adjust("29 seconds")
      collection.muted = false
      yield* TestClock.adjust("10 seconds")
      expect(collection.lists).toBe(3) // the first look, the silent one, and a list
      yield* losesItsPlace(collection)
      expect([objects.has("team/new"), collection.lists]).toEqual([true, 4])
      expect(collection.watchedFrom).toHaveLength(1) // after the list alone
    }))

  it.effect("counts the orderly end of an idle watch as a sign of life", () =>
    Effect.gen(function*() {
      const { collection, informer } = yield* setup
      // Any later, the informer may be between a watch that it gave up and the next one.
      yield* TestClock.adjust("260 seconds")
      yield* collection.end()
      yield* TestClock.adjust("1 second")
      expect(Duration.toSeconds(yield* informer.silence)).toBeLessThan(2)
    }))

  it.effect("counts a page of a list as a sign of life", () =>
    Effect.gen(function*() {
      const collection = new FakeCollection()
      collection.streams = false
      collection.failures.push(...Array.from({ length: 13 }, () => unreachable)) // for half a minute and more
      const { informer } = yield* informerOf(collection)
      yield* TestClock.adjust("1 minute")
      yield* informer.synced
      expect(Duration.toSeconds(yield* informer.silence)).toBeLessThan(30)
    }))

  it.effect("leaves out an object it cannot use, and no other", () =>
    Effect.gen(function*() {
      const collection = new FakeCollection()
      yield* Effect.forEach(["a", "poison", "z"], (name) => collection.put(name))
      const { changed, informer, objects } = yield* informerOf(collection, new Set(["poison"]))
      yield* informer.synced
      expect(names(objects)).toEqual(["team/a", "team/z"])
      yield* TestClock.adjust("10 minutes") // and so at each resync
      expect(changed).toEqual(["a", "poison", "z", "a", "poison", "z"].map((name) => `team/${name}`))
    }))

  it.effect("tells of an object that it can use no longer as of one that is gone, and so at each resync", () =>
    Effect.gen(function*() {
      const collection = new FakeCollection()
      const refused = new Set<string>()
      yield* collection.put("good")
      const { informer, objects } = yield* informerOf(collection, refused)
      yield* informer.synced
      refused.add("good")
      yield* collection.put("good")
      yield* TestClock.adjust("1 second")
      expect(names(objects)).toEqual([])
      yield* TestClock.adjust("10 minutes")
      expect(names(objects)).toEqual([])
    }))

  it.effect("reports every key again at each resync, and none of what is gone", () =>
    Effect.gen(function*() {
      const { changed, collection } = yield* setup
      yield* collection.put("gone")
      yield* collection.remove("gone")
      yield* TestClock.adjust("1 second")
      changed.length = 0
      yield* TestClock.adjust("10 minutes")
      expect(changed).toEqual(["team/old"])
    }))

  const Step = Schema.Struct({
    connection: Schema.Literals(["keep", "break", "end", "fail", "mute", "unmute"]),
    change: Schema.Literals(["put", "remove", "bookmark"]),
    name: Schema.Literals(["a", "b", "c"]),
    compact: Schema.Boolean,
    seconds: Schema.Literals([0, 0, 1, 60])
  })
  it.effect.prop("ends with the same objects, and reports the last change of each, whatever happens to its connection", {
    steps: Schema.Array(Step),
    streams: Schema.Boolean,
    tellsWhole: Schema.Boolean
  }, ({ steps, streams, tellsWhole }) =>
    Effect.gen(function*() {
      const collection = new FakeCollection()
      collection.streams = streams
      collection.tellsWhole = tellsWhole
      collection.pageSize = 2
      const reported = new Map<string, string | undefined>()
      const objects = new Map<string, string>()
      yield* make<string>({
        kind: jobs,
        project: ({ metadata }) => metadata.resourceVersion,
        changed: (key, seen) =>
          Effect.sync(() => {
            reported.set(key, collection.objects.get(key.slice(5))?.metadata.resourceVersion)
            tell(objects, key, seen)
          }),
        resync: "1 day"
      }).pipe(Effect.provide(collection.layer))
      for (const { change, compact, connection, name, seconds } of steps) {
        if (connection === "break") yield* collection.end(unreachable)
        if (connection === "end") yield* collection.end()
        if (connection === "fail") collection.failures.push(unreachable, gone)
        if (connection === "fail") collection.breaksAfter = 1
        if (connection === "mute" || connection === "unmute") collection.muted = connection === "mute"
        yield* change === "bookmark" ? collection.bookmark() : collection[change](name)
        if (compact) collection.compact()
        yield* TestClock.adjust(Duration.seconds(seconds))
      }
      collection.muted = false
      collection.failures.length = 0
      yield* TestClock.adjust("30 minutes")
      const expected = new Map([...collection.objects].map(([name, { metadata }]) => [`team/${name}`, metadata.resourceVersion]))
      expect(objects).toEqual(expected)
      for (const key of new Set([...reported.keys(), ...expected.keys()])) expect(reported.get(key)).toBe(expected.get(key))
    }).pipe(Effect.scoped, Effect.provide(TestClock.layer())))
})
