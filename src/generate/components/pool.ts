// The component `pool`: where the controller takes its work from, said once by whoever uses it and put where it belongs.
// Its inputs are a ConfigMap of two literals that is never applied.
// Used by generate/components.
import type { Component } from "../component.ts"

const inputs = { kind: "ConfigMap", name: "agent-job-pool" }
const layer = { kind: "ConfigMap", name: "agent-job-config", namespace: "agent-job" }

/** Between the quotes of the layer's text, counted from its beginning. */
const inLayer = (index: number) => ({ select: layer, fieldPaths: ["data.pool\\.yaml"], options: { delimiter: `"`, index } })

export const pool: Component = {
  name: "pool",
  does: "Takes work from a server: its URL and the name of the Secret with the pool's token are two literals of the ConfigMap agent-job-pool.",
  adapt: "The overlay generates that ConfigMap, as kustomize/overlays/agent does, and the Secret exists in namespace agent-job, with a key `token`.",
  layer: { agent: { url: "https://server.example.com", tokenExistingSecret: { name: "agent-job-pool-token" } } },
  more: {
    replacements: [
      { source: { ...inputs, fieldPath: "data.url" }, targets: [inLayer(1)] },
      {
        source: { ...inputs, fieldPath: "data.secret" },
        targets: [
          inLayer(3),
          { select: { kind: "Deployment", name: "agent-job-controller" }, fieldPaths: ["spec.template.spec.volumes.[name=pool-token].secret.secretName"] }
        ]
      }
    ]
  }
}
