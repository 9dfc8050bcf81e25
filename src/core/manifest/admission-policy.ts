// A ValidatingAdmissionPolicy and what puts it into force: conditions in CEL that the API server itself holds, without a webhook.
// Invariant: named for installation and namespace of tasks, since policies have no namespace; two installations never share one. It fails closed.
// Used by core/manifest/admission and the policies beside it.
import type {
  V1NamedRuleWithOperations,
  V1ValidatingAdmissionPolicy,
  V1ValidatingAdmissionPolicyBinding,
  V1Variable
} from "@kubernetes/client-node"
import type { ResolvedConfig } from "../resolve.ts"
import { labels } from "./labels.ts"

export interface Check {
  /** CEL that holds for what is let through. */
  readonly expression: string
  /** What the writer is told else. */
  readonly message: string
}

/** The same for what is made, of a policy that sees changes too. */
export const onCreate = ({ expression, message }: Check): Check => ({
  expression: `request.operation != 'CREATE' || (${expression})`,
  message
})

export interface Policy {
  /** Of the policy, after the installation's name. */
  readonly name: string
  readonly rules: ReadonlyArray<V1NamedRuleWithOperations>
  /** Only in the namespace of tasks; else wherever the rules match. */
  readonly inTaskNamespace: boolean
  /** CEL: which of the requests that match are meant; absent: all. */
  readonly of?: { readonly name: string; readonly expression: string }
  readonly variables?: Readonly<Record<string, string>>
  readonly checks: ReadonlyArray<Check>
}

/** A text, or several, as CEL has them. */
export const cel = (value: string | ReadonlyArray<string>): string => JSON.stringify(value)

/** What the API server calls an account. */
export const userOf = (namespace: string, account: string): string => `system:serviceaccount:${namespace}:${account}`

const metadataOf = (config: ResolvedConfig, name: string) => ({
  name: `${config.name}-${name}.${config.taskNamespace}`,
  labels: { ...config.objectLabels, ...labels(config, "task") },
  ...(Object.keys(config.objectAnnotations).length > 0 && { annotations: config.objectAnnotations })
})

const variablesOf = ({ variables = {} }: Policy): { readonly variables?: Array<V1Variable> } =>
  Object.keys(variables).length === 0 ? {} : { variables: Object.entries(variables).map(([name, expression]) => ({ name, expression })) }

export const policyObject = (config: ResolvedConfig, policy: Policy): V1ValidatingAdmissionPolicy => ({
  apiVersion: "admissionregistration.k8s.io/v1",
  kind: "ValidatingAdmissionPolicy",
  metadata: metadataOf(config, policy.name),
  spec: {
    failurePolicy: "Fail",
    matchConstraints: {
      ...(policy.inTaskNamespace && { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": config.taskNamespace } } }),
      resourceRules: [...policy.rules]
    },
    ...(policy.of !== undefined && { matchConditions: [policy.of] }),
    ...variablesOf(policy),
    validations: policy.checks.map((check) => ({ ...check, reason: "Forbidden" }))
  }
})

export const bindingObject = (config: ResolvedConfig, policy: Policy): V1ValidatingAdmissionPolicyBinding => {
  const metadata = metadataOf(config, policy.name)
  return {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingAdmissionPolicyBinding",
    metadata,
    spec: { policyName: metadata.name, validationActions: ["Deny"] }
  }
}
