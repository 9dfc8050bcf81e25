// Judges what the probes of an installation's network found.
// Invariant: "no answer" alone proves nothing. Isolation counts as proven only where the network is seen to enforce policies.
// Used by cli/doctor/examination and cli/doctor/doctor-network.
import { Option } from "effect"
import { type Finding, type ProbeReport, type ProbeTarget, shown } from "../../schema/kubernetes/probe.ts"
import { closedMetadata, isPrivate, metadataAddresses } from "../network/network-addresses.ts"
import { metadataPolicyName } from "../network/network-policy.ts"
import { serverTargets } from "../network/pool-server.ts"
import type { Listener, Probe } from "../network/probe.ts"
import type { ResolvedConfig } from "../resolve/resolve.ts"
import { type Check, check, type CheckName, checkNames } from "./check.ts"

/** The metadata services of clouds, which answer any caller, each with one port on which it listens. */
export const metadataTargets: ReadonlyArray<ProbeTarget> = metadataAddresses.map((address) => ({ address, port: 80 }))

const listed = (targets: ReadonlyArray<ProbeTarget>): string => targets.map(shown).join(", ")

/** A Pod that others try to reach. */
export interface Listening {
  /** Where it listens; nothing if it did not get as far. */
  readonly targets: ReadonlyArray<ProbeTarget>
  /** Whether it was still there when all had tried: if it was not, that somebody did not reach it means nothing. */
  readonly stayed: boolean
}

/**
 * What the probes found. Every probe tries the listener's addresses, the open one those of the tasks' listener too, and the probe of tasks
 * all other targets. None for a probe that did not report.
 */
export interface NetworkFindings {
  readonly listener: Listening
  readonly taskListener: Listening
  readonly reports: Readonly<Record<Exclude<Probe, Listener>, Option.Option<Told>>>
}

/** What a probe tells. */
export interface Told extends Pick<ProbeReport, "findings"> {
  /**
   * The addresses of its Pod that the Pod's status does not have, since no policy may hold for them: the VPC CNI of EKS gives Pods of IPv6
   * one of IPv4 on an interface of its own (aws/aws-network-policy-agent#55), and others attach further networks.
   */
  readonly beside: ReadonlyArray<string>
}

/** Returns what a probe tells whose Pod has these addresses. Every interface has a link-local one of IPv6, which leads nowhere. */
export const told = ({ addresses, findings }: ProbeReport, podIPs: ReadonlyArray<string>): Told => ({
  findings,
  beside: addresses.filter((address) => !podIPs.includes(address) && !/^fe[89ab]/u.test(address))
})

const isOneOf = (targets: ReadonlyArray<ProbeTarget>) => ({ address, port }: ProbeTarget): boolean =>
  targets.some((_) => _.address === address && _.port === port)

const saysBeside = (address: string): string =>
  `enforced, but a Pod also has the address ${address}, which is not in its status.podIPs, and networks let Pods out by such an address whatever policies say; take it from Pods: on EKS by ENABLE_V4_EGRESS=false of the VPC CNI, in clusters with IPv4 by ENABLE_V6_EGRESS=false; elsewhere look for what attaches another network`

const enforcement = (found: NetworkFindings): Check => {
  const { listener: { stayed, targets }, reports: { closed, open } } = found
  const say = check(checkNames.networkPolicies)
  if (Option.isNone(open) || Option.isNone(closed)) {
    return say(
      "unknown",
      "a probe did not tell what it reached, or not as this version does; see its events and image while it runs, and try again"
    )
  }
  const [free, held] = [open.value, closed.value].map(({ findings }) => findings.filter(isOneOf(targets)))
  if (held?.some(({ last }) => last)) {
    return say(
      "failed",
      "a Pod that a policy closes reaches another Pod: this network takes NetworkPolicies and does not hold to them; install one that does"
    )
  }
  if (!stayed) {
    return say(
      "unknown",
      "the Pod to connect to ended while others tried to reach it, so nothing is proven by one that did not; see its events while it runs, and try again"
    )
  }
  if (!free?.some(({ last }) => last)) {
    return say(
      "unknown",
      "even a Pod with a policy that allows it does not reach another Pod, so nothing is proven about policies that deny; look for network policies outside Kubernetes"
    )
  }
  if (held?.some(({ first }) => first)) {
    return say("warning", "enforced, but a new Pod reached another one before its policy took effect, and so may a task's Pod")
  }
  const [beside] = Object.values(found.reports).flatMap((report) => Option.isSome(report) ? report.value.beside : [])
  return beside === undefined
    ? say("ok", "of two identical Pods, the one that a policy isolates reaches nothing")
    : say("warning", saysBeside(beside))
}

/** What the NetworkPolicies of the tasks' namespace say. Nobody can try that for everybody. */
export interface PoliciesRead {
  /** Whether a policy which is not part of the values closes all egress of the namespace. */
  readonly isClosedElsewhere: boolean
  /** The names of the policies that let somebody in to the Pod of some task. */
  readonly letIn: ReadonlyArray<string>
  /** The names of the policies that close nothing to tasks, because beside them one opens all but metadata services. */
  readonly inVain: ReadonlyArray<string>
}

/** What a task's Pod reached, and what one has to know to judge that. */
interface Judged extends PoliciesRead {
  readonly config: ResolvedConfig
  readonly found: ReadonlyArray<Finding>
  /** Whether it is proven that the network holds to policies. */
  readonly enforced: boolean
}

/**
 * Returns what keeps tasks from metadata services. `missing`: the policy that the values rest on is not there. `unmanaged`: a policy that the
 * values do not know, so that it may go away without a change of the values.
 */
const closedBy = (
  { config: { restrictMetadataService, taskNetwork: { closedElsewhere, denyPods } }, isClosedElsewhere }: Judged
): "missing" | "values" | "unmanaged" | "nobody" => {
  if (closedElsewhere && !isClosedElsewhere) return "missing"
  if (restrictMetadataService || denyPods || closedElsewhere) return "values"
  return isClosedElsewhere ? "unmanaged" : "nobody"
}

const policiesNamed = (namespace: string, names: ReadonlyArray<string>): string =>
  names.map((name) => `NetworkPolicy ${namespace}/${name}`).join(", ")

/** The policy of denyPods. */
const taskEgress = ({ name, taskNamespace }: ResolvedConfig): string => `NetworkPolicy ${taskNamespace}/${name}-task-egress`

/** Returns what to do about a metadata service that answers, behind what is said of it. */
const adviceOnMetadata = (judged: Judged): string => {
  const { config, enforced } = judged
  const { taskNamespace, taskNetwork: { closedElsewhere, denyPods } } = config
  if (closedBy(judged) !== "values") return "; give restrictMetadataService: true, or component restricted-egress"
  const policy = denyPods ? taskEgress(config) : policiesNamed(taskNamespace, [metadataPolicyName(config)])
  return `, though the values close it; ${
    enforced
      ? `look whether ${closedElsewhere ? "all egress is closed" : `${policy} is there`}, and for a policy that opens the address`
      : "see what is said of network policies, and until they hold close it elsewhere: on the node, or at the metadata service (on AWS by a hop limit of 1)"
  }`
}

const metadataServices = (judged: Judged): Check => {
  const { config, enforced, found } = judged
  const say = check(checkNames.metadataServices)
  const { cloudIdentity } = config.taskNetwork
  const closed = closedMetadata(cloudIdentity)
  const open = found.filter(isOneOf(metadataTargets)).filter(({ address, last }) => last && closed.includes(address))
  if (open.length > 0) {
    return say("failed", `a task's Pod reaches ${listed(open)}, where a node's own credentials may be${adviceOnMetadata(judged)}`)
  }
  switch (closedBy(judged)) {
    case "missing":
      return say(
        "failed",
        `task.networkPolicy.closedElsewhere is true, but the policies in ${config.taskNamespace} do not close all egress: none selects every Pod, or one opens port 80 of a metadata service to tasks (${
          closed.join(", ")
        }); apply component restricted-egress and remove or except what opens it, or take the value back`
      )
    case "unmanaged":
      return say(
        "warning",
        "no metadata service answered, and a policy closes all egress, but nobody would notice if it were removed; give task.networkPolicy.closedElsewhere: true, as component restricted-egress does"
      )
    case "nobody":
      return say(
        "warning",
        "no metadata service answered, but no policy of this installation closes them; give restrictMetadataService: true, or component restricted-egress"
      )
    case "values": {
      const none = `no metadata service answered${cloudIdentity === undefined ? "" : " but what task.networkPolicy.cloudIdentity opens"}`
      return enforced
        ? say("ok", `${none}, a policy closes them, and policies are enforced`)
        : say("unknown", `${none}, but it is not proven that policies are enforced`)
    }
  }
}

const otherPods = (
  { config: { taskNetwork: { denyPods, privateCidrs } }, enforced, found }: Judged,
  { listener: { stayed, targets } }: NetworkFindings
): Check => {
  const say = check(checkNames.otherPods)
  const reached = found.filter(isOneOf(targets)).filter(({ last }) => last)
  if (reached.length > 0) {
    const open = reached.find(({ address }) => !isPrivate(address, privateCidrs))
    const advice = open === undefined
      ? ""
      : `: ${open.address} is no private address; give the network of Pods in task.networkPolicy.privateCidrs`
    return denyPods
      ? say("failed", `a task's Pod reaches another Pod, though task.networkPolicy.denyPods is true${advice}`)
      : say("warning", `a task's Pod reaches any other Pod; give task.networkPolicy.denyPods: true to close that${advice}`)
  }
  if (!stayed) return say("unknown", "a task's Pod did not reach another Pod, but that one ended meanwhile")
  if (!denyPods) return say("ok", "a task's Pod does not reach a Pod that listens")
  return enforced
    ? say("ok", "a task's Pod does not reach a Pod that listens, and policies are enforced")
    : say("unknown", "a task's Pod does not reach a Pod that listens, but it is not proven that policies are enforced")
}

/** Judges who connects to a Pod like a task's. Any connection counts, since a policy that comes late lets one into a task too. */
const ingress = (
  { config: { name, taskNamespace, taskNetwork: { denyIngress } }, enforced, letIn }: Omit<Judged, "found">,
  { reports: { open }, taskListener: { stayed, targets } }: NetworkFindings
): Check => {
  const say = check(checkNames.ingress)
  if (denyIngress && letIn.length > 0) {
    return say(
      "failed",
      `though task.networkPolicy.denyIngress is true, others are let in to tasks by ${
        policiesNamed(taskNamespace, letIn)
      }; policies add up, so remove that, or let its podSelector leave tasks out`
    )
  }
  const tries = Option.isSome(open) ? open.value.findings.filter(isOneOf(targets)) : []
  if (tries.some(({ first, last }) => first || last)) {
    const advice = enforced
      ? `look whether NetworkPolicy ${taskNamespace}/${name}-task-ingress is there, and for a policy that lets others in`
      : "see what is said of network policies"
    return denyIngress
      ? say("failed", `another Pod connects to one like a task's, though task.networkPolicy.denyIngress is true; ${advice}`)
      : say("warning", "any other Pod connects to one like a task's; give task.networkPolicy.denyIngress: true to close that")
  }
  if (tries.length === 0 || !stayed) {
    return say(
      "unknown",
      "nobody could try to connect to a Pod like a task's, or that one ended meanwhile; see the events of the doctor's Pods while they run, and try again"
    )
  }
  const none = "no other Pod of its namespace connects to one like a task's"
  if (!denyIngress) return say("ok", none)
  return enforced
    ? say("ok", `${none}, no policy lets others in, and policies are enforced`)
    : say("unknown", `${none}, but it is not proven that policies are enforced`)
}

/** Judges policies that close nothing, which is a failure where the values promise that more is closed than metadata services. */
const closingInVain = (config: ResolvedConfig, inVain: ReadonlyArray<string>): ReadonlyArray<Check> => {
  const { taskNamespace, taskNetwork: { closedElsewhere, denyPods } } = config
  return inVain.length === 0 ? [] : [
    check(checkNames.inVain)(
      closedElsewhere || denyPods ? "failed" : "warning",
      `${
        policiesNamed(taskNamespace, [metadataPolicyName(config)])
      } lets tasks out to all but metadata services, and policies add up, so that beside it these close nothing to them: ${
        policiesNamed(taskNamespace, inVain)
      }; take component restrict-metadata out, or restrictMetadataService: true, and where they close all egress give task.networkPolicy.closedElsewhere: true`
    )
  ]
}

const openPorts = ({ taskNetwork: { apiServerPorts } }: ResolvedConfig): string => `ports ${apiServerPorts.join(" and ")}`

/** Returns what may keep the Pods of tasks from the API server, and what to change, behind what is said of it. */
const closesApiServer = (config: ResolvedConfig): string => {
  const { name, taskNamespace, taskNetwork: { closedElsewhere, denyPods } } = config
  const shows = "kubectl get endpointslices kubernetes shows"
  if (closedElsewhere) {
    return `: NetworkPolicy ${name}-egress-api-server of component restricted-egress, or what else closes egress in ${taskNamespace}, has to allow what ${shows}`
  }
  return denyPods
    ? `: ${taskEgress(config)} opens private networks at ${
      openPorts(config)
    } only; where ${shows} another one, give it in task.networkPolicy.apiServerPorts`
    : ""
}

/** Returns what keeps the Pods of tasks from the server of `agent.url` while it runs, and what to change. */
const closesServer = (config: ResolvedConfig): string => {
  const { name, taskNamespace, taskNetwork: { closedElsewhere, denyPods } } = config
  if (closedElsewhere) {
    return `name it in NetworkPolicy ${name}-egress-named of component restricted-egress, or in what else closes egress in ${taskNamespace}`
  }
  return denyPods
    ? `${taskEgress(config)} closes it, since in private networks it opens only ${
      openPorts(config)
    }, and a server that agent.url names as NAME.NAMESPACE.svc; name it so, or give task.networkPolicy.denyPods: false`
    : `look for a network policy that selects the Pods of tasks in ${taskNamespace}`
}

const needs = ({ config, found }: Judged, apiServer: ReadonlyArray<ProbeTarget>): Check => {
  const say = check(checkNames.needs)
  const missed = found.filter(isOneOf(apiServer)).filter(({ last }) => !last)
  if (missed.length > 0) {
    return say(
      "failed",
      `a task's Pod does not reach ${listed(missed)}; a worker could not claim its task, so open DNS and the API server${
        closesApiServer(config)
      }`
    )
  }
  const server = found.filter(isOneOf(serverTargets(config)))
  return server.every(({ last }) => last)
    ? say("ok", `the API server, by its name${server.length === 0 ? "" : `, and ${listed(server)} of agent.url`}`)
    : say(
      "failed",
      `a task's Pod does not reach ${listed(server)} of agent.url, so no run gets to its end; if that server runs, ${closesServer(config)}`
    )
}

export type Isolation = "proven" | "refuted" | "unknown"

/**
 * Returns what the network's checks say about the isolation of tasks. Policies that come late, and an address of a Pod for which they may not
 * hold, speak against it as a failed check does, whatever else is unknown.
 */
export const isolationBy = (checks: ReadonlyArray<Check>): Isolation => {
  const is = (wanted: CheckName, as: Check["outcome"]) => checks.some(({ name, outcome }) => name === wanted && outcome === as)
  if (is(checkNames.networkPolicies, "warning") || checks.some(({ outcome }) => outcome === "failed")) return "refuted"
  if (checks.some(({ outcome }) => outcome === "unknown")) return "unknown"
  return is(checkNames.networkPolicies, "ok") && is(checkNames.metadataServices, "ok") ? "proven" : "refuted"
}

/** The check for an examination after which a proof stays as it was, so that a cluster without room for its Pods stops nothing. */
export const proofStays: Check = check(checkNames.proof)(
  "unknown",
  "stays as it was, if there is one: what was found neither proves that tasks are isolated nor speaks against it"
)

/** Returns the check for a cluster that started no Pod for the probes to connect to. */
export const nothingStarted = ({ taskNamespace }: ResolvedConfig): Check =>
  check(checkNames.networkPolicies)(
    "unknown",
    `no Pod could be started in ${taskNamespace} to connect to; see kubectl -n ${taskNamespace} get events`
  )

/** Returns the checks of the network. `apiServer` is what every worker has to reach. */
export const networkChecks = ({ apiServer, found, ...given }: Omit<Judged, "found" | "enforced"> & {
  readonly found: NetworkFindings
  readonly apiServer: ReadonlyArray<ProbeTarget>
}): ReadonlyArray<Check> => {
  const policies = enforcement(found)
  const enforced = policies.outcome === "ok"
  return [
    policies,
    ...Option.match(found.reports.task, {
      onNone: () => [check(checkNames.metadataServices)("unknown", "the probe of tasks did not tell what it reached")],
      onSome: ({ findings }) => {
        const judged = { ...given, found: findings, enforced }
        return [metadataServices(judged), otherPods(judged, found), needs(judged, apiServer)]
      }
    }),
    ingress({ ...given, enforced }, found),
    ...closingInVain(given.config, given.inVain)
  ]
}
