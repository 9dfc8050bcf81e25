// Reads the NetworkPolicies of the tasks' namespace: whether they close all egress, which of them close nothing, and which let others in.
// Invariant: policies add up, so one that selects the Pod of any task opens for it what all others close.
// Used by examination.
import { Effect, Schema, Stream } from "effect"
import { BlockList, isIP, isIPv6 } from "node:net"
import type { PoliciesRead } from "../../core/doctor/network-findings.ts"
import { labels, stageLabel, taskLabel, taskUidLabel } from "../../core/manifest/labels.ts"
import { closedMetadata, metadataAddresses } from "../../core/network/network-addresses.ts"
import { policyName } from "../../core/network/network-policy.ts"
import type { ResolvedConfig } from "../../core/resolve/resolve.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import type { KubernetesError } from "../../kubernetes/errors.ts"
import { networkPolicies } from "../../kubernetes/kinds.ts"
import { workspaceKey } from "../../schema/names.ts"
import { decodedAs } from "./doctor-unknown.ts"

const maybe = Schema.optionalKey
const Selector = Schema.Struct({
  matchLabels: maybe(Schema.Record(Schema.String, Schema.String)),
  matchExpressions: maybe(Schema.Array(Schema.Struct({
    key: Schema.String,
    operator: Schema.Literals(["In", "NotIn", "Exists", "DoesNotExist"]),
    values: maybe(Schema.Array(Schema.String))
  })))
})
const Cidr = Schema.String.check(Schema.makeFilter((text) => {
  const [network = "", length = "", ...rest] = text.split("/")
  return isIP(network) !== 0 && /^\d+$/u.test(length) && Number(length) <= (isIPv6(network) ? 128 : 32) && rest.length === 0
}, { expected: "a CIDR" }))
const Rule = Schema.Struct({
  to: maybe(Schema.Array(Schema.Struct({
    ipBlock: maybe(Schema.Struct({ cidr: Cidr, except: maybe(Schema.Array(Cidr)) }))
  }))),
  ports: maybe(Schema.Array(Schema.Struct({
    protocol: maybe(Schema.String),
    port: maybe(Schema.Union([Schema.Int, Schema.String])),
    endPort: maybe(Schema.Int)
  })))
})
const Policy = Schema.Struct({
  metadata: Schema.Struct({ name: Schema.String }),
  spec: Schema.Struct({
    podSelector: Selector,
    policyTypes: maybe(Schema.Array(Schema.String)),
    egress: maybe(Schema.Array(Rule)),
    ingress: maybe(Schema.Array(Schema.Unknown))
  })
})
type Policy = typeof Policy.Type
const decodePolicy = decodedAs(Policy, { verb: "list", object: "NetworkPolicies" })

const nameOf = ({ metadata }: Policy): string => metadata.name

const selectsAll = ({ matchExpressions = [], matchLabels = {} }: typeof Selector.Type): boolean =>
  Object.keys(matchLabels).length === 0 && matchExpressions.length === 0

/** The labels with a value of its own on each task's Pod: those that we give it, and those that Kubernetes gives the Pods of a Job. */
const ofEachTask: ReadonlySet<string> = new Set([
  taskLabel,
  taskUidLabel,
  stageLabel,
  workspaceKey,
  ...["job-name", "controller-uid"].flatMap((key) => [key, `batch.kubernetes.io/${key}`])
])

/** Reports whether a selector may select the Pod of some task. `labels` are those that the Pods of all tasks have. */
const selects = ({ matchExpressions = [], matchLabels = {} }: typeof Selector.Type, labels: Readonly<Record<string, string>>): boolean =>
  Object.entries(matchLabels).every(([key, value]) => ofEachTask.has(key) || labels[key] === value) &&
  matchExpressions.every(({ key, operator, values = [] }) => {
    if (ofEachTask.has(key)) return operator !== "DoesNotExist" || key === workspaceKey // not every workspace's name can be a label
    const label = labels[key]
    switch (operator) {
      case "In":
        return label !== undefined && values.includes(label)
      case "NotIn":
        return label === undefined || !values.includes(label)
      case "Exists":
        return label !== undefined
      case "DoesNotExist":
        return label === undefined
    }
  })

const family = (address: string) => isIPv6(address) ? "ipv6" : "ipv4"

/** Reports whether a CIDR contains an address. The families are compared because a BlockList finds IPv4 addresses in `::/0`. */
const contains = (cidr: string, address: string): boolean => {
  const [network = "", length = ""] = cidr.split("/")
  const list = new BlockList()
  list.addSubnet(network, Number(length), family(network))
  return family(network) === family(address) && list.check(address, family(address))
}

/** Reports whether a rule allows one of the addresses, at all ports or at the one where metadata services answer. */
const opensOneOf = (addresses: ReadonlyArray<string>) => ({ ports = [], to = [] }: typeof Rule.Type): boolean =>
  (to.length === 0 || to.some(({ ipBlock }) =>
    ipBlock !== undefined &&
    addresses.some((address) => contains(ipBlock.cidr, address) && !ipBlock.except?.some((cidr) => contains(cidr, address)))
  )) &&
  (ports.length === 0 ||
    ports.some(({ endPort, port = 80, protocol = "TCP" }) =>
      protocol === "TCP" && typeof port === "number" && port <= 80 && 80 <= (endPort ?? port)
    ))

/**
 * Returns the policies that close nothing to tasks, because ours beside them opens all but metadata services. One that opens a metadata
 * service is not among them, since it is there to add to ours.
 */
const closingInVain = (egressOfTasks: ReadonlyArray<Policy>, ours: string): ReadonlyArray<string> => {
  const others = egressOfTasks.filter((policy) => nameOf(policy) !== ours)
  return others.length === egressOfTasks.length
    ? []
    : others.filter(({ spec: { egress = [] } }) => !egress.some(opensOneOf(metadataAddresses))).map(nameOf)
}

export const readPolicies = Effect.fnUntraced(
  function*(config: ResolvedConfig): Effect.fn.Return<PoliciesRead, KubernetesError, Kubernetes> {
    const found = yield* Stream.runCollect((yield* Kubernetes).listAll(networkPolicies, { namespace: config.taskNamespace }))
    const policies = yield* Effect.forEach(found, decodePolicy)
    const ofType = (type: string) => policies.filter(({ spec: { policyTypes = [] } }) => policyTypes.includes(type))
    const ofTasks = { ...config.task.pod.labels, ...labels(config, "task") }
    const isOfTasks = ({ spec }: Policy): boolean => selects(spec.podSelector, ofTasks)
    const opening = ofType("Egress").filter(isOfTasks).filter(({ spec }) =>
      spec.egress?.some(opensOneOf(closedMetadata(config.taskNetwork.cloudIdentity)))
    )
    return {
      isClosedElsewhere: opening.length === 0 && ofType("Egress").some(({ spec }) => selectsAll(spec.podSelector)),
      opening: opening.map(nameOf),
      letIn: ofType("Ingress").filter(({ spec: { ingress = [] } }) => ingress.length > 0).filter(isOfTasks).map(nameOf),
      inVain: closingInVain(ofType("Egress").filter(isOfTasks), policyName(config, "metadata-service"))
    }
  }
)
