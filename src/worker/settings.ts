// What the Pod tells its worker through the environment; read once, in this file alone.
// Always holds: secrets are redacted values from here on.
// Used by worker/worker.ts and the parts that it starts.
import { Config, Context, Duration, Layer, Option } from "effect"
import { statePatienceSeconds, workerHealthPort } from "../core/manifest/places.ts"

export class Settings extends Context.Service<Settings, {
  readonly namespace: string
  readonly task: string
  /** Of the AgentTask this Pod was made for; absent: whichever has the name. */
  readonly taskUid: Option.Option<string>
  /** The Pod's Job, and what it was built from. */
  readonly job: { readonly name: string; readonly configHash: string }
  readonly pod: { readonly name: string; readonly uid: string; readonly node: string }
  /** How often the workspace changed hands before; 0 for plans. */
  readonly epoch: number
  /** Shared with the runner. */
  readonly dataDirectory: string
  /** Mounted in the worker alone. */
  readonly privateDirectory: string
  /** The pool's token for this stage; absent without a pool. */
  readonly tokenFile: Option.Option<string>
  /** Where a ConfigMap with the configuration is mounted. */
  readonly sourceDirectory: Option.Option<string>
  /** Where plans are kept between their stages, if this one's is. */
  readonly plansDirectory: Option.Option<string>
  /** What the Pods of tasks share, if they share anything. */
  readonly cacheDirectory: Option.Option<string>
  /** From SIGTERM to SIGKILL. */
  readonly graceSeconds: number
  /** No stage takes longer, whatever its task says. */
  readonly timeoutLimitSeconds: Option.Option<number>
  /** Where providers come from, as JSON of `ProviderMirrors`. */
  readonly mirrors: Option.Option<string>
  readonly terminationLog: string
  readonly readyPort: number
  /** How long a server that does not answer is asked again. */
  readonly poolPatience: Duration.Duration
  /**
   * How long the server is asked to take the last state when the engine is gone, as long as nobody stops the stage; its own time does not.
   */
  readonly statePatience: Duration.Duration
  readonly runnerPatience: Duration.Duration
}>()("agent-job/worker/Settings") {
  static readonly layer = Layer.effect(
    Settings,
    Config.all({
      namespace: Config.String("AGENT_JOB_NAMESPACE"),
      task: Config.String("AGENT_JOB_TASK"),
      taskUid: Config.option(Config.String("AGENT_JOB_TASK_UID")),
      job: Config.all({ name: Config.String("AGENT_JOB_JOB"), configHash: Config.String("AGENT_JOB_CONFIG_HASH") }),
      pod: Config.all({
        name: Config.String("AGENT_JOB_POD_NAME"),
        uid: Config.String("AGENT_JOB_POD_UID"),
        node: Config.String("AGENT_JOB_NODE")
      }),
      epoch: Config.Int("AGENT_JOB_EPOCH").pipe(Config.withDefault(0)),
      dataDirectory: Config.String("AGENT_JOB_DATA_DIR"),
      privateDirectory: Config.String("AGENT_JOB_PRIVATE_DIR"),
      tokenFile: Config.option(Config.String("AGENT_JOB_TOKEN_FILE")),
      sourceDirectory: Config.option(Config.String("AGENT_JOB_SOURCE_DIR")),
      plansDirectory: Config.option(Config.String("AGENT_JOB_PLANS_DIR")),
      cacheDirectory: Config.option(Config.String("AGENT_JOB_CACHE_DIR")),
      graceSeconds: Config.Int("AGENT_JOB_GRACE_SECONDS").pipe(Config.withDefault(30)),
      timeoutLimitSeconds: Config.option(Config.Int("AGENT_JOB_TIMEOUT_LIMIT_SECONDS")),
      mirrors: Config.option(Config.String("AGENT_JOB_PROVIDER_MIRRORS")),
      terminationLog: Config.String("AGENT_JOB_TERMINATION_LOG").pipe(Config.withDefault("/dev/termination-log")),
      readyPort: Config.Int("AGENT_JOB_READY_PORT").pipe(Config.withDefault(workerHealthPort)),
      poolPatience: Config.Duration("AGENT_JOB_POOL_PATIENCE").pipe(Config.withDefault(Duration.minutes(5))),
      statePatience: Config.Duration("AGENT_JOB_STATE_PATIENCE").pipe(Config.withDefault(Duration.seconds(statePatienceSeconds))),
      runnerPatience: Config.Duration("AGENT_JOB_RUNNER_PATIENCE").pipe(Config.withDefault(Duration.minutes(1)))
    })
  )
}

/** The value that the kubelet resolved for the variable at this place of the spec; fails if the Pod has none for it. */
export const referencedValue = (index: number) => Config.Redacted(`AGENT_JOB_VARIABLE_${index}`)

/** The token of the network mirror at this place of the list; fails if the Pod has none for it. */
export const mirrorToken = (index: number) => Config.Redacted(`AGENT_JOB_MIRROR_TOKEN_${index}`)
