// A ValidatingAdmissionPolicy and its binding: conditions in CEL that the API server itself enforces, without a webhook.
// Invariant: installations never share this cluster-wide object: its name has the installation and the namespace of tasks. It fails closed.
// Used by core/manifest/admission/admission and the policies beside it.
import type {
  V1NamedRuleWithOperations,
  V1ValidatingAdmissionPolicy,
  V1ValidatingAdmissionPolicyBinding,
  V1Variable
} from "@kubernetes/client-node"
import type { ResolvedConfig } from "../../resolve/resolve.ts"
import { accountNames } from "../../task/identity.ts"
import { labels } from "../labels.ts"

export interface Check {
  /** A CEL expression that is true for every request that the policy admits. */
  readonly expression: string
  /** What the API server answers if the expression is false. */
  readonly message: string
  /** A CEL expression of a better message, if the request itself has to be in it. */
  readonly messageExpression?: string
}

/** Returns the check for creations only, for a policy that sees updates too. */
export const onCreate = ({ expression, ...said }: Check): Check => ({
  expression: `request.operation != 'CREATE' || (${expression})`,
  ...said
})

export interface Policy {
  /** The part of the object's name between the installation's name and the tasks' namespace. */
  readonly name: string
  readonly rules: ReadonlyArray<V1NamedRuleWithOperations>
  /** Whether the policy applies in the tasks' namespace only. If false, it applies wherever the rules match. */
  readonly inTaskNamespace: boolean
  /** A condition in CEL that a matching request must meet for the checks to apply. Absent: they apply to every matching request. */
  readonly matchCondition?: { readonly name: string; readonly expression: string }
  readonly variables?: Readonly<Record<string, string>>
  readonly checks: ReadonlyArray<Check>
}

/** Returns a string, a list of strings, or a map of such lists as a CEL literal. */
export const cel = (value: string | ReadonlyArray<string> | Readonly<Record<string, ReadonlyArray<string>>>): string =>
  JSON.stringify(value)

/** Returns the user name that the API server gives a service account. */
export const userOf = (namespace: string, account: string): string => `system:serviceaccount:${namespace}:${account}`

/** Returns the CEL condition that an expression is one of these texts, which are at least one. */
export const isOneOf = (expression: string, texts: ReadonlyArray<string>): string =>
  `${expression} ${texts.length === 1 ? `== ${cel(texts[0] ?? "")}` : `in ${cel(texts)}`}`

/** Returns the CEL condition that one of the service accounts makes the request. */
const byOneOf = (namespace: string, accounts: ReadonlyArray<string>): string =>
  isOneOf("request.userInfo.username", accounts.map((account) => userOf(namespace, account)))

export const byController = ({ account, namespace }: ResolvedConfig): string => byOneOf(namespace, [account.name])

export const byTask = (config: ResolvedConfig): string => byOneOf(config.taskNamespace, accountNames(config))

/** Returns the CEL condition that the object, itself a CEL expression, has these labels. */
export const hasLabels = (object: string, wanted: Readonly<Record<string, string>>): string =>
  Object.entries(wanted).map(([key, value]) => `${object}.metadata.?labels[?${cel(key)}].orValue('') == ${cel(value)}`).join(" && ")

const metadataOf = (config: ResolvedConfig, name: string) => ({
  name: `${config.name}-${name}.${config.taskNamespace}`,
  labels: { ...config.objectLabels, ...labels(config, "task") },
  ...(Object.keys(config.objectAnnotations).length > 0 && { annotations: config.objectAnnotations })
})

const variablesOf = (variables: Readonly<Record<string, string>>): Array<V1Variable> =>
  Object.entries(variables).map(([name, expression]) => ({ name, expression }))

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
    ...(policy.matchCondition !== undefined && { matchConditions: [policy.matchCondition] }),
    ...(policy.variables !== undefined && { variables: variablesOf(policy.variables) }),
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
