// Limits the Secrets that the controller writes to the tokens of tasks, because the response to a patch shows the whole Secret.
// Invariant: the controller changes only Secrets that are its own already, and makes none that Kubernetes fills, such as an account token.
// Used by core/manifest/admission/admission.
import { agentTaskResource } from "../../../schema/names.ts"
import type { ResolvedConfig } from "../../resolve/resolve.ts"
import { managedByUs } from "../labels.ts"
import { byController, cel, hasLabels, type Policy } from "./admission-policy.ts"

const { group, kind } = agentTaskResource

export const secretPolicy = (config: ResolvedConfig): Policy => ({
  name: "task-tokens",
  rules: [{ apiGroups: [""], apiVersions: ["*"], resources: ["secrets"], operations: ["CREATE", "UPDATE"] }],
  inTaskNamespace: true,
  matchCondition: { name: "by-the-controller", expression: byController(config) },
  variables: { secret: "request.operation == 'CREATE' ? object : oldObject" },
  checks: [{
    expression: [
      hasLabels("variables.secret", managedByUs),
      `variables.secret.metadata.?ownerReferences.orValue([]).exists(o, o.kind == ${cel(kind)} && o.apiVersion.startsWith(${
        cel(`${group}/`)
      }))`,
      "variables.secret.?type.orValue('') == 'Opaque'"
    ].join(" && "),
    message: "the controller writes the Secrets with the tokens of tasks and no other, since the answer shows what is in it"
  }]
})
