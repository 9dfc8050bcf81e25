// What a running controller does when its values have changed: nothing, take them over, or end, so that it is started with them.
// Invariant: every part of the configuration is in the table; a new part does not compile until it is there.
// Called by controller/configuration/configuration.
import { Equal } from "effect"
import type { ResolvedConfig } from "./resolve.ts"

/**
 * What a part of the configuration affects in a running controller. `next`: the next decision and the next Job. `process`: what the process
 * was started with, such as names and places; README says to change them only when no task is left. `manifests`: only what `render` and
 * Kustomize make, such as the controller's own Deployment.
 */
type Reach = "next" | "process" | "manifests"

const reach: { readonly [Part in keyof Required<ResolvedConfig>]: Reach } = {
  name: "process",
  namespace: "process",
  taskNamespace: "process",
  pool: "process",
  policy: "next",
  taskAccountName: "next",
  identities: "next",
  tokenTtlSeconds: "next",
  imagePullSecrets: "next",
  dataDir: "next",
  dataSizeLimit: "next",
  cache: "next",
  trust: "next", // which object the next Job mounts; the roots in it are read anew for each request
  clientCertificate: "next",
  objectLabels: "next",
  objectAnnotations: "next",
  task: "next",
  token: "manifests",
  account: "manifests",
  admissionPolicies: "manifests",
  restrictMetadataService: "next", // this and taskNetwork: a proof of isolation covers both
  taskNetwork: "next",
  controller: "manifests",
  server: "manifests",
  controllerValues: "manifests"
}

/** `Keep`: nothing that the process uses is different. */
export type Reload = "Keep" | "TakeOver" | "StartAgain"

const isPart = (key: string): key is keyof ResolvedConfig => Object.hasOwn(reach, key)
const parts = Object.keys(reach).filter(isPart)

export const reload = (running: ResolvedConfig, wanted: ResolvedConfig): Reload => {
  const reached = new Set(parts.filter((part) => !Equal.equals(running[part], wanted[part])).map((part) => reach[part]))
  if (reached.has("process")) return "StartAgain"
  return reached.has("next") ? "TakeOver" : "Keep"
}
