// Judges what the probes of an installation's network found, and whether that proves the isolation of tasks.
// Invariant: isolation counts as proven only where the network is seen to enforce policies.
// Used by cli/doctor/examination.
import { Option } from "effect"
import type { ResolvedConfig } from "../resolve/resolve.ts"
import { type Check, check, type CheckName, checkNames } from "./check.ts"
import { metadataServices } from "./metadata-services.ts"
import { enforcement } from "./network-enforcement.ts"
import type { Judged, NetworkFindings } from "./network-findings.ts"
import { closingInVain, ingress, otherPods } from "./other-pods.ts"
import { needs } from "./task-needs.ts"

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

/** Returns the checks of the network. */
export const networkChecks = ({ found, ...given }: Omit<Judged, "found" | "enforced"> & {
  readonly found: NetworkFindings
}): ReadonlyArray<Check> => {
  const policies = enforcement(found)
  const enforced = policies.outcome === "ok"
  return [
    policies,
    ...Option.match(found.reports.task, {
      onNone: () => [check(checkNames.metadataServices)("unknown", "the probe of tasks did not tell what it reached")],
      onSome: ({ findings }) => {
        const judged = { ...given, found: findings, enforced }
        return [metadataServices(judged), otherPods(judged, found), needs(judged)]
      }
    }),
    ingress({ ...given, enforced }, found),
    ...closingInVain(given.config, given.inVain)
  ]
}
