// What differs between a stage with a pool and one without: where its files come from, and where its state and its plan go.
// Invariant: a stage that changes anything has a place for its state that outlives the Pod.
// Made by worker/backing/pool-backing or worker/backing/own-backing, used by worker/stage/stage.ts and worker/stage/preparation.ts.
import type { Effect, Option, Scope } from "effect"
import type { StageCommand } from "../../core/stage/stage-commands.ts"
import type { StageVariable } from "../../schema/api/task-api.ts"
import type { Sha256 } from "../../schema/names.ts"
import type { Seal } from "../../schema/task/seal.ts"
import type { Opened } from "../engine/engine.ts"
import type { SendJournal } from "../engine/journal.ts"
import type { Log, ShipLog } from "../engine/log-shipper.ts"
import type { Settings } from "../settings.ts"
import type { StageFailed } from "../stage-failed.ts"
import type { NothingUnsaved } from "../state/state-delivery.ts"
import type { StageStopped } from "../task/stage-stopped.ts"
import type { Segments } from "../volume/folder.ts"

/** Where the configuration is, and where in it the engine works. */
export interface Provisioned {
  /** Descriptor of the root of the configuration. */
  readonly root: number
  /** Path of the root module, below the root. */
  readonly directory: Segments
  /** Absolute path of the root module, for the runner. */
  readonly path: string
}

/** What a plan is sealed with, in addition to what is in its directory. */
export interface Sealing {
  /** The key for the digests of variables: the same for a plan and its apply, and never kept inside the plan's package. */
  readonly key: Effect.Effect<Uint8Array, StageFailed, Settings>
  /** Which state the plan was made from, or the apply would start from now. */
  readonly state: Effect.Effect<Seal["state"], StageFailed>
  /** Where the engine keeps the state, in one text, as `init` has set it; none before, and where the engine has no say in that. */
  readonly backend: Effect.Effect<Option.Option<string>, StageFailed, Settings>
}

export interface Backing {
  /** The variables that the pool has for the stage, in addition to those of the task. */
  readonly variables: ReadonlyArray<StageVariable>
  /** Values that no log may show, in addition to those of variables. */
  readonly secrets: ReadonlyArray<string>
  readonly ship: Option.Option<ShipLog>
  /** What a person should read that came up before there was a log: its first lines. */
  readonly remarks: ReadonlyArray<string>
  /** Sends entries of the journal to the server; absent without a pool. */
  readonly sendJournal: Option.Option<SendJournal>
  /** Returns the stored state, empty if there is none yet; none where the worker cannot read it, or gets no answer for a while. */
  readonly storedState: Effect.Effect<Option.Option<Uint8Array>>
  /** Fetches the archive of the configuration and unpacks it below an open directory. Absent if the source is no archive. */
  readonly bringSource: Option.Option<(root: number) => Effect.Effect<void, StageFailed, Settings>>
  readonly sealing: Sealing
  /** Puts the approved plan into the engine's own directory; returns its seal. Absent if there is no such plan. */
  readonly bringPlan: Option.Option<(place: Provisioned) => Effect.Effect<Seal, StageFailed, Settings>>
  /** Opens what one command needs; returns what it gets in addition to the environment of all commands. */
  readonly openFor: (command: StageCommand) => Effect.Effect<Opened, StageFailed, Scope.Scope>
  /**
   * Called after `init`, before every other command. `engineDirectory` is the engine's own (TF_DATA_DIR), and `workspace` asks the engine
   * for the workspace of its backend. Fails when the state would not outlive the Pod, or would go elsewhere than to the pool's server.
   */
  readonly mayRun: (
    command: StageCommand,
    engineDirectory: string,
    workspace: Effect.Effect<string, StageFailed | StageStopped>
  ) => Effect.Effect<void, StageFailed | StageStopped>
  /** Called just before the one command that changes something. Fails if another apply of the approved plan has begun. */
  readonly beginPlan: Effect.Effect<void, StageFailed, Settings>
  /**
   * Called after a command that changes something, however it ended. Returns `Saved` when a state of it is known to be saved, `Untouched`
   * when it is known never to have locked the state, `Elsewhere` when only the engine knows its state, and otherwise `Unwritten`. Fails when
   * its last state is not saved.
   */
  readonly settleState: (place: Provisioned) => Effect.Effect<NothingUnsaved, StageFailed, Log>
  /**
   * Called after `settleState`, once the server has to be told nothing more about what the engine made. Gives back the lock of the state,
   * if the engine gave it back and its last state is saved.
   */
  readonly giveStateBack: Effect.Effect<void>
  /** Waits; if that takes long, the AgentTask says that the server has not got all of the stage, until the wait has succeeded. */
  readonly showWaitingDuring: <A, E, R>(wait: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Stores the plan that a plan stage made, with its seal; returns the digest of both together. Absent if no plan is to be kept. */
  readonly keepPlan: Option.Option<(place: Provisioned, seal: Seal) => Effect.Effect<Sha256, StageFailed, Settings>>
}
