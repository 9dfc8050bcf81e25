// What the builders of our Pods and the programs in them agree upon: places that are mounted and read, ports, a time and an exit code that a Job knows.
// The worker's own places are mounted in the worker alone; the runner sees `dataDir` and what the values mount in it.
// Used by the builders beside it, the worker and the command line.
export const place = {
  /** Standard directory of the Kubernetes API's token, its certificate authority and the namespace. */
  apiToken: "/var/run/secrets/kubernetes.io/serviceaccount",
  private: "/var/lib/agent-job/private",
  tmp: "/tmp",
  taskToken: "/var/run/agent-job/token",
  source: "/var/run/agent-job/source",
  plans: "/var/run/agent-job/plans",
  poolToken: "/var/run/agent-job/pool",
  userToken: "/var/run/agent-job/user",
  config: "/etc/agent-job",
  /** Roots to trust, in every container of ours. */
  caBundle: "/var/run/agent-job/ca-bundle",
  clientCertificate: "/var/run/agent-job/client-certificate",
  /** Of the server: database and blobs. */
  serverData: "/var/lib/agent-job"
} as const

/** In the worker and, read-only, in the runner: providers and engines that many Pods share. */
export const cacheDir = (dataDir: string): string => `${dataDir.replace(/\/+$/u, "")}/cache`

/** Where worker and runner meet; see src/runner/exec-loop.sh. */
export const execDir = (dataDir: string): string => `${dataDir.replace(/\/+$/u, "")}/exec`

/** Where the controller serves /healthz, /readyz and /metrics. */
export const controllerHealthPort = 8081

/** Where the worker says that it holds the claim. */
export const workerHealthPort = 8082

/** How long a worker goes on saving the last state when its engine has ended; its Job lives that much longer. */
export const statePatienceSeconds = 3600

/** What the worker exits with when another one holds the claim; it must not end the Job, and with it the winner. */
export const claimLostExitCode = 75
