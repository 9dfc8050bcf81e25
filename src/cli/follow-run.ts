// Shows one step of a run as it happens: why it waits, then its log as it grows, until the run has left the step.
// Invariant: every byte of the log is shown once, even if following stops and is resumed.
// Used by run and logs.
import { Clock, Context, Duration, Effect, Schedule } from "effect"
import type { Step } from "../core/run-machine.ts"
import type { RunView } from "../schema/run.ts"
import { type LogText, logText } from "./log-text.ts"
import { Screen } from "./screen.ts"
import { ServerClient, type ServerFailure } from "./server-client.ts"
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

/** How long the server may hold a request for more of the log, and how long to pause after a request that brought nothing. */
const waitSeconds = 1
const pause = Duration.millis(200)
/** How long to wait for the end of a log once its step is over. */
const graceForEnd = Duration.seconds(3)
/** How often a request is retried while the server does not answer, and at most how many times. */
export const Patience = Context.Reference<{ readonly every: Duration.Duration; readonly times: number }>("agent-job/cli/Patience", {
  defaultValue: () => ({ every: Duration.seconds(2), times: 60 })
})

/** Retries a call while the server does not answer, for two minutes by default: long enough for the server to restart. */
export const patiently = Effect.fnUntraced(function*<A>(call: Effect.Effect<A, ServerFailure>) {
  const { every, times } = yield* Patience
  const screen = yield* Screen
  return yield* call.pipe(
    Effect.tapErrorTag("ServerUnreachable", ({ detail }) => screen.status(`No usable answer from the server (${detail}); trying again`)),
    Effect.retry({ while: (error) => error._tag === "ServerUnreachable", schedule: Schedule.spaced(every), times })
  )
})

/** Shows the part of the log that was not shown yet, waiting up to `waitSeconds` for it. Returns whether there was any. */
export const showLog = Effect.fnUntraced(function*(followed: Followed, logUrl: string, waitSeconds: number) {
  const screen = yield* Screen
  const server = yield* ServerClient
  const before = followed.offset
  let wait = waitSeconds
  while (true) {
    const bytes = yield* patiently(server.log(logUrl, followed.offset, wait))
    if (bytes.length === 0) return followed.offset > before
    followed.offset += bytes.length
    wait = 0
    const text = followed.text.push(bytes)
    if (!followed.begun && text !== "") {
      followed.begun = true
      if (followed.heading !== undefined) yield* screen.step(followed.heading)
    }
    yield* screen.text(text)
  }
})

/** Follows a step to its end, and returns the run as it is then. */
export const followStep = Effect.fn("followStep")(
  function*(runId: string, followed: Followed): Effect.fn.Return<RunView, ServerFailure, Screen | ServerClient> {
    const screen = yield* Screen
    const server = yield* ServerClient
    const { step, text } = followed
    let overSince: number | undefined
    while (true) {
      const run = yield* patiently(server.run(runId))
      followed.run = run
      const stage = stageOf(run, step)
      const over = stepIsOver(run, step)
      if (!over && !followed.begun) yield* screen.status(waiting(run, step))
      const grew = stage !== undefined && (yield* showLog(followed, stage.logUrl, over ? 0 : waitSeconds))
      if (over) {
        const now = yield* Clock.currentTimeMillis
        overSince ??= now
        if (text.ended() || stage === undefined || now - overSince >= Duration.toMillis(graceForEnd)) {
          yield* screen.text(text.rest())
          return run
        }
      }
      if (!grew) yield* Effect.sleep(pause)
    }
  }
)
