// The component `namespaces`: one for the controller and the server, one for the tasks, both held to Pod Security "restricted".
// Used by generate/components.
import type { V1Namespace } from "@kubernetes/client-node"
import { kept } from "../../core/manifest/installation/kept.ts"
import type { Component } from "../files/component.ts"

const restricted = { "pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted" }

/** The label of every object of agent-job. */
const ofAgentJob = { "app.kubernetes.io/name": "agent-job" }

const namespace = (name: string): V1Namespace => ({
  apiVersion: "v1",
  kind: "Namespace",
  metadata: { name, labels: { ...ofAgentJob, ...restricted }, annotations: kept }
})

export const namespaces: Component = {
  name: "namespaces",
  does: "The namespaces of the controller and of the tasks, both held to Pod Security restricted.",
  adapt: [
    "Leave it out where somebody else makes agent-job and agent-job-tasks.",
    "When this leaves Git, Flux and Argo CD leave both, since the server's volume and the tasks are in them."
  ],
  objects: (config) => [config.namespace, config.taskNamespace].map(namespace)
}
