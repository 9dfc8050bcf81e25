// The Job and the Pod of a task: their names in the API, and the directory that the kubelet keeps for the Pod on this node.
// Used by targets, moments and disk.
import { Schema } from "effect"
import { join } from "node:path"
import { follow, kubectl } from "../end-to-end/cluster.ts"

const state = process.env.CLUSTER_STATE ?? "/var/lib/agent-job-cluster"
const named = Schema.decodeUnknownSync(Schema.Struct({ metadata: Schema.Struct({ name: Schema.String }) }))

const firstOf = (kind: "Job" | "Pod", task: string): Promise<string> =>
  follow(`a ${kind} of ${task}`, [kind, `--selector=scalr.io/task=${task}`], (object) => named(object).metadata.name)

/** Waits until the task has a Pod, and returns the name of the first that the watch reports. */
export const podOf = (task: string): Promise<string> => firstOf("Pod", task)

/** Waits until the task has a Job, and returns the name of the first that the watch reports. */
export const jobOf = (task: string): Promise<string> => firstOf("Job", task)

export const directoryOf = async (pod: string): Promise<string> =>
  join(state, "kubelet/pods", (await kubectl(["get", "pod", pod, "--output=jsonpath={.metadata.uid}"])).trim())
