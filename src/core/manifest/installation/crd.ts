// The CustomResourceDefinition of AgentTask, generated from the schema that decodes it, with the rules that only an API server can enforce.
// Invariant: the API server and our decoder accept the same specs, except for the rules that only the API server has (schema/task/cel).
// Used by core/manifest/installation/install, and by the doctor to compare; written to kustomize/crd by generate.
import { agentTaskResource } from "../../../schema/names.ts"
import { AgentTaskSpec, agentTaskTransitions, WritableStatus } from "../../../schema/task/agent-task.ts"
import { type Structural, structuralSchema } from "../../../schema/task/structural.ts"
import { managedByUs } from "../labels.ts"
import { kept } from "./kept.ts"

/** The definition as the API server reads it. The generated client's type has other names for some keys. */
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

/** Returns the schema of the whole object, including the rules at its root. */
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

/** Returns how many fields a schema has, on all levels. Within v1 there are ever more, so a definition with fewer is an older one. */
const fieldsOf = ({ additionalProperties, items, properties = {} }: Structural): number =>
  [...Object.values(properties), ...[items, additionalProperties].filter((_) => _ !== undefined)].reduce(
    (sum, below) => sum + fieldsOf(below),
    Object.keys(properties).length
  )

/** Counts the fields of a schema in its title, for kustomize/guard, which cannot count them. */
const counted = (schema: Structural): Structural => ({ title: `${fieldsOf(schema)} fields`, ...schema })

const wideOnly = 1

const { group, kind, plural, version } = agentTaskResource

const columns = [
  { name: "Workspace", type: "string", jsonPath: ".spec.workspace" },
  { name: "Stage", type: "string", jsonPath: ".spec.stage" },
  { name: "Phase", type: "string", jsonPath: ".status.phase" },
  { name: "Changes", type: "string", jsonPath: ".status.changes" },
  { name: "Reason", type: "string", jsonPath: ".status.reason" },
  { name: "Age", type: "date", jsonPath: ".metadata.creationTimestamp" },
  { name: "Job", type: "string", jsonPath: ".status.job.name", priority: wideOnly },
  { name: "Pod", type: "string", jsonPath: ".status.pod.name", priority: wideOnly },
  { name: "Node", type: "string", jsonPath: ".status.pod.node", priority: wideOnly },
  { name: "Revision", type: "string", description: "Of the Flux source.", jsonPath: ".status.source.revision", priority: wideOnly },
  { name: "Duration", type: "string", description: "From the claim to the end.", jsonPath: ".status.duration", priority: wideOnly },
  { name: "Message", type: "string", jsonPath: ".status.message", priority: wideOnly }
]

export const crdName = `${plural}.${group}`

export const crd = (): CustomResourceDefinition => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  // Kept, because deleting the definition would delete every task, and what the tasks run.
  metadata: { name: crdName, labels: { "app.kubernetes.io/name": "agent-job", ...managedByUs }, annotations: kept },
  spec: {
    group,
    scope: "Namespaced",
    // kubectl prints a task as agenttask.scalr.io/NAME, and reads that only where a name of the resource is its kind.
    names: { kind, listKind: `${kind}List`, plural, singular: "atask", shortNames: ["at", "agenttask", "agenttasks"] },
    versions: [{
      name: version,
      served: true,
      storage: true,
      schema: { openAPIV3Schema: counted(agentTaskOpenApi()) },
      subresources: { status: {} },
      additionalPrinterColumns: columns
    }]
  }
})
