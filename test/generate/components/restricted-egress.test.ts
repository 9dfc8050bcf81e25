import { describe, expect, it } from "@effect/vitest"
import type { V1NetworkPolicy } from "@kubernetes/client-node"
import { BlockList } from "node:net"
import { networkPolicies } from "../../../src/core/network/network-policy.ts"
import { restrictedEgress } from "../../../src/generate/components/restricted-egress.ts"
import { installationOf } from "../../../src/generate/files/installation.ts"
import { selects } from "../../core/network/admits.ts"

const policies = (restrictedEgress.objects?.(installationOf({})) ?? []) as ReadonlyArray<V1NetworkPolicy>

const family = (address: string) => address.includes(":") ? "ipv6" : "ipv4"
const holds = (cidr: string, address: string): boolean => {
  const [network = "", length = ""] = cidr.split("/")
  const list = new BlockList()
  list.addSubnet(network, Number(length), family(network))
  return list.check(address, family(address))
}

/** Returns the ports at which an address may be reached from a namespace. */
const reached = (namespace: string, address: string): ReadonlyArray<unknown> =>
  policies.filter(({ metadata }) => metadata?.namespace === namespace).flatMap(({ spec }) => spec?.egress ?? [])
    .filter(({ to = [] }) =>
      to.some(({ ipBlock }) =>
        ipBlock !== undefined && holds(ipBlock.cidr, address) && !(ipBlock.except ?? []).some((_) => holds(_, address))
      )
    )
    .flatMap(({ ports = [] }) => ports.map(({ port }) => port))

describe.each(["agent-job", "agent-job-tasks"])("from any Pod of %s", (namespace) => {
  it("nothing gets out but by these policies", () => {
    const ofIt = policies.filter(({ metadata }) => metadata?.namespace === namespace)
    expect(ofIt).toHaveLength(3)
    for (const { spec } of ofIt) expect([spec?.podSelector, spec?.policyTypes]).toEqual([{}, ["Egress"]])
    for (const rule of ofIt.flatMap(({ spec }) => spec?.egress ?? [])) {
      expect([rule.to?.length, rule.ports?.length]).toEqual([expect.any(Number), expect.any(Number)]) // a rule without one allows all
    }
  })

  it.each([
    { what: "the metadata service answers for DNS alone", address: "169.254.169.254", ports: [53, 53] },
    { what: "that of IPv6 does not answer", address: "fd00:ec2::254", ports: [] },
    { what: "the internet is not reached", address: "8.8.8.8", ports: [] },
    { what: "the internet of IPv6 is not reached", address: "2606:4700::1111", ports: [] },
    {
      what: "a DNS Service and an API server in a private network are, for a cache on the node has no Pod",
      address: "10.96.0.1",
      ports: [53, 53, 443, 6443]
    },
    { what: "those by IPv6 are", address: "fd12:3456::1", ports: [53, 53, 443, 6443] },
    { what: "a database in a private network is not reached at its port", address: "192.168.1.1", ports: [53, 53, 443, 6443] }
  ])("$what", ({ address, ports }) => expect(reached(namespace, address)).toEqual(ports))
})

it("DNS is CoreDNS, and the cache on the node to which Cilium redirects what is sent to it", () => {
  const asked = policies.flatMap(({ spec }) => spec?.egress ?? []).flatMap(({ ports = [], to = [] }) =>
    to.flatMap(({ namespaceSelector, podSelector = {} }) =>
      ["kube-dns", "node-local-dns", "another"].filter((app) =>
        selects(namespaceSelector ?? { matchLabels: { not: "there" } }, { "kubernetes.io/metadata.name": "kube-system" }) &&
        selects(podSelector, { "k8s-app": app })
      ).map((app) => [app, ports.map(({ port }) => port)])
    )
  )
  expect(asked).toEqual(Array(2).fill([["kube-dns", [53, 53]], ["node-local-dns", [53, 53]]]).flat())
})

it("the policies of the values that would open the rest beside these are taken away", () => {
  const opening = [{ restrictMetadataService: true }, { task: { networkPolicy: { denyPods: true } } }].flatMap((values) =>
    networkPolicies(installationOf(values)).map(({ metadata }) => metadata?.name)
  )
  expect((restrictedEgress.ifThere ?? []).map(({ $patch, metadata }) => [$patch, metadata.name])).toEqual(
    [...new Set(opening)].map((name) => ["delete", name])
  )
})
