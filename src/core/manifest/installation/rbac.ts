// The rights of the accounts of controller and tasks, each verb because some code uses it: the controller runs tasks, a task writes its own status.
// Invariant: none of them gets or lists Secrets, makes Pods or runs commands in them; core/manifest/admission/admission-secrets bounds what they patch.
// Used by core/manifest/installation/install, and by generate for docs/rbac.md; test/core/manifest/installation/rbac.cluster.test.ts compares it with an audit log.
import type { V1PolicyRule, V1Role, V1RoleBinding } from "@kubernetes/client-node"
import type { ResolvedConfig } from "../../resolve/resolve.ts"
import { accountNames } from "../../task/identity.ts"
import { controllerName, leaderLeaseName } from "../controller-names.ts"
import type { Component } from "../labels.ts"
import { objectMetadata } from "../object-metadata.ts"

/** Verbs on some kinds of object, and what needs them, as printed in docs/rbac.md. */
interface Right {
  readonly apiGroup: string
  readonly resources: ReadonlyArray<string>
  readonly verbs: ReadonlyArray<string>
  /** The only objects that the right covers, by name. Absent: it covers all of the namespace. */
  readonly names?: ReadonlyArray<string>
  readonly why: string
}

const may = (verbs: string, apiGroup: string, resources: string, why: string, names?: ReadonlyArray<string>): Right => ({
  apiGroup,
  resources: resources.split(" "),
  verbs: verbs.split(" "),
  why,
  ...(names !== undefined && { names })
})

/** The controller's rights in the tasks' namespace. */
const runTasks: ReadonlyArray<Right> = [
  may("get list watch", "scalr.io", "atasks", "what there is to run"),
  may(
    "create update patch delete",
    "scalr.io",
    "atasks",
    "makes those of the pool and of new revisions, lets deleted ones go, cancels, and deletes those past the history limit"
  ),
  may("update", "scalr.io", "atasks/status", "says why a task waits, and how it ended"),
  may(
    "update",
    "scalr.io",
    "atasks/finalizers",
    "asked for by the API server where a task owns a Job (OwnerReferencesPermissionEnforcement); no request is made with it"
  ),
  may("get", "source.toolkit.fluxcd.io", "gitrepositories ocirepositories buckets", "the artifact of a task's source"),
  may("get list watch create delete", "batch", "jobs", "one for each start of a task; deletes those that must not go on"),
  may("get list watch", "", "pods", "what became of the Pod of a Job"),
  may(
    "create patch",
    "",
    "secrets",
    "the token of a pool's task; the answer to a patch has the whole Secret, so component `admission` lets it patch these and no other"
  ),
  may(
    "get create patch",
    "coordination.k8s.io",
    "leases",
    "holds a workspace for an apply or destroy, takes it over from one that is over"
  ),
  may("create list", "events.k8s.io", "events", "tells what happened; lists why a Pod cannot be made")
]

const lead = (config: ResolvedConfig): ReadonlyArray<Right> => [
  may("create", "coordination.k8s.io", "leases", "the Lease of the leading controller; a name cannot be asked for before there is one"),
  may("get update", "coordination.k8s.io", "leases", "takes the lead, keeps it, gives it back", [leaderLeaseName(config)])
]

/**
 * The rights of a task. They are meant for its own AgentTask, but a role cannot be narrowed to that. Component `admission` narrows them,
 * and a claim names its Pod and is written once.
 */
const runOneTask: ReadonlyArray<Right> = [
  may(
    "get watch",
    "scalr.io",
    "atasks",
    "its task, and whether that is cancelled; it could read the others too, since no policy narrows that"
  ),
  may("update", "scalr.io", "atasks/status", "the claim and the result")
]

export interface Account {
  readonly name: string
  readonly namespace: string
}

export interface Grant {
  readonly name: string
  readonly component: Component
  readonly namespace: string
  readonly rights: ReadonlyArray<Right>
  /** At least one. */
  readonly to: ReadonlyArray<Account>
}

/** Returns the roles of an installation, with the accounts that each is granted to. */
export const grants = (config: ResolvedConfig): ReadonlyArray<Grant> => {
  const { account, name, namespace, taskNamespace } = config
  const controller = [{ name: account.name, namespace }]
  return [
    { name: `${name}-leader`, component: "controller", namespace, rights: lead(config), to: controller },
    { name: controllerName(config), component: "controller", namespace: taskNamespace, rights: runTasks, to: controller },
    {
      name: `${name}-task`,
      component: "task",
      namespace: taskNamespace,
      rights: runOneTask,
      to: accountNames(config).map((name) => ({ name, namespace: taskNamespace }))
    }
  ]
}

const ruleOf = ({ apiGroup, names, resources, verbs }: Right): V1PolicyRule => ({
  apiGroups: [apiGroup],
  resources: [...resources],
  ...(names !== undefined && { resourceNames: [...names] }),
  verbs: [...verbs]
})

const objectsOf = (config: ResolvedConfig, { component, name, namespace, rights, to }: Grant): ReadonlyArray<V1Role | V1RoleBinding> => {
  const metadata = objectMetadata(config, component, { name, namespace })
  return [
    { apiVersion: "rbac.authorization.k8s.io/v1", kind: "Role", metadata, rules: rights.map(ruleOf) },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "RoleBinding",
      metadata,
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name },
      subjects: to.map((account) => ({ kind: "ServiceAccount", ...account }))
    }
  ]
}

export const rbac = (config: ResolvedConfig): ReadonlyArray<V1Role | V1RoleBinding> =>
  grants(config).flatMap((grant) => objectsOf(config, grant))
