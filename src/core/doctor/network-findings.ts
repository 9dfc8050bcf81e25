// What the probes of an installation's network found, and what has to be known to judge it.
// Invariant: a probe that did not report, and a Pod that did not stay, are told apart from one that reached nothing.
// Used by the checks of core/doctor/network and by cli/doctor.
import type { Option } from "effect"
import { type Finding, type ProbeReport, type ProbeTarget, shown } from "../../schema/kubernetes/probe.ts"
import { policyName } from "../network/network-policy.ts"
import type { Listener, Probe } from "../network/probe.ts"
import type { ResolvedConfig } from "../resolve/resolve.ts"

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

/** What the NetworkPolicies of the tasks' namespace say. Nobody can try that for everybody. */
export interface PoliciesRead {
  /** Whether a policy which is not part of the values closes all egress of the namespace. */
  readonly isClosedElsewhere: boolean
  /** The names of the policies that open a metadata service to the Pod of some task, though perhaps not to the probe's, which has fewer labels. */
  readonly opening: ReadonlyArray<string>
  /** The names of the policies that let somebody in to the Pod of some task. */
  readonly letIn: ReadonlyArray<string>
  /** The names of the policies that close nothing to tasks, because beside them one opens all but metadata services. */
  readonly inVain: ReadonlyArray<string>
}

/** What a task's Pod reached, and what one has to know to judge that. */
export interface Judged extends PoliciesRead {
  readonly config: ResolvedConfig
  readonly found: ReadonlyArray<Finding>
  /** Whether it is proven that the network holds to policies. */
  readonly enforced: boolean
}

/** Returns which findings are of one of these targets. */
export const isOneOf = (targets: ReadonlyArray<ProbeTarget>) => ({ address, port }: ProbeTarget): boolean =>
  targets.some((_) => _.address === address && _.port === port)

export const listed = (targets: ReadonlyArray<ProbeTarget>): string => targets.map(shown).join(", ")

export const policiesNamed = (namespace: string, names: ReadonlyArray<string>): string =>
  names.map((name) => `NetworkPolicy ${namespace}/${name}`).join(", ")

/** The policy of denyPods. */
export const taskEgress = (config: ResolvedConfig): string => policiesNamed(config.taskNamespace, [policyName(config, "task-egress")])
