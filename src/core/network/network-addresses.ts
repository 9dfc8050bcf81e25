// Addresses that mean the same in every cluster: metadata services of clouds, resolvers and private networks.
// Invariant: what is denied is denied in IPv4 and IPv6, for everything but DNS where a cloud's resolver has such an address.
// Used by core/network/network-policy, core/network/forbidden-address, core/doctor, cli/doctor/doctor-policies and generate.
import type { V1NetworkPolicyEgressRule, V1NetworkPolicyPeer, V1NetworkPolicyPort } from "@kubernetes/client-node"
import { alone, isWithin, parse4 } from "../../schema/ip-address.ts"

/**
 * The link-local networks, where AWS, GCP, Azure, Oracle, IBM, OpenStack, DigitalOcean, Hetzner, Tencent and others have their metadata
 * services, and AWS also the credentials of tasks and Pods.
 */
const linkLocal = { ipv4: "169.254.0.0/16", ipv6: "fe80::/10" }

/** The metadata services outside of these networks: those of Alibaba, Azure and Oracle, and the IPv6 ones of AWS and GCP. */
const elsewhere = {
  ipv4: ["100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32"],
  ipv6: ["fd00:ec2::23/128", "fd00:ec2::254/128", "fd20:ce::254/128"]
}

/** Addresses in the denied ranges where a metadata service answers if there is one. */
export const metadataAddresses: ReadonlyArray<string> = [
  "169.254.169.254",
  "169.254.170.2",
  "169.254.170.23",
  ...[...elsewhere.ipv4, ...elsewhere.ipv6].map((cidr) => cidr.replace(/\/.*$/u, ""))
]

/**
 * Returns the network of IPv6 at which a NAT64 offers one of IPv4, if it has the well-known prefix (RFC 6052, 2.1). One with a prefix of its
 * own, such as a part of 64:ff9b:1::/48 (RFC 8215), is not known, and may be the only way to the internet.
 */
const translated = (cidr: string): string => {
  const [address = "", length] = cidr.split("/")
  const bits = parse4(address) ?? 0
  return `64:ff9b::${(bits >>> 16).toString(16)}:${(bits & 0xffff).toString(16)}/${96 + Number(length)}`
}

/** The networks of metadata services in IPv4. */
export const metadata4: ReadonlyArray<string> = [linkLocal.ipv4, ...elsewhere.ipv4]
const denied = { ipv4: metadata4, ipv6: [linkLocal.ipv6, ...elsewhere.ipv6, ...metadata4.map(translated)] }

/** Networks that belong to nobody on the internet, from which some clusters give their Pods and Services addresses. */
const unrouted = ["198.18.0.0/15", "240.0.0.0/4"]
const shared = "100.64.0.0/10"
const privateRanges = { ipv4: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", shared], ipv6: "fc00::/7" }

export const tcp = (port: number): V1NetworkPolicyPort => ({ port, protocol: "TCP" })
const onDnsPort: Array<V1NetworkPolicyPort> = [{ port: 53, protocol: "UDP" }, tcp(53)]

export const addresses = (...cidrs: ReadonlyArray<string>): Array<V1NetworkPolicyPeer> => cidrs.map((cidr) => ({ ipBlock: { cidr } }))
const allBut = (cidr: string, except: ReadonlyArray<string>): V1NetworkPolicyPeer => ({ ipBlock: { cidr, except: [...except] } })

/** The resolvers on nodes (NodeLocal DNSCache, GKE, AWS), and that of Azure. */
const resolvers = [linkLocal.ipv4, "168.63.129.16/32"]

export const dnsOutside: V1NetworkPolicyEgressRule = { to: addresses(...resolvers), ports: onDnsPort }

/** DNS in any Pod, because the cluster's DNS runs in Pods. */
export const dnsInside: V1NetworkPolicyEgressRule = {
  to: [{ namespaceSelector: {} }],
  ports: [...onDnsPort, { port: 5353, protocol: "UDP" }, tcp(5353)]
}

export const everywhere: ReadonlyArray<V1NetworkPolicyPeer> = [allBut("0.0.0.0/0", denied.ipv4), allBut("::/0", denied.ipv6)]

const isIpv4 = (cidr: string): boolean => !cidr.includes(":")

/** Returns all but what is denied, and private networks, `privateCidrs` among them. */
export const internet = (privateCidrs: ReadonlyArray<string>): ReadonlyArray<V1NetworkPolicyPeer> => {
  const ipv4 = [
    ...denied.ipv4.filter((_) => _ !== "100.100.100.200/32"), // it is in the shared range
    ...privateRanges.ipv4,
    ...unrouted,
    ...privateCidrs.filter(isIpv4)
  ]
  const ipv6 = [linkLocal.ipv6, privateRanges.ipv6, ...privateCidrs.filter((_) => !isIpv4(_))] // the other denied ranges are in the private one
  return [allBut("0.0.0.0/0", ipv4), allBut("::/0", [...ipv6, ...ipv4.map(translated)])]
}

/** Returns the network without what is denied of it, or nothing if it is denied. */
const undenied = (cidr: string): Array<V1NetworkPolicyPeer> => {
  const all = [...denied.ipv4, ...denied.ipv6]
  const parts = all.filter((_) => isWithin(_, cidr))
  if (all.some((_) => isWithin(cidr, _))) return []
  return parts.length === 0 ? addresses(cidr) : [allBut(cidr, parts)]
}

/**
 * Returns the networks of an API server that is no Pod, and of Services: only the cluster knows their addresses. `privateCidrs` are those
 * among them that have public ones.
 */
export const privateNetworks = (privateCidrs: ReadonlyArray<string>): ReadonlyArray<V1NetworkPolicyPeer> => [
  ...addresses(...privateRanges.ipv4.filter((_) => _ !== shared), ...unrouted),
  allBut(shared, ["100.100.100.200/32"]),
  allBut(privateRanges.ipv6, elsewhere.ipv6),
  ...privateCidrs.flatMap(undenied)
]

export const isPrivate = (address: string, privateCidrs: ReadonlyArray<string>): boolean =>
  [...privateRanges.ipv4, ...unrouted, privateRanges.ipv6, ...privateCidrs].some((cidr) => isWithin(alone(address), cidr))

/**
 * DNS at the address of the cluster's DNS Service, which only the cluster knows. A cache on the node (GKE, NodeLocal DNSCache) answers at
 * that address itself, and is no Pod that a policy could select: kubernetes/kubernetes#70555.
 */
export const dnsService = (privateCidrs: ReadonlyArray<string>): V1NetworkPolicyEgressRule => ({
  to: [...privateNetworks(privateCidrs)],
  ports: onDnsPort
})

/** Where the cloud's agent on a node serves the identity of a single Pod, and not that of the node. */
export const cloudIdentities = {
  eks: [{ to: addresses("169.254.170.23/32", "fd00:ec2::23/128"), ports: [tcp(80)] }],
  gke: [{ to: addresses("169.254.169.252/32"), ports: [tcp(988)] }, { to: addresses("169.254.169.254/32"), ports: [tcp(80)] }]
} satisfies Readonly<Record<string, ReadonlyArray<V1NetworkPolicyEgressRule>>>

/** Returns the metadata services that tasks must not reach: all but those from which the values let their Pods get a cloud identity. */
export const closedMetadata = (cloudIdentity: keyof typeof cloudIdentities | undefined): ReadonlyArray<string> => {
  const given = cloudIdentity === undefined ? [] : cloudIdentities[cloudIdentity].flatMap(({ to }) => to)
  return metadataAddresses.filter((address) => !given.some(({ ipBlock }) => ipBlock?.cidr.split("/")[0] === address))
}
