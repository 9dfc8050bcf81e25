// The worker's settings, from the environment variables of its Pod; no other part of the worker reads them.
// Invariant: a secret leaves this file only as a redacted value.
// Used by worker/stage/worker.ts and the parts that it starts.
import { Config, ConfigProvider, Context, Duration, Layer } from "effect"
import { statePatienceSeconds, workerHealthPort } from "../core/task/places.ts"

export const terminationLog = Config.String("AGENT_JOB_TERMINATION_LOG").pipe(Config.withDefault("/dev/termination-log"))

const settings = Config.all({
  namespace: Config.String("AGENT_JOB_NAMESPACE"),
  task: Config.String("AGENT_JOB_TASK"),
  /** UID of the AgentTask that this Pod was made for: a later task of that name has another one. */
  taskUid: Config.String("AGENT_JOB_TASK_UID"),
  /** The Pod's Job, and the hash of the configuration that the Job was built from. */
  job: Config.all({ name: Config.String("AGENT_JOB_JOB"), configHash: Config.String("AGENT_JOB_CONFIG_HASH") }),
  pod: Config.all({
    name: Config.String("AGENT_JOB_POD_NAME"),
    uid: Config.String("AGENT_JOB_POD_UID"),
    node: Config.String("AGENT_JOB_NODE")
  }),
  /** How often the workspace's Lease has been taken, this time included; 0 for plans. */
  epoch: Config.Int("AGENT_JOB_EPOCH"),
  /** Directory on the volume that the runner shares. */
  dataDirectory: Config.String("AGENT_JOB_DATA_DIR"),
  /** Directory that is mounted in the worker alone. */
  privateDirectory: Config.String("AGENT_JOB_PRIVATE_DIR"),
  /** File with the pool's token for this stage; absent without a pool. */
  tokenFile: Config.option(Config.String("AGENT_JOB_TOKEN_FILE")),
  /** Where the ConfigMap with the configuration is mounted; absent for any other source. */
  sourceDirectory: Config.option(Config.String("AGENT_JOB_SOURCE_DIR")),
  /** Where the PersistentVolumeClaim with saved plans is mounted, if the task names one. */
  plansDirectory: Config.option(Config.String("AGENT_JOB_PLANS_DIR")),
  /** Directory on the volume that the Pods of all tasks share, if there is one. */
  cacheDirectory: Config.option(Config.String("AGENT_JOB_CACHE_DIR")),
  /** What the Pod's termination grace period leaves from SIGTERM to SIGKILL. */
  graceSeconds: Config.Int("AGENT_JOB_GRACE_SECONDS"),
  /** The longest that a stage may take, whatever its task says; absent when there is no such limit. */
  timeoutLimitSeconds: Config.option(Config.Int("AGENT_JOB_TIMEOUT_LIMIT_SECONDS")),
  /** The mirrors that providers come from, as JSON of `ProviderMirrors`. */
  mirrors: Config.option(Config.String("AGENT_JOB_PROVIDER_MIRRORS")),
  terminationLog,
  readyPort: Config.Int("AGENT_JOB_READY_PORT").pipe(Config.withDefault(workerHealthPort)),
  /** How long the worker goes on asking a pool's server that does not answer. */
  poolPatience: Config.Duration("AGENT_JOB_POOL_PATIENCE").pipe(Config.withDefault(Duration.minutes(5))),
  /**
   * How long the worker keeps saving the last state after its engine has ended. A cancel, or the end of the Pod, ends this sooner; the
   * stage's own timeout does not.
   */
  statePatience: Config.Duration("AGENT_JOB_STATE_PATIENCE").pipe(Config.withDefault(Duration.seconds(statePatienceSeconds))),
  runnerPatience: Config.Duration("AGENT_JOB_RUNNER_PATIENCE").pipe(Config.withDefault(Duration.minutes(1)))
})

export class Settings extends Context.Service<Settings, Config.Success<typeof settings>>()("agent-job/worker/Settings") {
  static readonly layer = Layer.effect(Settings, settings)
}

/** Reads what the kubelet resolved for the variable at this index of `spec.variables`, be it empty; fails if the Pod has none. */
export const referencedValue = (index: number) =>
  Config.Redacted(`AGENT_JOB_VARIABLE_${index}`).parse(ConfigProvider.fromEnv({ preserveEmptyStrings: true }))

/** Reads the token of the network mirror at this index of the list; fails if the Pod has none. */
export const mirrorToken = (index: number) => Config.Redacted(`AGENT_JOB_MIRROR_TOKEN_${index}`)
