// The component `pool`: where the controller takes its work from, and the token that it shows there.
// Used by generate/components.
import type { Component } from "../files/component.ts"

const [url, secret] = ["https://server.example.com", "agent-job-pool-token"]

export const pool: Component = {
  name: "pool",
  does: "Takes work from a server, here or elsewhere.",
  adapt: ["The Secret is in namespace agent-job, with the pool's token under its key `token`."],
  layer: { agent: { url, tokenExistingSecret: { name: secret } } },
  inputs: [
    { literal: "url", example: url },
    {
      literal: "secret",
      example: secret,
      elsewhere: [{
        select: { kind: "Deployment", name: "agent-job-controller" },
        fieldPaths: ["spec.template.spec.volumes.[name=pool-token].secret.secretName"]
      }]
    }
  ]
}
