// Shows one step of a run as it happens: why it waits, then its log as it grows, until the run has left the step.
// Invariant: every byte of the log is shown once, even if following stops and is resumed.
// Used by run and logs.
import { Clock, Duration, Effect, Schedule } from "effect"
import type { Step } from "../../core/run/run-machine.ts"
import type { RunView } from "../../schema/api/run.ts"
import { patiently } from "../server/patiently.ts"
import { ServerClient } from "../server/server-client.ts"
import type { ServerFailure } from "../terminal/failure.ts"
import { type LogText, logText } from "../terminal/log-text.ts"
import { Screen } from "../terminal/screen.ts"
import { stageOf, stepIsOver, waiting } from "./summary.ts"

/** How far the log of a step has been shown. */
export interface Followed {
  readonly step: Step
  readonly text: LogText
  /** How many bytes of the log were read, including its frame. */
  offset: number
  /** The line to print before the first text, if any. */
  readonly heading: string | undefined
  /** Whether any text was shown yet. */
  begun: boolean
  /** The run as it was seen last. */
  run: RunView | undefined
}

/** Returns the log of a step with nothing shown yet. The log of an apply begins with three lines that stock clients expect and drop. */
export const follow = (step: Step, colours: boolean, heading?: string): Followed => ({
  step,
  text: logText(colours, step === "apply" ? 3 : 0),
  offset: 0,
  heading,
  begun: false,
  run: undefined
})

/** Returns the log of the apply of a run whose plan was followed, with nothing shown yet. */
export const followApply = ({ run }: Followed, colours: boolean): Followed => ({ ...follow("apply", colours, "Applying"), run })

/**
 * How many seconds the server may hold a request for more of the log: twice as long after each that brought nothing. The first are short,
 * because only the view of the run tells why a stage has not begun.
 */
const hold = { shortest: 1, longest: 20 }
/**
 * How many milliseconds to pause after a look that brought nothing: longer by a quarter after each while the step has no stage, or the
 * server, where too many wait already, does not hold a request. So whoever has waited for a time hears of the end up to a quarter of it
 * later, and never later than after the longest pause.
 */
const pause = { shortest: 200, longest: 10_000, growth: 1.25 }
/** When to look again at a run that waits for a decision: less often in the same way. */
export const lessOften = Schedule.min([Schedule.exponential("2 seconds", pause.growth), Schedule.spaced(pause.longest)])
/** How long to wait for the end of a log once its step is over. */
const graceForEnd = Duration.seconds(3)
/**
 * Shows the part of the log that was not shown yet, until nothing more comes for `waitSeconds`. If it may wait, it also stops at the byte
 * that ends the log, and returns true then.
 */
export const showLog = Effect.fnUntraced(function*(followed: Followed, logUrl: string, waitSeconds: number) {
  const screen = yield* Screen
  const server = yield* ServerClient
  while (true) {
    const bytes = yield* patiently(server.log(logUrl, followed.offset, waitSeconds))
    if (bytes.length === 0) return false
    followed.offset += bytes.length
    const text = followed.text.push(bytes)
    if (!followed.begun && text !== "") {
      followed.begun = true
      if (followed.heading !== undefined) yield* screen.step(followed.heading)
    }
    yield* screen.text(text)
    if (waitSeconds > 0 && followed.text.ended()) return true
  }
})

/** Follows a step to its end, and returns the run as it is then. */
export const followStep = Effect.fn("followStep")(
  function*(runId: string, followed: Followed): Effect.fn.Return<RunView, ServerFailure, Screen | ServerClient> {
    const screen = yield* Screen
    const server = yield* ServerClient
    const { step, text } = followed
    let overSince: bigint | undefined // as in patiently
    let doubted = false // whether the status shown now doubts that the step is at work
    let [holdSeconds, pauseMillis] = [hold.shortest, 0]
    while (true) {
      const run = yield* patiently(server.run(runId))
      followed.run = run
      const stage = stageOf(run, step)
      const over = stepIsOver(run, step)
      if (!over && (!followed.begun || doubted || run.queue !== undefined)) yield* screen.status(waiting(run, step))
      doubted = run.queue !== undefined
      const waitSeconds = over ? 0 : holdSeconds
      const { offset } = followed
      const [took, ended] = yield* Effect.timed(stage === undefined ? Effect.succeed(false) : showLog(followed, stage.logUrl, waitSeconds))
      if (over) {
        const now = yield* Clock.monotonicTimeNanos
        overSince ??= now
        if (text.ended() || stage === undefined || Duration.isGreaterThanOrEqualTo(Duration.nanos(now - overSince), graceForEnd)) {
          yield* screen.text(text.rest())
          return run
        }
      }
      if (ended) continue
      const isHeld = stage !== undefined && (followed.offset > offset || Duration.toSeconds(took) >= waitSeconds / 2)
      pauseMillis = isHeld ? pause.shortest : Math.min(Math.max(pause.growth * pauseMillis, pause.shortest), pause.longest)
      yield* Effect.sleep(Duration.millis(pauseMillis))
      holdSeconds = stage === undefined ? hold.shortest : Math.min(2 * holdSeconds, hold.longest)
    }
  }
)
