// Who the controller and the tasks are to the Kubernetes API: two accounts, so that a task's token is good for its status alone.
// The tasks' account never mounts its token by itself; the worker's container does.
// Used by core/manifest/install.
import type { V1ServiceAccount } from "@kubernetes/client-node"
import type { ResolvedConfig } from "../resolve.ts"
import { objectMetadata } from "./object-metadata.ts"

/** None when the values name an account that exists. */
export const controllerAccount = (config: ResolvedConfig): ReadonlyArray<V1ServiceAccount> =>
  !config.account.create ? [] : [{
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: objectMetadata(config, "controller", { ...config.account, namespace: config.namespace }),
    automountServiceAccountToken: config.account.automountToken
  }]

/** With the annotations of the controller's: cloud identity by annotation is there for the tasks. */
export const taskAccount = (config: ResolvedConfig): V1ServiceAccount => ({
  apiVersion: "v1",
  kind: "ServiceAccount",
  metadata: objectMetadata(config, "task", {
    name: config.taskAccountName,
    namespace: config.taskNamespace,
    annotations: config.account.annotations
  }),
  automountServiceAccountToken: false
})
