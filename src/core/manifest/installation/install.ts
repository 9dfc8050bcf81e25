// Everything an installation consists of, in an order in which it may be applied.
// Invariant: no two objects share kind, namespace and name. Each refers only to objects in this list or to objects that the values name.
// Used by cli/commands/render and generate.
import type {
  V1ConfigMap,
  V1Deployment,
  V1NetworkPolicy,
  V1PersistentVolumeClaim,
  V1PodDisruptionBudget,
  V1Role,
  V1RoleBinding,
  V1Secret,
  V1ServiceAccount,
  V1ValidatingAdmissionPolicy,
  V1ValidatingAdmissionPolicyBinding
} from "@kubernetes/client-node"
import { networkPolicies } from "../../network/network-policy.ts"
import type { ResolvedConfig } from "../../resolve/resolve.ts"
import { admissionPolicies } from "../admission/admission.ts"
import { trustConfigMaps } from "../certificates.ts"
import { configMap } from "./config-map.ts"
import { crd, type CustomResourceDefinition } from "./crd.ts"
import { deployment } from "./deployment.ts"
import { disruptionBudgets } from "./disruption-budget.ts"
import { rbac } from "./rbac.ts"
import { controllerAccount, identityAccounts, taskAccount } from "./service-account.ts"
import { tokenSecret } from "./token-secret.ts"
import { volumeClaim } from "./volume-claim.ts"

export type InstalledObject =
  | CustomResourceDefinition
  | V1ServiceAccount
  | V1Role
  | V1RoleBinding
  | V1Secret
  | V1ConfigMap
  | V1PersistentVolumeClaim
  | V1NetworkPolicy
  | V1PodDisruptionBudget
  | V1ValidatingAdmissionPolicy
  | V1ValidatingAdmissionPolicyBinding
  | V1Deployment

export const install = (config: ResolvedConfig): ReadonlyArray<InstalledObject> => [
  crd(),
  ...controllerAccount(config),
  taskAccount(config),
  ...identityAccounts(config),
  ...rbac(config),
  ...tokenSecret(config),
  configMap(config),
  ...trustConfigMaps(config),
  ...volumeClaim(config),
  ...networkPolicies(config),
  ...disruptionBudgets(config),
  ...admissionPolicies(config),
  deployment(config)
]
