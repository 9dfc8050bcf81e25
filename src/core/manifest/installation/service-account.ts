// The service accounts of the controller and of the tasks, which are apart, so that a task's token does not have the controller's rights.
// The tasks' accounts do not mount their token by themselves; the worker's container does.
// Used by core/manifest/installation/install, and by core/manifest/installation/server for an account of its own.
import type { V1ObjectMeta, V1ServiceAccount } from "@kubernetes/client-node"
import type { ResolvedConfig } from "../../resolve/resolve.ts"
import { objectMetadata } from "../object-metadata.ts"

export const serviceAccount = (metadata: V1ObjectMeta, automountServiceAccountToken = false): V1ServiceAccount => ({
  apiVersion: "v1",
  kind: "ServiceAccount",
  metadata,
  automountServiceAccountToken
})

/** Returns the controller's account, or nothing if the values name an existing one. */
export const controllerAccount = (config: ResolvedConfig): ReadonlyArray<V1ServiceAccount> => {
  const { account, namespace } = config
  return account.create ? [serviceAccount(objectMetadata(config, "controller", { ...account, namespace }), account.automountToken)] : []
}

/**
 * Returns the tasks' account. It has the annotations of the controller's account, because an annotation for a cloud identity is meant for
 * the tasks.
 */
export const taskAccount = (config: ResolvedConfig): V1ServiceAccount => {
  const { account: { annotations }, taskAccountName: name, taskNamespace: namespace } = config
  return serviceAccount(objectMetadata(config, "task", { name, namespace, annotations }))
}

/**
 * Returns the accounts of identities, but for those that exist already. They have no annotation of the controller's account: what that gives
 * in a cloud is not theirs.
 */
export const identityAccounts = (config: ResolvedConfig): ReadonlyArray<V1ServiceAccount> =>
  (config.identities ?? []).filter(({ create }) => create).map(({ annotations, labels, name }) =>
    serviceAccount(objectMetadata(config, "task", { name, namespace: config.taskNamespace, labels, annotations }))
  )
