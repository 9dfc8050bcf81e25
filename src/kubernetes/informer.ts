// Mirrors one kind by a watch that begins with all objects (or by list and watch), and tells which keys changed.
// It misses nothing: a watch goes on where the last one ended in order; after a lost connection, a stall or 410 it looks at all objects anew.
// Feeds the controller's queue; the mirror may be behind, so a write based on it needs a guard.
import { Cause, Clock, Duration, Effect, Fiber, Metric, Option, Random, type Scope, Stream } from "effect"
import { metrics } from "../schema/api/metrics.ts"
import { Kubernetes, type Selection } from "./client.ts"
import { type KubernetesError, Unreachable } from "./errors.ts"
import type { Kind } from "./kinds.ts"
import { knownObjects } from "./known-objects.ts"
import type { KubernetesObject, Page } from "./object.ts"

export interface Informer {
  /** Completes after the first full look. Before that, an object whose key was not reported may exist. */
  readonly synced: Effect.Effect<void>
  /**
   * How long the API server has been silent (no page, event, bookmark or orderly end). The informer is healthy below twice `longestWatch`.
   */
  readonly silence: Effect.Effect<Duration.Duration>
  /** Never completes; dies with what a resync died of, after which there is none. */
  readonly resyncs: Effect.Effect<never>
}

export interface Options<A> extends Selection {
  readonly kind: Kind<unknown>
  /** Returns what is kept of an object, as a plain object of fixed shape. An object on which it throws is logged and left out. */
  readonly project: (object: KubernetesObject) => A
  /** Called with each object that is left out, before it is reported as gone. */
  readonly leftOut?: (object: KubernetesObject) => Effect.Effect<void>
  /**
   * Called once for each key that was added, changed, deleted or left the selection, and for every key at each resync. `seen` is the object
   * that exists now, if any.
   */
  readonly changed: (key: string, seen: Option.Option<A>) => Effect.Effect<void>
  /** How often every key is reported as changed, in case a bug lost a change. Default: 10 minutes. */
  readonly resync?: Duration.Input
}

/** The server ends a watch after 240 to 300 s. A watch that is still open 30 s later is dead (a half-open connection). */
export const longestWatch = Duration.seconds(330)
const graceSeconds = 30
/** How long a watch may take to tell all objects, and that these are all, which some API servers and proxies never say. */
const longestLook = Duration.seconds(30)
/** In nanoseconds. A watch that lasted this long does not count as a failure, even if it brought no event. */
const usefulWatch = 10_000_000_000n
const betweenWatches = Duration.millis(100)
/**
 * The most whole objects in memory at once: a Pod is 9 KB as text and twice that when parsed, and a heap that has grown stays large for
 * long. A task may be of 1.5 MB, with a configuration in it.
 */
const pageLimit = 50
const mostPageBytes = 4 * 1024 * 1024
const longestBackoff = Duration.seconds(30)

const lastHeard = (kind: string) =>
  Metric.gauge("agent_job_watch_heard_timestamp_seconds", { ...metrics.agent_job_watch_heard_timestamp_seconds, attributes: { kind } })

/**
 * Whether a watch may not go on from where it was. Behind a lost connection, etcd may have been restored from an older copy: the server then
 * tells neither what that undid nor, where it has written as much again, that the version is of another history.
 */
const losesPlace = ({ _tag }: KubernetesError): boolean => _tag === "Gone" || _tag === "Unreachable"

/** Each wait is a quarter longer than the last, so a server that returns is found after about a third of the time that it was away. */
const backoff = (failures: number): Duration.Duration => Duration.min(Duration.millis(500 * 1.25 ** (failures - 1)), longestBackoff)

const pauseAfter = (error: Option.Option<KubernetesError>, failures: number): Duration.Duration => {
  const usual = failures === 0 ? betweenWatches : backoff(failures)
  return Option.isSome(error) && error.value._tag === "TooManyRequests" ? Duration.max(error.value.retryAfter, usual) : usual
}

export const make = Effect.fnUntraced(function*<A>(
  { kind, project, leftOut = () => Effect.void, changed, resync = Duration.minutes(10), ...selection }: Options<A>
): Effect.fn.Return<Informer, never, Kubernetes | Scope.Scope> {
  const kubernetes = yield* Kubernetes
  const known = yield* knownObjects({ changed, leftOut, project })
  /** Whether the server can begin a watch with the whole collection, as far as is known. */
  let streams = true
  /**
   * Whether the last look broke off after it had told something, as at a proxy that cuts off each watch before it has told all. The next is
   * a list then, which comes in pages and so gets through.
   */
  let brokeOff = false
  /** Watches and lists in a row that brought nothing. */
  let failures = 0
  /** Whether the last watch has told nothing, as of a server that hangs. */
  let toldNothing = true
  let heardAt = 0n // in monotonic nanoseconds
  const ofKind = lastHeard(kind.plural)
  const heard = Effect.gen(function*() {
    heardAt = yield* Clock.monotonicTimeNanos
    yield* Metric.update(ofKind, (yield* Clock.currentTimeMillis) / 1000)
  })
  yield* heard

  let limit = pageLimit
  /** Returns the next page. One that is too large is asked for again as a smaller one; a single object is read however large it is. */
  const pageFrom = (from: string | undefined): Effect.Effect<Page, KubernetesError> =>
    Effect.suspend(() => kubernetes.list(kind, { ...selection, limit, continue: from, mostBytes: limit === 1 ? undefined : mostPageBytes }))
      .pipe(
        Effect.catchTag("Malformed", (error) => {
          if (limit === 1) return Effect.fail(error)
          limit = Math.ceil(limit / 2)
          return pageFrom(from)
        })
      )

  /** Lists page by page, so that never more than one page of whole objects is in memory. */
  const list = Effect.gen(function*() {
    known.beginLook()
    let page: Page | undefined
    do {
      page = yield* pageFrom(page?.continue)
      yield* heard
      limit = Math.min(limit * 2, pageLimit)
      for (const object of page.items) yield* known.store(object)
    } while (page.continue !== undefined)
    yield* known.endLook(page.resourceVersion)
  })

  /** Whether a watch can go on from a version; otherwise it looks at all objects, or is to begin that. */
  const hasPlace = () => known.version() !== undefined
  /** Completes if a look takes too long, which is cut off then; after one that told something there is no other by a watch. */
  const lookTakesTooLong = Effect.andThen(
    Effect.sleep(longestLook),
    Effect.suspend(() => {
      if (hasPlace()) return Effect.never
      if (!toldNothing) streams = false
      return Effect.void
    })
  )

  /**
   * Watches over one connection until the server ends it. A watch that ends soon without an event stays counted as a failure, since
   * otherwise it would be opened again and again without a backoff.
   */
  const watch = Effect.gen(function*() {
    if (!hasPlace()) known.beginLook()
    toldNothing = true
    const timeoutSeconds = yield* Random.nextIntBetween(240, 300)
    const openedAt = yield* Clock.monotonicTimeNanos
    yield* kubernetes.watch(kind, { ...selection, resourceVersion: known.version(), timeoutSeconds }).pipe(
      Stream.runForEachArray((events) => {
        toldNothing = false
        if (hasPlace()) failures = 0 // what a look tells is no news: a server that cuts each one is asked ever more seldom
        return heard.pipe(
          Effect.andThen(Effect.uninterruptible(Effect.forEach(events, known.observe, { discard: true }))),
          // The server sends each object by itself. After a turn of the loop many have come, and one wake-up serves them all.
          Effect.andThen(Effect.yieldNow)
        )
      }),
      Effect.andThen(heard),
      Effect.timeoutOrElse({
        duration: Duration.seconds(timeoutSeconds + graceSeconds),
        orElse: () => Effect.fail(new Unreachable({ verb: "watch", object: kind.plural, detail: "the watch stalled" }))
      }),
      Effect.raceFirst(lookTakesTooLong),
      Effect.ensuring(Effect.map(Clock.monotonicTimeNanos, (now) => {
        if (now - openedAt >= usefulWatch) failures = 0
      }))
    )
  })

  const failed = (cause: Cause.Cause<KubernetesError>) => {
    const error = Cause.findErrorOption(cause)
    brokeOff = !hasPlace() && !toldNothing
    if (Option.isSome(error) && losesPlace(error.value)) known.loseVersion()
    return Effect.logWarning(
      "an informer lost its connection and tries again",
      Option.match(error, { onNone: () => Cause.pretty(cause), onSome: ({ message }) => message })
    ).pipe(
      Effect.as(error)
    )
  }
  const listThenWatch = Effect.gen(function*() {
    if (!hasPlace()) yield* list
    yield* watch
  })
  const listForGood = Effect.suspend(() => {
    streams = false
    return listThenWatch
  })
  const streamOrList = watch.pipe(
    Effect.catchTag("Invalid", () => listForGood),
    Effect.andThen(Effect.suspend(() =>
      hasPlace()
        ? Effect.void
        : Effect.andThen(
          Effect.logWarning(
            streams
              ? "a watch ended, or told nothing, before it said that all objects were told, as of an API server that stops; they are listed this once"
              : `a watch did not say within ${
                Duration.format(longestLook)
              } that all objects were told, as behind a proxy that drops bookmarks; they are listed from now on`
          ),
          listThenWatch
        )
    ))
  )
  const round = Effect.suspend(() => {
    failures++ // until the watch brings something
    return streams && !brokeOff ? streamOrList : listThenWatch
  }).pipe(Effect.as(Option.none<KubernetesError>()), Effect.catchCause(failed))

  yield* round.pipe(
    Effect.flatMap((error) => Effect.map(Random.nextBetween(1, 1.3), (jitter) => Duration.times(pauseAfter(error, failures), jitter))),
    Effect.flatMap(Effect.sleep),
    Effect.forever,
    Effect.annotateLogs({ kind: kind.plural }),
    Effect.forkScoped
  )
  const resyncs = yield* known.tellAll.pipe(
    Effect.delay(resync),
    Effect.forever,
    Effect.forkScoped
  )
  return {
    resyncs: Fiber.join(resyncs),
    synced: known.synced,
    silence: Effect.map(Clock.monotonicTimeNanos, (now) => Duration.nanos(now - heardAt))
  }
})
