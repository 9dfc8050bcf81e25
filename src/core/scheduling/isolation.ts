// Holds tasks back until their isolation is proven: the proof, an annotation on the leader's Lease, and the turn of tasks that wait for it.
// Invariant: a proof is only for the network that the present values ask for; other values need another proof.
// Used by cli/doctor/doctor-network, which proves it, and by controller/lifecycle/controller and controller/world/turns.
import { Record } from "effect"
import { otherServerNamespace } from "../network/pool-server.ts"
import type { ResolvedConfig } from "../resolve/resolve.ts"
import { Turn } from "../task/observed.ts"
import { fingerprint } from "../text/fingerprint.ts"

const mark = "scalr.io/isolation-proven"

type Annotations = Readonly<Record<string, string>>

const subject = (config: ResolvedConfig): string => {
  const { name, restrictMetadataService, taskNamespace, taskNetwork: { closedElsewhere, cloudIdentity, denyIngress, denyPods } } = config
  const server = denyPods ? otherServerNamespace(config) : undefined
  return fingerprint(
    JSON.stringify([
      name,
      taskNamespace,
      restrictMetadataService,
      denyIngress,
      denyPods,
      cloudIdentity,
      ...closedElsewhere ? ["closed elsewhere"] : [],
      ...server === undefined ? [] : [`server in ${server}`]
    ])
  ) // nothing is added without closedElsewhere and such a server, so a proof from before they counted outlives an upgrade
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
