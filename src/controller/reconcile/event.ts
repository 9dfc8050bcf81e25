// The Event that tells people about a task, within the API server's limits for every name of a task and every script of a message.
// Its name is derived from what it says, so that the same is not said twice.
// Used by controller/reconcile/execute and controller/reconcile/not-understood.
import { Effect } from "effect"
import type { Notice } from "../../core/reconcile/action.ts"
import { cutName } from "../../core/text/cut-name.ts"
import { fingerprint } from "../../core/text/fingerprint.ts"
import { shortenedInBytes } from "../../core/text/sentence.ts"
import type { Kubernetes } from "../../kubernetes/client.ts"
import { microTime } from "../../kubernetes/clock.ts"
import { agentTasks, events } from "../../kubernetes/kinds.ts"
import type { ObjectMeta } from "../../kubernetes/object.ts"

/** The most that a note may have, in bytes of UTF-8. */
const longestNote = 1024
/**
 * How many characters of the task's name are kept: an Event's name has at most 253, of which a dot and the fingerprint take up to eight.
 */
const mostOfName = 245

/** What an event needs to know of a task; it may be one that is not understood. */
interface About {
  readonly metadata: Pick<ObjectMeta, "name" | "namespace" | "uid" | "resourceVersion">
}
type Emitted = Extract<Notice, { readonly _tag: "Emit" }>

/** `identity` names this controller. */
export const event = ({ metadata }: About, { message, reason, type }: Emitted, identity: string, now: string) => {
  const { name, namespace, resourceVersion, uid } = metadata
  return {
    metadata: { name: `${cutName(name, mostOfName)}.${fingerprint(`${uid} ${reason} ${message}`)}`, namespace },
    regarding: { apiVersion: agentTasks.apiVersion, kind: agentTasks.kind, name, namespace, uid, resourceVersion },
    reportingController: "scalr.io/agent-job",
    reportingInstance: identity,
    action: "Reconcile",
    eventTime: microTime(Date.parse(now)),
    note: shortenedInBytes(message, longestNote),
    reason,
    type
  }
}

/** Creates the event, by best effort. */
export const emit = (kubernetes: Kubernetes["Service"], about: About, notice: Emitted, identity: string, now: string) =>
  kubernetes.create(events, event(about, notice, identity, now)).pipe(
    Effect.catchTag("AlreadyExists", () => Effect.void),
    Effect.catch((error) => Effect.logWarning(error.message)),
    Effect.asVoid
  )
