// Where nothing may run before its isolation is proven: what was proven, as an annotation on the Lease of the leading controller, and the wait for it.
// Invariant: a proof is of the network that these values ask for; other values need another one.
// Used by cli/doctor-network, which proves it, and by controller/controller and controller/turns.
import { Option, Record } from "effect"
import { fingerprint } from "./fingerprint.ts"
import { Turn } from "./observed.ts"
import type { ResolvedConfig } from "./resolve.ts"

const mark = "scalr.io/isolation-proven"

type Annotations = Readonly<Record<string, string>>

const subject = (
  { name, restrictMetadataService, taskNamespace, taskNetwork: { closedElsewhere, cloudIdentity, denyIngress, denyPods } }: ResolvedConfig
): string =>
  fingerprint(
    JSON.stringify([
      name,
      taskNamespace,
      restrictMetadataService,
      denyIngress,
      denyPods,
      cloudIdentity,
      ...closedElsewhere ? ["closed elsewhere"] : []
    ])
  ) // else as it was before there was this value: a proof outlives an upgrade

/** `now`: in RFC 3339, for people. */
export const proven = (annotations: Annotations, config: ResolvedConfig, now: string): Annotations => ({
  ...annotations,
  [mark]: `${now} ${subject(config)}`
})

export const unproven = (annotations: Annotations): Annotations => Record.remove(annotations, mark)

export const isProven = (annotations: Annotations, config: ResolvedConfig): boolean =>
  annotations[mark]?.split(" ").at(-1) === subject(config)

/** The turn of every task that has not begun. */
export const waitsForProof: Turn = Turn.Waiting({ reason: "IsolationUnproven", position: 1, blockedBy: Option.none() })
