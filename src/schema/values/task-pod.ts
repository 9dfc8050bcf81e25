// What the Pods of tasks have of ours beside what the values give them: containers, volumes, places, and the time for all but the stage.
// Used by schema/values/value-rules.ts, core/resolve/resolve.ts and core/manifest/admission/admission-pods.ts.
import type { Sections } from "./value-sections.ts"

/** The names of our containers in the Pods of tasks. */
export const containersOfOurs = ["install", "runner", "worker"]
/** The names of our volumes in the Pods of tasks that of our containers only the worker mounts. */
export const workerVolumes = ["api-token", "task-token", "agent-job-client-certificate", "private", "plans", "source", "tmp"]
/** Our volumes that the values may mount in worker and runner. */
export const volumesForAll = ["data", "cache"]

/** Reports whether a volume in the Pods of tasks is ours. The numbered ones are for claims that a task names itself. */
export const isVolumeOfOurs = (name: string): boolean =>
  [...workerVolumes, ...volumesForAll, "agent-job-ca-bundle"].includes(name) || /^claim-\d+$/u.test(name)

/** The directories at which agent-job mounts something, see core/task/places. */
export const placesOfOurs: ReadonlySet<string> = new Set([
  "/tmp",
  "/etc/agent-job",
  "/var/lib/agent-job/private",
  ...["token", "source", "plans", "pool", "user", "ca-bundle", "client-certificate"].map((name) => `/var/run/agent-job/${name}`),
  "/var/run/secrets/kubernetes.io/serviceaccount"
])

/** What the times around a stage follow from. */
type Times = Pick<Sections["task"], "job" | "startupTimeoutSeconds" | "terminationGracePeriodSeconds">

/** How many seconds an autoscaler has to add a node: it takes a few minutes, if it can. */
const autoscalerSeconds = 900

/**
 * Returns how many seconds a Pod may wait for a node that can take it, for its volumes, and for the token of its run's stage, before it
 * starts. A limit on the life of Jobs leaves an autoscaler no time of its own.
 */
export const nodeWaitSeconds = ({ job, startupTimeoutSeconds }: Times): number =>
  Math.max(startupTimeoutSeconds, job.activeDeadlineSeconds > 0 ? 0 : autoscalerSeconds)

/** How long a Job may wait for a quota or a webhook. Its deadline runs meanwhile, and after a longer wait the rest may not be enough for its stage. */
export const quotaPatienceSeconds = 60

/**
 * Returns how many seconds a Job may take beside its stage: for its node, its start, its orderly end, a quota, and a minute by which these
 * may take longer.
 */
export const secondsBesideStage = (task: Times): number =>
  nodeWaitSeconds(task) + task.startupTimeoutSeconds + task.terminationGracePeriodSeconds + quotaPatienceSeconds + 60
