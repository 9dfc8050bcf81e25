// A ValidatingAdmissionPolicy for one namespace. Like most, it has no `reason`, so the API server denies with 422, not 403.
// The policy is in force when the effect completes, and is removed with the scope.
// Used by the *.cluster.test.ts files of this folder and of controller.
import { Effect, Schedule } from "effect"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { admissionPolicyKinds, configMaps } from "../../src/kubernetes/kinds.ts"

/** The message of the policy for each object that it denies. */
export const policyWords = "not on Fridays"

/** Denies the Jobs, Leases, Secrets and ConfigMaps of these names. */
export const denyingPolicy = Effect.fnUntraced(function*(namespace: string, names: ReadonlyArray<string>) {
  const kubernetes = yield* Kubernetes
  const name = `denying.${namespace}`
  const resourceRules = [{
    apiGroups: ["", "batch", "coordination.k8s.io"],
    apiVersions: ["*"],
    operations: ["CREATE", "UPDATE"],
    resources: ["jobs", "leases", "secrets", "configmaps"]
  }]
  const namespaceSelector = { matchLabels: { "kubernetes.io/metadata.name": namespace } }
  const { ValidatingAdmissionPolicy: policies, ValidatingAdmissionPolicyBinding: bindings } = admissionPolicyKinds
  const lift = Effect.andThen(Effect.ignore(kubernetes.delete(bindings, { name })), Effect.ignore(kubernetes.delete(policies, { name })))
  yield* Effect.acquireRelease(
    Effect.andThen(
      kubernetes.create(policies, {
        metadata: { name },
        spec: {
          matchConstraints: { namespaceSelector, resourceRules },
          validations: [{ expression: `!(object.metadata.name in ${JSON.stringify([name, ...names])})`, message: policyWords }]
        }
      }),
      kubernetes.create(bindings, { metadata: { name }, spec: { policyName: name, validationActions: ["Deny"] } })
    ),
    () => lift
  )
  const probe = kubernetes.create(configMaps, { metadata: { name, namespace } })
  yield* Effect.match(probe, { onSuccess: () => "", onFailure: ({ message }) => message }).pipe(
    Effect.repeat({ until: (_) => _.includes(policyWords), schedule: Schedule.spaced("100 millis"), times: 200 })
  )
  return { lift }
})
