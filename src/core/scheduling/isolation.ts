// Holds tasks back until their isolation is proven: the proof, an annotation on the leader's Lease, and the turn of tasks that wait for it.
// Invariant: a proof is only for the network, and the Pods in it, that the present values ask for; other values need another proof.
// Used by cli/doctor/doctor-network, which proves it, and by controller/lifecycle/controller and controller/world/turns.
import { Record } from "effect"
import { usualApiServerPorts } from "../../schema/values/network-values.ts"
import { otherServerNamespace } from "../network/pool-server.ts"
import type { ResolvedConfig } from "../resolve/resolve.ts"
import { Turn } from "../task/observed.ts"
import { canonical } from "../text/canonical.ts"
import { fingerprint } from "../text/fingerprint.ts"
import type { Annotations } from "./draining.ts"

const mark = "scalr.io/isolation-proven"

/**
 * Returns what a proof is of: what is asked of the network, and what else decides how the Pods of tasks are connected. Nothing is added for
 * a value that says nothing, so that a proof from before the value counted outlives an upgrade.
 */
const subject = (config: ResolvedConfig): string => {
  const { name, restrictMetadataService, taskNamespace, taskNetwork } = config
  const { apiServerPorts, closedElsewhere, cloudIdentity, denyIngress, denyPods, privateCidrs } = taskNetwork
  const { annotations, labels, runtimeClassName } = config.task.pod
  const server = denyPods ? otherServerNamespace(config) : undefined
  return fingerprint(
    canonical([
      name,
      taskNamespace,
      restrictMetadataService,
      denyIngress,
      denyPods,
      cloudIdentity,
      ...closedElsewhere ? ["closed elsewhere"] : [],
      ...server === undefined ? [] : [`server in ${server}`],
      ...denyPods && apiServerPorts.join() !== usualApiServerPorts.join() ? [{ apiServerPorts }] : [],
      ...privateCidrs.length === 0 ? [] : [{ privateCidrs }], // only with denyPods
      ...Object.keys(annotations).length === 0 ? [] : [{ annotations }],
      ...Object.keys(labels).length === 0 ? [] : [{ labels }],
      ...runtimeClassName === "" ? [] : [{ runtimeClassName }]
    ])
  )
}

/** Returns the annotations with a proof for these values. `now`, in RFC 3339, is for people to read. */
export const proven = (annotations: Annotations, config: ResolvedConfig, now: string): Annotations => ({
  ...annotations,
  [mark]: `${now} ${subject(config)}`
})

export const unproven = (annotations: Annotations): Annotations => Record.remove(annotations, mark)

export const isProven = (annotations: Annotations, config: ResolvedConfig): boolean =>
  annotations[mark]?.split(" ").at(-1) === subject(config)

/** The turn of every task that has not begun, while the isolation of tasks is not proven. */
export const waitsForProof: Turn = Turn.Waiting({ position: 1, why: { reason: "IsolationUnproven" } })
