// What the two accounts may do, each verb because some code does it: the controller runs tasks, a task writes its own status.
// Invariant: nobody reads Secrets, makes Pods or runs commands in them.
// Used by core/manifest/install.
import type { V1PolicyRule, V1Role, V1RoleBinding } from "@kubernetes/client-node"
import type { ResolvedConfig } from "../resolve.ts"
import type { Component } from "./labels.ts"
import { objectMetadata } from "./object-metadata.ts"

const allow = (apiGroups: string, resources: string, verbs: string, resourceNames?: ReadonlyArray<string>): V1PolicyRule => ({
  apiGroups: [apiGroups],
  resources: resources.split(" "),
  ...(resourceNames !== undefined && { resourceNames: [...resourceNames] }),
  verbs: verbs.split(" ")
})

/** In the namespace of the tasks. */
const runTasks: ReadonlyArray<V1PolicyRule> = [
  allow("scalr.io", "atasks", "get list watch create update patch delete"),
  allow("scalr.io", "atasks/status", "update patch"),
  allow("scalr.io", "atasks/finalizers", "update"), // to own a Job, where the API server asks for it
  allow("source.toolkit.fluxcd.io", "gitrepositories ocirepositories buckets", "get"), // the artifact of a task's source
  allow("batch", "jobs", "get list watch create delete"),
  allow("", "pods", "get list watch"),
  allow("", "secrets", "create patch"), // the token of a task, which it never reads back
  allow("coordination.k8s.io", "leases", "get create patch"), // workspaces
  allow("events.k8s.io", "events", "create list") // list: why a Pod cannot be made
]

/** Name of the Lease that the leading controller holds. */
export const leaderLeaseName = ({ name }: ResolvedConfig): string => `${name}-controller`

const lead = (config: ResolvedConfig): ReadonlyArray<V1PolicyRule> => [
  allow("coordination.k8s.io", "leases", "create"),
  allow("coordination.k8s.io", "leases", "get update", [leaderLeaseName(config)])
]

/** Its own task, which a token cannot be narrowed to here; a claim is by Pod, and written once. */
const runOneTask: ReadonlyArray<V1PolicyRule> = [
  allow("scalr.io", "atasks", "get watch"),
  allow("scalr.io", "atasks/status", "get update patch")
]

interface Grant {
  readonly name: string
  readonly component: Component
  readonly namespace: string
  readonly rules: ReadonlyArray<V1PolicyRule>
  readonly to: { readonly name: string; readonly namespace: string }
}

const grant = (config: ResolvedConfig, { component, name, namespace, rules, to }: Grant): ReadonlyArray<V1Role | V1RoleBinding> => {
  const metadata = objectMetadata(config, component, { name, namespace })
  return [
    { apiVersion: "rbac.authorization.k8s.io/v1", kind: "Role", metadata, rules: [...rules] },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata,
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
      subjects: [{ kind: "ServiceAccount", ...to }]
    }
  ]
}

export const rbac = (config: ResolvedConfig): ReadonlyArray<V1Role | V1RoleBinding> => {
  const { account, name, namespace, taskAccountName, taskNamespace } = config
  const controller = { name: account.name, namespace }
  return [
    ...grant(config, { name: `${name}-leader`, component: "controller", namespace, rules: lead(config), to: controller }),
    ...grant(config, { name: `${name}-controller`, component: "controller", namespace: taskNamespace, rules: runTasks, to: controller }),
    ...grant(config, { name: `${name}-task`, component: "task", namespace: taskNamespace, rules: runOneTask, to: { name: taskAccountName, namespace: taskNamespace } })
  ]
}
