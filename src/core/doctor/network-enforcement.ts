// Judges whether the network of a cluster holds to NetworkPolicies, by two Pods alike of which a policy closes one.
// Invariant: "no answer" alone proves nothing.
// Used by core/doctor/network.
import { Option } from "effect"
import { type Check, check, checkNames } from "./check.ts"
import { isOneOf, type NetworkFindings } from "./network-findings.ts"

const saysBeside = (address: string): string =>
  `enforced, but a Pod also has the address ${address}, which is not in its status.podIPs, and networks let Pods out by such an address whatever policies say; take it from Pods: on EKS by ENABLE_V4_EGRESS=false of the VPC CNI, in clusters with IPv4 by ENABLE_V6_EGRESS=false; elsewhere look for what attaches another network`

export const enforcement = (found: NetworkFindings): Check => {
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
      "a Pod that a policy closes reaches another Pod: this network takes NetworkPolicies and does not hold to them; install one that does, or keep tasks out of a mesh whose proxy takes each connection itself"
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
