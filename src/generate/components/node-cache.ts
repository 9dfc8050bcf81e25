// The component `node-cache`: a directory of each node in the Pods of tasks, which the policies of the component `admission` have to know.
// Used by generate/components.
import { Equal } from "effect"
import { podPolicy } from "../../core/manifest/admission/admission-pods.ts"
import { type Policy, policyObject } from "../../core/manifest/admission/admission-policy.ts"
import { referencePolicy } from "../../core/manifest/admission/admission-references.ts"
import { componentLayers } from "../../core/overlay/shipped.ts"
import type { ResolvedConfig } from "../../core/resolve/resolve.ts"
import { merge, type Tree } from "../../schema/document/layers.ts"
import type { Component, ObjectPatch } from "../files/component.ts"
import { installationOf } from "../files/installation.ts"

const layer = componentLayers["node-cache"]

const privileged = { "pod-security.kubernetes.io/enforce": "privileged", "pod-security.kubernetes.io/warn": "privileged" }

const variablesOf = (policyOf: (config: ResolvedConfig) => Policy, added: Tree) => {
  const config = installationOf(merge(componentLayers.admission, added))
  const { metadata, spec } = policyObject(config, policyOf(config))
  return { name: metadata?.name ?? "", variables: spec?.variables }
}

/** Patches that tell the policies of the component `admission` what this layer adds. */
const policyPatches: ReadonlyArray<ObjectPatch> = [podPolicy, referencePolicy].flatMap((policyOf) => {
  const [alone, { name, variables }] = [variablesOf(policyOf, {}), variablesOf(policyOf, layer)]
  return Equal.equals(alone.variables, variables)
    ? []
    : [{ apiVersion: "admissionregistration.k8s.io/v1", kind: "ValidatingAdmissionPolicy", metadata: { name }, spec: { variables } }]
})

export const nodeCache: Component = {
  name: "node-cache",
  does:
    "Mounts a directory of each node, which the Pods of all tasks there share. It holds states that the server did not take, encrypted; nothing uses it as a cache of providers and engines yet.",
  adapt: [
    "Needs the directory /var/cache/agent-job on every node, writable by user 1001. Not beside persistence, in whose place it comes.",
    "Pod Security refuses hostPath below privileged, so the tasks' namespace becomes that; the Pods stay as they are otherwise."
  ],
  layer,
  ifThere: [
    { apiVersion: "v1", kind: "Namespace", metadata: { name: "agent-job-tasks", labels: privileged } },
    ...policyPatches
  ]
}
