// What the controller and tasks can reach, worked out from the policies for any address, port and configuration.
import { describe, expect, it } from "@effect/vitest"
import type { V1NetworkPolicy } from "@kubernetes/client-node"
import { Schema } from "effect"
import { selecting, selectorLabels } from "../../../src/core/manifest/labels.ts"
import { networkPolicies } from "../../../src/core/network/network-policy.ts"
import type { ResolvedConfig } from "../../../src/core/resolve/resolve.ts"
import { configOf } from "../configs.ts"
import { admits, type Target } from "./admits.ts"

/** Addresses of the metadata services of clouds, in both families, and some that are only link-local. */
const metadata = [
  "169.254.169.254",
  "169.254.170.2",
  "169.254.170.23",
  "169.254.169.252",
  "169.254.169.123",
  "169.254.0.23",
  "168.63.129.16",
  "100.100.100.200",
  "192.0.0.192",
  "fd00:ec2::254",
  "fd00:ec2::23",
  "fd20:ce::254",
  "fe80::a9fe:a9fe",
  "fe80::1",
  "64:ff9b::a9fe:a9fe", // NAT64 of 169.254.169.254 and others
  "64:ff9b::a9fe:1",
  "64:ff9b::6464:64c8",
  "64:ff9b::a83f:8110"
]
const resolvers = ["169.254.20.10", "169.254.169.254", "169.254.169.253", "168.63.129.16"]

const byte = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))
const Address = Schema.Struct({ known: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: metadata.length + 1 })), c: byte, d: byte })
const addressOf = ({ c, d, known }: typeof Address.Type): string =>
  metadata[known] ?? (known === metadata.length ? `169.254.${c}.${d}` : `fe80::${c.toString(16)}:${d.toString(16)}`)
/** Those of the API server, which are open in private networks, come often. */
const Port = Schema.Union([
  Schema.Literals([80, 443, 6443]),
  Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 65_535 }), Schema.makeFilter((port) => port !== 53))
])
const Protocol = Schema.Literals(["TCP", "UDP"])
const Part = Schema.Literals(["controller", "task"])
const Cidr = Schema.Literals([
  "168.0.0.0/5",
  "169.254.169.0/24",
  "fe80::/16",
  "f800::/5",
  "64:ff9b::/96",
  "100.100.100.200/32",
  "203.0.113.0/24"
])
const Values = Schema.Struct({ denyPods: Schema.Boolean, denyIngress: Schema.Boolean, apart: Schema.Boolean, cidr: Cidr })

const made = new Map<string, { readonly config: ResolvedConfig; readonly policies: ReadonlyArray<V1NetworkPolicy> }>()

/** Returns the configuration of an installation that closes metadata services, and its policies, made once for the same values. */
const walled = ({ apart, cidr, ...networkPolicy }: typeof Values.Type) => {
  const values = {
    restrictMetadataService: true,
    task: { networkPolicy: { ...networkPolicy, privateCidrs: networkPolicy.denyPods ? [cidr] : [] }, ...(apart && { namespace: "tasks" }) }
  }
  const key = JSON.stringify(values)
  const known = made.get(key)
  if (known !== undefined) return known
  const config = configOf(values)
  const fresh = { config, policies: networkPolicies(config) }
  made.set(key, fresh)
  return fresh
}
const podOf = (config: ResolvedConfig, part: typeof Part.Type) => ({
  namespace: part === "task" ? config.taskNamespace : config.namespace,
  labels: selectorLabels(config, part)
})
const reaches = (values: object, part: typeof Part.Type, target: Target): boolean => {
  const config = configOf(values)
  return admits(networkPolicies(config), podOf(config, part), target)
}
const at = (address: string, port = 443, protocol: Target["protocol"] = "TCP"): Target => ({ address, port, protocol })

describe("metadata services", () => {
  it.prop(
    "and all that is link-local are reached by nobody, at no port but that of DNS",
    [Address, Port, Protocol, Part, Values],
    ([address, port, protocol, part, values]) => {
      const { config, policies } = walled(values)
      expect(admits(policies, podOf(config, part), { address: addressOf(address), port, protocol })).toBe(false)
    },
    { arbitrary: { runs: 3000 } }
  )

  it.prop(
    "are closed to tasks that may reach no Pods, whatever else is said",
    [Address, Port, Protocol],
    ([address, port, protocol]) =>
      expect(reaches({ task: { networkPolicy: { denyPods: true } } }, "task", { address: addressOf(address), port, protocol })).toBe(false)
  )

  it.each(resolvers)("leave %s open for DNS, where a cloud's resolver is", (address) => {
    for (const protocol of ["TCP", "UDP"] as const) {
      expect(reaches({ restrictMetadataService: true }, "task", { address, port: 53, protocol })).toBe(true)
      expect(reaches({ task: { networkPolicy: { denyPods: true } } }, "task", { address, port: 53, protocol })).toBe(true)
    }
  })

  it("are open without the value", () => expect(reaches({}, "task", at("169.254.169.254", 80))).toBe(true))

  it.each([
    { cloudIdentity: "eks", open: at("169.254.170.23", 80), closed: at("169.254.169.254", 80) },
    { cloudIdentity: "eks", open: at("fd00:ec2::23", 80), closed: at("fd00:ec2::254", 80) },
    { cloudIdentity: "gke", open: at("169.254.169.252", 988), closed: at("169.254.169.252", 80) }
  ])(
    "of a cloud that gives Pods an identity ($cloudIdentity) are open where that is, to tasks alone",
    ({ closed, cloudIdentity, open }) => {
      const values = { restrictMetadataService: true, task: { networkPolicy: { cloudIdentity } } }
      expect([reaches(values, "task", open), reaches(values, "task", closed), reaches(values, "controller", open)]).toEqual([
        true,
        false,
        false
      ])
    }
  )
})

describe("all else", () => {
  const others = ["1.1.1.1", "10.0.0.1", "172.20.0.10", "192.168.1.20", "100.64.0.1", "2606:4700::1111", "fd12:3456::10"]
  it.each(others)(
    "such as %s stays open behind restrictMetadataService",
    (address) =>
      expect((["controller", "task"] as const).map((part) => reaches({ restrictMetadataService: true }, part, at(address, 8080)))).toEqual([
        true,
        true
      ])
  )

  it.each([
    { address: "1.1.1.1", port: 8080, open: true },
    { address: "2606:4700::1111", port: 22, open: true },
    { address: "10.96.0.1", port: 443, open: true },
    { address: "10.96.0.1", port: 6443, open: true },
    { address: "10.96.0.10", port: 53, open: true }, // a cache on the node answers at the address of the DNS Service
    { address: "fd12:3456::a", port: 53, open: true },
    { address: "10.96.0.1", port: 8080, open: false },
    { address: "172.20.0.10", port: 5432, open: false },
    { address: "100.64.0.1", port: 80, open: false },
    { address: "198.18.7.1", port: 80, open: false }, // from ranges like these, some clusters give Pods their addresses
    { address: "240.1.2.3", port: 80, open: false },
    { address: "fd12:3456::10", port: 80, open: false },
    { address: "fd12:3456::10", port: 443, open: true },
    { address: "64:ff9b::101:101", port: 8080, open: true }, // NAT64 of 1.1.1.1, and of private addresses
    { address: "64:ff9b::a00:9", port: 443, open: false },
    { address: "64:ff9b::c0a8:114", port: 8080, open: false },
    { address: "64:ff9b::f001:203", port: 8080, open: false }
  ])("at $address:$port is open to tasks that may reach no Pods: $open", ({ address, open, port }) => {
    const values = { task: { networkPolicy: { denyPods: true } } }
    expect([reaches(values, "task", at(address, port)), reaches(values, "controller", at(address, port))]).toEqual([open, true])
  })
})

describe("networks that the values call private", () => {
  const denying = { denyPods: true, privateCidrs: ["203.0.112.0/20", "2001:db8:4::/48"] }
  it.each([
    { address: "203.0.113.9", port: 8083, open: false },
    { address: "203.0.113.9", port: 443, open: true }, // as in all private networks, since the API server may be there
    { address: "203.0.113.9", port: 53, open: true },
    { address: "203.0.128.1", port: 8083, open: true },
    { address: "2001:db8:4:1::9", port: 8083, open: false },
    { address: "2001:db8:4:1::9", port: 6443, open: true },
    { address: "2001:db8:5::9", port: 8083, open: true },
    { address: "64:ff9b::cb00:7109", port: 8083, open: false } // NAT64 of 203.0.113.9
  ])(
    "are closed to tasks as such, $address:$port open: $open",
    ({ address, open, port }) => expect(reaches({ task: { networkPolicy: denying } }, "task", at(address, port))).toBe(open)
  )

  it("have no exception in a policy but a part of what it is one of, since the API server takes no other", () => {
    const [policy] = networkPolicies(
      configOf({
        task: { networkPolicy: { denyPods: true, privateCidrs: ["169.254.0.0/16", "168.0.0.0/5", "203.0.113.0/24", "f000::/4"] } }
      })
    )
    const blocks = (policy?.spec?.egress ?? []).flatMap(({ to = [] }) => to.flatMap(({ ipBlock }) => ipBlock ?? []))
    expect(blocks.filter(({ cidr }) => ["169.254.0.0/16", "168.0.0.0/5", "203.0.113.0/24", "f000::/4"].includes(cidr))).toEqual(
      expect.arrayContaining([
        { cidr: "168.0.0.0/5", except: ["169.254.0.0/16", "168.63.129.16/32"] },
        { cidr: "203.0.113.0/24" },
        { cidr: "f000::/4", except: ["fe80::/10", "fd00:ec2::23/128", "fd00:ec2::254/128", "fd20:ce::254/128"] }
      ])
    )
  })
})

describe("the API server", () => {
  const opened = (apiServerPorts: ReadonlyArray<number>) =>
    [443, 6443, 16_443].filter((port) =>
      reaches({ task: { networkPolicy: { denyPods: true, apiServerPorts } } }, "task", at("10.1.2.3", port))
    )
  it("is open to tasks that may reach no Pods where the values say that it listens", () =>
    expect([opened([443, 6443]), opened([443, 16_443])]).toEqual([[443, 6443], [443, 16_443]]))
})

describe("the Pods of tasks", () => {
  it("take no connection where the values say so", () => {
    expect(
      networkPolicies(configOf({ task: { namespace: "tasks", networkPolicy: { denyIngress: true } } })).map((
        { metadata, spec }
      ) => [metadata?.namespace, spec])
    ).toEqual([
      ["tasks", { podSelector: selecting(selectorLabels(configOf(), "task")), policyTypes: ["Ingress"] }]
    ])
  })

  it.each(["agent-job", "blue"])("reach Pods for DNS, the server, which is not renamed, and Flux's artifacts alone: of %s", (name) => {
    const [policy] = networkPolicies(configOf({ task: { networkPolicy: { denyPods: true } } }, { name }))
    const pods = (policy?.spec?.egress ?? []).flatMap(({ ports, to = [] }) =>
      to.filter(({ ipBlock }) => ipBlock === undefined).map((
        { podSelector }
      ) => [podSelector ?? "any", ports?.map(({ port }) => port)])
    )
    expect(pods).toEqual([
      ["any", [53, 53, 5353, 5353]],
      [selecting({ "app.kubernetes.io/name": "agent-job", "app.kubernetes.io/component": "server" }), [8080]],
      [selecting({ app: "source-controller" }), [9090]]
    ])
  })

  it.each([
    { url: "http://agent-job-server.theirs.svc:8080", opens: "theirs" },
    { url: "http://blue-server.blue.svc.cluster.local:8080/base", opens: "blue" },
    { url: "http://blue-server.agent-job.svc:8080", opens: undefined },
    { url: "http://agent-job-server.agent-job.svc:8080", opens: undefined },
    { url: "https://server.example.com", opens: undefined }
  ])("reach the server in another namespace that agent.url names: $url", ({ opens, url }) => {
    const rules = (agent: object) => {
      const [policy] = networkPolicies(configOf({ agent, task: { networkPolicy: { denyPods: true } } }))
      return policy?.spec?.egress ?? []
    }
    const before = JSON.stringify(rules({}))
    expect(rules({ token: "t", url }).filter((rule) => !before.includes(JSON.stringify(rule)))).toEqual(
      opens === undefined ? [] : [{
        to: [{
          namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": opens } },
          podSelector: selecting({ "app.kubernetes.io/name": "agent-job", "app.kubernetes.io/component": "server" })
        }],
        ports: [{ port: 8080, protocol: "TCP" }]
      }]
    )
  })

  it("are selected by one policy of egress, so that none opens what another closes", () => {
    const both = networkPolicies(configOf({ restrictMetadataService: true, task: { networkPolicy: { denyPods: true } } }))
    const components = ({ spec }: V1NetworkPolicy) =>
      spec?.podSelector?.matchExpressions?.find(({ key }) => key === "app.kubernetes.io/component")?.values
    expect(both.map((policy) => [policy.metadata?.name, components(policy)])).toEqual([
      ["agent-job-metadata-service", ["controller"]],
      ["agent-job-task-egress", ["task"]]
    ])
  })
})
