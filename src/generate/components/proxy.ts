// The component `proxy`: one proxy for controller, worker and runner.
// The layer is for tasks. The controller's own variables, which values would have set, are in its Deployment.
// Used by generate/components.
import type { Component } from "../files/component.ts"

const [url, direct] = ["http://proxy.example.com:3128", ".example.com"]

const variables = (...names: ReadonlyArray<string>) => ({
  select: { kind: "Deployment", name: "agent-job-controller" },
  fieldPaths: names.map((name) => `spec.template.spec.containers.[name=controller].env.[name=${name}].value`)
})

export const proxy: Component = {
  name: "proxy",
  does: "Reaches what is outside through a proxy; the cluster itself never.",
  adapt: [
    "A proxy with a password has it in a Secret: see docs/values.md. Patch HTTP_PROXY, http_proxy, HTTPS_PROXY and https_proxy of the controller's Deployment to the same text: what is there wins over extraEnvFrom."
  ],
  layer: { global: { proxy: { httpProxy: url, httpsProxy: url, noProxy: direct } } },
  inputs: [
    { literal: "url", example: url, elsewhere: [variables("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy")] },
    { literal: "direct", example: direct, elsewhere: [{ ...variables("NO_PROXY", "no_proxy"), options: { delimiter: ",", index: 0 } }] }
  ]
}
