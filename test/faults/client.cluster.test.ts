// The client and the informer with a real API server behind the fault proxy: which requests are repeated, and that a mirror skips nothing.
import { expect, layer } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { type Informer, longestWatch, make } from "../../src/kubernetes/informer.ts"
import { configMaps } from "../../src/kubernetes/kinds.ts"
import { fromKubeconfig } from "../../src/kubernetes/kubeconfig.ts"
import { Cluster, RealCluster } from "../kubernetes/real-cluster.ts"
import { tell } from "../kubernetes/told-objects.ts"
import { type FaultyApi, faultyApi } from "./faulty-api.ts"
import type { Fault } from "./rule.ts"

interface Mirrored {
  readonly informer: Informer
  readonly changed: Array<string>
  readonly objects: ReadonlyMap<string, string>
}

/** Starts a mirror, through the proxy, of the ConfigMaps that have this label. */
const mirrorOf = Effect.fnUntraced(
  function*({ client }: FaultyApi, label: string): Effect.fn.Return<Mirrored, never, Cluster | Scope.Scope> {
    const { namespace } = yield* Cluster
    const changed: Array<string> = []
    const objects = new Map<string, string>()
    const informer = yield* make({
      kind: configMaps,
      namespace,
      labelSelector: label,
      project: ({ data }) => JSON.stringify(data),
      changed: (key, seen) =>
        Effect.sync(() => {
          changed.push(key.split("/")[1] ?? "")
          tell(objects, key, seen)
        })
    }).pipe(Effect.provideService(Kubernetes, client))
    return { informer, changed, objects }
  }
)

const put = Effect.fnUntraced(function*(label: string, name: string, value: string) {
  const { namespace } = yield* Cluster
  yield* (yield* Kubernetes).apply(configMaps, {
    metadata: { namespace, name: `${label}-${name}`, labels: { [label]: "" } },
    data: { value }
  })
})
const remove = Effect.fnUntraced(function*(label: string, name: string) {
  const { namespace } = yield* Cluster
  yield* (yield* Kubernetes).delete(configMaps, { namespace, name: `${label}-${name}` })
})

/** Waits in real time until `holds` returns true, whichever clock the code under test has. */
const until = (what: string, holds: () => boolean) =>
  Effect.promise(() => expect.poll(holds, { message: what, interval: 10, timeout: 300_000 }).toBe(true))

/** Returns the values in the mirror, by name without the label. */
const shown = ({ objects }: Mirrored, label: string) =>
  Object.fromEntries([...objects].map(([key, data]) => [key.split("/")[1]?.slice(label.length + 1), JSON.parse(data).value]))
const mirrors = (mirrored: Mirrored, label: string, expected: Record<string, string>) =>
  until(
    "the mirror",
    () => JSON.stringify(Object.entries(shown(mirrored, label)).sort()) === JSON.stringify(Object.entries(expected).sort())
  )

layer(RealCluster, { excludeTestServices: true, timeout: "5 minutes" })("a client", (it) => {
  it.effect("F2 obeys Retry-After with every verb, and is carried out once", () =>
    Effect.gen(function*() {
      const { namespace, things } = yield* Cluster
      const api = yield* faultyApi()
      const made = (name: string) =>
        Effect.flatMap(Kubernetes, (_) => _.create(things, { metadata: { namespace, name }, spec: { size: 1 } }))
      const { client } = api
      const place = (name: string) => ({ namespace, name })
      const verbs = {
        get: Effect.flatMap(made("get"), () => client.get(things, place("get"))),
        list: client.list(things, { namespace }),
        create: client.create(things, { metadata: place("create"), spec: { size: 1 } }),
        apply: Effect.flatMap(made("apply"), () => client.apply(things, { metadata: place("apply"), spec: { size: 2 } })),
        update: Effect.flatMap(made("update"), (thing) => client.update(things, { ...thing, spec: { size: 2 } })),
        status: Effect.flatMap(made("status"), (thing) => client.updateStatus(things, { ...thing, status: { phase: "On" } })),
        patch: Effect.flatMap(made("patch"), () => client.patch(things, place("patch"), [{ op: "add", path: "/spec/size", value: 2 }])),
        delete: Effect.flatMap(made("delete"), () => client.delete(things, place("delete")))
      }
      yield* api.rules(
        ...Object.keys(verbs).map((name) => ({
          match: name === "list" ? { verb: "list" as const } : { name },
          fault: { does: "status", code: 429, headers: { "retry-after": "1" } } as const
        }))
      )
      yield* Effect.all(verbs, { concurrency: "unbounded" })
      for (const verb of Object.keys(verbs)) {
        const [first, second, ...more] = api.seen.filter((_) => verb === "list" ? _.verb === "list" : _.name === verb)
        expect({ verb, waited: (second?.atMillis ?? 0) - (first?.atMillis ?? 0) >= 990, more }).toEqual({ verb, waited: true, more: [] })
      }
    }).pipe(Effect.scoped))

  it.effect("F2 says who does not answer, when nobody listens and when nobody vouches for who does", () =>
    Effect.gen(function*() {
      const { namespace, things } = yield* Cluster
      const api = yield* faultyApi()
      yield* api.down
      expect((yield* Effect.flip(api.client.create(things, { metadata: { namespace, name: "nobody" }, spec: { size: 1 } }))).message)
        .toMatch(/gave no usable answer \(https:\/\/127\.0\.0\.1:\d+: connection refused/u)
      yield* api.up
      const { headers, tls } = yield* fromKubeconfig()
      const stranger = Kubernetes.layer(Effect.succeed({ server: api.url, namespace, tls, headers, refresh: Effect.void }))
      const refused = yield* Effect.flip(
        Effect.flatMap(Kubernetes, (_) => _.get(things, { namespace, name: "nobody" })).pipe(Effect.provide(stranger))
      )
      expect(refused.message).toMatch(/gave no usable answer .*certificate/u)
      expect(api.seen).toEqual([])
    }).pipe(Effect.scoped))

  it.effect("F3 repeats after a lost answer only what cannot happen twice", () =>
    Effect.gen(function*() {
      const { namespace, things } = yield* Cluster
      const api = yield* faultyApi()
      const { client } = api
      const lose = (name: string) => api.rules({ match: { name }, fault: { does: "dropAfter" } })
      const sent = (name: string) => api.seen.filter((_) => _.name === name).length
      const tag = <A, E extends { readonly _tag: string }>(effect: Effect.Effect<A, E>) =>
        Effect.map(Effect.result(effect), (_) => _._tag === "Failure" ? _.failure._tag : "done")
      const thing = (name: string) => ({ metadata: { namespace, name }, spec: { size: 1 } })

      yield* lose("created")
      expect([yield* tag(client.create(things, thing("created"))), sent("created")]).toEqual(["Unreachable", 1])
      const there = yield* client.get(things, { namespace, name: "created" }) // the write was carried out
      yield* lose("created")
      const before = sent("created")
      expect([yield* tag(client.update(things, { ...there, spec: { size: 2 } })), sent("created") - before]).toEqual(["Unreachable", 1])
      yield* lose("created")
      const { metadata: { uid } } = there
      expect([
        yield* tag(client.apply(things, { metadata: { namespace, name: "created", uid }, spec: { size: 4 } })),
        sent("created") - before
      ]).toEqual(["done", 3])
      yield* lose("created")
      expect(yield* tag(client.delete(things, { namespace, name: "created" }, { uid }))).toBe("NotFound") // the first request has deleted it
    }).pipe(Effect.scoped))

  it.effect("F3 F4 shows an answer that breaks off in its middle as no answer, and reads again", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Cluster
      yield* put("torn", "one", "1")
      const api = yield* faultyApi()
      yield* api.rules({ match: { verb: "list" }, fault: { does: "truncate", bytes: 40 } }, {
        match: { verb: "get" },
        fault: { does: "stall", bytes: 40 }
      })
      expect((yield* api.client.list(configMaps, { namespace, labelSelector: "torn" })).items).toHaveLength(1)
      expect(api.seen).toHaveLength(2)
    }).pipe(Effect.scoped))
})

layer(RealCluster, { excludeTestServices: true, timeout: "5 minutes" })("an informer", (it) => {
  it.effect("F2 asks a failing server ever more seldom, no two at the same time, and with one request each once it is back", () =>
    Effect.gen(function*() {
      const api = yield* faultyApi()
      yield* put("back", "one", "1")
      yield* api.rules({ match: { verb: ["watch", "list"] }, times: Infinity, fault: { does: "status", code: 503 } })
      const informers = yield* Effect.forEach(Array.from({ length: 8 }), () => mirrorOf(api, "back"), { concurrency: "unbounded" })
      yield* Effect.sleep("3500 millis")
      const failed = api.seen.length
      yield* api.rules()
      yield* Effect.forEach(informers, (_) => mirrors(_, "back", { one: "1" }))
      expect(failed).toBeLessThanOrEqual(8 * 5) // at 0, 0.5, 1.1, 1.9, 2.9 and not before 4.1 s
      expect(api.seen.length - failed).toBe(8)
      const last = api.seen.slice(failed).map(({ atMillis }) => atMillis)
      expect(Math.max(...last) - Math.min(...last)).toBeGreaterThan(100) // not all at the same time
    }).pipe(Effect.scoped))

  it.effect.each<{ how: string; faults: ReadonlyArray<Fault> }>([
    { how: "break off at any byte", faults: [700, 1, 1500, 33, 2222, 900, 4000, 5].map((bytes) => ({ does: "truncate", bytes })) },
    {
      how: "end with an ERROR event 410",
      faults: [
        { does: "truncate", bytes: 900 },
        { does: "gone", as: "event" },
        { does: "truncate", bytes: 5000 },
        { does: "gone", as: "event" }
      ]
    },
    {
      how: "are refused with HTTP 410",
      faults: [
        { does: "truncate", bytes: 900 },
        { does: "gone", as: "answer" },
        { does: "truncate", bytes: 5000 },
        { does: "gone", as: "answer" }
      ]
    },
    { how: "come in drops", faults: Array.from({ length: 8 }, () => ({ does: "drip", bytes: 100, everyMillis: 1 })) },
    { how: "bring everything three times", faults: Array.from({ length: 8 }, () => ({ does: "replay", times: 3 })) }
  ])("F4 F7 skips nothing, deletions too, when its watches $how", ({ faults, how }) =>
    Effect.gen(function*() {
      const label = how.replaceAll(" ", "-").toLowerCase()
      const api = yield* faultyApi()
      yield* api.rules(...faults.map((fault) => ({ match: { verb: "watch" as const }, fault })))
      yield* put(label, "old", "0")
      yield* put(label, "gone", "0")
      const mirrored = yield* mirrorOf(api, label)
      const expected: Record<string, string> = { old: "0", last: "x" }
      for (let round = 0; round < 12; round++) {
        yield* put(label, `n${round % 5}`, String(round))
        expected[`n${round % 5}`] = String(round)
        if (round === 6) yield* remove(label, "gone")
        yield* Effect.sleep("60 millis")
      }
      yield* put(label, "last", "x")
      yield* mirrors(mirrored, label, expected)
      expect(mirrored.changed).toContain(`${label}-gone`)
      expect(new Set(mirrored.changed).size).toBe(Object.keys(expected).length + 1)
    }).pipe(Effect.scoped))

  it.effect("F4 starts the list anew when a page has expired, where the server cannot stream", () =>
    Effect.gen(function*() {
      const api = yield* faultyApi()
      yield* api.rules(
        { match: { verb: "watch", path: "sendInitialEvents" }, fault: { does: "status", code: 422, reason: "Invalid" } },
        { match: { verb: "list", path: "continue=" }, fault: { does: "gone", as: "answer" } }
      )
      const expected = Object.fromEntries(Array.from({ length: 60 }, (_, at) => [`n${at}`, String(at)]))
      yield* Effect.forEach(Object.entries(expected), ([name, value]) => put("paged", name, value), { concurrency: 8 })
      const mirrored = yield* mirrorOf(api, "paged")
      yield* mirrors(mirrored, "paged", expected)
      yield* until("the watch after the list", () => api.seen.length === 6)
      expect(api.seen.map(({ fault, verb }) => `${verb} ${fault}`)).toEqual([
        "watch status",
        "list pass",
        "list gone",
        "list pass",
        "list pass",
        "watch pass"
      ])
    }).pipe(Effect.scoped))

  it.effect("F5 notices a watch that stalls with its connection open, within its limit, and misses nothing of that time", () =>
    Effect.gen(function*() {
      const api = yield* faultyApi()
      yield* put("stalled", "one", "1")
      yield* api.rules({ match: { verb: "watch" }, fault: { does: "stall", bytes: 6000 } })
      const mirrored = yield* mirrorOf(api, "stalled")
      yield* mirrors(mirrored, "stalled", { one: "1" })
      yield* Effect.forEach(Array.from({ length: 20 }, (_, at) => `${at}`), (value) => put("stalled", "one", value)) // 6000 bytes and more
      yield* put("stalled", "two", "2").pipe(Effect.andThen(remove("stalled", "one")))
      yield* TestClock.adjust("4 minutes")
      expect(shown(mirrored, "stalled")).toEqual({ one: expect.any(String) })
      const clock = yield* Effect.forkChild(
        Effect.forever(
          Effect.andThen(TestClock.adjust("1 second"), Effect.promise(() => new Promise((resolve) => setTimeout(resolve, 20))))
        )
      )
      yield* mirrors(mirrored, "stalled", { two: "2" })
      yield* Fiber.interrupt(clock)
      expect(yield* Clock.currentTimeMillis).toBeLessThan(Duration.toMillis(longestWatch) + 30_000)
    }).pipe(Effect.scoped, Effect.provide(TestClock.layer())))
})
