// The component `quota`: how much of the cluster the tasks may use, and a priority at which ordinary Pods do not push them out.
// Invariant: as many tasks as the layer lets run at once fit into the quota, with what the defaults request for each.
// Used by generate/components.
import type { V1PriorityClass, V1ResourceQuota } from "@kubernetes/client-node"
import { labels } from "../../core/manifest/labels.ts"
import { objectMetadata } from "../../core/manifest/object-metadata.ts"
import type { ResolvedConfig } from "../../core/resolve/resolve.ts"
import type { Component } from "../files/component.ts"

const name = "agent-job-tasks"

const metadata = (config: ResolvedConfig) => objectMetadata(config, "task", { name, namespace: config.taskNamespace })

const priorityClass = (config: ResolvedConfig): V1PriorityClass => ({
  apiVersion: "scheduling.k8s.io/v1",
  kind: "PriorityClass",
  metadata: { name, labels: labels(config, "task") },
  value: 1000,
  preemptionPolicy: "Never",
  description:
    "Stages of OpenTofu and Terraform: not pushed out by ordinary Pods, since a stage that is stopped is lost, and never pushing out others."
})

/** Returns the quota for 50 tasks: each requests 0.75 CPUs and 768 MiB, and uses at most 6 CPUs and 3 GiB. */
const resourceQuota = (config: ResolvedConfig): V1ResourceQuota => ({
  apiVersion: "v1",
  kind: "ResourceQuota",
  metadata: metadata(config),
  spec: { hard: { pods: "60", "requests.cpu": "40", "requests.memory": "40Gi", "limits.cpu": "320", "limits.memory": "160Gi" } }
})

/** Returns the LimitRange as the API server reads it. The generated client's type has another name for `default`. */
const limitRange = (config: ResolvedConfig) => ({
  apiVersion: "v1",
  kind: "LimitRange",
  metadata: metadata(config),
  spec: {
    limits: [{
      type: "Container",
      defaultRequest: { cpu: "100m", memory: "128Mi" },
      default: { cpu: "1", memory: "512Mi" },
      max: { cpu: "8", memory: "16Gi" }
    }]
  }
})

export const quota: Component = {
  name: "quota",
  does:
    "Bounds what the tasks may take of the cluster together and each, and gives them a priority at which ordinary Pods do not push them out.",
  adapt: [
    "The ResourceQuota fits the 50 tasks at once that the layer allows, with the default resources: change both together, the quota by a patch and task.limits.total in your values."
  ],
  layer: { task: { limits: { total: 50 }, priorityClassName: name } },
  objects: (config) => [priorityClass(config), resourceQuota(config), limitRange(config)]
}
