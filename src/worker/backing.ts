// What differs between a stage of a pool and one of its own: where its files come from, where its state and its plan go.
// Always holds: a stage that changes anything has a place for its state that outlives the Pod.
// Made by worker/pool-backing or here, used by worker/stage.ts.
import { Effect, Option, type Scope } from "effect"
import { join } from "node:path"
import { stateTrouble } from "../core/state-place.ts"
import type { StageCommand } from "../core/stage-commands.ts"
import type { AgentTask, AgentTaskSpec, Variable } from "../schema/agent-task.ts"
import type { Sha256 } from "../schema/names.ts"
import type { Seal } from "../schema/seal.ts"
import type { Artifact } from "../schema/source.ts"
import { archiveFile, fetchArchive } from "./archive-url.ts"
import { unpack } from "./archive.ts"
import type { CommandEnv } from "./engine.ts"
import { openFolder, readFile, type Segments } from "./folder.ts"
import type { SendEffects } from "./journal.ts"
import type { Ship } from "./log-shipper.ts"
import { bringKeptPlan, bringPlannedSource, keepPlan, sealingKey } from "./kept-plan.ts"
import { Settings } from "./settings.ts"
import { invalid, type StageFailed } from "./stage-failed.ts"

/** Where the engine works, and what is there besides the configuration. */
export interface Provisioned {
  /** Descriptor of the root of the configuration. */
  readonly root: number
  /** Of the root module, below the root. */
  readonly directory: Segments
  /** The same as an absolute path, for the runner. */
  readonly path: string
}

/** What a plan is sealed with, beside what is in its directory. */
export interface Sealing {
  /** Of the digests of variables: the same for a plan and its apply, and kept elsewhere than the plan. */
  readonly key: Effect.Effect<Uint8Array, StageFailed, Settings>
  /** The state that a plan was made from, or that an apply would meet now. */
  readonly state: Effect.Effect<Seal["state"], StageFailed>
}

export interface Backing {
  /** The pool's, beside those of the task. */
  readonly variables: ReadonlyArray<Variable>
  /** Secrets beside the variables'. */
  readonly secrets: ReadonlyArray<string>
  readonly ship: Option.Option<Ship>
  /** Takes entries of the journal. */
  readonly sendEffects: Option.Option<SendEffects>
  /** The state as it is stored, for as long as there may be an answer; nothing where it cannot be read from here. */
  readonly storedState: Effect.Effect<Option.Option<string>>
  /** Brings the archive of the configuration below an open directory. */
  readonly bringSource: Option.Option<(root: number) => Effect.Effect<void, StageFailed, Settings>>
  readonly sealing: Sealing
  /** Puts the approved plan into the working directory; gives its seal. */
  readonly bringPlan: Option.Option<(place: Provisioned) => Effect.Effect<Seal, StageFailed, Settings>>
  /** What a command gets beside the environment of all. */
  readonly openFor: (command: StageCommand) => Effect.Effect<CommandEnv, StageFailed, Scope.Scope>
  /** After `init` and before the first command that changes something; `engineDirectory` is the engine's own (TF_DATA_DIR). */
  readonly mayChange: (engineDirectory: string) => Effect.Effect<void, StageFailed, Settings>
  /** After that command, however it ended: whether it wrote a state. The last one is saved by then; fails if it is not. */
  readonly settleState: (place: Provisioned) => Effect.Effect<"unwritten" | "saved", StageFailed>
  /** After that, when no word of what the engine made is on its way any more: gives back the lock of the state, if the engine did and its last state is saved. */
  readonly giveStateBack: Effect.Effect<void>
  /** Stores the plan that a plan stage made, with its seal; gives the digest of both. */
  readonly keepPlan: Option.Option<(place: Provisioned, seal: Seal) => Effect.Effect<Sha256, StageFailed, Settings>>
}

const backendLimitBytes = 1024 * 1024

const mayChange = (mounts: ReadonlyArray<string>) => Effect.fnUntraced(function*(engineDirectory: string) {
  const found = yield* Effect.flatMap(openFolder(engineDirectory), (directory) => readFile(directory, ["terraform.tfstate"], backendLimitBytes))
  const trouble = stateTrouble(Option.map(found, (bytes) => new TextDecoder().decode(bytes)), mounts)
  if (Option.isSome(trouble)) return yield* invalid(trouble.value)
}, Effect.scoped)

const nothing: CommandEnv = { env: {}, secrets: [] }

/** The archive of the task's own source; of a source of Flux it is the one that was written down before the Job was made. */
const archiveOf = ({ archive, fluxSource }: AgentTaskSpec["source"], pinned: Artifact | undefined): Effect.Effect<Option.Option<Pick<Artifact, "url" | "sha256">>, StageFailed> =>
  fluxSource !== undefined && pinned === undefined
    ? Effect.fail(invalid("status.source is missing, which says what of source.fluxSource to run; make a new AgentTask."))
    : Effect.succeed(Option.fromUndefinedOr(fluxSource === undefined ? archive : pinned))

const fetchSource = ({ sha256, url }: Pick<Artifact, "url" | "sha256">) =>
  Effect.fnUntraced(function*(root: number) {
    const { privateDirectory } = yield* Settings
    const file = join(privateDirectory, archiveFile)
    yield* fetchArchive(url, sha256, file)
    yield* unpack(file, root)
  })

/** For a task without a pool: it has its configuration from the cluster, a URL or a kept plan, and its state where its backend says. */
export const ownBacking = Effect.fnUntraced(function*({ spec, status }: Pick<AgentTask, "spec" | "status">): Effect.fn.Return<Backing, StageFailed> {
  const { jobTemplate, plan, savePlan, source, stage, workspace } = spec
  if (plan !== undefined) return yield* invalid("spec.plan needs spec.pool, which keeps the saved plan; a plan that is kept on a claim is source.savedPlan.")
  const archive = yield* archiveOf(source, status.source)
  const savedPlan = Option.fromUndefinedOr(source.savedPlan)
  return {
    variables: [],
    secrets: [],
    ship: Option.none(),
    sendEffects: Option.none(),
    storedState: Effect.succeedNone,
    bringSource: Option.orElse(Option.map(savedPlan, ({ sha256 }) => bringPlannedSource(workspace, sha256)), () => Option.map(archive, fetchSource)),
    sealing: { key: sealingKey(workspace, stage === "plan"), state: Effect.succeed("engine") },
    bringPlan: Option.map(savedPlan, () => bringKeptPlan),
    openFor: () => Effect.succeed(nothing),
    mayChange: mayChange((jobTemplate?.volumeClaims ?? []).map(({ mountPath }) => mountPath)),
    settleState: () => Effect.succeed("unwritten"),
    giveStateBack: Effect.void,
    keepPlan: Option.map(Option.fromUndefinedOr(savePlan), () => keepPlan(workspace))
  }
})
