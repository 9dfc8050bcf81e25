// The backing of a stage of a pool: archive, variables and saved plan come by the task's token, and the state goes through the gateway.
// Invariant: an apply runs only the approved plan; its state goes only through the gateway; the last is confirmed, or the stage fails.
// Used by worker/stage/worker.ts.
import { Effect, Option } from "effect"
import { join } from "node:path"
import { poolStateTrouble } from "../../core/state/state-place.ts"
import { unknownOption } from "../../core/task/unknown-option.ts"
import type { TaskDetails } from "../../schema/api/task-api.ts"
import type { AgentTaskSpec } from "../../schema/task/agent-task.ts"
import type { Seal } from "../../schema/task/seal.ts"
import { archiveFile } from "../network/archive-url.ts"
import { TaskApi } from "../network/task-api.ts"
import { Settings } from "../settings.ts"
import { invalid } from "../stage-failed.ts"
import { StateDelivery } from "../state/state-delivery.ts"
import { openGateway } from "../state/state-gateway.ts"
import { carryStrandedStates } from "../state/stranded-states.ts"
import { TaskStatus } from "../task/task-status.ts"
import { unpack } from "../volume/archive.ts"
import { checkBackendNote } from "./backend-note.ts"
import type { Backing, Provisioned } from "./backing.ts"
import { settlingLastState } from "./last-state.ts"
import { packPlan, unpackPlan } from "./saved-plan.ts"

const planFile = "saved-plan.tar"

const markOf = ({ state }: TaskDetails): Seal["state"] => state ?? "none"

const refuse = (message: string) => Effect.fail(invalid(message))

/** Returns the stored state as `Backing` has it. */
export const storedState = ({ patiently, state }: Pick<TaskApi["Service"], "patiently" | "state">): Backing["storedState"] =>
  Effect.map(Effect.option(patiently(state)), Option.map(Option.getOrElse(() => new Uint8Array())))

/** Makes the backing. Asks the server for the stage's details, and carries stranded states to it; all else is fetched when it is needed. */
export const poolBacking = Effect.fnUntraced(function*({ plan, source, stage }: AgentTaskSpec) {
  const taskApi = yield* TaskApi
  const delivery = yield* StateDelivery
  const { unansweredDuring, unsavedDuring } = yield* TaskStatus
  const { privateDirectory } = yield* Settings
  if (stage !== "plan" && plan === undefined) {
    return yield* refuse(
      `spec.plan is missing: the ${stage} of a pool's run applies the plan that was approved, and only that; plan again.`
    )
  }
  const begun = yield* unansweredDuring(taskApi.details)
  const unknown = unknownOption(begun, "worker")
  if (Option.isSome(unknown)) return yield* refuse(unknown.value)
  yield* delivery.keepSharedCopyAs(begun)
  const remarks = yield* carryStrandedStates

  const settleState = yield* settlingLastState

  return {
    variables: begun.variables,
    secrets: [...(yield* taskApi.secrets), begun.keptStateKey],
    ship: Option.some(taskApi.appendLog),
    remarks,
    sendJournal: Option.some(taskApi.appendEffects),
    storedState: storedState(taskApi),
    bringSource: Option.map(Option.fromUndefinedOr(source.pool), ({ archiveSha256 }) =>
      Effect.fnUntraced(function*(root: number) {
        const file = join(privateDirectory, archiveFile)
        yield* taskApi.download("archive", file, archiveSha256)
        yield* unpack(file, root)
      })),
    sealing: {
      key: Effect.succeed(Buffer.from(begun.sealKey, "hex")),
      state: stage === "plan" ? Effect.succeed(markOf(begun)) : Effect.map(taskApi.details, markOf), // a plan from a later state than this is refused by its apply
      backend: Effect.succeedNone
    },
    bringPlan: Option.map(Option.fromUndefinedOr(plan), ({ sha256 }) =>
      Effect.fnUntraced(function*(provisioned: Provisioned) {
        const file = join(privateDirectory, planFile)
        yield* taskApi.download("plan", file, sha256)
        return yield* unpackPlan(provisioned, file)
      })),
    openFor: ({ mutates }) => Effect.provideService(openGateway(mutates), StateDelivery, delivery),
    mayRun: (_, engineDirectory) => checkBackendNote(engineDirectory, (note) => Effect.succeed(poolStateTrouble(note))), // before a plan too, so that no plan is approved whose apply is refused
    beginPlan: Effect.void, // the server has one apply of a run, whose task is claimed
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
