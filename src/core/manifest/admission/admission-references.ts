// What an AgentTask may name: objects, which the kubelet gives to its Pod, owners, and the keys in its template.
// Invariant: only the controller names a pool task's token Secret and the URL that gets it; nobody names the installation's own objects.
// Used by core/manifest/admission/admission.
import type { ResolvedConfig } from "../../resolve/resolve.ts"
import { tokenSecretPattern } from "../../task/intake.ts"
import { type MarkedPart, markedParts, refusalOf } from "../../task/template-keys.ts"
import { ownClaims, ownSecrets } from "../own-objects.ts"
import { byController, cel, type Check, onCreate, type Policy } from "./admission-policy.ts"

/**
 * Returns the check that every name in `names`, a CEL list, matches one of the patterns. A pattern is a name, or a prefix followed by `*`.
 * Returns no check if `*` alone is a pattern, which allows every name.
 */
const among = (what: string, names: string, patterns: ReadonlyArray<string>): ReadonlyArray<Check> =>
  patterns.includes("*") ? [] : [{
    expression: `${names}.all(name, ${
      cel(patterns)
    }.exists(p, p.endsWith('*') ? name.startsWith(p.substring(0, size(p) - 1)) : name == p))`,
    message: `an AgentTask may name only these ${what}: ${patterns.join(", ") || "none"} (values, admissionPolicies)`
  }]

/** Returns a CEL list of the name at a path below the spec. The list is empty if the task has no such name. */
const at = (path: string): string => `object.spec.${path}.hasValue() ? [object.spec.${path}.value()] : []`

/**
 * A CEL list of the AgentTask owners that the request adds: only attempts at a source have such owners. Other changes, such as those that
 * Kubernetes makes when an owner is deleted, stay possible.
 */
const newOwners =
  "object.metadata.?ownerReferences.orValue([]).filter(o, o.kind == 'AgentTask' && (request.operation == 'CREATE' || !oldObject.metadata.?ownerReferences.orValue([]).exists(was, was.uid == o.uid && was.?controller == o.?controller)))"

const secretNames = "object.spec.?variables.orValue([]).filter(v, has(v.valueFrom)).map(v, v.valueFrom.secretKeyRef.name)"

const claimNames = `(object.spec.?jobTemplate.?volumeClaims.orValue([]).map(c, c.claimName) + (${at("?savePlan.?claimName")}) + (${
  at("?source.?savedPlan.?claimName")
}))`

const strangeKeys = (part: MarkedPart): string => `strange_${part.replaceAll(".", "_")}`

/** Returns a CEL list of the keys with a prefix that the task's template sets and the values do not allow. */
const strange = (part: MarkedPart): string =>
  `object.spec.?jobTemplate.?${
    part.replaceAll(".", ".?")
  }.orValue({}).filter(key, key.contains('/') && !variables.allowedKeys.exists(one, one.endsWith('/') ? key.startsWith(one) : key == one))`

const allowedOnly = (part: MarkedPart): Check => {
  const { after, before } = refusalOf(part)
  return {
    expression: `size(variables.${strangeKeys(part)}) == 0`,
    message: `the keys of spec.jobTemplate.${part} have no prefix, or are among the allowed keys (task.allowedKeys)`,
    messageExpression: `${cel(before)} + variables.${strangeKeys(part)}.min() + ${cel(after)}`
  }
}

export const referencePolicy = (config: ResolvedConfig): Policy => {
  const { configMaps = ["*"], persistentVolumeClaims = ["*"], secrets = ["*"] } = config.admissionPolicies ?? {}
  return {
    name: "task-references",
    rules: [{ apiGroups: ["scalr.io"], apiVersions: ["*"], resources: ["atasks"], operations: ["CREATE", "UPDATE"] }],
    inTaskNamespace: true,
    variables: {
      ownSecrets: cel(ownSecrets(config)),
      ownClaims: cel(ownClaims(config)),
      allowedKeys: cel(config.policy.allowedKeys),
      ...Object.fromEntries(markedParts.map((part) => [strangeKeys(part), strange(part)]))
    },
    checks: [
      ...[
        {
          expression: `!has(object.spec.pool) || ${byController(config)}`,
          message: "spec.pool is for tasks that the controller makes for its pool"
        },
        {
          expression: `${secretNames}.all(name, !name.matches(${cel(tokenSecretPattern)}))`,
          message: "no AgentTask gets the token of a pool's task as a variable; give the Secret another name"
        },
        {
          expression: `${secretNames}.all(name, !(name in variables.ownSecrets))`,
          message:
            "no AgentTask gets a Secret as a variable that the installation has for itself, for its certificate, its images, its mirrors or its tokens; put the value into another Secret"
        },
        {
          expression: `${claimNames}.all(name, !(name in variables.ownClaims))`,
          message:
            "no AgentTask names a claim that the installation has for itself, such as the one that all tasks share; make another one for its state or its plans"
        },
        ...markedParts.map(allowedOnly),
        ...among("Secrets", secretNames, secrets),
        ...among("ConfigMaps", `(${at("?source.?configMap.?name")})`, configMaps),
        ...among("PersistentVolumeClaims", claimNames, persistentVolumeClaims)
      ].map(onCreate),
      {
        expression: `${byController(config)} || size(${newOwners}) == 0`,
        message: "an AgentTask that belongs to another one is an attempt, which the controller makes; leave out metadata.ownerReferences"
      }
    ]
  }
}
