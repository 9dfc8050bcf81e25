// Compares the model of the API server with a real one: both get the same random requests, and must give the same answers and objects,
// tell a watch the same, and delete the same objects with their owners.
import { describe, expect, layer } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Predicate, Result, Schedule, Stream } from "effect"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { agentTasks, events, jobs, type Kind } from "../../src/kubernetes/kinds.ts"
import { fromKubeconfig } from "../../src/kubernetes/kubeconfig.ts"
import type { WatchEvent } from "../../src/kubernetes/object.ts"
import { servedNamespace } from "../core/manifest/served-namespace.ts"
import { until } from "../until.ts"
import { ApiServer } from "./api-server.ts"
import { clientOf, type Watch } from "./client.ts"
import { Cluster } from "./cluster.ts"
import { comparable, compared, jobSpec, type Request, script, send, type Side, taskSpec } from "./random-requests.ts"
import { same } from "./same.ts"

class Place extends Context.Service<Place, { readonly namespace: string }>()("test/Place") {}

const Real = Layer.effect(Place, Effect.map(servedNamespace("test-model"), (namespace) => ({ namespace }))).pipe(
  Layer.provideMerge(Kubernetes.layer(fromKubeconfig())),
  Layer.orDie
)

/** A side whose watches and garbage collection the test can wait for. */
interface Played extends Side {
  /** Sends what the open watches have to be told. */
  readonly deliver: Effect.Effect<void>
  /** Ends when no object is left whose owners are all gone, unless it is being deleted. */
  readonly collect: Effect.Effect<void>
}

const real = (kubernetes: Kubernetes["Service"], namespace: string): Played => {
  const all = (kind: Kind) => Stream.runCollect(kubernetes.listAll(kind, { namespace }))
  const orphans = Effect.gen(function*() {
    const owned = yield* all(jobs)
    const there = new Set((yield* all(agentTasks)).map(({ metadata: { uid } }) => uid))
    return owned.filter(({ metadata: { deletionTimestamp, ownerReferences = [] } }) =>
      deletionTimestamp === undefined && ownerReferences.length > 0 && !ownerReferences.some(({ uid }) => there.has(uid))
    )
  })
  return {
    kubernetes,
    namespace,
    seen: new Map(),
    deliver: Effect.void,
    collect: Effect.orDie(
      Effect.repeat(orphans, { until: ({ length }) => length === 0, schedule: Schedule.spaced("10 millis") }).pipe(
        Effect.timeout("90 seconds")
      )
    )
  }
}

const model = (namespace: string): Played & { readonly server: ApiServer; readonly watches: ReadonlySet<Watch> } => {
  const server = new ApiServer(() => Date.now())
  const { kubernetes, watches } = clientOf(server, { ask: (_, answer) => Effect.suspend(() => answer("none")) })
  const cluster = new Cluster({ server, now: Date.now, start: () => expect.fail("no Pod is here"), engineOf: () => undefined })
  return {
    kubernetes,
    namespace,
    server,
    watches,
    seen: new Map(),
    deliver: Effect.andThen(until(() => watches.size > 0), Effect.sync(() => watches.forEach((watch) => watch.deliver(Infinity)))),
    collect: Effect.sync(() => cluster.collect())
  }
}

const mayOrphan: ReadonlyArray<Request["verb"]> = ["delete", "let go", "job", "job kept"]

const play = Effect.fnUntraced(function*(side: Played, requests: ReadonlyArray<Request>) {
  const answers: Array<unknown> = []
  for (const request of requests) {
    const answer = yield* Effect.result(send(side, request))
    if (Result.isFailure(answer)) answers.push({ ...request, failed: answer.failure._tag })
    else if (!Predicate.hasProperty(answer.success, "metadata")) answers.push({ ...request, done: true })
    else {
      const key = `${answer.success.kind}/${request.name}`
      const known = side.seen.get(key) ?? []
      answers.push({ ...request, ...compared(request.verb, answer.success, known.at(-1)) })
      side.seen.set(key, [...known, answer.success])
    }
    if (mayOrphan.includes(request.verb) && Result.isSuccess(answer)) yield* side.collect
  }
  return answers
})

/** Returns what a watch from the version tells until it tells of an object of that name. */
const told = Effect.fnUntraced(function*(
  { deliver, kubernetes, namespace }: Played,
  kind: Kind,
  { labelSelector, resourceVersion }: { readonly labelSelector?: string; readonly resourceVersion: string | undefined },
  last: string
) {
  const { watched: _, ...whole } = kind // in JSON, which has all fields
  const events = yield* kubernetes.watch(whole, { namespace, labelSelector, resourceVersion }).pipe(
    Stream.takeUntil((event) => event.type !== "BOOKMARK" && event.object.metadata.name === last),
    Stream.runCollect,
    Effect.forkChild
  )
  yield* deliver
  return yield* Fiber.join(events)
})

/** Returns the events that can be compared, with their versions: without the bookmarks, and the changes of only what the model does not have. */
const traceOf = (events: ReadonlyArray<WatchEvent>) => {
  const before = new Map<string, unknown>()
  return events.flatMap((event) => {
    if (event.type === "BOOKMARK") return []
    const object = comparable(event.object)
    if (event.type === "MODIFIED" && same(before.get(object.name), object)) return []
    before.set(object.name, object)
    return [{ version: Number(event.object.metadata.resourceVersion), event: { type: event.type, ...object } }]
  })
}

/** Returns what watches tell of a script: of all its tasks, of those with a label, of its Jobs, and from a version within the script. */
const traces = Effect.fnUntraced(function*(side: Played, resourceVersion: string, seed: number) {
  const last = `s${seed}-end`
  const metadata = { name: last, namespace: side.namespace, labels: { team: "a" } }
  yield* side.kubernetes.create(agentTasks, { metadata, spec: taskSpec })
  yield* side.kubernetes.create(jobs, { metadata, spec: jobSpec })
  const tasks = traceOf(yield* told(side, agentTasks, { resourceVersion }, last))
  const labelled = traceOf(yield* told(side, agentTasks, { resourceVersion, labelSelector: "team=a" }, last))
  const ofJobs = traceOf(yield* told(side, jobs, { resourceVersion }, last))
  const versions = [...side.seen.values()].map(([made]) => made?.metadata.resourceVersion)
  const from = versions[seed % versions.length] ?? resourceVersion
  const later = traceOf(yield* told(side, agentTasks, { resourceVersion: from }, last))
  expect(later.map(({ event }) => event).slice(-1)).toEqual(tasks.map(({ event }) => event).slice(-1))
  expect(later.every(({ version }) => version > Number(from))).toBe(true)
  const only = (trace: ReturnType<typeof traceOf>) => trace.map(({ event }) => event)
  return {
    tasks: only(tasks),
    labelled: only(labelled),
    jobs: only(ofJobs),
    later: only(tasks.filter(({ version }) => version > Number(from)))
  }
})

const scripts = Number(process.env["CONFORMANCE_SCRIPTS"] ?? 60)

layer(Real, { excludeTestServices: true })("a real API server and the model", (it) => {
  describe("agree", () => {
    it.effect(`on ${scripts} scripts of random requests`, () =>
      Effect.gen(function*() {
        const { namespace } = yield* Place
        const kubernetes = yield* Kubernetes
        for (let seed = 1; seed <= scripts; seed++) {
          const requests = script(seed)
          const [really, modelled] = [real(kubernetes, namespace), model(namespace)]
          const played = Effect.fnUntraced(function*(side: Played) {
            const { resourceVersion } = yield* side.kubernetes.list(agentTasks, { namespace, limit: 1 })
            return { answers: yield* play(side, requests), ...yield* traces(side, resourceVersion, seed) }
          })
          const [wanted, given] = [yield* played(really), yield* played(modelled)]
          for (const [at, answer] of wanted.answers.entries()) expect(given.answers[at], `script ${seed}, request ${at}`).toEqual(answer)
          expect(given, `script ${seed}`).toEqual(wanted)
        }
      }))

    it.effect("on the events that a field selector finds, page after page", () =>
      Effect.gen(function*() {
        const { namespace } = yield* Place
        const real = yield* Kubernetes
        const model = clientOf(new ApiServer(() => Date.now()), { ask: (_, answer) => Effect.suspend(() => answer("none")) }).kubernetes
        const [one, other] = ["0a1b2c3d-0000-4000-8000-000000000001", "0a1b2c3d-0000-4000-8000-000000000002"]
        const eventOf = (index: number) => ({
          metadata: { name: `event-${index}`, namespace },
          regarding: { apiVersion: "v1", kind: "Pod", name: "pod", namespace, uid: index % 2 === 0 ? one : other },
          reportingController: "test",
          reportingInstance: "test",
          action: "Test",
          eventTime: "2026-01-31T12:00:00.000000Z",
          reason: index % 3 === 0 ? "FailedMount" : "Pulled",
          type: index % 3 === 0 ? "Warning" : "Normal"
        })
        const found = Effect.fnUntraced(function*(kubernetes: Kubernetes["Service"], fieldSelector: string) {
          const pages: Array<ReadonlyArray<string>> = []
          let next: string | undefined
          do {
            const page = yield* kubernetes.list(events, { namespace, fieldSelector, limit: 2, continue: next })
            pages.push(page.items.map(({ metadata: { name } }) => name))
            next = page.continue
          } while (next !== undefined)
          return pages
        })
        for (const index of [8, 7, 6, 5, 4, 3, 2, 1, 0]) for (const side of [real, model]) yield* side.create(events, eventOf(index))
        for (const selector of ["type=Warning", "type=Normal", `regarding.uid=${one}`, `regarding.uid=${other},type=Warning`]) {
          expect(yield* found(model, selector), selector).toEqual(yield* found(real, selector))
        }
        expect(yield* found(real, "type=Warning")).toEqual([["event-0", "event-3"], ["event-6"]])
      }))
  })
})
