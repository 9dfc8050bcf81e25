// The policies by which the API server holds tasks and the controller to what they are for, whoever has a token or may make objects beside them.
// Used by core/manifest/install.
import type { V1ValidatingAdmissionPolicy, V1ValidatingAdmissionPolicyBinding } from "@kubernetes/client-node"
import type { ResolvedConfig } from "../resolve.ts"
import { jobPolicy, podPolicy } from "./admission-pods.ts"
import { bindingObject, policyObject } from "./admission-policy.ts"
import { referencePolicy } from "./admission-references.ts"
import { secretPolicy } from "./admission-secrets.ts"
import { statusPolicy } from "./admission-status.ts"
import { tokenRequestPolicy } from "./admission-token-requests.ts"

/** None unless the values ask for them. */
export const admissionPolicies = (
  config: ResolvedConfig
): ReadonlyArray<V1ValidatingAdmissionPolicy | V1ValidatingAdmissionPolicyBinding> =>
  config.admissionPolicies === undefined ? [] : [statusPolicy, jobPolicy, podPolicy, referencePolicy, secretPolicy, tokenRequestPolicy]
    .map((policyOf) => policyOf(config)).flatMap((policy) => [policyObject(config, policy), bindingObject(config, policy)])
