// Finds in the rendered objects what the facts are about: the controller, the task, what their containers get, and what they may reach.
// Used by compare.ts.
import type {
  V1ConfigMap,
  V1Container,
  V1Deployment,
  V1Job,
  V1NetworkPolicy,
  V1NetworkPolicyPort,
  V1ObjectMeta,
  V1PersistentVolumeClaim,
  V1PodSpec,
  V1PodTemplateSpec,
  V1Secret,
  V1ServiceAccount
} from "@kubernetes/client-node"
import { BlockList, isIPv6 } from "node:net"

interface Kinds {
  readonly ConfigMap: V1ConfigMap
  readonly Deployment: V1Deployment
  readonly Job: V1Job
  readonly NetworkPolicy: V1NetworkPolicy
  readonly PersistentVolumeClaim: V1PersistentVolumeClaim
  readonly Secret: V1Secret
  readonly ServiceAccount: V1ServiceAccount
}
export interface KubernetesObject {
  readonly kind: string
  readonly metadata: V1ObjectMeta
}
export type Objects = ReadonlyArray<KubernetesObject>

/** Returns the objects of a kind; the kind alone tells their type. */
export const ofKind = <K extends keyof Kinds>(objects: Objects, kind: K): ReadonlyArray<Kinds[K]> =>
  objects.filter((object) => object.kind === kind) as ReadonlyArray<Kinds[K]>
export const named = <A extends { readonly metadata?: V1ObjectMeta }>(all: ReadonlyArray<A>, name: string | undefined): A | undefined =>
  all.find(({ metadata }) => metadata?.name === name)

const component = "app.kubernetes.io/component"
export const controllerIn = (objects: Objects): V1Deployment | undefined =>
  ofKind(objects, "Deployment").find(({ metadata }) => metadata?.labels?.[component] === "controller")
export const taskIn = (objects: Objects): V1Job | undefined =>
  ofKind(objects, "Job").find(({ spec }) => containerOf(spec?.template.spec, "worker") !== undefined)

export const containersOf = (
  pod: V1PodSpec | undefined
): ReadonlyArray<V1Container> => [...pod?.containers ?? [], ...pod?.initContainers ?? []]
export const containerOf = (pod: V1PodSpec | undefined, name: string): V1Container | undefined =>
  containersOf(pod).find((container) => container.name === name)

/**
 * Returns a container's variables by name. The last one of a name wins, and one that comes from elsewhere is an object, which no values
 * file could give.
 */
export const environmentOf = ({ env = [] }: V1Container): Readonly<Record<string, unknown>> =>
  Object.fromEntries(env.map(({ name, value, valueFrom }) => [name, valueFrom ?? value ?? ""]))

/** Returns the decoded content of a Secret, by key. */
export const dataOf = ({ data = {}, stringData = {} }: V1Secret): Readonly<Record<string, string>> => ({
  ...Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, "base64").toString()])),
  ...stringData
})

/** Returns the keys of Secrets that a container gets as variables or in mounted volumes; no key means all keys of the Secret. */
export const secretsOf = (
  pod: V1PodSpec | undefined,
  { env = [], volumeMounts = [] }: V1Container
): ReadonlyArray<{ readonly name: string | undefined; readonly key?: string }> => {
  const mounted = (pod?.volumes ?? []).filter(({ name }) => volumeMounts.some((mount) => mount.name === name))
  const sources = mounted.flatMap(({ projected, secret }) => [
    ...secret === undefined ? [] : [{ name: secret.secretName, items: secret.items }],
    ...(projected?.sources ?? []).flatMap((source) =>
      source.secret === undefined ? [] : [{ name: source.secret.name, items: source.secret.items }]
    )
  ])
  return [
    ...env.flatMap(({ valueFrom }) =>
      valueFrom?.secretKeyRef === undefined ? [] : [{ name: valueFrom.secretKeyRef.name, key: valueFrom.secretKeyRef.key }]
    ),
    ...sources.flatMap(({ items, name }) => items === undefined ? [{ name }] : items.map(({ key }) => ({ name, key })))
  ]
}

/** Reports whether the API token is mounted by default: the Pod decides, else its service account. */
export const mountsTokenByItself = (objects: Objects, pod: V1PodSpec | undefined): boolean =>
  pod?.automountServiceAccountToken ??
    named(ofKind(objects, "ServiceAccount"), pod?.serviceAccountName ?? "default")?.automountServiceAccountToken ?? true

type Labels = Readonly<Record<string, string>>

const selects = (
  { matchExpressions = [], matchLabels = {} }: NonNullable<V1NetworkPolicy["spec"]>["podSelector"] = {},
  labels: Labels
): boolean =>
  Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
  matchExpressions.every(({ key, operator, values = [] }) => {
    const value = labels[key]
    if (operator === "In") return value !== undefined && values.includes(value)
    if (operator === "NotIn") return value === undefined || !values.includes(value)
    return (value !== undefined) === (operator === "Exists")
  })

const contains = (cidr: string, address: string): boolean => {
  const [network = "", bits] = cidr.split("/")
  const family = isIPv6(network) ? "ipv6" : "ipv4"
  if (isIPv6(address) !== (family === "ipv6")) return false
  const list = new BlockList()
  list.addSubnet(network, Number(bits), family)
  return list.check(address, family)
}

export interface Connection {
  readonly address: string
  readonly port: number
  readonly protocol: "TCP" | "UDP"
}

const opens = ({ port, protocol }: Connection) => ({ endPort, port: first, protocol: only = "TCP" }: V1NetworkPolicyPort): boolean =>
  only === protocol && (first === undefined || (typeof first === "number" && first <= port && port <= (endPort ?? first)))

/**
 * Reports whether the policies let a Pod of this template open the connection. One policy that allows it is enough; a Pod that no policy
 * selects may open every connection.
 */
export const reaches = (objects: Objects, template: V1PodTemplateSpec | undefined, connection: Connection): boolean => {
  const policies = ofKind(objects, "NetworkPolicy").flatMap(({ spec }) => spec === undefined ? [] : [spec])
    .filter(({ podSelector, policyTypes = [] }) => policyTypes.includes("Egress") && selects(podSelector, template?.metadata?.labels ?? {}))
  const isIn = ({ cidr, except = [] }: { readonly cidr: string; readonly except?: ReadonlyArray<string> }) =>
    contains(cidr, connection.address) && !except.some((hole) => contains(hole, connection.address))
  return policies.length === 0 ||
    policies.flatMap(({ egress = [] }) => egress).some(({ ports = [], to = [] }) =>
      (ports.length === 0 || ports.some(opens(connection))) &&
      (to.length === 0 || to.some(({ ipBlock }) => ipBlock !== undefined && isIn(ipBlock)))
    )
}
