// The last state of a pool's stage, after its engine is gone: sent to the server, or else the failure says where a person finds it.
// Invariant: a state that only a person can save keeps its Pod for as long as a server that is away would.
// Used by worker/backing/pool-backing.ts.
import { Clock, Duration, Effect, Option, Result } from "effect"
import { join, relative } from "node:path"
import { shellWord } from "../../core/text/shell-word.ts"
import { stateLimitBytes } from "../../schema/api/task-api.ts"
import { Log } from "../engine/log-shipper.ts"
import { logWaiting } from "../engine/log-waiting.ts"
import { Settings } from "../settings.ts"
import { StageFailed } from "../stage-failed.ts"
import { StateDelivery, type Unsaved } from "../state/state-delivery.ts"
import { unsavedCopyFile } from "../state/unsaved-copy.ts"
import { Stop } from "../task/stop.ts"
import { TaskStatus } from "../task/task-status.ts"
import { openFile, readFile } from "../volume/folder.ts"
import { inMebibytes } from "../volume/mebibytes.ts"
import type { Provisioned } from "./backing.ts"

/** The file that the engine leaves in its directory when it could not push its state. */
export const erroredState = "errored.tfstate"

/** Where a kubelet keeps the volumes of its Pods, unless it is told otherwise. */
const kubeletDirectory = "/var/lib/kubelet"

type Places = Pick<Settings["Service"], "dataDirectory" | "pod" | "privateDirectory">

const notSaved = (message: string) => new StageFailed({ reason: "StateNotSaved", message })

/** Says where the file is on the node: once the Pod has ended, no command can be run in it any more. */
const inFile = ({ dataDirectory, pod, privateDirectory }: Places, volume: "data" | "private", file: string, why: string) => {
  const mounts = { data: dataDirectory, private: privateDirectory } // by the name of the volume, see core/manifest/volumes
  return notSaved(
    `The last state is in ${file} of Pod ${pod.name}, which is removed soon after its end (task.job.ttlSecondsAfterFinished). Save it before that from node ${pod.node}; there it usually is ${kubeletDirectory}/pods/${pod.uid}/volumes/kubernetes.io~empty-dir/${volume}/${
      relative(mounts[volume], file)
    } (docs/state.md). The pool's server has not confirmed this state. ${why}`
  )
}

/**
 * Returns the failure that names the best place of the unsaved state. A state that the worker could not keep may be where the engine left
 * it, and the worker's own file then has an older state.
 */
const whereabouts = (places: Places, { shared, unkept, why }: Unsaved, errored: Option.Option<string>) => {
  const { pod, privateDirectory } = places
  if (Option.isSome(shared)) {
    return notSaved(
      `The last state is kept, encrypted, as ${shared.value} on the volume that tasks share, and the next stage that runs takes it to the pool's server, which has not confirmed it yet. ${why}`
    )
  }
  if (Option.isNone(unkept)) return inFile(places, "private", unsavedCopyFile(privateDirectory), why)
  if (Option.isSome(errored)) return inFile(places, "data", errored.value, why)
  return notSaved(
    `The worker could not keep the last state anywhere, and the pool's server has not confirmed it, so it may be lost. Before you run the workspace again, look for what the stage made. If ${
      unsavedCopyFile(privateDirectory)
    } of Pod ${pod.name} on node ${pod.node} exists, it is an older state. ${unkept.value} ${why}`
  )
}

/** Returns the function that settles the last state (see `settleState` of the backing). */
export const settlingLastState = Effect.gen(function*() {
  const delivery = yield* StateDelivery
  const { unsavedDuring } = yield* TaskStatus
  const settings = yield* Settings
  const { tooLate } = yield* Stop

  /**
   * Tells the log that only a person can save the engine's last state, keeps the Pod for as long as for a server that is away, and then
   * fails.
   */
  const byHand = Effect.fnUntraced(function*(file: string, why: string, since: bigint) {
    const { line } = yield* Log
    const { namespace, pod, statePatience } = settings
    const remaining = Duration.subtract(statePatience, Duration.nanos((yield* Clock.monotonicTimeNanos) - since))
    const staysFor = Duration.format(Duration.seconds(Math.max(0, Math.round(Duration.toSeconds(remaining)))))
    yield* line(
      `The engine left its last state in ${file}, and the worker cannot send it to the pool's server. ${why} The Pod stays for ${staysFor}. Cancel the run only after you have saved the state, which this command does: kubectl -n ${namespace} exec ${pod.name} -c runner -- cat ${
        shellWord(file)
      } >${erroredState}`
    )
    yield* unsavedDuring(Effect.andThen(Effect.raceFirst(Effect.sleep(remaining), tooLate), inFile(settings, "data", file, why)))
  })

  return Effect.fnUntraced(function*({ directory, path, root }: Provisioned) {
    const since = yield* Clock.monotonicTimeNanos
    const file = [...directory, erroredState]
    const errored = join(path, erroredState)
    const read = yield* Effect.result(readFile(root, file, stateLimitBytes))
    const leftoverState = Result.getOrElse(read, () => Option.none<Uint8Array>())
    const settled = yield* logWaiting("its last state", settings.statePatience, delivery.settle(leftoverState)) // even if the file cannot be read: what the engine pushed before does not wait for it
    if (Result.isFailure(read)) yield* byHand(errored, read.failure.message, since)
    if (settled._tag === "Unsaved") return yield* whereabouts(settings, settled, Option.as(leftoverState, errored))
    if (Option.isNone(leftoverState) && Option.isSome(yield* Effect.scoped(openFile(root, file)))) {
      yield* byHand(errored, `It has more than ${inMebibytes(stateLimitBytes)}, which is the most that the server takes.`, since)
    }
    return settled
  })
})
