// The last state of a pool's stage, after its engine is gone: sent to the server, or else a person gets the time and the command to save it.
// Invariant: a state that nothing but its Pod has keeps that for as long as a server that is away would.
// Used by worker/backing/pool-backing.ts.
import { Duration, Effect, Option, Result } from "effect"
import { join } from "node:path"
import { shellWord } from "../../core/text/shell-word.ts"
import { stateLimitBytes } from "../../schema/api/task-api.ts"
import { Log } from "../engine/log-shipper.ts"
import { logWaiting } from "../engine/log-waiting.ts"
import { stopwatch } from "../network/patience.ts"
import { Settings } from "../settings.ts"
import { StageFailed } from "../stage-failed.ts"
import { type Confirmed, Refuge, StateDelivery, type Unsaved } from "../state/state-delivery.ts"
import { unsavedCopyFile } from "../state/unsaved-copy.ts"
import { Stop } from "../task/stop.ts"
import { TaskStatus } from "../task/task-status.ts"
import { openFile, readFile } from "../volume/folder.ts"
import { inMebibytes } from "../volume/mebibytes.ts"
import type { Provisioned } from "./backing.ts"

/** The file that the engine leaves in its directory when it could not push its state. */
export const erroredState = "errored.tfstate"

type Places = Pick<Settings["Service"], "namespace" | "pod" | "privateDirectory">

/** A file in the Pod that has a state which nothing else has, and the container that can print it. */
interface Only {
  readonly container: "runner" | "worker"
  readonly file: string
}

/** How long ago the engine ended. */
type Spent = Effect.Success<typeof stopwatch>

/** What prints a file; the image of the worker has no program but Node. */
const printing: Readonly<Record<Only["container"], (file: string) => string>> = {
  runner: (file) => `cat ${shellWord(file)}`,
  worker: (file) => `node --eval ${shellWord(`fs.createReadStream(${JSON.stringify(file)}).pipe(process.stdout)`)}`
}

/** Returns the command by which a person saves the state, for as long as the Pod runs. */
const saving = ({ namespace, pod }: Places, { container, file }: Only) =>
  `kubectl -n ${namespace} exec ${pod.name} -c ${container} -- ${printing[container](file)} >${erroredState}`

const tooLarge = `It has more than ${inMebibytes(stateLimitBytes)}, which is the most that the server takes.`

const notSaved = (message: string) => new StageFailed({ reason: "StateNotSaved", message })

/** Says what is lost with the Pod: the kubelet removes its volumes as soon as its containers have ended. */
const goneWithPod = ({ pod }: Places, file: string, why: string) =>
  notSaved(
    `The last state was in ${file} of Pod ${pod.name}, and goes with the end of that. The pool's server has not confirmed this state: if nobody has saved the file, look for what the stage made before you run the workspace again (docs/state.md). ${why}`
  )

const refused = (why: string) =>
  notSaved(`The pool's server refused the last state and keeps it as evidence, on which a person has to decide (docs/state.md). ${why}`)

const onSharedVolume = (file: string, why: string) =>
  notSaved(
    `The last state is kept, encrypted, as ${file} on the volume that tasks share, and the next stage that runs takes it to the pool's server, which has not confirmed it yet. ${why}`
  )

const keptNowhere = (because: string, why: string) =>
  notSaved(
    `The worker could not keep the last state anywhere, and the pool's server has not confirmed it, so it is lost. Before you run the workspace again, look for what the stage made. ${because} ${why}`
  )

/** Returns the function that settles the last state (see `settleState` of the backing). */
export const settlingLastState = Effect.gen(function*() {
  const delivery = yield* StateDelivery
  const { unsavedDuring } = yield* TaskStatus
  const settings = yield* Settings
  const stop = yield* Stop
  const kept: Only = { container: "worker", file: unsavedCopyFile(settings.privateDirectory) }
  const isTooLate = Effect.raceFirst(Effect.as(stop.tooLate, true), Effect.as(Effect.yieldNow, false))

  /** Says for how long the Pod stays: not for long once somebody has cancelled the stage or ended its Pod. */
  const staying = (seconds: number) =>
    Effect.map(stop.now, (cause) =>
      Option.exists(cause, (_) => _ === "Cancelled" || _ === "Evicted")
        ? "The Pod is about to end, and the file goes with it. Save the state at once, by this command:"
        : `The Pod stays for ${
          Duration.format(Duration.seconds(seconds))
        }, and the file goes with it. Cancel the run only after you have saved the state, which this command does:`)

  /**
   * Tells the log that only a person can save the engine's last state, keeps the Pod for as long as for a server that is away, and then
   * fails.
   */
  const byHand = Effect.fnUntraced(function*(only: Only, why: string, spent: Spent): Effect.fn.Return<never, StageFailed, Log> {
    const { line } = yield* Log
    const remaining = Duration.subtract(settings.statePatience, yield* spent)
    const seconds = Math.round(Duration.toSeconds(remaining))
    if (seconds > 0 && !(yield* isTooLate)) {
      yield* line(
        `The last state is in ${only.file}, and the worker cannot send it to the pool's server. ${why} ${yield* staying(seconds)} ${
          saving(settings, only)
        }`
      )
    }
    const gone = goneWithPod(settings, only.file, why)
    return yield* unsavedDuring(Effect.andThen(Effect.raceFirst(Effect.sleep(remaining), stop.tooLate), gone))
  })

  const unsaved = ({ refuge, why }: Unsaved, left: Option.Option<Only>, spent: Spent) =>
    Refuge.$match(refuge, {
      Server: () => Effect.fail(refused(why)),
      Shared: ({ file }) => Effect.fail(onSharedVolume(file, why)),
      Pod: () => byHand(kept, why, spent),
      Memory: ({ because }) =>
        Option.match(left, {
          onSome: (only) => byHand(only, why, spent), // the worker's own file has an older state
          onNone: () => Effect.fail(keptNowhere(because, why))
        })
    })

  /** Returns what the log tells beside that the server does not answer: how to save what nothing but this Pod has. `left`: by the engine. */
  const advice = (left: Option.Option<Only>, isUnreadable: boolean) =>
    Effect.map(delivery.refuge, (refuge) => {
      const only = Option.flatMap(refuge, (_) => _._tag === "Pod" ? Option.some(kept) : _._tag === "Memory" ? left : Option.none())
      return Option.match(isUnreadable ? left : only, {
        onNone: () => "",
        onSome: (found) => ` Nothing but this Pod has it; if you have to end that, save the state first: ${saving(settings, found)}`
      })
    })

  /** Reads what the engine left. `why`: why the worker cannot send it, if there is something that it cannot read. */
  const leftBy = Effect.fnUntraced(function*({ directory, root }: Provisioned) {
    const file = [...directory, erroredState]
    const read = yield* Effect.result(readFile(root, file, stateLimitBytes))
    if (Result.isFailure(read)) return { state: Option.none<Uint8Array>(), why: Option.some(read.failure.message) }
    const isTooLarge = Option.isNone(read.success) && Option.isSome(yield* Effect.scoped(openFile(root, file)))
    return { state: read.success, why: isTooLarge ? Option.some(tooLarge) : Option.none<string>() }
  })

  return Effect.fnUntraced(function*(place: Provisioned): Effect.fn.Return<Confirmed, StageFailed, Log> {
    const spent = yield* stopwatch
    const left: Only = { container: "runner", file: join(place.path, erroredState) }
    const { state, why } = yield* leftBy(place)
    const known = Option.as(Option.firstSomeOf([state, why]), left)
    const settled = yield* logWaiting("its last state", settings.statePatience, delivery.settle(state), advice(known, Option.isSome(why))) // also what the engine pushed before a state that cannot be read
    if (Option.isSome(why)) return yield* byHand(left, why.value, spent)
    return settled._tag === "Unsaved" ? yield* unsaved(settled, known, spent) : settled
  })
})
