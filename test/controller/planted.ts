// What the API server has of a task's Job, of its Pod and of its source, as Kubernetes would have made them; anything of it may be given otherwise.
// Used by the tests of what is asked of it.
import { fluxSources, jobs, pods } from "../../src/kubernetes/kinds.ts"
import { noon } from "../core/worlds.ts"
import type { ApiServer } from "../simulation/api-server.ts"

const owner = (kind: string, name: string, uid: string) => [{ apiVersion: "v1", kind, name, uid, controller: true }]
const ours = { namespace: "tasks", resourceVersion: "", creationTimestamp: noon }

/** Of the task in the middle of test/core/worlds. */
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
    status
  })

/** A source of Flux that is ready, with an artifact of this digest. */
export const plantSource = (server: ApiServer, name: string, sha256: string): void =>
  server.plant(fluxSources.GitRepository, {
    metadata: { name, uid: name, generation: 1, ...ours },
    status: {
      observedGeneration: 1,
      conditions: [{ type: "Ready", status: "True" }],
      artifact: { revision: "main@sha1:a", url: "http://flux/a.tar.gz", digest: `sha256:${sha256}` }
    }
  })
