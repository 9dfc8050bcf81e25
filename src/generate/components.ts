// The components, in the order of their names: each with what it is for, what to make one's own, and the few values that it sets.
// Invariant: each alone and any two of them build, and a real API server takes what is built.
// Written to kustomize/components by generate/kustomize, and listed in kustomize/README.
import { crdName } from "../core/manifest/installation/crd.ts"
import { secureServer, server } from "../core/manifest/installation/server.ts"
import { componentLayers } from "../core/overlay/shipped.ts"
import { aggregatedRoles } from "./components/aggregated-roles.ts"
import { monitoring } from "./components/monitoring.ts"
import { namespaces } from "./components/namespaces.ts"
import { nodeCache } from "./components/node-cache.ts"
import { pool } from "./components/pool.ts"
import { proxy } from "./components/proxy.ts"
import { quota } from "./components/quota.ts"
import { restrictedEgress } from "./components/restricted-egress.ts"
import { serverIngress } from "./components/server-ingress.ts"
import type { Component } from "./files/component.ts"
import { table } from "./files/file.ts"

const admission: Component = {
  name: "admission",
  does:
    "Lets the API server hold tasks to what they are for: a task's token writes the claim and the result of its own AgentTask and nothing else, only Jobs of the controller run as the tasks' account, in our shape, only kubelets get tokens of it, and the controller is shown no Secret but the tokens of tasks.",
  adapt: [
    "Needs Kubernetes 1.30, and rights over ValidatingAdmissionPolicies, which have no namespace.",
    "A directory of the node (hostPath), a privileged container or a key of `task.allowedKeys` in values of your own is refused until the policies know it, and a Secret or claim of the installation's own can be named by tasks until then: write such values with `agent-job overlay`, whose `--base` is what has this component. `admissionPolicies.secrets` and its neighbours bound what else an AgentTask may name."
  ],
  layer: componentLayers.admission
}

const caBundle: Component = {
  name: "ca-bundle",
  does: "Trusts authorities of your own, beside those of the images, in controller, worker and runner.",
  adapt: [
    "Needs a ConfigMap agent-job-ca-bundle with certificates in PEM under its key `ca-bundle.crt`, in both namespaces, as trust-manager makes it. Controllers and workers that run already take over what changes in it."
  ],
  layer: componentLayers["ca-bundle"]
}

const ha: Component = {
  name: "ha",
  does:
    "Two controllers, on different nodes and zones where there are some; one leads, the other stands by, and a drain leaves one of them.",
  adapt: ["A stage runs on without any controller, so this is for runs to start during a drain, not for runs to survive it."],
  layer: componentLayers.ha
}

const mtls: Component = {
  name: "mtls",
  does: "Shows a client certificate to the server, from controller and worker; the runner never has it.",
  adapt: ["Needs a Secret agent-job-client-certificate of type kubernetes.io/tls in both namespaces, as cert-manager makes it."],
  layer: componentLayers.mtls
}

const noIngress: Component = {
  name: "no-ingress",
  does: "Lets nobody connect to the Pods of tasks.",
  adapt: ["Needs a network that enforces NetworkPolicies. The kubelet's probes come from the Pod's own node, which stays open."],
  layer: componentLayers["no-ingress"]
}

const persistence: Component = {
  name: "persistence",
  does:
    "Mounts one volume that the Pods of all tasks share. It holds states that the server did not take, encrypted; nothing uses it as a cache of providers and engines yet.",
  adapt: [
    "Needs a storage class with ReadWriteMany; where that is not the default one, patch the PersistentVolumeClaim agent-job-cache. A cluster of one node may do with ReadWriteOnce. Under Argo CD, one whose volumeBindingMode is WaitForFirstConsumer needs its tasks in an Application of their own.",
    "When this leaves Git, Flux and Argo CD leave the claim, since it may have the only copy of a state: see docs/state.md before you delete it."
  ],
  layer: componentLayers.persistence
}

const restrictMetadata: Component = {
  name: "restrict-metadata",
  does:
    "Keeps controller and tasks from the metadata services of clouds, where a node's own credentials are, and from link-local addresses, but for DNS.",
  adapt: [
    "Needs a network that enforces NetworkPolicies. Not beside restricted-egress, which closes this and more.",
    "Where tasks have a cloud identity of their own on EKS or GKE, say so in `task.networkPolicy.cloudIdentity`."
  ],
  layer: componentLayers["restrict-metadata"]
}

const separateUsers: Component = {
  name: "separate-users",
  does:
    "Runs the runner as another user than the worker, so that file modes on the volume that they share protect the files of each from the other.",
  adapt: ["A state on a claim that was written before, by user 1001, must be writable for its group (`chmod -R g+w`)."],
  layer: componentLayers["separate-users"]
}

const serverItself: Component = {
  name: "server",
  does: "The server itself: it takes runs, keeps logs and states on a volume, and gives work to the controller.",
  adapt: [
    "Needs two Secrets in namespace agent-job, each with a key `token`: agent-job-user-token and agent-job-pool-token. Back its volume up."
  ],
  objects: server
}

const serverTls: Component = {
  name: "server-tls",
  does: "Lets the server speak HTTPS, and nothing else, at the same address, also to the probes of Kubernetes.",
  adapt: [
    "Needs a Secret agent-job-server-tls of type kubernetes.io/tls in namespace agent-job, as cert-manager makes it; a renewed one is taken over without a restart.",
    "List it after server. Set `agent.url` to the https address, and give controller and tasks the authority by ca-bundle: see \"HTTPS to the server\" in kustomize/README.md."
  ],
  changes: (config) => ({ before: server(config), after: secureServer(config) })
}

const withoutCrd: Component = {
  name: "without-crd",
  does: "Leaves the CustomResourceDefinition to somebody else: to another installation, or to kustomize/crd.",
  adapt: [
    "A cluster has one of them, and what deletes it deletes the tasks of all installations. So every installation but one has this, or all of them, and the definition is applied first, by itself, and is that of the newest installation."
  ],
  ifThere: [{ apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition", metadata: { name: crdName }, $patch: "delete" }]
}

export const components: ReadonlyArray<Component> = [
  admission,
  aggregatedRoles,
  caBundle,
  ha,
  monitoring,
  mtls,
  namespaces,
  noIngress,
  nodeCache,
  persistence,
  pool,
  proxy,
  quota,
  restrictMetadata,
  restrictedEgress,
  separateUsers,
  serverItself,
  serverIngress,
  serverTls,
  withoutCrd
]

const inputsOf = ({ inputs = [] }: Component): string => inputs.map(({ literal }) => `\`${literal}\``).join(", ")

export const componentsTable = (): ReadonlyArray<string> =>
  table(
    ["Component", "What it does", "Inputs", "What it needs, and what to make your own"],
    components.map((component) => [`\`${component.name}\``, component.does, inputsOf(component), component.adapt.join(" ")])
  )
