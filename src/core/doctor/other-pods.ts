// Judges who is reached from the Pod of a task and who reaches it, and policies that close nothing beside another.
// Used by core/doctor/network.
import { Option } from "effect"
import { isPrivate } from "../network/network-addresses.ts"
import { policyName } from "../network/network-policy.ts"
import type { ResolvedConfig } from "../resolve/resolve.ts"
import { type Check, check, checkNames } from "./check.ts"
import { isOneOf, type Judged, type NetworkFindings, policiesNamed } from "./network-findings.ts"

export const otherPods = (
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
export const ingress = (
  { config, enforced, letIn }: Omit<Judged, "found">,
  { reports: { open }, taskListener: { stayed, targets } }: NetworkFindings
): Check => {
  const { taskNamespace, taskNetwork: { denyIngress } } = config
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
      ? `look whether ${policiesNamed(taskNamespace, [policyName(config, "task-ingress")])} is there, and for a policy that lets others in`
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
export const closingInVain = (config: ResolvedConfig, inVain: ReadonlyArray<string>): ReadonlyArray<Check> => {
  const { taskNamespace, taskNetwork: { closedElsewhere, denyPods } } = config
  return inVain.length === 0 ? [] : [
    check(checkNames.inVain)(
      closedElsewhere || denyPods ? "failed" : "warning",
      `${
        policiesNamed(taskNamespace, [policyName(config, "metadata-service")])
      } lets tasks out to all but metadata services, and policies add up, so that beside it these close nothing to them: ${
        policiesNamed(taskNamespace, inVain)
      }; take component restrict-metadata out, or restrictMetadataService: true, and where they close all egress give task.networkPolicy.closedElsewhere: true`
    )
  ]
}
