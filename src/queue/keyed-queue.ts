// A work queue of keys: an add is never lost, a key never runs twice at once, failures back off, concurrency is bounded.
// Level-triggered: a key carries no event, so the work on it reads the state of the world anew.
// Fed by informers and timers; the controller's reconcile works it off.
import { Cause, Clock, Duration, Effect, Fiber, FiberMap, Option, Queue, type Scope } from "effect"
import type { Backoff } from "./backoff.ts"

export interface KeyedQueue<K extends string> {
  /** Runs `key` as soon as a worker is free. An add while it waits is absorbed; an add while it runs makes it run once more. */
  readonly add: (key: K) => Effect.Effect<void>
  /** Runs `key` after the delay, or sooner: the earliest of all requests wins. */
  readonly addAfter: (key: K, delay: Duration.Input) => Effect.Effect<void>
  /** How many keys wait for a free worker. One that runs and will run again is not among them. */
  readonly waiting: Effect.Effect<number>
  /** Begins no more keys, and completes when those that run are done. */
  readonly drain: Effect.Effect<void>
}

export interface Options<K extends string, E, R> {
  readonly concurrency: number
  /**
   * Works on one key, which all that it logs names; `Some(delay)` asks for another run. A failure or a defect is logged, and the key runs
   * again after the backoff.
   */
  readonly work: (key: K) => Effect.Effect<Option.Option<Duration.Duration>, E, R>
  readonly backoff: Backoff<K>
  /** How long a failure asks to be left alone, which counts if it is longer than the backoff; an add ends that as it ends any wait. */
  readonly pauseOf?: (error: E) => Duration.Duration
}

/** The queue works until its scope closes, which interrupts what runs; `drain` first for an orderly end. */
export const make = Effect.fnUntraced(function*<K extends string, E, R>(
  { concurrency, work, backoff, pauseOf = () => Duration.zero }: Options<K, E, R>
): Effect.fn.Return<KeyedQueue<K>, never, R | Scope.Scope> {
  const ready = yield* Queue.unbounded<K, Cause.Done>()
  const timers = yield* FiberMap.make<K>()
  const wanted = new Set<K>() // to run, or to run again
  const running = new Set<K>()
  const dueAt = new Map<K, number>() // monotonic milliseconds
  let draining = false

  // Each change of these collections is within one synchronous step, and a fiber is preempted only between steps.
  /** Stops the timer of the key, which would sleep on for minutes if the key never came again. */
  const stopTimer = (key: K): void => {
    const timer = dueAt.delete(key) ? FiberMap.getUnsafe(timers, key) : Option.none()
    if (Option.isSome(timer)) timer.value.interruptUnsafe()
  }

  const add = (key: K) =>
    Effect.suspend(() => {
      stopTimer(key)
      if (wanted.has(key)) return Effect.void
      wanted.add(key)
      return running.has(key) ? Effect.void : Effect.asVoid(Queue.offer(ready, key))
    })

  const addAfter = (key: K, delay: Duration.Input) =>
    Effect.flatMap(Clock.monotonicTimeNanos, (now) => {
      const at = Number(now) / 1e6 + Duration.toMillis(delay)
      if (wanted.has(key) || (dueAt.get(key) ?? Infinity) <= at) return Effect.void
      dueAt.set(key, at)
      const fire = Effect.suspend(() => {
        if (dueAt.get(key) !== at) return Effect.void
        dueAt.delete(key) // otherwise `add` would stop this very timer
        return add(key)
      })
      return FiberMap.run(timers, key, Effect.delay(fire, delay)) // replaces the timer this key had
    })

  const failed = (key: K, cause: Cause.Cause<E>) => {
    const { count, delay: usual } = backoff.failed(key)
    const delay = Option.match(Cause.findErrorOption(cause), {
      onNone: () => usual,
      onSome: (error) => Duration.max(pauseOf(error), usual)
    })
    return Effect.logWarning("work failed", cause).pipe(
      Effect.annotateLogs({ failures: count, retryIn: Duration.format(delay) }),
      Effect.andThen(addAfter(key, delay))
    )
  }

  const settle = (key: K) =>
    Effect.suspend(() => {
      running.delete(key)
      return wanted.has(key) ? Queue.offer(ready, key) : Effect.void
    })

  const workOn = (key: K) =>
    Effect.suspend(() => {
      if (draining) return Effect.void
      wanted.delete(key)
      running.add(key)
      // Handles every cause, even an interruption from inside: nothing that happens to one key may end a worker.
      return work(key).pipe(
        Effect.matchCauseEffect({
          onFailure: (cause) => failed(key, cause),
          onSuccess: (again) => {
            backoff.ended(key)
            return Option.match(again, { onNone: () => Effect.void, onSome: (delay) => addAfter(key, delay) })
          }
        }),
        Effect.annotateLogs({ key }),
        Effect.ensuring(settle(key))
      )
    })

  const workers = yield* Queue.take(ready).pipe(
    Effect.flatMap(workOn),
    Effect.forever,
    Effect.ignore, // the queue has ended
    Effect.replicateEffect(concurrency, { concurrency, discard: true }),
    Effect.forkScoped
  )
  return {
    add,
    addAfter,
    waiting: Effect.sync(() => wanted.difference(running).size),
    drain: Effect.suspend(() => {
      draining = true
      return Effect.andThen(Queue.end(ready), Fiber.await(workers))
    }).pipe(Effect.asVoid)
  }
})
