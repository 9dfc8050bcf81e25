// A control plane for one measurement or test: etcd, API server and controllers, without rate limits, on ports of its own.
// Invariant: each is new, because an API server that has worked for a while collects its garbage in the middle of the next measurement.
// Used by the measurements of the controller, and by tests that need an audit log; scripts/bench ends one that a measurement left.
import { execFileSync } from "node:child_process"
import { rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { auditPolicy } from "./audit.ts"
import { controllerUser } from "./scene.ts"

export interface ControlPlane extends Disposable {
  readonly kubeconfig: string
  /** The folder with its process ids. */
  readonly processes: string
  /** The audit log; the file exists only if `audit` was asked for. */
  readonly auditLog: string
}

export interface Options {
  /** The folder for files of this run. */
  readonly directory: string
  /** The folder for the files of the control plane, which is removed with the control plane. */
  readonly state: string
  /** Whether the Job controller runs; without it, Jobs get no Pods. */
  readonly jobController: boolean
  readonly audit: boolean
  /** The audit policy; absent: the one that logs the writes of the controller. */
  readonly auditPolicy?: object
  /** Flags for the API server, in addition to those of the audit. */
  readonly flags?: string
  /** Added to every port, so that it can run beside other control planes; absent: 17,000. */
  readonly portOffset?: number
}

export const startControlPlane = (
  { audit, auditPolicy: policyOf = auditPolicy(controllerUser), directory, flags = "", jobController, portOffset = 17_000, state }: Options
): ControlPlane => {
  const [policy, auditLog] = [join(directory, "audit-policy.json"), join(directory, "audit.log")]
  const env = {
    ...process.env,
    CLUSTER_STATE: state,
    CLUSTER_PORT_OFFSET: String(portOffset),
    CLUSTER_BENCHMARK: "1",
    CLUSTER_APISERVER_FLAGS: `${flags} ${audit ? `--audit-policy-file=${policy} --audit-log-path=${auditLog}` : ""}`,
    CLUSTER_CONTROLLER_MANAGER_FLAGS: jobController ? "" : "--controllers=*,-job-controller"
  }
  const cluster = (script: string, ...args: ReadonlyArray<string>) =>
    void execFileSync(join("test/cluster", script), args, { env, stdio: ["ignore", "ignore", "inherit"] })
  cluster("down") // an interrupted run may have left one
  rmSync(auditLog, { force: true })
  writeFileSync(policy, JSON.stringify(policyOf))
  try {
    cluster("up", "--control-plane")
  } catch (error) {
    cluster("down") // some of its processes may have started
    throw error
  }
  return { kubeconfig: join(state, "kubeconfig"), processes: join(state, "processes"), auditLog, [Symbol.dispose]: () => cluster("down") }
}
