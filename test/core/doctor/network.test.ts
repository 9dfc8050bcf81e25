// What the findings of the probes mean, case by case, and when they prove isolation or speak against it.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { metadataTargets } from "../../../src/core/doctor/metadata-services.ts"
import { type NetworkFindings, type PoliciesRead, told } from "../../../src/core/doctor/network-findings.ts"
import { type Isolation, isolationBy, networkChecks, nothingStarted } from "../../../src/core/doctor/network.ts"
import { apiServerOf } from "../../../src/core/doctor/task-needs.ts"
import type { Finding, ProbeTarget } from "../../../src/schema/kubernetes/probe.ts"
import { configOf } from "../configs.ts"

const listener = { address: "10.0.0.7", port: 8083 }
const taskListener = { address: "10.0.0.9", port: 8083 }
const apiServer = [{ address: "kubernetes.default.svc", port: 443 }]
/** What is read where there are no policies but those of the values. */
const read: PoliciesRead = { isClosedElsewhere: false, opening: [], letIn: [], inVain: [] }
const both = (reached: boolean) => ({ first: reached, last: reached })

interface Seen {
  readonly open?: Partial<Finding> | "nothing"
  readonly closed?: Partial<Finding> | "nothing"
  readonly pods?: boolean
  /** Whether metadata services answer: all, or those at some addresses. */
  readonly metadata?: boolean | ReadonlyArray<string>
  readonly needed?: boolean
  /** By what the Pod of a task asks the API server. */
  readonly api?: ReadonlyArray<ProbeTarget>
  readonly stayed?: boolean
  readonly beside?: ReadonlyArray<string>
  /** How another Pod fared that tried to connect to one like a task's, or why none could try. */
  readonly ingress?: Partial<Finding> | "none listens" | "it ended"
}

const seen = (
  {
    api = apiServer,
    beside = [],
    closed = both(false),
    ingress = both(false),
    metadata = false,
    needed = true,
    open = both(true),
    pods = true,
    stayed = true
  }: Seen = {}
): NetworkFindings => {
  const ofListener = (found: Partial<Finding> | "nothing", ...more: ReadonlyArray<Finding>) =>
    found === "nothing" ? Option.none() : Option.some({ beside, findings: [{ ...listener, ...both(false), ...found }, ...more] })
  const entry = ingress === "none listens" ? [] : [{ ...taskListener, ...both(false), ...ingress !== "it ended" && ingress }]
  return {
    listener: { targets: [listener], stayed },
    taskListener: { targets: entry.map(({ address, port }) => ({ address, port })), stayed: ingress !== "it ended" },
    reports: {
      open: ofListener(open, ...entry),
      closed: ofListener(closed),
      task: Option.some({
        beside,
        findings: [
          { ...listener, ...both(pods) },
          ...metadataTargets.map((target) => ({
            ...target,
            ...both(typeof metadata === "boolean" ? metadata : metadata.includes(target.address))
          })),
          ...api.map((target) => ({ ...target, ...both(needed) }))
        ]
      })
    }
  }
}

const walled = { restrictMetadataService: true }
const ofCloud = (cloudIdentity: string) => ({ ...walled, task: { networkPolicy: { cloudIdentity } } })
const closed = { task: { networkPolicy: { closedElsewhere: true } } }
const denying = { task: { networkPolicy: { denyPods: true } } }

/** What each check may say. */
const says = {
  policies: {
    enforced: "ok: of two identical Pods, the one that a policy isolates reaches nothing",
    late: "warning: enforced, but a new Pod reached another one before its policy took effect, and so may a task's Pod",
    beside:
      "warning: enforced, but a Pod also has the address fd00::ac:5, which is not in its status.podIPs, and networks let Pods out by such an address whatever policies say; take it from Pods: on EKS by ENABLE_V4_EGRESS=false of the VPC CNI, in clusters with IPv4 by ENABLE_V6_EGRESS=false; elsewhere look for what attaches another network",
    ignored:
      "failed: a Pod that a policy closes reaches another Pod: this network takes NetworkPolicies and does not hold to them; install one that does, or keep tasks out of a mesh whose proxy takes each connection itself",
    cutShort:
      "unknown: the Pod to connect to ended while others tried to reach it, so nothing is proven by one that did not; see its events while it runs, and try again",
    unreachable:
      "unknown: even a Pod with a policy that allows it does not reach another Pod, so nothing is proven about policies that deny; look for network policies outside Kubernetes",
    untold:
      "unknown: a probe did not tell what it reached, or not as this version does; see its events and image while it runs, and try again"
  },
  metadata: {
    closed: "ok: no metadata service answered, a policy closes them, and policies are enforced",
    unproven: "unknown: no metadata service answered, but it is not proven that policies are enforced",
    unmanaged:
      "warning: no metadata service answered, and a policy closes all egress, but nobody would notice if it were removed; give task.networkPolicy.closedElsewhere: true, as component restricted-egress does",
    open:
      "warning: no metadata service answered, but no policy of this installation closes them; give restrictMetadataService: true, or component restricted-egress",
    missing:
      "failed: task.networkPolicy.closedElsewhere is true, but no policy in agent-job closes the egress of every Pod; apply component restricted-egress, or take the value back",
    identity:
      "ok: no metadata service answered but what task.networkPolicy.cloudIdentity opens, a policy closes them, and policies are enforced",
    reached:
      "failed: a task's Pod reaches 169.254.169.254:80, where a node's own credentials may be; give restrictMetadataService: true, or component restricted-egress",
    reachedThough:
      "failed: a task's Pod reaches 169.254.169.254:80, where a node's own credentials may be, though the values close it; look whether NetworkPolicy agent-job/agent-job-metadata-service is there, and for a policy that opens the address",
    reachedUnproven:
      "failed: a task's Pod reaches 169.254.169.254:80, where a node's own credentials may be, though the values close it; see what is said of network policies, and until they hold close it elsewhere: on the node, or at the metadata service (on AWS by a hop limit of 1)"
  },
  otherPods: {
    open: "warning: a task's Pod reaches any other Pod; give task.networkPolicy.denyPods: true to close that",
    silent: "ok: a task's Pod does not reach a Pod that listens",
    closed: "ok: a task's Pod does not reach a Pod that listens, and policies are enforced",
    unproven: "unknown: a task's Pod does not reach a Pod that listens, but it is not proven that policies are enforced",
    reached: "failed: a task's Pod reaches another Pod, though task.networkPolicy.denyPods is true",
    cutShort: "unknown: a task's Pod did not reach another Pod, but that one ended meanwhile"
  },
  needed: {
    reached: "ok: the API server, by its name",
    missed:
      "failed: a task's Pod does not reach kubernetes.default.svc:443; a worker could not claim its task, so open DNS and the API server",
    missedDenying:
      "failed: a task's Pod does not reach kubernetes.default.svc:443; a worker could not claim its task, so open DNS and the API server: NetworkPolicy agent-job/agent-job-task-egress opens private networks at ports 443 and 6443 only; where kubectl get endpointslices kubernetes shows another one, give it in task.networkPolicy.apiServerPorts",
    missedElsewhere:
      "failed: a task's Pod does not reach kubernetes.default.svc:443; a worker could not claim its task, so open DNS and the API server: NetworkPolicy agent-job-egress-api-server of component restricted-egress, or what else closes egress in agent-job, has to allow what kubectl get endpointslices kubernetes shows"
  }
} as const
type Said = { readonly [Check in keyof typeof says]: keyof (typeof says)[Check] }

const said = (values: object, found: NetworkFindings, isClosedElsewhere = false) => {
  const checks = networkChecks({ config: configOf(values), found, ...read, isClosedElsewhere })
  const [policies, metadata, otherPods, needed] = checks.map(({ message, outcome }) => `${outcome}: ${message}`)
  return { policies, metadata, otherPods, needed }
}

describe("the network", () => {
  it.each<{ given: string; values?: object; seen?: Seen; elsewhere?: boolean; is: Said }>([
    {
      given: "one that enforces, and metadata closed by the values",
      values: walled,
      is: { policies: "enforced", metadata: "closed", otherPods: "open", needed: "reached" }
    },
    {
      given: "one that enforces, and egress closed by a policy of the namespace that the values rest on",
      values: closed,
      elsewhere: true,
      is: { policies: "enforced", metadata: "closed", otherPods: "open", needed: "reached" }
    },
    {
      given: "one that enforces, and egress closed by a policy of the namespace that no value knows",
      elsewhere: true,
      is: { policies: "enforced", metadata: "unmanaged", otherPods: "open", needed: "reached" }
    },
    {
      given: "one that enforces, and values that rest on a policy that is gone",
      values: closed,
      is: { policies: "enforced", metadata: "missing", otherPods: "open", needed: "reached" }
    },
    {
      given: "one that enforces, and no policy",
      is: { policies: "enforced", metadata: "open", otherPods: "open", needed: "reached" }
    },
    {
      given: "one that takes policies and does not hold to them",
      values: walled,
      seen: { closed: both(true) },
      is: { policies: "ignored", metadata: "unproven", otherPods: "open", needed: "reached" }
    },
    {
      given: "one where the Pods of probes reach nobody, whatever a policy says",
      values: walled,
      seen: { open: both(false) },
      is: { policies: "unreachable", metadata: "unproven", otherPods: "open", needed: "reached" }
    },
    {
      given: "one whose policies come late",
      values: walled,
      seen: { closed: { first: true, last: false } },
      is: { policies: "late", metadata: "unproven", otherPods: "open", needed: "reached" }
    },
    {
      given: "one where the Pod to reach ended before all had tried",
      values: walled,
      seen: { stayed: false, pods: false },
      is: { policies: "cutShort", metadata: "unproven", otherPods: "cutShort", needed: "reached" }
    },
    {
      given: "one where the Pod to reach ended, after the first Pod alone that a policy closes had reached it",
      values: walled,
      seen: { stayed: false, closed: { first: true, last: false } },
      is: { policies: "cutShort", metadata: "unproven", otherPods: "open", needed: "reached" }
    },
    {
      given: "one that takes policies and does not hold to them, as was seen before the Pod to reach ended",
      values: denying,
      seen: { stayed: false, closed: both(true) },
      is: { policies: "ignored", metadata: "unproven", otherPods: "reached", needed: "reached" }
    },
    {
      given: "a probe that did not tell",
      values: walled,
      seen: { closed: "nothing" },
      is: { policies: "untold", metadata: "unproven", otherPods: "open", needed: "reached" }
    },
    {
      given: "metadata that answer, though policies are enforced",
      values: walled,
      seen: { metadata: ["169.254.169.254"] },
      is: { policies: "enforced", metadata: "reachedThough", otherPods: "open", needed: "reached" }
    },
    {
      given: "metadata that answer, of which no value says anything",
      seen: { metadata: ["169.254.169.254"] },
      is: { policies: "enforced", metadata: "reached", otherPods: "open", needed: "reached" }
    },
    {
      given: "metadata that answer by an address beside those by which Pods are known",
      values: walled,
      seen: { beside: ["fd00::ac:5"], metadata: ["169.254.169.254"] },
      is: { policies: "beside", metadata: "reachedUnproven", otherPods: "open", needed: "reached" }
    },
    {
      given: "one whose Pods have an address beside those by which they are known",
      values: walled,
      seen: { beside: ["fd00::ac:5"] },
      is: { policies: "beside", metadata: "unproven", otherPods: "open", needed: "reached" }
    },
    {
      given: "the identity of EKS that answers where the values open it",
      values: ofCloud("eks"),
      seen: { metadata: ["169.254.170.23", "fd00:ec2::23"] },
      is: { policies: "enforced", metadata: "identity", otherPods: "open", needed: "reached" }
    },
    {
      given: "the identity of GKE that answers where the values open it",
      values: ofCloud("gke"),
      seen: { metadata: ["169.254.169.254"] },
      is: { policies: "enforced", metadata: "identity", otherPods: "open", needed: "reached" }
    },
    {
      given: "metadata that answer beside the identity that the values open",
      values: ofCloud("eks"),
      seen: { metadata: ["169.254.170.23", "169.254.169.254"] },
      is: { policies: "enforced", metadata: "reachedThough", otherPods: "open", needed: "reached" }
    },
    {
      given: "other Pods closed",
      values: denying,
      seen: { pods: false },
      is: { policies: "enforced", metadata: "closed", otherPods: "closed", needed: "reached" }
    },
    {
      given: "other Pods that should be closed",
      values: denying,
      is: { policies: "enforced", metadata: "closed", otherPods: "reached", needed: "reached" }
    },
    {
      given: "other Pods that did not answer where nothing is enforced",
      values: denying,
      seen: { pods: false, open: both(false) },
      is: { policies: "unreachable", metadata: "unproven", otherPods: "unproven", needed: "reached" }
    },
    {
      given: "other Pods that did not answer, and that no value wants closed",
      values: walled,
      seen: { pods: false, open: both(false) },
      is: { policies: "unreachable", metadata: "unproven", otherPods: "silent", needed: "reached" }
    },
    {
      given: "an API server that a task does not reach",
      values: walled,
      seen: { needed: false },
      is: { policies: "enforced", metadata: "closed", otherPods: "open", needed: "missed" }
    },
    {
      given: "an API server that a task does not reach behind denyPods",
      values: denying,
      seen: { needed: false, pods: false },
      is: { policies: "enforced", metadata: "closed", otherPods: "closed", needed: "missedDenying" }
    },
    {
      given: "an API server that a task does not reach behind a policy beside the values",
      values: closed,
      elsewhere: true,
      seen: { needed: false },
      is: { policies: "enforced", metadata: "closed", otherPods: "open", needed: "missedElsewhere" }
    }
  ])(
    "of $given: policies $is.policies, metadata $is.metadata, other Pods $is.otherPods, what tasks need $is.needed",
    ({ elsewhere, is, seen: what, values = {} }) =>
      expect(said(values, seen(what), elsewhere)).toEqual({
        policies: says.policies[is.policies],
        metadata: says.metadata[is.metadata],
        otherPods: says.otherPods[is.otherPods],
        needed: says.needed[is.needed]
      })
  )

  it.each([
    {
      given: denying,
      says:
        "failed: a task's Pod reaches another Pod, though task.networkPolicy.denyPods is true: 2001:db8::7 is no private address; give the network of Pods in task.networkPolicy.privateCidrs"
    },
    {
      given: { task: { networkPolicy: { denyPods: true, privateCidrs: ["2001:db8::/32"] } } },
      says: "failed: a task's Pod reaches another Pod, though task.networkPolicy.denyPods is true"
    },
    {
      given: walled,
      says:
        "warning: a task's Pod reaches any other Pod; give task.networkPolicy.denyPods: true to close that: 2001:db8::7 is no private address; give the network of Pods in task.networkPolicy.privateCidrs"
    }
  ])("that gives Pods public addresses is named where a task reaches one: $says", ({ given, says }) => {
    const target = { address: "2001:db8::7", port: 8083 }
    const task = Option.some({ beside: [], findings: [{ ...target, ...both(true) }] })
    expect(said(given, { ...seen(), listener: { targets: [target], stayed: true }, reports: { ...seen().reports, task } }).otherPods).toBe(
      says
    )
  })

  it("is unknown where the probe of tasks did not tell", () => {
    const found = seen()
    expect(said(walled, { ...found, reports: { ...found.reports, task: Option.none() } })).toMatchObject({
      policies: says.policies.enforced,
      metadata: "unknown: the probe of tasks did not tell what it reached"
    })
  })

  it.each([
    {
      given: "the VPC CNI of EKS with IPv6",
      podIPs: ["2001:db8::8"],
      addresses: ["2001:db8::8", "fe80::8", "169.254.172.5"],
      beside: ["169.254.172.5"]
    },
    { given: "another network of the same family", podIPs: ["10.0.0.8"], addresses: ["10.0.0.8", "192.168.5.3"], beside: ["192.168.5.3"] },
    { given: "nobody", podIPs: ["10.0.0.8", "fd00::8"], addresses: ["fd00::8", "10.0.0.8", "fe80::8"], beside: [] }
  ])(
    "gives Pods addresses that their status does not have: $beside, by $given",
    ({ addresses, beside, podIPs }) => expect(told({ addresses, findings: [] }, podIPs).beside).toEqual(beside)
  )

  it.each<{ given: string; seen: Seen }>([
    { given: "a Pod that may reach others reaches none", seen: { open: both(false) } },
    { given: "a Pod that may reach none reaches another", seen: { closed: both(true) } },
    { given: "the probe that may reach others did not tell", seen: { open: "nothing" } },
    { given: "the probe that may reach none did not tell", seen: { closed: "nothing" } },
    { given: "the Pod to reach ended", seen: { stayed: false } },
    { given: "a Pod may be let out by another address", seen: { beside: ["fd00::ac:5"] } }
  ])(
    "never counts as isolated because nobody answered, where $given",
    ({ seen: what }) => expect(said(walled, seen(what)).metadata).toBe(says.metadata.unproven)
  )
})

describe("a policy that opens metadata services to some tasks, but not to the Pod that tries", () => {
  const says =
    "though the values close them to tasks, metadata services are opened to some by NetworkPolicy agent-job/theirs; policies add up, so remove that one, put under its except what a task must not reach at port 80 (169.254.169.254, 169.254.170.2, 169.254.170.23, 100.100.100.200, 168.63.129.16, 192.0.0.192, fd00:ec2::23, fd00:ec2::254, fd20:ce::254), or let its podSelector leave tasks out"
  it.each<{ values: object; outcome: string }>([
    { values: walled, outcome: "failed" },
    { values: denying, outcome: "failed" },
    { values: closed, outcome: "failed" },
    { values: {}, outcome: "warning" }
  ])("is $outcome, and no proof, with the values $values", ({ outcome, values }) => {
    const checks = networkChecks({ config: configOf(values), found: seen({ pods: false }), ...read, opening: ["theirs"] })
    const told = checks.find(({ name }) => name === "metadata services are closed to tasks")
    expect(told).toMatchObject({ outcome, ...(outcome === "failed" && { message: says }) })
    expect(isolationBy(checks)).toBe("refuted")
  })
})

describe("what connects to a task", () => {
  const shut = { ...walled, task: { networkPolicy: { denyIngress: true } } }
  const untried =
    "unknown: nobody could try to connect to a Pod like a task's, or that one ended meanwhile; see the events of the doctor's Pods while they run, and try again"
  it.each<{ given: string; values: object; seen: Seen; letIn?: ReadonlyArray<string>; says: string; is: Isolation }>([
    {
      given: "nobody who tries, but somebody else by a policy, against the values",
      values: shut,
      seen: {},
      letIn: ["monitoring", "more"],
      says:
        "failed: though task.networkPolicy.denyIngress is true, others are let in to tasks by NetworkPolicy agent-job/monitoring, NetworkPolicy agent-job/more; policies add up, so remove that, or let its podSelector leave tasks out",
      is: "refuted"
    },
    {
      given: "nobody who tries, but somebody else by a policy, of which the values say nothing",
      values: walled,
      seen: {},
      letIn: ["monitoring"],
      says: "ok: no other Pod of its namespace connects to one like a task's",
      is: "proven"
    },
    {
      given: "nobody, and values that want it so",
      values: shut,
      seen: {},
      says: "ok: no other Pod of its namespace connects to one like a task's, no policy lets others in, and policies are enforced",
      is: "proven"
    },
    {
      given: "another Pod, against the values",
      values: shut,
      seen: { ingress: both(true) },
      says:
        "failed: another Pod connects to one like a task's, though task.networkPolicy.denyIngress is true; look whether NetworkPolicy agent-job/agent-job-task-ingress is there, and for a policy that lets others in",
      is: "refuted"
    },
    {
      given: "another Pod before the policy took effect, against the values",
      values: shut,
      seen: { ingress: { first: true, last: false } },
      says:
        "failed: another Pod connects to one like a task's, though task.networkPolicy.denyIngress is true; look whether NetworkPolicy agent-job/agent-job-task-ingress is there, and for a policy that lets others in",
      is: "refuted"
    },
    {
      given: "another Pod, against the values, where nothing is enforced",
      values: shut,
      seen: { closed: both(true), ingress: both(true) },
      says:
        "failed: another Pod connects to one like a task's, though task.networkPolicy.denyIngress is true; see what is said of network policies",
      is: "refuted"
    },
    { given: "nobody, since no Pod like a task's listens", values: shut, seen: { ingress: "none listens" }, says: untried, is: "unknown" },
    { given: "nobody, since that Pod ended", values: shut, seen: { ingress: "it ended" }, says: untried, is: "unknown" },
    { given: "nobody, since the Pod that tries did not tell", values: shut, seen: { open: "nothing" }, says: untried, is: "unknown" },
    {
      given: "nobody, where it is not known whether anything is enforced",
      values: shut,
      seen: { open: both(false) },
      says: "unknown: no other Pod of its namespace connects to one like a task's, but it is not proven that policies are enforced",
      is: "unknown"
    },
    {
      given: "another Pod, of which the values say nothing",
      values: walled,
      seen: { ingress: both(true) },
      says: "warning: any other Pod connects to one like a task's; give task.networkPolicy.denyIngress: true to close that",
      is: "proven"
    },
    {
      given: "nobody, of which the values say nothing",
      values: walled,
      seen: {},
      says: "ok: no other Pod of its namespace connects to one like a task's",
      is: "proven"
    }
  ])("is $given, so that its isolation is $is", ({ is, letIn = [], says, seen: what, values }) => {
    const checks = networkChecks({ config: configOf(values), found: seen(what), ...read, letIn })
    const [told] = checks.filter(({ name }) => name === "tasks are closed to other Pods")
    expect([`${told?.outcome}: ${told?.message}`, isolationBy(checks)]).toEqual([says, is])
  })
})

describe("policies of egress beside the one that opens all but metadata services", () => {
  const says =
    "NetworkPolicy agent-job/agent-job-metadata-service lets tasks out to all but metadata services, and policies add up, so that beside it these close nothing to them: NetworkPolicy agent-job/theirs, NetworkPolicy agent-job/more; take component restrict-metadata out, or restrictMetadataService: true, and where they close all egress give task.networkPolicy.closedElsewhere: true"
  const told = (values: object, inVain: ReadonlyArray<string>) => {
    const checks = networkChecks({
      config: configOf(values),
      found: seen({ pods: false }),
      ...read,
      isClosedElsewhere: true,
      inVain
    })
    const found = checks.filter(({ name }) => name === "egress policies close what they say").map((
      { message, outcome }
    ) => [outcome, message])
    return { found, is: isolationBy(checks) }
  }
  it.each<{ given: string; values: object; outcome: string; is: Isolation }>([
    { given: "a warning where the values promise no more", values: walled, outcome: "warning", is: "proven" },
    { given: "a failure where the values promise that all egress is closed", values: closed, outcome: "failed", is: "refuted" },
    { given: "a failure where the values promise that other Pods are closed", values: denying, outcome: "failed", is: "refuted" }
  ])("are $given", ({ is, outcome, values }) => expect(told(values, ["theirs", "more"])).toEqual({ found: [[outcome, says]], is }))

  it("are not spoken of where there are none", () => expect(told(walled, [])).toEqual({ found: [], is: "proven" }))
})

describe("the server of agent.url", () => {
  const values = (more: object = {}, url = "http://server.elsewhere.example:8080") => ({
    agent: { token: "t", url },
    restrictMetadataService: true,
    ...more
  })
  const checked = (given: object, reached: boolean, what: Seen = {}, port = 8080) => {
    const found = seen(what)
    const task = Option.map(found.reports.task, ({ beside, findings }) => ({
      beside,
      findings: [...findings, { address: "server.elsewhere.example", port, ...both(reached) }]
    }))
    const checks = networkChecks({
      config: configOf(given),
      found: { ...found, reports: { ...found.reports, task } },
      ...read,
      isClosedElsewhere: true
    })
    return { needed: checks.find(({ name }) => name === "tasks reach what they need"), proof: isolationBy(checks) }
  }
  const unreached =
    "a task's Pod does not reach server.elsewhere.example:8080 of agent.url, so no run gets to its end; if that server runs, "

  it("that a task reaches is named", () =>
    expect(checked(values(), true)).toMatchObject({
      needed: { outcome: "ok", message: "the API server, by its name, and server.elsewhere.example:8080 of agent.url" },
      proof: "proven"
    }))

  it("is not taken for the API server, which has its port", () =>
    expect(checked(values({}, "https://server.elsewhere.example"), false, {}, 443).needed?.message).toBe(
      "a task's Pod does not reach server.elsewhere.example:443 of agent.url, so no run gets to its end; if that server runs, look for a network policy that selects the Pods of tasks in agent-job"
    ))

  it("is not taken for a metadata service, which has its port", () =>
    expect(checked(values({}, "http://server.elsewhere.example"), true, {}, 80).proof).toBe("proven"))

  it.each([
    {
      given: "denyPods",
      values: values(denying),
      says:
        "NetworkPolicy agent-job/agent-job-task-egress closes it, since in private networks it opens only ports 443 and 6443, and a server that agent.url names as NAME.NAMESPACE.svc; name it so, or give task.networkPolicy.denyPods: false"
    },
    {
      given: "restricted-egress",
      values: values(closed),
      says: "name it in NetworkPolicy agent-job-egress-named of component restricted-egress, or in what else closes egress in agent-job"
    },
    { given: "neither", values: values(), says: "look for a network policy that selects the Pods of tasks in agent-job" }
  ])(
    "that a task does not reach fails, and is no proof, with what to change: $given",
    ({ says, values }) =>
      expect(checked(values, false, { pods: false })).toEqual({
        needed: { name: "tasks reach what they need", outcome: "failed", message: `${unreached}${says}` },
        proof: "refuted"
      })
  )

  it("is not what is missed where the API server is not reached either", () =>
    expect(checked(values(), false, { needed: false }).needed?.message).toContain("does not reach kubernetes.default.svc:443;"))
})

describe("the API server", () => {
  const by = (dnsPolicy: string, needed: boolean) => {
    const config = configOf({ ...walled, task: { dnsPolicy, dnsConfig: { nameservers: ["192.0.2.53"] } } })
    const api = apiServerOf(config)
    const checks = networkChecks({ config, found: seen({ api, needed }), ...read })
    return [...api.map(({ address }) => address), checks.find(({ name }) => name === "tasks reach what they need")?.message]
  }

  it.each(["", "ClusterFirst"])(
    "is asked for by its name, since DNS is needed too: task.dnsPolicy %j",
    (dnsPolicy) => expect(by(dnsPolicy, true)).toEqual(["kubernetes.default.svc", "the API server, by its name"])
  )

  it.each(["Default", "None"])(
    "is asked for as a worker asks it where its Pod may not know the cluster's names: task.dnsPolicy %s",
    (dnsPolicy) =>
      expect([by(dnsPolicy, true), by(dnsPolicy, false)]).toEqual([
        ["KUBERNETES_SERVICE_HOST", "the API server"],
        [
          "KUBERNETES_SERVICE_HOST",
          "a task's Pod does not reach the API server at the address that its variable KUBERNETES_SERVICE_HOST has; a worker could not claim its task, so open that address"
        ]
      ])
  )
})

describe("the isolation of tasks", () => {
  const isolation = (values: object, what?: Seen, elsewhere = false) =>
    isolationBy(networkChecks({ config: configOf(values), found: seen(what), ...read, isClosedElsewhere: elsewhere }))
  it.each<{ given: string; values: object; seen?: Seen; elsewhere?: boolean; is: Isolation }>([
    { given: "policies that are enforced, and metadata that they close", values: walled, is: "proven" },
    { given: "no policy", values: {}, is: "refuted" },
    { given: "a policy beside the values that they rest on", values: closed, elsewhere: true, is: "proven" },
    { given: "a policy that could go without any value changing", values: {}, elsewhere: true, is: "refuted" },
    { given: "a network that does not hold to policies", values: walled, seen: { closed: both(true) }, is: "refuted" },
    { given: "policies that come late", values: walled, seen: { closed: { first: true, last: false } }, is: "refuted" },
    {
      given: "an address for which no policy was seen to hold",
      values: walled,
      seen: { beside: ["fd00::ac:5"] },
      is: "refuted"
    },
    { given: "metadata that answer", values: walled, seen: { metadata: true }, is: "refuted" },
    {
      given: "metadata that answer, of a network of which nothing else is known",
      values: walled,
      seen: { metadata: true, open: both(false) },
      is: "refuted"
    },
    {
      given: "the identity of a cloud where the values open it",
      values: ofCloud("gke"),
      seen: { metadata: ["169.254.169.254"] },
      is: "proven"
    },
    { given: "the identity of another cloud", values: ofCloud("eks"), seen: { metadata: ["169.254.169.254"] }, is: "refuted" },
    { given: "other Pods that should be closed", values: denying, is: "refuted" },
    { given: "a network that nobody gets through", values: walled, seen: { open: both(false) }, is: "unknown" },
    { given: "a probe that did not tell", values: walled, seen: { closed: "nothing" }, is: "unknown" },
    { given: "a Pod to reach that ended", values: walled, seen: { stayed: false, pods: false }, is: "unknown" }
  ])("is $is by $given", ({ elsewhere, is, seen: what, values }) => expect(isolation(values, what, elsewhere)).toBe(is))

  it("is unknown where no Pod could be started", () => expect(isolationBy([nothingStarted(configOf())])).toBe("unknown"))

  it("is unknown where the probe of tasks did not tell", () => {
    const found = seen()
    const untold = { ...found, reports: { ...found.reports, task: Option.none() } }
    expect(isolationBy(networkChecks({ config: configOf(walled), found: untold, ...read }))).toBe("unknown")
  })
})
