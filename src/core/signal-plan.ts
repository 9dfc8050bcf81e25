// When a stage that has to stop gets which signal: one interrupt at once, then time to save the state, then harder ones.
// Always holds: exactly one interrupt, since a second one makes the engine quit without saving; all within the grace.
// Used by worker/stop.ts.

export interface SignalPlan {
  readonly signals: ReadonlyArray<{ readonly name: "INT" | "TERM" | "KILL"; readonly afterMillis: number }>
  /** From here on nothing is waited for any more, so that the result still gets out. */
  readonly giveUpAfterMillis: number
}

/** The last minute of the grace is a third each for SIGTERM, SIGKILL and the result; a short grace is halved first. */
const lastMinute = { terminate: 60, kill: 40, giveUp: 20 }

/** For a grace period in seconds, counted from the moment the stop was asked for. */
export const signalPlan = (graceSeconds: number): SignalPlan => {
  const scale = Math.min(1, graceSeconds / 120)
  const before = (seconds: number) => Math.round(Math.max(0, graceSeconds - seconds * scale) * 1000)
  return {
    signals: [
      { name: "INT", afterMillis: 0 },
      { name: "TERM", afterMillis: before(lastMinute.terminate) },
      { name: "KILL", afterMillis: before(lastMinute.kill) }
    ],
    giveUpAfterMillis: before(lastMinute.giveUp)
  }
}
