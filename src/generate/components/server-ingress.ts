// The component `server-ingress`: who may connect to the server.
// Used by generate/components.
import { type Component as Part, selecting } from "../../core/manifest/labels.ts"
import { objectMetadata } from "../../core/manifest/object-metadata.ts"
import { tcp } from "../../core/network/network-addresses.ts"
import type { ResolvedConfig } from "../../core/resolve/resolve.ts"
import { serverPort } from "../../core/task/places.ts"
import type { Component } from "../files/component.ts"

/** The label of further namespaces that may connect. */
const label = "scalr.io/reaches-server"

/** Selects Pods in the policy's own namespace whatever the installation is called, because no overlay renames what a selector says. */
const podsOf = (part: Part) => selecting({ "app.kubernetes.io/name": "agent-job", "app.kubernetes.io/component": part })

const policy = (config: ResolvedConfig) => ({
  apiVersion: "networking.k8s.io/v1",
  kind: "NetworkPolicy",
  metadata: objectMetadata(config, "server", { name: `${config.name}-server-ingress`, namespace: config.namespace }),
  spec: {
    podSelector: podsOf("server"),
    policyTypes: ["Ingress"],
    ingress: [{
      from: [
        { podSelector: podsOf("controller") },
        { namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": config.taskNamespace } } },
        { namespaceSelector: { matchLabels: { [label]: "true" } } }
      ],
      ports: [tcp(serverPort)]
    }]
  }
})

export const serverIngress: Component = {
  name: "server-ingress",
  does: "Lets nobody connect to the server but the controller, the tasks, and the namespaces that you label for it.",
  adapt: [
    "Needs a network that enforces NetworkPolicies. The kubelet's probes and `kubectl port-forward` come from the Pod's own node, which stays open.",
    `First label the namespaces of your ingress controller, of Prometheus and of others that use the server (\`${label}: "true"\`), in Git if the namespace is in Git; also agent-job itself, if other Pods there use it, as those of sample nightly-plan do. One that has the network of its node, as some ingress controllers do, needs a rule of yours with its addresses.`
  ],
  objects: (config) => [policy(config)]
}
