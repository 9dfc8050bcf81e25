// What the builders of our Pods and the programs in them agree upon: mount paths, ports, and a time and exit codes that a Job depends on.
// The worker's own paths are mounted in the worker alone. The runner sees `dataDir`, the trusted roots and what values and task mount.
// Used by the builders of core/manifest, core/reconcile/start-trouble, the worker and the command line.
export const place = {
  /** The standard directory of the Kubernetes API's token, its certificate authority and the namespace. */
  apiToken: "/var/run/secrets/kubernetes.io/serviceaccount",
  private: "/var/lib/agent-job/private",
  tmp: "/tmp",
  taskToken: "/var/run/agent-job/token",
  source: "/var/run/agent-job/source",
  plans: "/var/run/agent-job/plans",
  poolToken: "/var/run/agent-job/pool",
  userToken: "/var/run/agent-job/user",
  config: "/etc/agent-job",
  /** The trusted roots, in every container of ours. */
  caBundle: "/var/run/agent-job/ca-bundle",
  clientCertificate: "/var/run/agent-job/client-certificate",
  serverCertificate: "/var/run/agent-job/server-certificate",
  /** The server's database and blobs. */
  serverData: "/var/lib/agent-job"
} as const

/** Returns the directory of providers and engines that many Pods share. The runner mounts it read-only. */
export const cacheDir = (dataDir: string): string => `${dataDir.replace(/\/+$/u, "")}/cache`

/** Returns the directory by which the worker and the runner talk to each other; see src/runner/exec-loop.sh. */
export const execDir = (dataDir: string): string => `${dataDir.replace(/\/+$/u, "")}/exec`

/** The port of the server's API, of its Service too. */
export const serverPort = 8080

/** The port where the controller serves /healthz, /readyz and /metrics. */
export const controllerHealthPort = 8081

/** The port where the worker says that it holds the claim. */
export const workerHealthPort = 8082

/**
 * How long the worker keeps saving the last state after its engine has ended: three days, since nothing else may have it, and a server that
 * fails on a Friday may come back on a Monday. The Job's deadline is that much later.
 */
export const statePatienceSeconds = 3 * 86_400

/** The worker's exit code when another Pod holds the claim. It must not end the Job, and with it the winner. */
export const claimLostExitCode = 75

/** The exit code by which the container `install`, which writes no result, tells of DiskFull: the number of ENOSPC. */
export const diskFullExitCode = 28
