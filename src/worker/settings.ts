// The worker's settings, from the environment variables of its Pod; no other part of the worker reads them.
// Invariant: a secret leaves this file only as a redacted value.
// Used by worker/stage/worker.ts and the parts that it starts.
import { Config, ConfigProvider, Context, Duration, Layer, Option } from "effect"
import { statePatienceSeconds, workerHealthPort } from "../core/task/places.ts"

export class Settings extends Context.Service<Settings, {
  readonly namespace: string
  readonly task: string
  /** UID of the AgentTask that this Pod was made for: a later task of that name has another one. */
  readonly taskUid: string
  /** The Pod's Job, and the hash of the configuration that the Job was built from. */
  readonly job: { readonly name: string; readonly configHash: string }
  readonly pod: { readonly name: string; readonly uid: string; readonly node: string }
  /** How often the workspace's Lease has been taken, this time included; 0 for plans. */
  readonly epoch: number
  /** Directory on the volume that the runner shares. */
  readonly dataDirectory: string
  /** Directory that is mounted in the worker alone. */
  readonly privateDirectory: string
  /** File with the pool's token for this stage; absent without a pool. */
  readonly tokenFile: Option.Option<string>
  /** Where the ConfigMap with the configuration is mounted; absent for any other source. */
  readonly sourceDirectory: Option.Option<string>
  /** Where the PersistentVolumeClaim with saved plans is mounted, if the task names one. */
  readonly plansDirectory: Option.Option<string>
  /** Directory on the volume that the Pods of all tasks share, if there is one. */
  readonly cacheDirectory: Option.Option<string>
  /** What the Pod's termination grace period leaves from SIGTERM to SIGKILL. */
  readonly graceSeconds: number
  /** The longest that a stage may take, whatever its task says; absent when there is no such limit. */
  readonly timeoutLimitSeconds: Option.Option<number>
  /** The mirrors that providers come from, as JSON of `ProviderMirrors`. */
  readonly mirrors: Option.Option<string>
  readonly terminationLog: string
  readonly readyPort: number
  /** How long the worker goes on asking a pool's server that does not answer. */
  readonly poolPatience: Duration.Duration
  /**
   * How long the worker keeps saving the last state after its engine has ended. A cancel, or the end of the Pod, ends this sooner; the
   * stage's own timeout does not.
   */
  readonly statePatience: Duration.Duration
  readonly runnerPatience: Duration.Duration
}>()("agent-job/worker/Settings") {
  static readonly layer = Layer.effect(
    Settings,
    Config.all({
      namespace: Config.String("AGENT_JOB_NAMESPACE"),
      task: Config.String("AGENT_JOB_TASK"),
      taskUid: Config.String("AGENT_JOB_TASK_UID"),
      job: Config.all({ name: Config.String("AGENT_JOB_JOB"), configHash: Config.String("AGENT_JOB_CONFIG_HASH") }),
      pod: Config.all({
        name: Config.String("AGENT_JOB_POD_NAME"),
        uid: Config.String("AGENT_JOB_POD_UID"),
        node: Config.String("AGENT_JOB_NODE")
      }),
      epoch: Config.Int("AGENT_JOB_EPOCH"),
      dataDirectory: Config.String("AGENT_JOB_DATA_DIR"),
      privateDirectory: Config.String("AGENT_JOB_PRIVATE_DIR"),
      tokenFile: Config.option(Config.String("AGENT_JOB_TOKEN_FILE")),
      sourceDirectory: Config.option(Config.String("AGENT_JOB_SOURCE_DIR")),
      plansDirectory: Config.option(Config.String("AGENT_JOB_PLANS_DIR")),
      cacheDirectory: Config.option(Config.String("AGENT_JOB_CACHE_DIR")),
      graceSeconds: Config.Int("AGENT_JOB_GRACE_SECONDS"),
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

/** Reads what the kubelet resolved for the variable at this index of `spec.variables`, be it empty; fails if the Pod has none. */
export const referencedValue = (index: number) =>
  Config.Redacted(`AGENT_JOB_VARIABLE_${index}`).parse(ConfigProvider.fromEnv({ preserveEmptyStrings: true }))

/** Reads the token of the network mirror at this index of the list; fails if the Pod has none. */
export const mirrorToken = (index: number) => Config.Redacted(`AGENT_JOB_MIRROR_TOKEN_${index}`)
