// The Pod of a task: its name in the API, and the directory that the kubelet keeps for it on this node.
// Used by targets, moments and disk.
import { Schema } from "effect"
import { join } from "node:path"
import { follow, kubectl } from "../end-to-end/cluster.ts"

const state = process.env.CLUSTER_STATE ?? "/var/lib/agent-job-cluster"
const named = Schema.decodeUnknownSync(Schema.Struct({ metadata: Schema.Struct({ name: Schema.String }) }))

/** Waits until the task has a Pod, and returns the name of the first that the watch reports. */
export const podOf = (task: string): Promise<string> =>
  follow(`a Pod of ${task}`, ["pods", `--selector=scalr.io/task=${task}`], (object) => named(object).metadata.name)

export const directoryOf = async (pod: string): Promise<string> =>
  join(state, "kubelet/pods", (await kubectl(["get", "pod", pod, "--output=jsonpath={.metadata.uid}"])).trim())
