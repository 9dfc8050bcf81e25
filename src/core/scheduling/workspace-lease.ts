// One Lease for each workspace, held by the one task whose apply or destroy may change it.
// The Lease never expires: it is free only if its holder is over, or nothing of its holder is left.
// Read by controller/reconcile/workspace-holder, taken by core/reconcile/start, written by controller/reconcile/execute.
import { Option, Schema } from "effect"
import { ObjectName, type Uid, workspaceKey } from "../../schema/names.ts"
import type { AgentTask } from "../../schema/task/agent-task.ts"
import { isLabelValue } from "../../schema/values/pod-values.ts"
import { managedByUs } from "../manifest/labels.ts"
import { Holder } from "../task/observed.ts"
import { fingerprint } from "../text/fingerprint.ts"

/** Returns `agent-job-`, the workspace in characters that a name allows, and a hash that tells apart workspaces that look alike. */
export const leaseName = (workspace: string): string =>
  `agent-job-${workspace.toLowerCase().replace(/[^a-z0-9]+/gu, "-").slice(0, 40)}-${fingerprint(workspace)}`

/** On a workspace's Lease: the name of the task that holds it. */
export const holderAnnotation = "scalr.io/holder"

/** Returns the Lease as its task takes it. `acquireTime` is a MicroTime. */
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

/** Another task that holds the Lease, a Pod that is left of its holder, or a stranger who wrote it. */
export type OtherHolder = Extract<Holder, { readonly _tag: "Taken" | "Left" | "Foreign" }>
export const isOther = (holder: Holder): holder is OtherHolder =>
  holder._tag === "Taken" || holder._tag === "Left" || holder._tag === "Foreign"

/** A holder that leaves nothing to take: another task, a Pod that is left of one, or one after which a person has to look. */
export type Keeper = OtherHolder | Extract<Holder, { readonly _tag: "InDoubt" }>

/** A Lease that is not there, or that nobody holds any more: it may be taken. */
export type Vacant = Extract<Holder, { readonly _tag: "Free" | "Over" }>
export const isVacant = (holder: Holder): holder is Vacant => holder._tag === "Free" || holder._tag === "Over"

/** The largest number that the API server takes. No Lease has changed hands so often, so a stranger wrote it, and nobody can take it. */
const mostTransitions = 2 ** 31 - 1

const isObjectName = Schema.is(ObjectName)

/** Reports whether a task may have written the Lease; `by` is its annotation. Each Pod of a task has the task's UID as a label. */
export const isOfTask = ({ holder, transitions }: Pick<LeaseSeen, "holder" | "transitions">, by: string): boolean =>
  isLabelValue(holder) && (by === "" || isObjectName(by)) && transitions >= 0 && transitions < mostTransitions

/** Returns the message of a task that waits for a Lease which no task can have written. */
export const waitsForStranger = ({ lease }: Extract<Holder, { readonly _tag: "Foreign" }>, workspace: string): string =>
  `Waiting for workspace ${workspace}: its Lease ${lease} was not written by agent-job, so nobody can tell whether it is free; see who wrote it, and delete it once nothing changes the workspace.`

/**
 * Returns who holds the Lease, from the point of view of the task `self`. `keeper` is another holder, or none if that is over or gone with
 * all its Pods.
 */
export const holderOf = ({ holder, resourceVersion, transitions }: LeaseSeen, self: Uid, keeper: Option.Option<Keeper>): Holder =>
  holder === self
    ? Holder.Mine({ epoch: transitions })
    : Option.getOrElse(keeper, (): Holder => Holder.Over({ resourceVersion, epoch: transitions }))

/** Returns the message of a task that waits for the Pod that is left of the former holder. */
export const waitsForLeft = ({ by, node, pod }: Extract<Holder, { readonly _tag: "Left" }>, workspace: string): string => {
  const former = by === "" ? "a former task" : `a former task ${by}`
  const next = node === "" ? "check what keeps it" : `check node ${node}, which has to answer or be removed`
  return `Waiting for Pod ${pod} of ${former}, which may still change workspace ${workspace}; if it does not end, ${next}.`
}

/** Returns the message of a task that waits for a person, who looks at what `by` left and then deletes it. */
export const waitsForPerson = (by: string, { metadata: { namespace }, spec: { workspace } }: AgentTask): string =>
  `Waiting for a person, since the state of workspace ${workspace} may lack what AgentTask ${by} made before it ended: look for that, bring the state up to date, then delete that task, first in Git if it is there, or it runs again: kubectl -n ${namespace} delete atask ${by}`

/** Returns the epoch of a task that has its workspace; 0 for a plan, which has none. */
export const epochOf = (holder: Holder): number => holder._tag === "Mine" ? holder.epoch : 0

/** Returns the epoch of a task that takes its workspace. */
export const nextEpoch = (from: Vacant): number => from._tag === "Over" ? from.epoch + 1 : 1
