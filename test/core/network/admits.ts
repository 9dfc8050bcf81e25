// What NetworkPolicies let through: a Pod that no policy selects is open, and any other reaches what at least one of its policies allows.
// Only addresses are compared: peers that are Pods are selected by labels, which an address does not have.
// Used by network-policy.test.ts and test/generate/components.
import type { V1IPBlock, V1LabelSelector, V1NetworkPolicy, V1NetworkPolicyPort } from "@kubernetes/client-node"
import { BlockList } from "node:net"

const family = (address: string) => address.includes(":") ? "ipv6" : "ipv4"

const lists = new Map<string, BlockList>()
const listOf = (cidr: string): BlockList => {
  const found = lists.get(cidr) ?? new BlockList()
  if (!lists.has(cidr)) {
    const [network = "", length = ""] = cidr.split("/")
    found.addSubnet(network, Number(length), family(network))
    lists.set(cidr, found)
  }
  return found
}
const holds = (cidr: string, address: string): boolean => family(cidr) === family(address) && listOf(cidr).check(address, family(address))
const inBlock = ({ cidr, except = [] }: V1IPBlock, address: string): boolean =>
  holds(cidr, address) && !except.some((_) => holds(_, address))

export type Labels = Readonly<Record<string, string>>

export const selects = ({ matchExpressions = [], matchLabels = {} }: V1LabelSelector, labels: Labels): boolean =>
  Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
  matchExpressions.every(({ key, operator, values = [] }) => operator === "In" && values.includes(labels[key] ?? ""))

export interface Target {
  readonly address: string
  readonly port: number
  readonly protocol: "TCP" | "UDP"
}

const isPort = ({ port: wanted, protocol }: Target) => ({ port, protocol: of = "TCP" }: V1NetworkPolicyPort): boolean =>
  of === protocol && (port === undefined || port === wanted)

/** Reports whether a Pod with these labels, in this namespace, may send to the target. */
export const admits = (
  policies: ReadonlyArray<V1NetworkPolicy>,
  { labels, namespace }: { readonly labels: Labels; readonly namespace: string },
  target: Target
): boolean => {
  const those = policies.filter(({ metadata, spec }) =>
    metadata?.namespace === namespace && spec?.policyTypes?.includes("Egress") === true && selects(spec.podSelector ?? {}, labels)
  )
  return those.length === 0 ||
    those.flatMap(({ spec }) => spec?.egress ?? []).some(({ ports, to = [] }) =>
      (ports === undefined || ports.some(isPort(target))) &&
      to.some(({ ipBlock }) => ipBlock !== undefined && inBlock(ipBlock, target.address))
    )
}
