// The definition of AgentTask that the Helm chart 0.5.59 installs, in short: it has our name and another schema.
// Used by the tests of migrate.
/** Returns the chart's CustomResourceDefinition of AgentTask as JSON, in the given API group. */
export const definitionIn = (group: string): string =>
  JSON.stringify({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `atasks.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: { kind: "AgentTask", plural: "atasks", singular: "atask", shortNames: ["at"] },
      versions: [{
        name: "v1",
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: {
                type: "object",
                required: ["jobTemplate"],
                properties: { jobTemplate: { type: "object", "x-kubernetes-preserve-unknown-fields": true } }
              }
            }
          }
        }
      }]
    }
  })
