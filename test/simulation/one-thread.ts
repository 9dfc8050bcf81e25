// One thread with its own clock: fibers run until all of them wait, and only a step of the schedule lets one go on.
// Invariant: it uses no promise, no timer and no randomness of the machine, so that a seed always gives the same run; a killed process
// never runs again. Used by every process of the simulation.
import { Clock, Context, Duration, Effect, Logger, Random, References, Scheduler } from "effect"

/**
 * What happens to a request: "none" means that it is answered; the others are failures of the network, the server or the process. A server
 * that failed says so, whether it did what it was asked for or not.
 */
export type Fault =
  | "none"
  | "lost answer"
  | "not sent"
  | "conflict"
  | "too many requests"
  | "failed before"
  | "failed after"
  | "killed before"
  | "killed after"

/** Reports whether a server that compares no versions does nothing of what it is asked for. */
export const isRefused = (fault: Fault): boolean =>
  fault === "not sent" || fault === "conflict" || fault === "too many requests" || fault === "failed before"
/** Reports whether a server does what it is asked for, and the process does not hear so. */
export const isUnheard = (fault: Fault): boolean => fault === "lost answer" || fault === "failed after"

/** A request that is not answered yet. */
export interface Wait {
  readonly what: string
  /** Whether it is a poll, which a process repeats even if it has nothing to do. */
  readonly poll: boolean
  readonly answer: (fault: Fault) => void
}

interface Sleeper {
  readonly process: Process
  readonly at: number
  readonly wake: () => void
}

/** Returns a generator of numbers from 0 up to but not including 1 (mulberry32); a seed gives the same numbers on every machine. */
export const randomOf = (seed: number) => {
  let state = seed >>> 0
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export class OneThread {
  /** Milliseconds since the beginning; never goes back. */
  elapsed = 0
  /** What the wall clock shows at the beginning, in milliseconds since 1970. */
  readonly epoch = Date.parse("2026-01-01T12:00:00Z")
  readonly #tasks: Array<{ readonly process: Process; readonly task: () => void }> = []
  #sleepers: Array<Sleeper> = []

  get now(): number {
    return this.epoch + this.elapsed
  }
  schedule(process: Process, task: () => void): void {
    this.#tasks.push({ process, task })
  }
  sleep(sleeper: Sleeper): void {
    this.#sleepers.push(sleeper)
  }
  wake(sleeper: Sleeper): void {
    this.#sleepers = this.#sleepers.filter((_) => _ !== sleeper)
  }
  forget(process: Process): void {
    this.#sleepers = this.#sleepers.filter((_) => _.process !== process)
  }

  /** Runs until all fibers wait. */
  settle(): void {
    for (let task = this.#tasks.shift(); task !== undefined; task = this.#tasks.shift()) if (task.process.alive) task.task()
  }

  /** Milliseconds until the next sleeper wakes; Infinity if none sleeps. */
  get untilWake(): number {
    return Math.min(...this.#sleepers.map(({ at }) => at)) - this.elapsed
  }

  /** Lets time go by; sleepers wake in order. */
  pass(millis: number): void {
    const until = this.elapsed + millis
    for (;;) {
      const next = this.#sleepers.reduce<Sleeper | undefined>(
        (first, _) => _.at <= until && (first === undefined || _.at < first.at) ? _ : first,
        undefined
      )
      if (next === undefined) break
      this.elapsed = Math.max(this.elapsed, next.at)
      this.wake(next)
      next.wake()
      this.settle()
    }
    this.elapsed = until
  }
}

export class Process {
  alive = true
  /** The requests of the process that are not answered yet, oldest first. */
  readonly waits: Array<Wait> = []
  readonly thread: OneThread
  readonly name: string
  /** By how many milliseconds its wall clock is ahead. */
  skew = 0
  readonly #context: Context.Context<never>

  constructor(thread: OneThread, name: string, seed: number) {
    this.thread = thread
    this.name = name
    const next = randomOf(seed)
    const scheduler: Scheduler.Scheduler = {
      executionMode: "async",
      shouldYield: () => false,
      makeDispatcher: () => ({ scheduleTask: (task) => thread.schedule(this, task), flush: () => undefined })
    }
    const now = () => thread.now + this.skew
    const monotonic = () => BigInt(Math.round(thread.elapsed * 1e6))
    const clock: Clock.Clock = {
      currentTimeMillisUnsafe: now,
      currentTimeMillis: Effect.sync(now),
      currentTimeNanosUnsafe: () => BigInt(now()) * 1_000_000n,
      currentTimeNanos: Effect.sync(() => BigInt(now()) * 1_000_000n),
      monotonicTimeNanosUnsafe: monotonic,
      monotonicTimeNanos: Effect.sync(monotonic),
      sleep: (duration) =>
        Effect.callback<void>((resume) => {
          const sleeper = { process: this, at: thread.elapsed + Math.ceil(Duration.toMillis(duration)), wake: () => resume(Effect.void) }
          thread.sleep(sleeper)
          return Effect.sync(() => thread.wake(sleeper))
        })
    }
    this.#context = Context.empty().pipe(
      Context.add(Scheduler.Scheduler, scheduler),
      Context.add(Clock.Clock, clock),
      Context.add(Random.Random, { nextDoubleUnsafe: next, nextIntUnsafe: () => Math.floor(next() * Number.MAX_SAFE_INTEGER) }),
      Context.add(Logger.CurrentLoggers, new Set()),
      Context.add(References.MinimumLogLevel, "None"),
      Context.add(References.TracerEnabled, false)
    )
  }

  run<A, E>(effect: Effect.Effect<A, E>, ended: () => void = () => undefined): void {
    Effect.runForkWith(this.#context)(effect).addObserver(ended)
    this.thread.settle()
  }

  /** Waits for a value from outside, which is lost if the process no longer runs when it comes. */
  hear<A>(register: (tell: (value: A) => void) => void): Effect.Effect<A> {
    return Effect.callback<A>((resume) =>
      register((value) => {
        if (this.alive) resume(Effect.succeed(value))
      })
    )
  }

  /** Sends a request, which a step of the schedule will answer. */
  ask<A, E>(what: string, answer: (fault: Fault) => Effect.Effect<A, E>, poll = false): Effect.Effect<A, E> {
    return Effect.callback<A, E>((resume) => {
      const remove = () => {
        const index = this.waits.indexOf(wait)
        if (index >= 0) this.waits.splice(index, 1)
      }
      const wait: Wait = {
        what,
        poll,
        answer: (fault) => {
          remove()
          if (fault === "killed before") return this.kill()
          const answered = answer(fault)
          if (fault === "killed after") return this.kill()
          resume(answered)
          this.thread.settle()
        }
      }
      this.waits.push(wait)
      return Effect.sync(remove)
    })
  }

  kill(): void {
    this.alive = false
    this.waits.length = 0
    this.thread.forget(this)
  }
}
