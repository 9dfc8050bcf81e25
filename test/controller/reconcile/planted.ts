// Plants a task's Job, its Pod and its source in the API server, as Kubernetes and Flux would have made them, but for what a test gives.
// Used by the tests of what the API server is asked.
import { fluxSources, jobs, pods } from "../../../src/kubernetes/kinds.ts"
import { noon } from "../../core/worlds.ts"
import type { ApiServer } from "../../simulation/api-server.ts"

const owner = (kind: string, name: string, uid: string) => [{ apiVersion: "v1", kind, name, uid, controller: true }]
const ours = { namespace: "tasks", resourceVersion: "", creationTimestamp: noon }

/** Plants the Job of the task in test/core/worlds. */
export const plantJob = (server: ApiServer, metadata: object = {}, status: object = {}): void =>
  server.plant(jobs, {
    metadata: { name: "agent-job-task", uid: "job-uid", ownerReferences: owner("AgentTask", "task", "task-uid"), ...ours, ...metadata },
    spec: {},
    status
  })

export const plantPod = (server: ApiServer, status: object, jobUid = "job-uid"): void =>
  server.plant(pods, {
    metadata: {
      name: "pod",
      uid: "pod-uid",
      labels: { "batch.kubernetes.io/controller-uid": jobUid },
      ownerReferences: owner("Job", "agent-job-task", jobUid),
      ...ours
    },
    spec: { nodeName: "node" },
    status
  })

/** Plants a source of Flux that is ready, with an artifact of this digest. */
export const plantSource = (server: ApiServer, name: string, sha256: string): void =>
  server.plant(fluxSources.GitRepository, {
    metadata: { name, uid: name, generation: 1, ...ours },
    status: {
      observedGeneration: 1,
      conditions: [{ type: "Ready", status: "True" }],
      artifact: { revision: "main@sha1:a", url: "http://flux/a.tar.gz", digest: `sha256:${sha256}` }
    }
  })
