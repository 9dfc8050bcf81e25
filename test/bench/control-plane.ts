// A control plane for one measurement or test: etcd, API server and controllers, without rate limits, beside whatever else runs on this machine.
// Invariant: a fresh one each time, since an API server that has worked for a while collects its garbage in the midst of the next measurement.
// Used by the measurements of the controller, and by tests that need an audit log; scripts/bench ends it when a measurement could not.
import { execFileSync } from "node:child_process"
import { rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { auditPolicy } from "./audit.ts"
import { controllerUser } from "./scene.ts"

export interface ControlPlane extends Disposable {
  readonly kubeconfig: string
  /** Folder with its process ids. */
  readonly processes: string
  /** Who wrote what, if that was wanted. */
  readonly auditLog: string
}

export interface Options {
  /** For files of this run. */
  readonly directory: string
  /** For the files of the control plane; it is removed with it. */
  readonly state: string
  /** Whether Jobs get Pods. */
  readonly jobController: boolean
  readonly audit: boolean
  /** Of the audit; else the writes of the controller. */
  readonly auditPolicy?: object
  /** Of the API server, beside those of the audit. */
  readonly flags?: string
  /** Of its ports, beside other control planes. */
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
  cluster("down") // what an interrupted run may have left
  rmSync(auditLog, { force: true })
  writeFileSync(policy, JSON.stringify(policyOf))
  try {
    cluster("up", "--control-plane")
  } catch (error) {
    cluster("down") // what half a start leaves
    throw error
  }
  return { kubeconfig: join(state, "kubeconfig"), processes: join(state, "processes"), auditLog, [Symbol.dispose]: () => cluster("down") }
}
