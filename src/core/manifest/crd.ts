// The CustomResourceDefinition of AgentTask, made from the schema that decodes it, with the rules only an API server can hold.
// Invariant: what our decoder takes, the API server takes, and the other way round.
// Used by core/manifest/install; written to kustomize/crd by generate.
import { AgentTaskSpec, agentTaskTransitions, WritableStatus } from "../../schema/agent-task.ts"
import { agentTaskResource } from "../../schema/names.ts"
import { type Structural, structuralSchema } from "../../schema/structural.ts"
import { kept } from "./kept.ts"
import { managedByUs } from "./labels.ts"

/** As the API server wants it; the generated client's type has other names for some keys. */
export interface CustomResourceDefinition {
  readonly apiVersion: "apiextensions.k8s.io/v1"
  readonly kind: "CustomResourceDefinition"
  readonly metadata: {
    readonly name: string
    readonly labels: Readonly<Record<string, string>>
    readonly annotations: Readonly<Record<string, string>>
  }
  readonly spec: object
}

/** Of the whole object, root rules included. */
export const agentTaskOpenApi = (): Structural => ({
  description: "One stage of one run of OpenTofu or Terraform, carried out as a Job of its own.",
  type: "object",
  required: ["spec"],
  properties: {
    apiVersion: { type: "string" },
    kind: { type: "string" },
    metadata: { type: "object" },
    spec: structuralSchema(AgentTaskSpec),
    status: { ...structuralSchema(WritableStatus), default: { observedGeneration: -1, phase: "Pending" } }
  },
  ...agentTaskTransitions
})

const wide = 1

const { group, kind, plural, version } = agentTaskResource

const columns = [
  { name: "Workspace", type: "string", jsonPath: ".spec.workspace" },
  { name: "Stage", type: "string", jsonPath: ".spec.stage" },
  { name: "Phase", type: "string", jsonPath: ".status.phase" },
  { name: "Changes", type: "string", jsonPath: ".status.changes" },
  { name: "Reason", type: "string", jsonPath: ".status.reason" },
  { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  { name: "Job", type: "string", jsonPath: ".status.job.name", priority: wide },
  { name: "Pod", type: "string", jsonPath: ".status.pod.name", priority: wide },
  { name: "Node", type: "string", jsonPath: ".status.pod.node", priority: wide },
  { name: "Revision", type: "string", description: "Of the Flux source.", jsonPath: ".status.source.revision", priority: wide },
  { name: "Duration", type: "string", description: "From the claim to the end.", jsonPath: ".status.duration", priority: wide }
]

export const crdName = `${agentTaskResource.plural}.${agentTaskResource.group}`

export const crd = (): CustomResourceDefinition => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  // Kept, since every task would go with it, and what they run.
  metadata: { name: crdName, labels: { "app.kubernetes.io/name": "agent-job", ...managedByUs }, annotations: kept },
  spec: {
    group,
    scope: "Namespaced",
    names: { kind, listKind: `${kind}List`, plural, singular: "atask", shortNames: ["at"] },
    versions: [{
      name: version,
      served: true,
      storage: true,
      schema: { openAPIV3Schema: agentTaskOpenApi() },
      subresources: { status: {} },
      additionalPrinterColumns: columns
    }]
  }
})
