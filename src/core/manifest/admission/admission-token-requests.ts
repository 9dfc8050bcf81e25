// Limits tokens of the tasks' accounts to kubelets, for the Pods on their nodes, and to those whom the values name in their place.
// Anybody else who may request tokens could get one that names a Pod, and write the status as that Pod's worker.
// Used by core/manifest/admission/admission.
import type { ResolvedConfig } from "../../resolve/resolve.ts"
import { accountNames } from "../../task/identity.ts"
import { cel, isOneOf, type Policy } from "./admission-policy.ts"

const allowed = "for the Pods of their nodes, and those whom the values name (admissionPolicies.tokenRequesters)"

export const tokenRequestPolicy = (config: ResolvedConfig): Policy => ({
  name: "task-token-requests",
  rules: [{ apiGroups: [""], apiVersions: ["*"], resources: ["serviceaccounts/token"], operations: ["CREATE"] }],
  inTaskNamespace: true,
  matchCondition: { name: "for-a-task", expression: isOneOf("request.name", accountNames(config)) },
  variables: { requesters: cel(config.admissionPolicies?.tokenRequesters ?? []) },
  checks: [{
    expression:
      "request.userInfo.?username.orValue('') in variables.requesters || request.userInfo.?groups.orValue([]).exists(group, group == 'system:nodes' || group in variables.requesters)",
    message: `only kubelets get tokens of the account of tasks, ${allowed}`,
    messageExpression: `request.userInfo.?username.orValue('') + ${
      cel(` gets no token of the account of tasks: only kubelets do, ${allowed}`)
    }`
  }]
})
