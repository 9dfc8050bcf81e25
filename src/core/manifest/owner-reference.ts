// What names an AgentTask as the owner of an object: when the task goes, Kubernetes takes the object along.
// Used by core/manifest/job, controller/execute and controller/pool-intake.
import { agentTaskResource } from "../../schema/names.ts"

/** Not the controller of the object; whoever wants that says so beside it. */
export const ownerReference = ({ metadata: { name, uid } }: { readonly metadata: { readonly name: string; readonly uid: string } }) => ({
  apiVersion: agentTaskResource.apiVersion,
  kind: agentTaskResource.kind,
  name,
  uid
})
