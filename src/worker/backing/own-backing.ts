// The backing of a stage without a pool: its configuration is from the cluster, a URL or a kept plan, and its state where its backend says.
// Invariant: nothing is changed before the state is known to outlive the Pod; a Flux source is run only as `status.source` records it.
// Used by worker/stage/worker.ts.
import { Effect, Option } from "effect"
import { join } from "node:path"
import { placesByWorkspace, statePlace, stateTrouble } from "../../core/state/state-place.ts"
import type { AgentTask, AgentTaskSpec } from "../../schema/task/agent-task.ts"
import type { Artifact } from "../../schema/task/source.ts"
import { noCommandEnv } from "../engine/engine.ts"
import { type Archive, archiveFile, fetchArchive } from "../network/archive-url.ts"
import { stopwatch } from "../network/patience.ts"
import { Settings } from "../settings.ts"
import { invalid, type StageFailed } from "../stage-failed.ts"
import { SettledState } from "../state/state-delivery.ts"
import type { Stop } from "../task/stop.ts"
import type { TaskStatus } from "../task/task-status.ts"
import { unpack } from "../volume/archive.ts"
import { openFile } from "../volume/folder.ts"
import { backendNote, checkBackendNote } from "./backend-note.ts"
import type { Backing, Provisioned } from "./backing.ts"
import { beginKeptPlan, bringKeptPlan, bringPlannedSource, keepPlan, sealingKey } from "./kept-plan.ts"
import { engineFolder } from "./modules-folder.ts"
import { erroredState, savingByHand } from "./saved-by-hand.ts"

/** Returns the archive to fetch, if the source is one; for a Flux source it is the artifact that was recorded before the Job was made. */
const archiveOf = (
  { archive, fluxSource }: AgentTaskSpec["source"],
  pinned: Artifact | undefined
): Effect.Effect<Option.Option<Archive>, StageFailed> =>
  fluxSource !== undefined && pinned === undefined
    ? Effect.fail(
      invalid("status.source is missing, so the worker does not know which revision of source.fluxSource to run; make a new AgentTask.")
    )
    : Effect.succeed(Option.fromUndefinedOr(fluxSource === undefined ? archive : pinned))

const fetchSource = (archive: Archive) =>
  Effect.fnUntraced(function*(root: number) {
    const { privateDirectory } = yield* Settings
    const file = join(privateDirectory, archiveFile)
    yield* fetchArchive(archive, file)
    yield* unpack(file, root)
  })

const noteAfterInit = Effect.flatMap(Settings, ({ dataDirectory }) => backendNote(join(dataDirectory, engineFolder)))

const notTaken =
  "Why, the engine says above. Once you have the file, mend the backend, and give it the state with the engine's `state push`."

/** The engine writes the state by itself; what its backend did not take, it leaves in a file of its directory, which goes with the Pod. */
const settlingErroredState = Effect.map(
  savingByHand("backend"),
  (byHand) =>
    Effect.fnUntraced(function*({ directory, path, root }: Provisioned) {
      const spent = yield* stopwatch
      const left = yield* Effect.option(openFile(root, [...directory, erroredState]))
      if (Option.isSome(left) && Option.isNone(left.value)) return SettledState.Elsewhere()
      return yield* byHand({ container: "runner", file: join(path, erroredState) }, notTaken, spent)
    }, Effect.scoped)
)

const onlyLookedAt = "For a plan that nobody will apply, leave spec.savePlan out."

export const ownBacking = Effect.fnUntraced(
  function*({ spec, status }: Pick<AgentTask, "spec" | "status">): Effect.fn.Return<Backing, StageFailed, Settings | Stop | TaskStatus> {
    const { jobTemplate, plan, savePlan, source, stage, workspace } = spec
    if (plan !== undefined) {
      return yield* invalid("spec.plan needs spec.pool, which keeps the saved plan; a plan that is kept on a claim is source.savedPlan.")
    }
    const claims = jobTemplate?.volumeClaims ?? []
    const planClaim = (savePlan ?? source.savedPlan)?.claimName
    if (claims.some(({ claimName }) => claimName === planClaim)) { // the task may be older than the CRD's rule
      return yield* invalid(
        `spec.jobTemplate.volumeClaims names ${planClaim}, the claim of the plan, which is for the worker alone; make a task that names another one.`
      )
    }
    const archive = yield* archiveOf(source, status.source)
    const savedPlan = Option.fromUndefinedOr(source.savedPlan)
    const mounts = claims.map(({ mountPath }) => mountPath)
    return {
      variables: [],
      secrets: [],
      ship: Option.none(),
      remarks: [],
      sendJournal: Option.none(),
      storedState: Effect.succeedNone,
      bringSource: Option.orElse(
        Option.map(savedPlan, ({ sha256 }) => bringPlannedSource(workspace, sha256)),
        () => Option.map(archive, fetchSource)
      ),
      sealing: {
        key: sealingKey(workspace, stage === "plan"),
        state: Effect.succeed("engine"),
        backend: Effect.map(noteAfterInit, (note) => statePlace(note, claims))
      },
      bringPlan: Option.map(savedPlan, () => bringKeptPlan),
      openFor: () => Effect.succeed(noCommandEnv),
      mayRun: ({ mutates, subcommand }, engineDirectory, workspace) =>
        mutates || (subcommand === "plan" && savePlan !== undefined) // the apply of a kept plan uses the backend of the plan
          ? checkBackendNote(engineDirectory, (note) =>
            Effect.map(
              placesByWorkspace(note) ? workspace : Effect.undefined,
              (name) => Option.map(stateTrouble(note, mounts, name), (trouble) => mutates ? trouble : `${trouble} ${onlyLookedAt}`)
            ))
          : Effect.void,
      beginPlan: Option.match(savedPlan, { onNone: () => Effect.void, onSome: ({ sha256 }) => beginKeptPlan(workspace, sha256) }),
      settleState: yield* settlingErroredState,
      giveStateBack: Effect.void,
      showWaitingDuring: (wait) => wait,
      keepPlan: Option.map(Option.fromUndefinedOr(savePlan), () => keepPlan(workspace))
    }
  }
)
