// A control plane for one measurement: etcd, API server and controllers, without rate limits, beside whatever else runs on this machine.
// Invariant: a fresh one each time, since an API server that has worked for a while collects its garbage in the midst of the next measurement.
// Used by the measurements of the controller; scripts/bench ends it when a measurement could not.
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
}

const portOffset = 17_000

export const startControlPlane = ({ audit, directory, jobController, state }: Options): ControlPlane => {
  const [policy, auditLog] = [join(directory, "audit-policy.json"), join(directory, "audit.log")]
  const env = {
    ...process.env,
    CLUSTER_STATE: state,
    CLUSTER_PORT_OFFSET: String(portOffset),
    CLUSTER_BENCHMARK: "1",
    CLUSTER_APISERVER_FLAGS: audit ? `--audit-policy-file=${policy} --audit-log-path=${auditLog}` : "",
    CLUSTER_CONTROLLER_MANAGER_FLAGS: jobController ? "" : "--controllers=*,-job-controller"
  }
  const cluster = (script: string, ...args: ReadonlyArray<string>) => void execFileSync(join("test/cluster", script), args, { env, stdio: ["ignore", "ignore", "inherit"] })
  cluster("down") // what an interrupted run may have left
  rmSync(auditLog, { force: true })
  writeFileSync(policy, JSON.stringify(auditPolicy(controllerUser)))
  cluster("up", "--control-plane")
  return { kubeconfig: join(state, "kubeconfig"), processes: join(state, "processes"), auditLog, [Symbol.dispose]: () => cluster("down") }
}
