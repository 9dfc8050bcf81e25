// What Ctrl-C (or SIGTERM) does while a run is followed: it cancels the run and waits for its end; a second one leaves at once.
// Invariant: it never leaves a run without saying so and how to come back. The same Ctrl-C may have ended the output's reader, such as tee.
// Used by run-directory; the exit code is left in process.exitCode, which teardown reads after an interrupt.
import { Cause, Effect, Exit, Fiber } from "effect"
import { inWords } from "../../core/run/run-machine.ts"
import type { RunView } from "../../schema/api/run.ts"
import { ServerClient } from "../server/server-client.ts"
import { exitCode, exitCodeOf, type MaybeStarted, sentenceOf, type ServerFailure } from "../terminal/failure.ts"
import { hurry, outliveReaders } from "../terminal/readers.ts"
import { Screen } from "../terminal/screen.ts"
import { type Followed, followStep, patiently } from "./follow-run.ts"

/** The exit code that a shell expects of an interrupted program: 128 + SIGINT. */
const interrupted = 130

const signals = ["SIGINT", "SIGTERM"] as const

/** Waits for a signal, after which the program leaves at once. */
const nextSignal = Effect.callback<void>((resume) => {
  const heard = () => resume(hurry)
  signals.forEach((signal) => process.once(signal, heard))
  return Effect.sync(() => signals.forEach((signal) => process.off(signal, heard)))
})

const endOf = ({ id, status }: RunView) => {
  switch (status) {
    case "canceled":
      return { text: `${id} is cancelled.`, code: exitCode.cancelled }
    case "errored":
      return { text: `${id} failed before it could be cancelled.`, code: exitCode.failed }
    default:
      return { text: `${id} was faster than the cancel: it is ${inWords(status)}.`, code: interrupted }
  }
}

/** Reports whether the cancel was refused because the run has ended meanwhile. Following the run then tells how. */
const isLate = (error: ServerFailure): boolean => error._tag === "ServerRefused" && error.status === 409

/** Prints the run for a program (`-o json`), as it was seen last. Prints nothing if it was not seen yet. */
type Report = (run: RunView | undefined) => Effect.Effect<void, never, Screen | ServerClient>

/** Cancels the run and follows it to its end. */
const cancelAndWait = Effect.fnUntraced(function*(runId: string, followed: Followed, report: Report) {
  const screen = yield* Screen
  const server = yield* ServerClient
  yield* screen.step(`Cancelling ${runId}; it ends once its state is safe. Ctrl-C again leaves it to the server.`)
  yield* patiently(server.act(runId, "cancel")).pipe(Effect.catchIf(isLate, () => Effect.void))
  const run = yield* followStep(runId, followed)
  const { code, text } = endOf(run)
  yield* screen.step(text)
  yield* report(run)
  return code
})

const left = Effect.fnUntraced(function*(runId: string, followed: Followed, report: Report) {
  yield* nextSignal
  const screen = yield* Screen
  yield* screen.step(`Left ${runId} to the server; follow it with: agent-job logs -f ${runId}`)
  yield* report(followed.run)
  return interrupted
})

/**
 * Handles an interrupt while the server is asked for a run. Waits for the server's answer, because a run that it made begins by itself,
 * and then calls `cancel` with the run's id.
 */
export const onInterruptedStart = Effect.fn("onInterruptedStart")(function*<R>(
  asked: Fiber.Fiber<string, ServerFailure | MaybeStarted>,
  workspace: string,
  cancel: (runId: string) => Effect.Effect<void, never, R>
) {
  const screen = yield* Screen
  yield* outliveReaders
  yield* screen.step("Waiting for the server to say whether it started the run, so that it can be cancelled; Ctrl-C again leaves at once.")
  const answer = yield* Effect.raceFirst(Effect.interruptible(Fiber.await(asked)), Effect.interruptible(nextSignal))
  if (answer === undefined) {
    process.exitCode = interrupted
    return yield* screen.step(`Left before the server answered; the run may have started, see: agent-job get runs --workspace ${workspace}`)
  }
  if (Exit.isSuccess(answer)) return yield* cancel(answer.value)
  const error = Cause.squash(answer.cause)
  process.exitCode = exitCodeOf(error)
  yield* screen.step(sentenceOf(error))
})

/** Handles an interrupt while a run is followed: cancels the run. If a person is being asked about it (`asked`), it stays planned. */
export const onInterrupt = Effect.fn("onInterrupt")(function*(runId: string, followed: Followed, asked: boolean, report: Report) {
  const screen = yield* Screen
  yield* outliveReaders
  if (asked) {
    yield* screen.step(`${runId} stays planned and keeps its workspace: agent-job approve ${runId}, or agent-job discard ${runId}`)
    yield* report(followed.run)
    process.exitCode = interrupted
    return
  }
  const end = yield* Effect.exit(
    Effect.raceFirst(Effect.interruptible(cancelAndWait(runId, followed, report)), Effect.interruptible(left(runId, followed, report)))
  )
  process.exitCode = Exit.isSuccess(end) ? end.value : exitCode.unreachable
  if (Exit.isSuccess(end)) return
  yield* screen.step(`Cannot cancel ${runId}; try again with: agent-job cancel ${runId}`)
  yield* report(followed.run)
})
