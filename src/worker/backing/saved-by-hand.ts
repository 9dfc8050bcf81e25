// A last state that nothing but its Pod has, and that nothing else will take: a person gets the time and the command to save it.
// Invariant: the Pod keeps it for as long as a server that is away would be waited for, or until somebody ends the stage.
// Used by worker/backing/last-state.ts, worker/backing/own-backing.ts and worker/stage/stage.ts.
import { Duration, Effect, Option } from "effect"
import { shellWord } from "../../core/text/shell-word.ts"
import { Log } from "../engine/log-shipper.ts"
import { jobLimit } from "../engine/log-waiting.ts"
import type { stopwatch } from "../network/patience.ts"
import { Settings } from "../settings.ts"
import { StageFailed } from "../stage-failed.ts"
import { Stop } from "../task/stop.ts"
import { TaskStatus } from "../task/task-status.ts"

/** The file that the engine leaves in its directory when it could not write its state. */
export const erroredState = "errored.tfstate"

/** A file in the Pod that has a state which nothing else has, and the container that can print it. */
export interface Only {
  readonly container: "runner" | "worker"
  readonly file: string
}

/** How long ago the engine ended. */
export type Spent = Effect.Success<typeof stopwatch>

/** Who should have taken the state, and what of it is said. */
type Receiver = keyof typeof receivers
const receivers = {
  server: {
    notTaken: "the worker cannot send it to the pool's server",
    notThere: "The pool's server has not confirmed this state",
    cancel: "Cancel the run"
  },
  backend: { notTaken: "its backend did not take it", notThere: "Its backend did not take this state", cancel: "Cancel the task" }
} as const

type Places = Pick<Settings["Service"], "namespace" | "pod">

/** What prints a file; the image of the worker has no program but Node. */
const printing: Readonly<Record<Only["container"], (file: string) => string>> = {
  runner: (file) => `cat ${shellWord(file)}`,
  worker: (file) => `node --eval ${shellWord(`fs.createReadStream(${JSON.stringify(file)}).pipe(process.stdout)`)}`
}

/** Returns the command by which a person saves the state, for as long as the Pod runs. */
export const saving = ({ namespace, pod }: Places, { container, file }: Only) =>
  `kubectl -n ${namespace} exec ${pod.name} -c ${container} -- ${printing[container](file)} >${erroredState}`

/** Says what is lost with the Pod: the kubelet removes its volumes as soon as its containers have ended. */
const goneWithPod = ({ pod }: Places, file: string, receiver: Receiver, why: string) =>
  new StageFailed({
    reason: "StateNotSaved",
    message: `The last state was in ${file} of Pod ${pod.name}, and goes with the end of that. ${
      receivers[receiver].notThere
    }: if nobody has saved the file, look for what the stage made before you run the workspace again (docs/state.md). ${why}`
  })

/**
 * Returns the function that tells the log that only a person can save the engine's last state and why, keeps the Pod for as long as for a
 * server that is away, and then fails.
 */
export const savingByHand = Effect.fnUntraced(function*(receiver: Receiver) {
  const { unsavedDuring, unwrittenDuring } = yield* TaskStatus
  const settings = yield* Settings
  const stop = yield* Stop
  const { cancel, notTaken } = receivers[receiver]
  const showing = receiver === "server" ? unsavedDuring : unwrittenDuring
  const isTooLate = Effect.raceFirst(Effect.as(stop.tooLate, true), Effect.as(Effect.yieldNow, false))

  /** Says for how long the Pod stays: not for long once somebody has cancelled the stage or ended its Pod. */
  const staying = (seconds: number) =>
    Effect.map(stop.isEnding, (isEnding) =>
      isEnding
        ? "The Pod is about to end, and the file goes with it. Save the state at once, by this command:"
        : `The Pod stays for ${Duration.format(Duration.seconds(seconds))}${
          Option.isSome(settings.timeoutLimitSeconds)
            ? ` at most, and ${jobLimit}`
            : ""
        }, and the file goes with it. ${cancel} only after you have saved the state, which this command does:`)

  return Effect.fnUntraced(function*(only: Only, why: string, spent: Spent): Effect.fn.Return<never, StageFailed, Log> {
    const { line } = yield* Log
    const remaining = Duration.subtract(settings.statePatience, yield* spent)
    const seconds = Math.round(Duration.toSeconds(remaining))
    if (seconds > 0 && !(yield* isTooLate)) {
      yield* line(`The last state is in ${only.file}, and ${notTaken}. ${why} ${yield* staying(seconds)} ${saving(settings, only)}`)
    }
    const gone = goneWithPod(settings, only.file, receiver, why)
    return yield* showing(Effect.andThen(Effect.raceFirst(Effect.sleep(remaining), stop.tooLate), gone))
  })
})
