// The service accounts of the controller and of the tasks, which are apart, so that a task's token does not have the controller's rights.
// The tasks' accounts do not mount their token by themselves; the worker's container does.
// Used by core/manifest/installation/install.
import type { V1ServiceAccount } from "@kubernetes/client-node"
import type { ResolvedConfig } from "../../resolve/resolve.ts"
import { objectMetadata } from "../object-metadata.ts"

/** Returns the controller's account, or nothing if the values name an existing one. */
export const controllerAccount = (config: ResolvedConfig): ReadonlyArray<V1ServiceAccount> =>
  !config.account.create ? [] : [{
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: objectMetadata(config, "controller", { ...config.account, namespace: config.namespace }),
    automountServiceAccountToken: config.account.automountToken
  }]

/**
 * Returns the tasks' account. It has the annotations of the controller's account, because an annotation for a cloud identity is meant for
 * the tasks.
 */
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

/**
 * Returns the accounts of identities, but for those that exist already. They have no annotation of the controller's account: what that gives
 * in a cloud is not theirs.
 */
export const identityAccounts = (config: ResolvedConfig): ReadonlyArray<V1ServiceAccount> =>
  (config.identities ?? []).filter(({ create }) => create).map(({ annotations, labels, name }) => ({
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: objectMetadata(config, "task", { name, namespace: config.taskNamespace, labels, annotations }),
    automountServiceAccountToken: false
  }))
