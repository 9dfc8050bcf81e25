// One Lease a workspace, held by the task whose apply or destroy may change it, and by no other.
// It is never free by time: only because its holder is over, or nothing of its holder is left.
// Read by controller/observe, taken by core/response, written by controller/execute.
import { Option } from "effect"
import type { AgentTask } from "../schema/agent-task.ts"
import { type Uid, workspaceKey } from "../schema/names.ts"
import { fingerprint } from "./fingerprint.ts"
import { managedByUs } from "./manifest/labels.ts"
import { Holder } from "./observed.ts"

/** `agent-job-` and the workspace in what a name allows; two workspaces that read alike differ in the end. */
export const leaseName = (workspace: string): string =>
  `agent-job-${workspace.toLowerCase().replace(/[^a-z0-9]+/gu, "-").slice(0, 40)}-${fingerprint(workspace)}`

/** On a workspace's Lease: the name of the task that holds it. */
export const holderAnnotation = "scalr.io/holder"

/** As its task takes it; `acquireTime` is a MicroTime. */
export const leaseOf = ({ metadata: { name, namespace, uid }, spec: { workspace } }: AgentTask, epoch: number, acquireTime: string) => ({
  metadata: {
    name: leaseName(workspace),
    namespace,
    labels: managedByUs,
    annotations: { [holderAnnotation]: name, [workspaceKey]: workspace }
  },
  spec: { holderIdentity: uid, leaseTransitions: epoch, acquireTime }
})

export interface LeaseSeen {
  readonly holder: string
  readonly transitions: number
  readonly resourceVersion: string
}

/** Another task that holds it, or what is left of one. */
export type OtherHolder = Extract<Holder, { readonly _tag: "Taken" | "Left" }>

/** Who holds it, from the point of view of the task `self`; `alive`: another that does, unless that is over or gone with all its Pods. */
export const holderOf = ({ holder, resourceVersion, transitions }: LeaseSeen, self: Uid, alive: Option.Option<OtherHolder>): Holder =>
  holder === self
    ? Holder.Mine({ epoch: transitions })
    : Option.getOrElse(alive, (): Holder => Holder.Over({ resourceVersion, epoch: transitions }))

/** What a task says that waits for what is left of the holder. */
export const waitsForLeft = ({ by, node, pod }: Extract<Holder, { readonly _tag: "Left" }>, workspace: string): string => {
  const former = by === "" ? "a former task" : `a former task ${by}`
  const next = node === "" ? "look at what keeps it" : `look at node ${node}, which has to answer or to be removed`
  return `Waits for Pod ${pod} of ${former}, which may still change workspace ${workspace}; if it does not go, ${next}.`
}

/** Of who has the workspace already; a plan has none. */
export const epochOf = (holder: Holder): number => holder._tag === "Mine" ? holder.epoch : 0

/** Of who takes it. */
export const nextEpoch = (from: Holder): number => from._tag === "Over" ? from.epoch + 1 : 1
