// What the repository ships as Kustomize for values to choose: the base, and the components that are a layer of values and nothing else.
// Invariant: a layer here is what the folder of the same name was generated from.
// Used by core/overlay/overlay.ts, by generate, which ships them, and by cli/values/base-contents.ts, which looks for them in a base.
import { Result } from "effect"
import { merge, type Tree } from "../../schema/document/layers.ts"
import { parseValues } from "../../schema/values/values.ts"
import { install } from "../manifest/installation/install.ts"
import { type Release, resolve } from "../resolve/resolve.ts"
import type { Installed } from "./pairs.ts"

export const shippedRelease: Release = { name: "agent-job", namespace: "agent-job" }

/** The base gives tasks a namespace of their own, because whoever may write AgentTasks there must not reach the controller's Secrets. */
export const baseLayer: Tree = { task: { namespace: "agent-job-tasks" } }

const spread = (topologyKey: string) => ({ maxSkew: 1, topologyKey, whenUnsatisfiable: "ScheduleAnyway" })

/** The layers of the components that are nothing else, in the order in which the controller lays them over each other. */
export const componentLayers = {
  admission: { admissionPolicies: { enabled: true } },
  "ca-bundle": { global: { tls: { caBundleConfigMap: { name: "agent-job-ca-bundle" } } } },
  ha: {
    controller: {
      replicas: 2,
      podDisruptionBudget: { enabled: true, minAvailable: 1 },
      topologySpreadConstraints: [spread("kubernetes.io/hostname"), spread("topology.kubernetes.io/zone")]
    }
  },
  mtls: { global: { tls: { clientCertSecret: { name: "agent-job-client-certificate" } } } },
  "no-ingress": { task: { networkPolicy: { denyIngress: true } } },
  "node-cache": { persistence: { hostPath: { path: "/var/cache/agent-job" } } },
  persistence: { persistence: { enabled: true } },
  "separate-users": { task: { runner: { securityContext: { runAsUser: 1002 } } } },
  "restrict-metadata": { restrictMetadataService: true }
} satisfies Readonly<Record<string, Tree>>

export interface ShippedComponent {
  readonly name: string
  readonly layer: Tree
}

export const shippedComponents: ReadonlyArray<ShippedComponent> = Object.entries(componentLayers).map(([name, layer]) => ({ name, layer }))

/** Returns the layers of values in the ConfigMap, except the last, which is the user's. */
export const layersOf = (
  components: ReadonlyArray<ShippedComponent>
): ReadonlyArray<Tree> => [baseLayer, ...components.map(({ layer }) => layer)]

/** Returns what the base and these components build, under the shipped name. */
export const shipped = (components: ReadonlyArray<ShippedComponent>): Installed => {
  const config = resolve(Result.getOrThrow(parseValues(layersOf(components).reduce(merge))), shippedRelease)
  return { config, objects: install(config) }
}
