// What differs between a stage of a pool and one of its own: where its files come from, where its state and its plan go.
// Always holds: a stage that changes anything has a place for its state that outlives the Pod.
// Made by worker/pool-backing or worker/own-backing, used by worker/stage.ts.
import type { Effect, Option, Scope } from "effect"
import type { StageCommand } from "../core/stage-commands.ts"
import type { Variable } from "../schema/agent-task.ts"
import type { Sha256 } from "../schema/names.ts"
import type { Seal } from "../schema/seal.ts"
import type { CommandEnv, StageStopped } from "./engine.ts"
import type { Segments } from "./folder.ts"
import type { SendEffects } from "./journal.ts"
import type { Log, Ship } from "./log-shipper.ts"
import type { Settings } from "./settings.ts"
import type { StageFailed } from "./stage-failed.ts"

/** Where the engine works, and what is there besides the configuration. */
export interface Provisioned {
  /** Descriptor of the root of the configuration. */
  readonly root: number
  /** Path of the root module, below the root. */
  readonly directory: Segments
  /** Absolute path of the root module, for the runner. */
  readonly path: string
}

/** What a plan is sealed with, beside what is in its directory. */
export interface Sealing {
  /** Key of the digests of variables: the same for a plan and its apply, and kept elsewhere than the plan. */
  readonly key: Effect.Effect<Uint8Array, StageFailed, Settings>
  /** The state that a plan was made from, or that an apply would meet now. */
  readonly state: Effect.Effect<Seal["state"], StageFailed>
}

export interface Backing {
  /** The pool's variables, beside those of the task. */
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
  /**
   * After `init` and before any other command; `engineDirectory` is the engine's own (TF_DATA_DIR), and `workspace` asks it for that of
   * its backend. Fails when the state would have no place that outlives the Pod, or another than the pool's.
   */
  readonly mayRun: (
    command: StageCommand,
    engineDirectory: string,
    workspace: Effect.Effect<string, StageFailed | StageStopped>
  ) => Effect.Effect<void, StageFailed | StageStopped>
  /**
   * After a command that changes something, however it ended: whether it wrote a state, or is known to have never come to it. The last one
   * is saved by then; fails if it is not.
   */
  readonly settleState: (place: Provisioned) => Effect.Effect<"untouched" | "unwritten" | "saved", StageFailed, Log>
  /**
   * After `settleState`, when no word of what the engine made is on its way any more: gives back the lock of the state, if the engine did
   * and its last state is saved.
   */
  readonly giveStateBack: Effect.Effect<void>
  /** While this takes long, the AgentTask says that the server has not got all of the stage, and no more once it has succeeded. */
  readonly saidDuring: <A, E, R>(wait: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Stores the plan that a plan stage made, with its seal; gives the digest of both. */
  readonly keepPlan: Option.Option<(place: Provisioned, seal: Seal) => Effect.Effect<Sha256, StageFailed, Settings>>
}
