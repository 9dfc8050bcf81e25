// Judges whether tasks reach the metadata services of clouds, which give a node's own credentials to any caller.
// Invariant: no answer is not enough: a policy that the values know has to close them, and the network has to hold to it.
// Used by core/doctor/network; cli/doctor/doctor-network asks its `metadataTargets`.
import type { ProbeTarget } from "../../schema/kubernetes/probe.ts"
import { closedMetadata, metadataAddresses } from "../network/network-addresses.ts"
import { policyName } from "../network/network-policy.ts"
import { type Check, check, checkNames } from "./check.ts"
import { isOneOf, type Judged, listed, policiesNamed, taskEgress } from "./network-findings.ts"

/** The metadata services of clouds, which answer any caller, each with one port on which it listens. */
export const metadataTargets: ReadonlyArray<ProbeTarget> = metadataAddresses.map((address) => ({ address, port: 80 }))

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

/** Returns what to do about a metadata service that answers, behind what is said of it. */
const adviceOnMetadata = (judged: Judged): string => {
  const { config, enforced } = judged
  const { taskNamespace, taskNetwork: { closedElsewhere, denyPods } } = config
  if (closedBy(judged) !== "values") return "; give restrictMetadataService: true, or component restricted-egress"
  const policy = denyPods ? taskEgress(config) : policiesNamed(taskNamespace, [policyName(config, "metadata-service")])
  return `, though the values close it; ${
    enforced
      ? `look whether ${closedElsewhere ? "all egress is closed" : `${policy} is there`}, and for a policy that opens the address`
      : "see what is said of network policies, and until they hold close it elsewhere: on the node, or at the metadata service (on AWS by a hop limit of 1)"
  }`
}

export const metadataServices = (judged: Judged): Check => {
  const { config, enforced, found, opening } = judged
  const say = check(checkNames.metadataServices)
  const { cloudIdentity } = config.taskNetwork
  const closed = closedMetadata(cloudIdentity)
  const open = found.filter(isOneOf(metadataTargets)).filter(({ address, last }) => last && closed.includes(address))
  if (open.length > 0) {
    return say("failed", `a task's Pod reaches ${listed(open)}, where a node's own credentials may be${adviceOnMetadata(judged)}`)
  }
  const by = closedBy(judged)
  if (opening.length > 0 && (by === "missing" || by === "values")) {
    return say(
      "failed",
      `though the values close them to tasks, metadata services are opened to some by ${
        policiesNamed(config.taskNamespace, opening)
      }; policies add up, so remove that one, put under its except what a task must not reach at port 80 (${
        closed.join(", ")
      }), or let its podSelector leave tasks out`
    )
  }
  switch (by) {
    case "missing":
      return say(
        "failed",
        `task.networkPolicy.closedElsewhere is true, but no policy in ${config.taskNamespace} closes the egress of every Pod; apply component restricted-egress, or take the value back`
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
