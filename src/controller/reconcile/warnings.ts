// The newest warning that says why an object does not start, for each object of a namespace, from one read for all passes: for each read,
// whatever it selects, the API server walks through all events of the namespace. One such read runs at a time, and the next begins at least `answerMillis` after it. Beyond `mostPages`, each object is read by itself.
// Used by controller/reconcile/ask and controller/reconcile/reconcile.
import { Cache, Effect, Exit, Option, Result, Schema } from "effect"
import { isOfStart } from "../../core/reconcile/start-trouble.ts"
import type { Warning } from "../../core/task/observed.ts"
import { Kubernetes, type Selection } from "../../kubernetes/client.ts"
import { monotonicMillis } from "../../kubernetes/clock.ts"
import { type KubernetesError, Unreachable } from "../../kubernetes/errors.ts"
import { events } from "../../kubernetes/kinds.ts"
import type { KubernetesObject } from "../../kubernetes/object.ts"
import { WarningEvent } from "../../schema/kubernetes/kubernetes.ts"

/** A warning, and when it was given last, by the clock of whoever gave it. */
export interface DatedWarning extends Warning {
  readonly at: string
}

/** The UID of the object that a warning is about, and its namespace. */
export interface About {
  readonly namespace: string
  readonly uid: string
}

/** How long an answer serves. */
export const answerMillis = 1_000
/** How long a read may take, and a failed one for all serves: passes that wait for it hold up others, for half the time at most. */
export const patienceMillis = 10_000
/** The most pages that are read at once, each of 500 warnings and about half a megabyte. Of these, the newest about each object is kept. */
export const mostPages = 20
/** How long each object is asked about by itself once the namespace has more warnings than that. */
export const tooManyMillis = 60_000

type Newest = ReadonlyMap<string, DatedWarning>

const decode = Schema.decodeUnknownOption(WarningEvent)
const lastSeen = ({ deprecatedLastTimestamp, eventTime, series }: WarningEvent): string =>
  series?.lastObservedTime ?? deprecatedLastTimestamp ?? eventTime ?? ""

const keepNewest = (newest: Map<string, DatedWarning>, items: ReadonlyArray<KubernetesObject>): void => {
  for (const event of items.flatMap((item) => Option.toArray(decode(item)))) {
    const { note = "", reason = "", regarding: { uid } } = event
    const warning = { reason, message: note, at: lastSeen(event) }
    const before = newest.get(uid)
    if (isOfStart(warning) && (before === undefined || before.at < warning.at)) newest.set(uid, warning)
  }
}

/** Returns the newest warnings by the UIDs of their objects; none if there are more pages than `most`. */
const read = Effect.fnUntraced(
  function*(selection: Selection, most: number): Effect.fn.Return<Option.Option<Newest>, KubernetesError, Kubernetes> {
    const kubernetes = yield* Kubernetes
    const newest = new Map<string, DatedWarning>()
    let next: string | undefined
    for (let pages = 0; pages < most; pages++) {
      const page = yield* kubernetes.list(events, { ...selection, continue: next })
      keepNewest(newest, page.items)
      next = page.continue
      if (next === undefined) return Option.some(newest)
    }
    return Option.none()
  },
  (reading, { namespace }) =>
    reading.pipe(
      Effect.timeoutOrElse({
        duration: patienceMillis,
        orElse: () => new Unreachable({ verb: "list", object: `events in ${namespace}`, detail: `no whole answer in ${patienceMillis} ms` })
      }),
      Effect.tapError(({ message }) => Effect.logWarning(message))
    )
)

const readOne = ({ namespace, uid }: About) => read({ namespace, fieldSelector: `regarding.uid=${uid},type=Warning` }, Infinity)

const servesMillis = Result.match({
  onFailure: () => patienceMillis,
  onSuccess: Option.match({ onNone: () => tooManyMillis, onSome: () => answerMillis })
})

/** Reads all warnings of a namespace. The answer says until when it serves, in monotonic milliseconds. */
const readAll = (namespace: string) =>
  read({ namespace, fieldSelector: "type=Warning" }, mostPages).pipe(
    Effect.result,
    Effect.zipWith(monotonicMillis, (newest, at) => ({ newest, until: at + servesMillis(newest) }))
  )

/** Makes the function that returns the newest warning about an object. Who asks while a read runs gets the answer of that. */
export const sharedWarnings = Effect.gen(function*() {
  const answers = yield* Cache.makeWith(readAll, {
    capacity: 1, // all tasks are in one namespace
    timeToLive: (exit) => Exit.isSuccess(exit) ? "Infinity" : 0 // until when an answer serves, it says itself
  })
  return Effect.fnUntraced(function*(about: About): Effect.fn.Return<Option.Option<DatedWarning>, KubernetesError, Kubernetes> {
    const now = yield* monotonicMillis
    yield* Cache.invalidateWhen(answers, about.namespace, ({ until }) => now >= until)
    const all = yield* Effect.fromResult((yield* Cache.get(answers, about.namespace)).newest)
    const found = Option.isSome(all) ? all : yield* readOne(about)
    return Option.flatMap(found, (newest) => Option.fromUndefinedOr(newest.get(about.uid)))
  })
})
