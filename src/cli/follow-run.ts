// Shows one step of a run as it happens: why it waits, then its log as it grows, until the run has left the step.
// Invariant: every byte of the log is shown once, also when following is given up and taken up again.
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
  /** In bytes, the frame included. */
  offset: number
  /** Told before the first text, if anything. */
  readonly heading: string | undefined
  /** Whether there was any text yet. */
  begun: boolean
  /** The run as it was seen last. */
  run: RunView | undefined
}

/** A log of which nothing was shown yet. An apply's has three lines in front that stock clients expect and throw away. */
export const follow = (step: Step, colours: boolean, heading?: string): Followed => ({
  step,
  text: logText(colours, step === "apply" ? 3 : 0),
  offset: 0,
  heading,
  begun: false,
  run: undefined
})

/** How long the server may keep a question about the log, and how soon to ask again one that does not keep it. */
const waitSeconds = 1
const pause = Duration.millis(200)
/** How long a log without an end is waited for once its step is over. */
const graceForEnd = Duration.seconds(3)
/** With a server that does not answer. */
export const Patience = Context.Reference<{ readonly every: Duration.Duration; readonly times: number }>("agent-job/cli/Patience", {
  defaultValue: () => ({ every: Duration.seconds(2), times: 60 })
})

/** Goes on through a restart of the server, for two minutes. */
export const patiently = Effect.fnUntraced(function*<A>(call: Effect.Effect<A, ServerFailure>) {
  const { every, times } = yield* Patience
  const screen = yield* Screen
  return yield* call.pipe(
    Effect.tapErrorTag("ServerUnreachable", ({ detail }) => screen.status(`The server does not answer (${detail}); trying again`)),
    Effect.retry({ while: (error) => error._tag === "ServerUnreachable", schedule: Schedule.spaced(every), times })
  )
})

/** Shows what the log has that was not shown yet, once there is something or the time is over; true when there was. */
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

/** Follows a step to its end; gives the run as it is then. */
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
