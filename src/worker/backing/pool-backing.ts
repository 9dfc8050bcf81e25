// The backing of a stage of a pool: archive, variables and saved plan come by the task's token, and the state goes through the gateway.
// Always holds: an apply runs only the approved plan; its state goes only through the gateway; the last is confirmed, or the stage fails.
// Used by worker/stage/worker.ts.
import { Clock, Duration, Effect, Option, Result } from "effect"
import { join, relative } from "node:path"
import { poolStateTrouble } from "../../core/state/state-place.ts"
import { shellWord } from "../../core/text/shell-word.ts"
import { stateLimitBytes, type TaskDetails } from "../../schema/api/task-api.ts"
import type { AgentTaskSpec } from "../../schema/task/agent-task.ts"
import type { Seal } from "../../schema/task/seal.ts"
import { Log } from "../engine/log-shipper.ts"
import { archiveFile } from "../network/archive-url.ts"
import { TaskApi } from "../network/task-api.ts"
import { Settings } from "../settings.ts"
import { invalid, StageFailed } from "../stage-failed.ts"
import { type Settled, StateDelivery } from "../state/state-delivery.ts"
import { openGateway } from "../state/state-gateway.ts"
import { carryStrandedStates } from "../state/stranded-states.ts"
import { unsavedCopyFile } from "../state/unsaved-copy.ts"
import { Stop } from "../task/stop.ts"
import { TaskStatus } from "../task/task-status.ts"
import { unpack } from "../volume/archive.ts"
import { openFile, readFile, removeFile } from "../volume/folder.ts"
import { inMebibytes } from "../volume/mebibytes.ts"
import { checkBackendNote } from "./backend-note.ts"
import type { Backing, Provisioned } from "./backing.ts"
import { packPlan, unpackPlan } from "./saved-plan.ts"

const planFile = "saved-plan.tar"
/** The file that the engine leaves in its directory when it could not push its state. */
const erroredState = "errored.tfstate"

/** Where a kubelet keeps the volumes of its Pods, unless it is told otherwise. */
const kubeletDirectory = "/var/lib/kubelet"

type Unsaved = Extract<Settled, { readonly _tag: "Unsaved" }>

const markOf = ({ state }: TaskDetails): Seal["state"] => state ?? "none"

const refuse = (message: string) => Effect.fail(invalid(message))

/** Makes the backing. Asks the server for the stage's details, and carries stranded states to it; all else is fetched when it is needed. */
export const poolBacking = Effect.fnUntraced(function*({ plan, source, stage }: AgentTaskSpec) {
  const taskApi = yield* TaskApi
  const delivery = yield* StateDelivery
  const { unsavedDuring } = yield* TaskStatus
  const { dataDirectory, namespace, pod, privateDirectory, statePatience } = yield* Settings
  const { tooLate } = yield* Stop
  if (stage !== "plan" && plan === undefined) {
    return yield* refuse(
      `spec.plan is missing: the ${stage} of a pool's run applies the plan that was approved, and only that; plan again.`
    )
  }
  const begun = yield* taskApi.details
  yield* delivery.keepSharedCopyAs(begun)
  yield* carryStrandedStates

  const notSaved = (message: string) => new StageFailed({ reason: "StateNotSaved", message })
  const mounts = { data: dataDirectory, private: privateDirectory } // by the name of the volume, see core/manifest/volumes
  /** Says where the file is on the node: once the Pod has ended, no command can be run in it any more. */
  const inFile = (volume: keyof typeof mounts, file: string, why: string) =>
    notSaved(
      `The last state is in ${file} of Pod ${pod.name}, which is removed soon after its end (task.job.ttlSecondsAfterFinished). Save it before that from node ${pod.node}; there it usually is ${kubeletDirectory}/pods/${pod.uid}/volumes/kubernetes.io~empty-dir/${volume}/${
        relative(mounts[volume], file)
      } (docs/state.md). The pool's server has not confirmed this state. ${why}`
    )
  /**
   * Returns the failure that names the best place of the unsaved state. A state that the worker could not keep may be where the engine left
   * it, and the worker's own file then has an older state.
   */
  const whereabouts = ({ shared, unkept, why }: Unsaved, errored: Option.Option<string>) => {
    if (Option.isSome(shared)) {
      return notSaved(
        `The last state is kept, encrypted, as ${shared.value} on the volume that tasks share, and the next stage that runs takes it to the pool's server, which has not confirmed it yet. ${why}`
      )
    }
    if (Option.isNone(unkept)) return inFile("private", unsavedCopyFile(privateDirectory), why)
    if (Option.isSome(errored)) return inFile("data", errored.value, why)
    return notSaved(
      `The worker could not keep the last state anywhere, and the pool's server has not confirmed it, so it may be lost. Before you run the workspace again, look for what the stage made. If ${
        unsavedCopyFile(privateDirectory)
      } of Pod ${pod.name} on node ${pod.node} exists, it is an older state. ${unkept.value} ${why}`
    )
  }
  /**
   * Tells the log that only a person can save the engine's last state, keeps the Pod for as long as for a server that is away, and then
   * fails.
   */
  const byHand = Effect.fnUntraced(function*(file: string, why: string, since: bigint) {
    const { line } = yield* Log
    const remaining = Duration.subtract(statePatience, Duration.nanos((yield* Clock.monotonicTimeNanos) - since))
    const staysFor = Duration.format(Duration.seconds(Math.max(0, Math.round(Duration.toSeconds(remaining)))))
    yield* line(
      `The engine left its last state in ${file}, and the worker cannot send it to the pool's server. ${why} The Pod stays for ${staysFor}. Cancel the run only after you have saved the state, which this command does: kubectl -n ${namespace} exec ${pod.name} -c runner -- cat ${
        shellWord(file)
      } >${erroredState}`
    )
    yield* unsavedDuring(Effect.andThen(Effect.raceFirst(Effect.sleep(remaining), tooLate), inFile("data", file, why)))
  })
  const settleState = Effect.fnUntraced(function*({ directory, path, root }: Provisioned) {
    const since = yield* Clock.monotonicTimeNanos
    const file = [...directory, erroredState]
    const errored = join(path, erroredState)
    const read = yield* Effect.result(readFile(root, file, stateLimitBytes))
    const leftoverState = Result.getOrElse(read, () => Option.none<Uint8Array>())
    const settled = yield* delivery.settle(leftoverState) // even if the file cannot be read: what the engine pushed before does not wait for it
    if (Result.isFailure(read)) yield* byHand(errored, read.failure.message, since)
    if (settled._tag === "Unsaved") return yield* whereabouts(settled, Option.as(leftoverState, errored))
    if (Option.isNone(leftoverState) && Option.isSome(yield* Effect.scoped(openFile(root, file)))) {
      yield* byHand(errored, `It has more than ${inMebibytes(stateLimitBytes)}, which is the most that the server takes.`, since)
    }
    return settled
  })

  return {
    variables: begun.variables,
    secrets: [...(yield* taskApi.secrets), begun.keptStateKey],
    ship: Option.some(taskApi.appendLog),
    sendJournal: Option.some(taskApi.appendEffects),
    storedState: Effect.option(taskApi.patiently(taskApi.state)).pipe(
      Effect.map(Option.map(Option.match({ onNone: () => "", onSome: (bytes) => new TextDecoder().decode(bytes) })))
    ),
    bringSource: Option.map(Option.fromUndefinedOr(source.pool), ({ archiveSha256 }) =>
      Effect.fnUntraced(function*(root: number) {
        const file = join(privateDirectory, archiveFile)
        yield* taskApi.download("archive", file, archiveSha256)
        yield* unpack(file, root)
      })),
    sealing: {
      key: Effect.succeed(Buffer.from(begun.sealKey, "hex")),
      state: stage === "plan" ? Effect.succeed(markOf(begun)) : Effect.map(taskApi.details, markOf) // a plan from a later state than this is refused by its apply
    },
    bringPlan: Option.map(Option.fromUndefinedOr(plan), ({ sha256 }) =>
      Effect.fnUntraced(function*(provisioned: Provisioned) {
        const { directory, root } = provisioned
        const file = join(privateDirectory, planFile)
        yield* taskApi.download("plan", file, sha256)
        const seal = yield* unpackPlan(provisioned, file)
        yield* removeFile(root, [...directory, erroredState]) // a file of this name that came with the configuration is no state of this stage
        return seal
      })),
    openFor: ({ mutates }) => Effect.provideService(openGateway(mutates), StateDelivery, delivery),
    mayRun: (_, engineDirectory) => checkBackendNote(engineDirectory, (note) => Effect.succeed(poolStateTrouble(note))), // before a plan too, so that no plan is approved whose apply is refused
    settleState,
    giveStateBack: delivery.giveBack,
    showWaitingDuring: unsavedDuring,
    keepPlan: Option.some(Effect.fnUntraced(function*(provisioned: Provisioned, seal: Seal) {
      const file = join(privateDirectory, planFile)
      const sha256 = yield* packPlan(provisioned, file, seal)
      yield* taskApi.storePlan(file, sha256)
      return sha256
    }))
  } satisfies Backing
})
