// Which signals a stage gets that has to stop, and when: one interrupt at once, then time to save the state, then harder ones.
// Invariant: there is one interrupt, since a second makes the engine quit without saving, and all signals are within the grace period.
// Used by worker/task/stop.ts.

export interface SignalPlan {
  readonly signals: ReadonlyArray<{ readonly name: "INT" | "TERM" | "KILL"; readonly afterMillis: number }>
  /**
   * When the engine stops waiting for a server that does not take its state. An engine that waits hears no interrupt: it goes on making
   * things, and is killed in the end with all that it has made since.
   */
  readonly releaseAfterMillis: number
  /** When the worker stops waiting for anything, so that the result still gets out. */
  readonly giveUpAfterMillis: number
}

/**
 * Seconds before the end of the grace period: the last minute is divided equally among SIGTERM, SIGKILL and the result. If the period is
 * shorter than two minutes, they share half of it.
 */
const lastMinute = { terminate: 60, kill: 40, giveUp: 20 }

/** How long an engine that has to stop waits for its state to be taken, in milliseconds: a server that restarts is back by then. */
const longestWait = 10_000

/** Returns the plan for a grace period in seconds, counted from the moment the stop was asked for. */
export const signalPlan = (graceSeconds: number): SignalPlan => {
  const scale = Math.min(1, graceSeconds / 120)
  const before = (seconds: number) => Math.round(Math.max(0, graceSeconds - seconds * scale) * 1000)
  const terminate = before(lastMinute.terminate)
  return {
    signals: [
      { name: "INT", afterMillis: 0 },
      { name: "TERM", afterMillis: terminate },
      { name: "KILL", afterMillis: before(lastMinute.kill) }
    ],
    releaseAfterMillis: Math.min(longestWait, terminate / 2),
    giveUpAfterMillis: before(lastMinute.giveUp)
  }
}
