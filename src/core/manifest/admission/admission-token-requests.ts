// Limits tokens of the tasks' account to kubelets, for the Pods on their nodes.
// Anybody else who may request tokens could get one that names a Pod, and write the status as that Pod's worker.
// Used by core/manifest/admission/admission.
import type { ResolvedConfig } from "../../resolve/resolve.ts"
import { cel, type Policy } from "./admission-policy.ts"

export const tokenRequestPolicy = ({ taskAccountName }: ResolvedConfig): Policy => ({
  name: "task-token-requests",
  rules: [{ apiGroups: [""], apiVersions: ["*"], resources: ["serviceaccounts/token"], operations: ["CREATE"] }],
  inTaskNamespace: true,
  matchCondition: { name: "for-a-task", expression: `request.name == ${cel(taskAccountName)}` },
  checks: [{
    expression: "request.userInfo.?groups.orValue([]).exists(group, group == 'system:nodes')",
    message: "only a kubelet gets a token of the account of tasks, for a Pod of its node"
  }]
})
