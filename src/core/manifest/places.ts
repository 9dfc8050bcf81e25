// Where things are inside our containers: what the builders mount and what the programs read.
// The worker's own places are mounted in the worker alone; the runner sees `dataDir` and what the values mount in it.
// Used by the builders beside it.
export const place = {
  /** Standard directory of the Kubernetes API's token, its certificate authority and the namespace. */
  apiToken: "/var/run/secrets/kubernetes.io/serviceaccount",
  private: "/var/lib/agent-job/private",
  tmp: "/tmp",
  taskToken: "/var/run/agent-job/token",
  source: "/var/run/agent-job/source",
  poolToken: "/var/run/agent-job/pool",
  userToken: "/var/run/agent-job/user",
  config: "/etc/agent-job",
  /** Of the server: database and blobs. */
  serverData: "/var/lib/agent-job"
} as const

/** In the worker and, read-only, in the runner: providers and engines that many Pods share. */
export const cacheDir = (dataDir: string): string => `${dataDir.replace(/\/+$/u, "")}/cache`

/** Where worker and runner meet; see src/runner/exec-loop.sh. */
export const execDir = (dataDir: string): string => `${dataDir.replace(/\/+$/u, "")}/exec`
