// What a probe Pod is told to reach, and what it reports in its termination message of that and of itself.
// `first` and `last` are the first and the last of several tries, because some networks take a moment until a policy is in force.
// Used by worker/probe.ts and by the doctor that starts such Pods.
import { Schema } from "effect"

const target = { address: Schema.String, port: Schema.Int }
export const ProbeTarget = Schema.Struct(target)
export type ProbeTarget = typeof ProbeTarget.Type

/** As the address of a target: the one of the API server that Kubernetes tells each Pod in the variable of this name, and that workers ask. */
export const apiServerVariable = "KUBERNETES_SERVICE_HOST"

const Finding = Schema.Struct({ ...target, first: Schema.Boolean, last: Schema.Boolean })
export type Finding = typeof Finding.Type

export const Targets = Schema.fromJsonString(Schema.Array(ProbeTarget))
export const ProbeReport = Schema.Struct({
  /** The addresses of the Pod's interfaces, beside loopback. */
  addresses: Schema.Array(Schema.String),
  findings: Schema.Array(Finding)
})
export type ProbeReport = typeof ProbeReport.Type

/** Returns a target as a person writes it. */
export const shown = ({ address, port }: ProbeTarget): string => `${address.includes(":") ? `[${address}]` : address}:${port}`
