// Looks at what is installed: the definition, the policies, the rights of the accounts, the namespace, the nodes.
// Invariant: it changes nothing. What this login may not read becomes a check with the outcome unknown, and the other checks go on.
// Used by examination.
import { Effect, Equal, Option, Schema } from "effect"
import type { Check } from "../core/doctor.ts"
import * as judge from "../core/doctor.ts"
import { userOf } from "../core/manifest/admission-policy.ts"
import { admissionPolicies } from "../core/manifest/admission.ts"
import { crd } from "../core/manifest/crd.ts"
import { grants } from "../core/manifest/rbac.ts"
import type { ResolvedConfig } from "../core/resolve.ts"
import { Kubernetes } from "../kubernetes/client.ts"
import type { KubernetesError } from "../kubernetes/errors.ts"
import { find } from "../kubernetes/find.ts"
import { accessReviews, admissionPolicyKinds, definitions, namespaces, networkPolicies, nodes } from "../kubernetes/kinds.ts"
import { isTree } from "../schema/layers.ts"
import { orUnknown } from "./doctor-unknown.ts"

type Look<A> = Effect.Effect<A, KubernetesError, Kubernetes>

/** Reports whether `found` has all that `wanted` has. Further fields of `found` are ignored, because the API server adds some by itself. */
const says = (found: unknown, wanted: unknown): boolean => {
  if (Array.isArray(wanted)) {
    return Array.isArray(found) && found.length === wanted.length && wanted.every((_, index) => says(found[index], _))
  }
  return isTree(wanted)
    ? isTree(found) && Object.entries(wanted).every(([key, value]) => says(found[key], value))
    : Equal.equals(found, wanted)
}

const definition: Look<Check> = Effect.gen(function*() {
  const wanted = crd()
  return judge.definition(
    Option.map(yield* find(definitions, { name: wanted.metadata.name }), (found) => ({ differs: !says(found["spec"], wanted.spec) }))
  )
})

const isPolicy = (kind: string): kind is keyof typeof admissionPolicyKinds => Object.hasOwn(admissionPolicyKinds, kind)

const admission = Effect.fnUntraced(function*(config: ResolvedConfig) {
  const [missing, weaker]: [Array<string>, Array<string>] = [[], []]
  for (const { kind = "", metadata, spec } of admissionPolicies(config)) {
    const name = metadata?.name ?? ""
    const found = isPolicy(kind) ? yield* find(admissionPolicyKinds[kind], { name }) : Option.none()
    if (Option.isNone(found)) missing.push(`${kind} ${name}`)
    else if (!says(found.value["spec"], spec)) weaker.push(`${kind} ${name}`)
  }
  return judge.admission(config, missing, weaker)
})

const Answer = Schema.Struct({ status: Schema.Struct({ allowed: Schema.Boolean }) })
const decodeAnswer = Schema.decodeUnknownOption(Answer)

interface Question {
  readonly verb: string
  readonly group: string
  readonly resource: string
  readonly subresource?: string
  readonly namespace: string
  readonly name?: string
}

const inWords = ({ namespace, resource, subresource, verb }: Question): string =>
  `${verb} ${resource}${subresource === undefined ? "" : `/${subresource}`} in ${namespace}`

const may = (user: string, namespace: string, question: Question): Look<boolean> =>
  Effect.flatMap(
    Kubernetes,
    (kubernetes) =>
      kubernetes.review(accessReviews, {
        spec: {
          user,
          groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
          resourceAttributes: question
        }
      })
  ).pipe(
    Effect.map((answer) => Option.match(decodeAnswer(answer), { onNone: () => false, onSome: ({ status }) => status.allowed }))
  )

/** The permissions that neither account may have in a namespace of the installation, because each would make all other limits worthless. */
const never = (namespace: string): ReadonlyArray<Question> => [
  ...["get", "list", "watch"].map((verb) => ({ verb, group: "", resource: "secrets", namespace })),
  ...["exec", "attach", "ephemeralcontainers"].map((subresource) => ({
    verb: subresource === "ephemeralcontainers" ? "patch" : "create",
    group: "",
    resource: "pods",
    subresource,
    namespace
  })),
  { verb: "create", group: "", resource: "pods", namespace },
  { verb: "create", group: "", resource: "serviceaccounts", subresource: "token", namespace }
]

const rights = Effect.fnUntraced(function*(config: ResolvedConfig, account: { readonly name: string; readonly namespace: string }) {
  const user = userOf(account.namespace, account.name)
  const wanted = grants(config).filter(({ to }) => to.name === account.name && to.namespace === account.namespace).flatMap((
    { namespace, rights }
  ) =>
    rights.flatMap(({ apiGroup, names = [undefined], resources, verbs }) =>
      resources.flatMap((path) =>
        verbs.flatMap((verb) =>
          names.map((name): Question => {
            const [resource = "", subresource] = path.split("/")
            return {
              verb,
              group: apiGroup,
              resource,
              namespace,
              ...(subresource !== undefined && { subresource }),
              ...(name !== undefined && { name })
            }
          })
        )
      )
    )
  )
  const those = (questions: ReadonlyArray<Question>, allowed: boolean) =>
    Effect.map(
      Effect.forEach(questions, (question) =>
        Effect.map(may(user, account.namespace, question), (is) => is === allowed ? [inWords(question)] : []), { concurrency: 8 }),
      (_) =>
        _.flat()
    )
  const spaces = [...new Set([config.namespace, config.taskNamespace])]
  return judge.rights(`${account.namespace}/${account.name}`, yield* those(wanted, false), yield* those(spaces.flatMap(never), true))
})

const podSecurity = ({ taskNamespace }: ResolvedConfig): Look<Check> =>
  Effect.map(
    find(namespaces, { name: taskNamespace }),
    (found) =>
      judge.podSecurity(taskNamespace, Option.match(found, { onNone: () => ({}), onSome: ({ metadata }) => metadata.labels ?? {} }))
  )

const Features = Schema.Struct({
  status: Schema.Struct({
    runtimeHandlers: Schema.Array(
      Schema.Struct({
        name: Schema.String,
        features: Schema.optionalKey(Schema.Struct({ userNamespaces: Schema.optionalKey(Schema.Boolean) }))
      })
    )
  })
})
const decodeFeatures = Schema.decodeUnknownOption(Features)

/** Counts the nodes that support user namespaces in the runtime handler that is named like the tasks' runtime class. */
const userNamespaces = ({ task: { pod, userNamespaces } }: ResolvedConfig): Look<Check> =>
  Effect.flatMap(Kubernetes, (kubernetes) => kubernetes.list(nodes)).pipe(Effect.map(({ items }) => {
    const able = items.filter((node) =>
      Option.exists(
        decodeFeatures(node),
        ({ status }) =>
          status.runtimeHandlers.some(({ features, name }) => name === pod.runtimeClassName && features?.userNamespaces === true)
      )
    )
    return judge.userNamespaces(userNamespaces, items.length, able.length)
  }))

const told = (name: string, look: Look<Check>) => orUnknown(name)(Effect.map(look, (check) => [check]))

export const examineObjects = (config: ResolvedConfig): Look<ReadonlyArray<Check>> =>
  Effect.map(
    Effect.all([
      told("the CustomResourceDefinition", definition),
      told("admission policies", admission(config)),
      told("what the controller may do", rights(config, { name: config.account.name, namespace: config.namespace })),
      told("what tasks may do", rights(config, { name: config.taskAccountName, namespace: config.taskNamespace })),
      told("Pod Security of the tasks' namespace", podSecurity(config)),
      told("user namespaces", userNamespaces(config))
    ]),
    (checks) => checks.flat()
  )

const Closing = Schema.Struct({
  spec: Schema.Struct({
    podSelector: Schema.Record(Schema.String, Schema.Unknown),
    policyTypes: Schema.optionalKey(Schema.Array(Schema.String))
  })
})
const decodeClosing = Schema.decodeUnknownOption(Closing)

/** Reports whether a NetworkPolicy restricts the egress of all Pods of the tasks' namespace, as component restricted-egress does. */
export const isClosedWhole = ({ taskNamespace: namespace }: ResolvedConfig): Look<boolean> =>
  Effect.flatMap(Kubernetes, (kubernetes) => kubernetes.list(networkPolicies, { namespace })).pipe(
    Effect.map(({ items }) =>
      items.some((item) =>
        Option.exists(
          decodeClosing(item),
          ({ spec: { podSelector, policyTypes = [] } }) => Object.keys(podSelector).length === 0 && policyTypes.includes("Egress")
        )
      )
    )
  )
