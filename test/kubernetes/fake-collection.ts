// One collection of a pretended API server, in memory and without a socket, so that informers can be tested under TestClock.
// It keeps every event since the last compaction, as the real one does; a test may break, end or mute its watches.
// Used by the informer's tests.
import { Cause, Duration, Effect, Layer, Queue, Stream } from "effect"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { Gone, Invalid, type KubernetesError, Malformed, Unreachable } from "../../src/kubernetes/errors.ts"
import type { KubernetesObject, WatchEvent } from "../../src/kubernetes/object.ts"

const call = { verb: "watch", object: "jobs in team" } as const
export const gone = new Gone({ ...call, code: 410, reason: "Expired", detail: "too old" })
export const unreachable = new Unreachable({ ...call, detail: "connection reset" })

const cannotStream = new Invalid({
  ...call,
  code: 422,
  reason: "Invalid",
  detail: "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled",
  causes: []
})

export class FakeCollection {
  readonly objects = new Map<string, KubernetesObject>()
  /** The resource version at which each watch began, in order. Watches that begin with all objects are counted in `lists` instead. */
  readonly watchedFrom: Array<string> = []
  /** How many pages were listed, plus how many watches began with all objects. */
  lists = 0
  /** Whether a watch may begin with all objects. */
  streams = true
  /** Whether a watch that begins with all objects says when these are all. */
  tellsWhole = true
  /** After how many of all objects the next look breaks, be it a list or a watch, and with what. */
  breaksAfter: number | undefined
  breaksWith: KubernetesError = unreachable
  /** Watches that begin before this version get 410. */
  compacted = 0
  /** What the next lists and watches fail with, in order. */
  readonly failures: Array<KubernetesError> = []
  /** Whether new watches stay silent, as on a half-open connection. */
  muted = false
  pageSize = 500
  /** How large an object counts, and how many were on each page. */
  objectBytes = 0
  readonly pages: Array<number> = []
  /** How often it was asked: pages and watches. */
  get asks(): number {
    return this.lists + this.watchedFrom.length
  }
  #version = 100
  readonly #history: Array<WatchEvent & { readonly version: number }> = []
  #open: Array<Queue.Queue<WatchEvent, KubernetesError | Cause.Done>> = []

  put(name: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const type = this.objects.has(name) ? "MODIFIED" : "ADDED"
      const uid = this.objects.get(name)?.metadata.uid ?? `uid-${this.#version}`
      const object = {
        metadata: { namespace: "team", name, uid, resourceVersion: String(++this.#version) },
        spec: { large: "x".repeat(100) }
      }
      this.objects.set(name, object)
      return this.#emit({ type, object })
    })
  }
  remove(name: string): Effect.Effect<void> {
    return Effect.suspend(() => {
      const object = this.objects.get(name)
      if (object === undefined) return Effect.void
      this.objects.delete(name)
      return this.#emit({
        type: "DELETED",
        object: { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.#version) } }
      })
    })
  }
  bookmark(whole = false): Effect.Effect<void> {
    return Effect.suspend(() => this.#emit({ type: "BOOKMARK", resourceVersion: String(++this.#version), whole }))
  }
  /** Forgets the past events, so that a client that has not seen all of them must list again. */
  compact(): void {
    this.compacted = this.#version
  }
  /** Has etcd restored from a copy in which `name` is not. The server that starts on it has begun another history, `writes` from before. */
  restore(name: string, writes: number): Effect.Effect<void> {
    this.#version += writes
    this.#history.length = 0
    this.objects.delete(name)
    return this.end(unreachable)
  }
  /** Ends the open watches, with an error if one is given. */
  end(error?: KubernetesError): Effect.Effect<void> {
    return Effect.suspend(() => {
      const open = this.#open
      this.#open = []
      return Effect.forEach(open, (queue) => error === undefined ? Queue.end(queue) : Queue.fail(queue, error), { discard: true })
    })
  }
  #emit(event: WatchEvent): Effect.Effect<void> {
    this.#history.push({ ...event, version: this.#version })
    return Effect.forEach(this.#open, (queue) => Queue.offer(queue, event), { discard: true })
  }

  /** Returns the events with which a watch begins that has seen nothing. The first bookmark says nothing of how many are to come. */
  #all(): ReadonlyArray<WatchEvent> {
    const added = [...this.objects.values()].map((object): WatchEvent => ({ type: "ADDED", object }))
    const bookmark = { type: "BOOKMARK", resourceVersion: String(this.#version) } as const
    return [{ ...bookmark, whole: false }, ...added, ...(this.tellsWhole ? [{ ...bookmark, whole: true }] : [])]
  }

  readonly layer = Layer.mock(Kubernetes, {
    namespace: "team",
    list: (_, { continue: next, limit = this.pageSize, mostBytes = Infinity } = {}) =>
      Effect.suspend(() => {
        this.lists++
        const failure = this.failures.shift()
        if (failure !== undefined) return Effect.fail(failure)
        const from = next === undefined ? 0 : Number(next)
        if (this.breaksAfter !== undefined && from >= this.breaksAfter) {
          this.breaksAfter = undefined
          return Effect.fail(this.breaksWith)
        }
        const to = from + Math.min(limit, this.pageSize)
        const items = [...this.objects.values()].slice(from, to)
        if (items.length * this.objectBytes > mostBytes) return Effect.fail(new Malformed({ ...call, detail: "it answers more" }))
        this.pages.push(items.length)
        return Effect.succeed({
          items,
          resourceVersion: String(this.#version),
          continue: to < this.objects.size ? String(to) : undefined
        })
      }),
    watch: (_, { resourceVersion, timeoutSeconds = Infinity }) =>
      Stream.unwrap(Effect.gen({ self: this }, function*() {
        if (resourceVersion === undefined && !this.streams) return Stream.fail(cannotStream)
        if (resourceVersion === undefined) this.lists++
        else this.watchedFrom.push(resourceVersion)
        const failure = resourceVersion !== undefined && Number(resourceVersion) < this.compacted ? gone : this.failures.shift()
        if (failure !== undefined) return Stream.fail(failure)
        if (this.muted) return Stream.never
        const queue = yield* Queue.unbounded<WatchEvent, KubernetesError | Cause.Done>()
        yield* Queue.offerAll(
          queue,
          resourceVersion === undefined ? this.#all() : this.#history.filter(({ version }) => version > Number(resourceVersion))
        )
        if (resourceVersion === undefined && this.breaksAfter !== undefined) {
          const broken = Stream.take(Stream.fromQueue(queue), 1 + this.breaksAfter)
          this.breaksAfter = undefined
          return Stream.concat(broken, Stream.fail(this.breaksWith))
        }
        this.#open.push(queue)
        return Stream.fromQueue(queue).pipe(Stream.interruptWhen(Effect.sleep(Duration.seconds(timeoutSeconds))))
      }))
  })
}
