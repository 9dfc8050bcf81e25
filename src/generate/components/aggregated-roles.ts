// The component `aggregated-roles`: what the ClusterRoles view and edit of a cluster let people do with AgentTasks.
// Used by generate/components.
import type { V1ClusterRole } from "@kubernetes/client-node"
import { labels } from "../../core/manifest/labels.ts"
import type { ResolvedConfig } from "../../core/resolve/resolve.ts"
import { agentTaskResource } from "../../schema/names.ts"
import type { Component } from "../files/component.ts"

const { group, plural } = agentTaskResource

/** Returns the ClusterRole whose rules Kubernetes adds to its own of that name, and so to those above it: edit has what view has. */
const addedTo = (role: "view" | "edit", verbs: ReadonlyArray<string>, config: ResolvedConfig): V1ClusterRole => ({
  apiVersion: "rbac.authorization.k8s.io/v1",
  kind: "ClusterRole",
  metadata: {
    name: `agent-job-${role}`,
    labels: { ...labels(config, "task"), [`rbac.authorization.k8s.io/aggregate-to-${role}`]: "true" }
  },
  rules: [{ apiGroups: [group], resources: [plural], verbs: [...verbs] }]
})

export const aggregatedRoles: Component = {
  name: "aggregated-roles",
  does:
    "Lets people with the ClusterRole view in a namespace see its AgentTasks, and those with edit or admin make, cancel and delete them too.",
  adapt: [
    "Once in a cluster, like the CustomResourceDefinition. Who sees an AgentTask sees what it says, also a variable whose value is written into it; who makes one runs code as the tasks do (see docs/security.md)."
  ],
  objects: (config) => [
    addedTo("view", ["get", "list", "watch"], config),
    addedTo("edit", ["create", "update", "patch", "delete", "deletecollection"], config)
  ]
}
