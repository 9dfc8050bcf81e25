// All admission policies: the API server holds tasks and the controller to their purpose, whoever has their tokens or may make objects.
// Used by core/manifest/installation/install, and by the doctor to compare.
import type { V1ValidatingAdmissionPolicy, V1ValidatingAdmissionPolicyBinding } from "@kubernetes/client-node"
import type { ResolvedConfig } from "../../resolve/resolve.ts"
import { jobPolicy, podPolicy } from "./admission-pods.ts"
import { bindingObject, policyObject } from "./admission-policy.ts"
import { referencePolicy } from "./admission-references.ts"
import { secretPolicy } from "./admission-secrets.ts"
import { statusPolicy } from "./admission-status.ts"
import { tokenRequestPolicy } from "./admission-token-requests.ts"

/** Returns every policy with its binding, or nothing unless the values ask for the policies. */
export const admissionPolicies = (
  config: ResolvedConfig
): ReadonlyArray<V1ValidatingAdmissionPolicy | V1ValidatingAdmissionPolicyBinding> =>
  config.admissionPolicies === undefined ? [] : [statusPolicy, jobPolicy, podPolicy, referencePolicy, secretPolicy, tokenRequestPolicy]
    .map((policyOf) => policyOf(config)).flatMap((policy) => [policyObject(config, policy), bindingObject(config, policy)])
