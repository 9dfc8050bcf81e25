// What Ctrl-C (or SIGTERM) does while a run is followed: it cancels the run and waits for its end; a second one leaves at once.
// Invariant: it never leaves a run without saying so and how to come back. The same Ctrl-C may have ended the output's reader, such as tee.
// Used by run-directory; the exit code is left in process.exitCode, which teardown reads after an interrupt.
import { Cause, Duration, Effect, Exit, Fiber, Option } from "effect"
import { inWords } from "../../core/run/run-machine.ts"
import type { RunView } from "../../schema/api/run.ts"
import { patiently } from "../server/patiently.ts"
import { ServerClient } from "../server/server-client.ts"
import { exitCode, exitCodeOf, isLate, type MaybeStarted, sentenceOf, type ServerFailure } from "../terminal/failure.ts"
import { hurry, outliveReaders } from "../terminal/readers.ts"
import { Screen } from "../terminal/screen.ts"
import { followApply, type Followed, followStep } from "./follow-run.ts"
import { badEnd, hasApply } from "./summary.ts"

/** How long the server may take to say what has become of a run that somebody is being asked about. */
const lookTimeout = Duration.seconds(5)

/** What an interrupt has to know: what is followed now, and whether a person is being asked. */
export interface Progress {
  followed: Followed
  asked: boolean
}

const signals = ["SIGINT", "SIGTERM"] as const

/** Waits for a signal, after which the program leaves at once. */
const nextSignal = Effect.callback<void>((resume) => {
  const heard = () => resume(hurry)
  signals.forEach((signal) => process.once(signal, heard))
  return Effect.sync(() => signals.forEach((signal) => process.off(signal, heard)))
})

const endOf = (run: RunView) => {
  const bad = badEnd(run)
  return bad === undefined
    ? { text: `${run.id} was faster than the cancel: it is ${inWords(run.status)}.`, code: exitCode.interrupted }
    : { text: bad.message, code: exitCodeOf(bad) }
}

/** Prints the run for a program, as it was seen last. Asks the server nothing, because nothing may hold up the end any more. */
type Report = (runId: string, run: RunView | undefined) => Effect.Effect<void, never, Screen>

/** Cancels the run and follows it to its end: through its apply too, which may have begun since the run was seen last. */
const cancelAndWait = Effect.fnUntraced(function*(runId: string, progress: Progress, report: Report) {
  const screen = yield* Screen
  const server = yield* ServerClient
  yield* screen.step(`Cancelling ${runId}; it ends once its state is safe. Ctrl-C again leaves it to the server.`)
  yield* patiently(server.act(runId, "cancel")).pipe(Effect.catchIf(isLate, () => Effect.void))
  let run = yield* followStep(runId, progress.followed)
  if (progress.followed.step === "plan" && hasApply(run)) {
    progress.followed = followApply(progress.followed, screen.colours)
    run = yield* followStep(runId, progress.followed)
  }
  const { code, text } = endOf(run)
  yield* screen.step(text)
  yield* report(runId, run)
  return code
})

const left = Effect.fnUntraced(function*(runId: string, progress: Progress, report: Report) {
  yield* nextSignal
  const screen = yield* Screen
  yield* screen.step(`Left ${runId} to the server; follow it with: agent-job logs -f ${runId}`)
  yield* report(runId, progress.followed.run)
  return exitCode.interrupted
})

const foundAs = (run: RunView) => {
  const { id, status } = run
  switch (status) {
    case "planned":
      return {
        text: `${id} stays planned and keeps its workspace: agent-job approve ${id}, or agent-job discard ${id}`,
        code: exitCode.interrupted
      }
    case "canceled":
    case "discarded":
      return endOf(run)
    default:
      return {
        text: `${id} is no longer planned but ${inWords(status)}; follow it with: agent-job logs -f ${id}`,
        code: exitCode.interrupted
      }
  }
}

/** Leaves the run as it is. Looks at it first, because somebody else may have decided since it was seen last. */
const leave = Effect.fnUntraced(function*(runId: string, { followed }: Progress, report: Report) {
  const screen = yield* Screen
  const server = yield* ServerClient
  const look = server.run(runId).pipe(Effect.option, Effect.timeoutOrElse({ duration: lookTimeout, orElse: () => Effect.succeedNone }))
  const found = yield* Effect.raceFirst(Effect.interruptible(Effect.as(nextSignal, Option.none())), Effect.interruptible(look))
  const { code, text } = Option.match(found, {
    onNone: () => ({
      text:
        `${runId} was planned when it was last seen, and the server does not say whether it still is; look with: agent-job get ${runId}`,
      code: exitCode.interrupted
    }),
    onSome: foundAs
  })
  yield* screen.step(text)
  yield* report(runId, Option.getOrElse(found, () => followed.run))
  return code
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
    process.exitCode = exitCode.interrupted
    return yield* screen.step(`Left before the server answered; the run may have started, see: agent-job get runs --workspace ${workspace}`)
  }
  if (Exit.isSuccess(answer)) return yield* cancel(answer.value)
  const error = Cause.squash(answer.cause)
  process.exitCode = exitCodeOf(error)
  yield* screen.step(sentenceOf(error))
})

/** Handles an interrupt while a run is followed: cancels the run. If a person is being asked about it, leaves it as it is. */
export const onInterrupt = Effect.fn("onInterrupt")(function*(runId: string, progress: Progress, report: Report) {
  const screen = yield* Screen
  yield* outliveReaders
  if (progress.asked) {
    process.exitCode = yield* leave(runId, progress, report)
    return
  }
  const end = yield* Effect.exit(
    Effect.raceFirst(Effect.interruptible(cancelAndWait(runId, progress, report)), Effect.interruptible(left(runId, progress, report)))
  )
  if (Exit.isSuccess(end)) {
    process.exitCode = end.value
    return
  }
  const error = Cause.squash(end.cause)
  process.exitCode = exitCodeOf(error)
  yield* screen.step(sentenceOf(error))
  yield* screen.step(`Cannot cancel ${runId}; try again with: agent-job cancel ${runId}`)
  yield* report(runId, progress.followed.run)
})
