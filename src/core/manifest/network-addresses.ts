// Addresses that mean the same in every cluster: where clouds hand out what belongs to a node, where resolvers are, and what is private.
// Invariant: whatever is denied is denied in both families, and for everything but DNS where a cloud's resolver lives there.
// Used by core/manifest/network-policy, core/doctor and generate.
import type { V1NetworkPolicyEgressRule, V1NetworkPolicyPeer, V1NetworkPolicyPort } from "@kubernetes/client-node"

/**
 * AWS, GCP, Azure, Oracle, IBM, OpenStack, DigitalOcean, Hetzner, Tencent and others have their metadata here, AWS the credentials of tasks
 * and Pods too.
 */
const linkLocal = { ipv4: "169.254.0.0/16", ipv6: "fe80::/10" }

/** Those of Alibaba, Azure and Oracle; and of AWS and GCP by IPv6. */
const elsewhere = {
  ipv4: ["100.100.100.200/32", "168.63.129.16/32", "192.0.0.192/32"],
  ipv6: ["fd00:ec2::23/128", "fd00:ec2::254/128", "fd20:ce::254/128"]
}

/** One each of what is denied, where something answers if it is there. */
export const metadataAddresses: ReadonlyArray<string> = [
  "169.254.169.254",
  "169.254.170.2",
  "169.254.170.23",
  ...[...elsewhere.ipv4, ...elsewhere.ipv6].map((cidr) => cidr.replace(/\/.*$/u, ""))
]

const denied = { ipv4: [linkLocal.ipv4, ...elsewhere.ipv4], ipv6: [linkLocal.ipv6, ...elsewhere.ipv6] }

const shared = "100.64.0.0/10"
const privateRanges = { ipv4: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", shared], ipv6: "fc00::/7" }

export const tcp = (port: number): V1NetworkPolicyPort => ({ port, protocol: "TCP" })
const onDnsPort: Array<V1NetworkPolicyPort> = [{ port: 53, protocol: "UDP" }, tcp(53)]

export const addresses = (...cidrs: ReadonlyArray<string>): Array<V1NetworkPolicyPeer> => cidrs.map((cidr) => ({ ipBlock: { cidr } }))
const allBut = (cidr: string, except: ReadonlyArray<string>): V1NetworkPolicyPeer => ({ ipBlock: { cidr, except: [...except] } })

/** Resolvers on the node (NodeLocal DNSCache, GKE, AWS), and Azure's. */
const resolvers = [linkLocal.ipv4, "168.63.129.16/32"]

export const dnsOutside: V1NetworkPolicyEgressRule = { to: addresses(...resolvers), ports: onDnsPort }

/** Of any Pod: the cluster's DNS is one. */
export const dnsInside: V1NetworkPolicyEgressRule = {
  to: [{ namespaceSelector: {} }],
  ports: [...onDnsPort, { port: 5353, protocol: "UDP" }, tcp(5353)]
}

export const everywhere: ReadonlyArray<V1NetworkPolicyPeer> = [allBut("0.0.0.0/0", denied.ipv4), allBut("::/0", denied.ipv6)]

export const internet: ReadonlyArray<V1NetworkPolicyPeer> = [
  allBut("0.0.0.0/0", [...denied.ipv4.filter((_) => _ !== "100.100.100.200/32"), ...privateRanges.ipv4]), // that one is of the shared range
  allBut("::/0", [linkLocal.ipv6, privateRanges.ipv6]) // which the others are of
]

/** Where an API server is that is no Pod: its address is known to nobody but the cluster. */
export const privateNetworks: ReadonlyArray<V1NetworkPolicyPeer> = [
  ...addresses(...privateRanges.ipv4.filter((_) => _ !== shared)),
  allBut(shared, ["100.100.100.200/32"]),
  allBut(privateRanges.ipv6, elsewhere.ipv6)
]

/**
 * The cluster's DNS by the address of its Service, known to nobody but the cluster. A cache on the node answers that itself (GKE, NodeLocal
 * DNSCache), and is no Pod for a policy to choose: kubernetes/kubernetes#70555.
 */
export const dnsService: V1NetworkPolicyEgressRule = { to: [...privateNetworks], ports: onDnsPort }

/** What a cloud's agent on the node has for one Pod alone, and not for the node. */
export const cloudIdentities = {
  eks: [{ to: addresses("169.254.170.23/32", "fd00:ec2::23/128"), ports: [tcp(80)] }],
  gke: [{ to: addresses("169.254.169.252/32"), ports: [tcp(988)] }, { to: addresses("169.254.169.254/32"), ports: [tcp(80)] }]
} satisfies Readonly<Record<string, ReadonlyArray<V1NetworkPolicyEgressRule>>>
