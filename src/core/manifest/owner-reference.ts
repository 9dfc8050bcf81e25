// The reference that makes an AgentTask the owner of an object: when the task is deleted, Kubernetes deletes the object too.
// Used by core/manifest/job, controller/reconcile/execute and controller/pool/accept.
import { agentTaskResource } from "../../schema/names.ts"

/** Returns the reference without `controller: true`, which a caller adds where the task is the object's controller. */
export const ownerReference = ({ metadata: { name, uid } }: { readonly metadata: { readonly name: string; readonly uid: string } }) => ({
  apiVersion: agentTaskResource.apiVersion,
  kind: agentTaskResource.kind,
  name,
  uid
})
