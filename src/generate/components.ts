// The components, in the order of their names: each with what it is for, what to make one's own, and the few values that it sets.
// Invariant: each alone and any two of them build, and a real API server takes what is built.
// Written to kustomize/components by generate/kustomize, and listed in kustomize/README.
import { server } from "../core/manifest/server.ts"
import type { Component } from "./component.ts"
import { namespaces } from "./components/namespaces.ts"
import { pool } from "./components/pool.ts"

export const components: ReadonlyArray<Component> = [
  namespaces,
  {
    name: "persistence",
    does: "Keeps providers and engines on one volume that the Pods of all tasks share, so that each is downloaded once.",
    adapt: "Needs a storage class with ReadWriteMany; where that is not the default one, patch the PersistentVolumeClaim agent-job-cache in your overlay. A cluster of one node may do with ReadWriteOnce.",
    layer: { persistence: { enabled: true } }
  },
  pool,
  {
    name: "restrict-metadata",
    does: "Keeps controller and tasks from the cloud's metadata service, 169.254.169.254, where a node's own credentials are.",
    adapt: "Needs a network plugin that enforces NetworkPolicies. Not beside restricted-egress, which closes this and more: policies add up, and this one opens everything else.",
    layer: { restrictMetadataService: true }
  },
  {
    name: "server",
    does: "The server itself: it takes runs, keeps logs and states on a volume, and gives work to the controller.",
    adapt: "Needs two Secrets in namespace agent-job, each with a key `token`: agent-job-user-token and agent-job-pool-token. Back its volume up.",
    objects: server
  }
]
