// Looks at what is installed: the definition, the policies, the rights of the accounts, the namespace, the nodes.
// Invariant: it changes nothing. What this login may not read becomes a check with the outcome unknown, and the other checks go on.
// Used by examination.
import { Effect, Equal, Option, Schema, Stream } from "effect"
import { type Check, type CheckName, checkNames } from "../../core/doctor/check.ts"
import { compared } from "../../core/doctor/crd-growth.ts"
import * as judge from "../../core/doctor/installation.ts"
import { noRuntimeClass, userNamespaces as ofNodes } from "../../core/doctor/user-namespaces.ts"
import { userOf } from "../../core/manifest/admission/admission-policy.ts"
import { admissionPolicies } from "../../core/manifest/admission/admission.ts"
import { controllerName } from "../../core/manifest/controller-names.ts"
import { crdName } from "../../core/manifest/installation/crd.ts"
import { type Account, type Grant, grants } from "../../core/manifest/installation/rbac.ts"
import type { ResolvedConfig } from "../../core/resolve/resolve.ts"
import { accountNames } from "../../core/task/identity.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import type { KubernetesError } from "../../kubernetes/errors.ts"
import { find } from "../../kubernetes/find.ts"
import {
  accessReviews,
  admissionPolicyKinds,
  decoding,
  definitions,
  deployments,
  namespaces,
  nodes,
  runtimeClasses,
  serviceAccounts
} from "../../kubernetes/kinds.ts"
import type { KubernetesObject } from "../../kubernetes/object.ts"
import { isTree } from "../../schema/document/layers.ts"
import { decodedAs, orUnknown } from "./doctor-unknown.ts"

type Look<A> = Effect.Effect<A, KubernetesError, Kubernetes>

/** Reports whether `found` has all that `wanted` has. Further fields of `found` are ignored, because the API server adds some by itself. */
const contains = (found: unknown, wanted: unknown): boolean => {
  if (Array.isArray(wanted)) {
    return Array.isArray(found) && found.length === wanted.length && wanted.every((_, index) => contains(found[index], _))
  }
  return isTree(wanted)
    ? isTree(found) && Object.entries(wanted).every(([key, value]) => contains(found[key], value))
    : Equal.equals(found, wanted)
}

const isLeaving = ({ metadata }: KubernetesObject): boolean => metadata.deletionTimestamp !== undefined

const definition: Look<Check> = Effect.map(
  find(definitions, { name: crdName }),
  (found) => judge.definition(Option.map(found, (crd) => ({ ...compared(crd["spec"]), isLeaving: isLeaving(crd) })))
)

const isPolicy = (kind: string): kind is keyof typeof admissionPolicyKinds => Object.hasOwn(admissionPolicyKinds, kind)

const admission = Effect.fnUntraced(function*(config: ResolvedConfig) {
  const [missing, weaker]: [Array<string>, Array<string>] = [[], []]
  for (const { kind = "", metadata, spec } of admissionPolicies(config)) {
    const name = metadata?.name ?? ""
    const found = isPolicy(kind) ? yield* find(admissionPolicyKinds[kind], { name }) : Option.none()
    if (Option.isNone(found)) missing.push(`${kind} ${name}`)
    else if (!contains(found.value["spec"], spec)) weaker.push(`${kind} ${name}`)
  }
  return judge.admission(config, { missing, weaker })
})

const Answer = Schema.Struct({ status: Schema.Struct({ allowed: Schema.Boolean }) })
const decodeAnswer = decodedAs(Answer, { verb: "create", object: accessReviews.kind })

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

const may = ({ name, namespace }: Account, question: Question): Look<boolean> =>
  Effect.flatMap(
    Kubernetes,
    (kubernetes) =>
      kubernetes.review(accessReviews, {
        spec: {
          user: userOf(namespace, name),
          groups: ["system:serviceaccounts", `system:serviceaccounts:${namespace}`, "system:authenticated"],
          resourceAttributes: question
        }
      })
  ).pipe(Effect.flatMap(decodeAnswer), Effect.map(({ status }) => status.allowed))

/** The requests that run a command in a Pod, by subresource. Over WebSocket, exec and attach are opened by a GET, which is the verb get. */
const intoPods = { exec: ["create", "get"], attach: ["create", "get"], ephemeralcontainers: ["patch", "update"] } as const

/** The permissions that neither account may have in a namespace of the installation, because each would make all other limits worthless. */
const forbiddenPermissions = (namespace: string): ReadonlyArray<Question> => [
  ...["get", "list", "watch"].map((verb) => ({ verb, group: "", resource: "secrets", namespace })),
  ...Object.entries(intoPods).flatMap(([subresource, verbs]) =>
    verbs.map((verb) => ({ verb, group: "", resource: "pods", subresource, namespace }))
  ),
  { verb: "create", group: "", resource: "pods", namespace },
  { verb: "create", group: "", resource: "serviceaccounts", subresource: "token", namespace }
]

/** Returns the requests that a grant allows. */
const allowedBy = ({ namespace, rights }: Grant): ReadonlyArray<Question> =>
  rights.flatMap(({ apiGroup: group, names, resources, verbs }) =>
    resources.flatMap((path) => {
      const [resource = "", subresource] = path.split("/")
      const about = { group, resource, namespace, ...(subresource !== undefined && { subresource }) }
      return verbs.flatMap((verb) => names?.map((name) => ({ verb, ...about, name })) ?? [{ verb, ...about }])
    })
  )

const isOf = ({ name, namespace }: Account) => ({ to }: Grant): boolean => to.some((_) => _.name === name && _.namespace === namespace)

/** Returns in words those of the requests that the account may make, or those that it may not. */
const those = (account: Account, allowed: boolean, questions: ReadonlyArray<Question>): Look<ReadonlyArray<string>> =>
  Effect.filter(questions, (question) => Effect.map(may(account, question), (is) => is === allowed), { concurrency: 8 }).pipe(
    Effect.map((found) => found.map(inWords))
  )

const rightsOf = Effect.fnUntraced(function*(config: ResolvedConfig, account: Account) {
  const spaces = [...new Set([config.namespace, config.taskNamespace])]
  return {
    account: `${account.namespace}/${account.name}`,
    lacking: yield* those(account, false, grants(config).filter(isOf(account)).flatMap(allowedBy)),
    excess: yield* those(account, true, spaces.flatMap(forbiddenPermissions))
  }
})

/** Finds out which accounts of tasks there are. */
const accountsOfTasks = (config: ResolvedConfig): Look<Check> =>
  Effect.filter(
    accountNames(config),
    (name) => Effect.map(find(serviceAccounts, { name, namespace: config.taskNamespace }), Option.isNone)
  ).pipe(Effect.map((missing) => judge.accountsOfTasks(config, missing)))

const podSecurity = ({ taskNamespace }: ResolvedConfig): Look<Check> =>
  Effect.map(
    find(namespaces, { name: taskNamespace }),
    (found) => judge.podSecurity(taskNamespace, Option.map(found, (_) => ({ labels: _.metadata.labels ?? {}, isLeaving: isLeaving(_) })))
  )

const Deployment = Schema.Struct({
  spec: Schema.Struct({
    template: Schema.Struct({
      spec: Schema.Struct({ containers: Schema.Array(Schema.Struct({ name: Schema.String, image: Schema.optionalKey(Schema.String) })) })
    })
  })
})

const workerImage = (config: ResolvedConfig): Look<Check> =>
  Effect.map(
    find(decoding(deployments, Deployment), { name: controllerName(config), namespace: config.namespace }),
    (found) =>
      judge.workerImage(
        config,
        Option.flatMap(
          found,
          ({ spec: { template } }) => Option.fromUndefinedOr(template.spec.containers.find(({ name }) => name === "controller")?.image)
        )
      )
  )

const Node = Schema.Struct({
  spec: Schema.optionalKey(Schema.Struct({
    taints: Schema.optionalKey(Schema.Array(Schema.Struct({
      key: Schema.String,
      value: Schema.optionalKey(Schema.String),
      effect: Schema.String
    })))
  })),
  status: Schema.optionalKey(Schema.Struct({
    runtimeHandlers: Schema.optionalKey(Schema.Array(Schema.Struct({
      name: Schema.String,
      features: Schema.optionalKey(Schema.Struct({ userNamespaces: Schema.optionalKey(Schema.Boolean) }))
    })))
  }))
})
const decodeNode = decodedAs(Node, { verb: "list", object: "Nodes" })

const RuntimeClass = Schema.Struct({
  handler: Schema.String,
  scheduling: Schema.optionalKey(Schema.Struct({
    nodeSelector: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
    tolerations: Schema.optionalKey(Schema.Array(Schema.Struct({
      key: Schema.optionalKey(Schema.String),
      operator: Schema.optionalKey(Schema.String),
      value: Schema.optionalKey(Schema.String),
      effect: Schema.optionalKey(Schema.String)
    })))
  }))
})
type RuntimeClass = typeof RuntimeClass.Type

/** Returns the RuntimeClass of the tasks. Without a name, Pods use the default handler of their node, whose name is empty. */
const runtimeClassOf = (name: string): Look<Option.Option<RuntimeClass>> =>
  name === "" ? Effect.succeedSome({ handler: "" }) : find(decoding(runtimeClasses, RuntimeClass), { name })

/** Finds out which nodes support user namespaces in the handler that the tasks' RuntimeClass names. */
const userNamespaces = Effect.fnUntraced(function*(config: ResolvedConfig) {
  const { runtimeClassName } = config.task.pod
  const runtimeClass = yield* runtimeClassOf(runtimeClassName)
  if (Option.isNone(runtimeClass)) return noRuntimeClass(runtimeClassName)
  const { handler, scheduling = {} } = runtimeClass.value
  const found = yield* Stream.runCollect((yield* Kubernetes).listAll(nodes))
  const seen = yield* Effect.forEach(found, (node) =>
    Effect.map(decodeNode(node), ({ spec, status }) => ({
      labels: node.metadata.labels ?? {},
      taints: spec?.taints ?? [],
      able: (status?.runtimeHandlers ?? []).some(({ features, name }) => name === handler && features?.userNamespaces === true)
    })))
  return ofNodes(config, { scheduling, nodes: seen })
})

const checkOrUnknown = (name: CheckName, look: Look<Check>) => orUnknown(name)(Effect.map(look, (check) => [check]))

const rightsOrUnknown = (
  config: ResolvedConfig,
  name: Parameters<typeof judge.rights>[0],
  namespace: string,
  accounts: ReadonlyArray<string>
) =>
  checkOrUnknown(
    name,
    Effect.map(Effect.forEach(accounts, (name) => rightsOf(config, { name, namespace })), (found) => judge.rights(name, found))
  )

export const examineObjects = (config: ResolvedConfig): Look<ReadonlyArray<Check>> =>
  Effect.map(
    Effect.all([
      checkOrUnknown(checkNames.definition, definition),
      checkOrUnknown(checkNames.admission, admission(config)),
      rightsOrUnknown(config, checkNames.rightsOfController, config.namespace, [config.account.name]),
      rightsOrUnknown(config, checkNames.rightsOfTasks, config.taskNamespace, accountNames(config)),
      checkOrUnknown(checkNames.accountsOfTasks, accountsOfTasks(config)),
      checkOrUnknown(checkNames.podSecurity, podSecurity(config)),
      checkOrUnknown(checkNames.workerImage, workerImage(config)),
      checkOrUnknown(checkNames.userNamespaces, userNamespaces(config))
    ]),
    (checks) => checks.flat()
  )
