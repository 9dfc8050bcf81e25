// Pods that try what the new installation rests on while the old one still works: both images, and the server with the pool's token.
// Invariant: each ends by itself, takes no work, and its command fails where it does.
// Used by core/migration/hand-over.ts.
import type { V1Container, V1PodSpec } from "@kubernetes/client-node"
import { deployment } from "../manifest/deployment.ts"
import { place } from "../manifest/places.ts"
import { podSettings } from "../manifest/pod-settings.ts"
import type { ResolvedConfig } from "../resolve.ts"
import { quoted } from "./quoted.ts"

interface Trial {
  readonly name: string
  readonly namespace: string
  readonly pod: Omit<V1PodSpec, "containers">
  readonly container: Omit<V1Container, "name">
}

const command = ({ imagePullSecrets }: ResolvedConfig, { container, name, namespace, pod }: Trial): string => {
  const spec = {
    ...pod,
    imagePullSecrets,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    containers: [{ name: "trial", ...container }]
  }
  return `kubectl -n ${namespace} run ${name} --image=${
    quoted(container.image ?? "")
  } --restart=Never --attach --rm --quiet --pod-running-timeout=3m --overrides=${quoted(JSON.stringify({ spec }))}`
}

/** Roots that the values carry are in the cluster only once the overlay is, and nobody is asked without them. */
export const asksServer = ({ pool, trust }: ResolvedConfig): boolean => pool !== undefined && trust?.bundle === undefined

/** Of what the controller's Pod mounts, what is there before the overlay is. */
const isThere = ({ trust }: ResolvedConfig) => ({ name }: { readonly name: string }): boolean =>
  ["pool-token", "agent-job-client-certificate", ...trust?.bundle === undefined ? ["agent-job-ca-bundle"] : []].includes(name)

/** With the proxy, the certificates and the token of the controller's Pod. */
const ofController = (config: ResolvedConfig): Trial => {
  const { container, pod } = config.controller
  const { containers: [made] = [], volumes = [] } = deployment(config).spec?.template.spec ?? {}
  return {
    name: `${config.name}-trial`,
    namespace: config.namespace,
    pod: { ...podSettings(pod, {}), volumes: volumes.filter(isThere(config)) },
    container: {
      image: container.image,
      imagePullPolicy: container.imagePullPolicy,
      args: asksServer(config) ? ["probe", "--pool", config.pool?.url ?? "", "--token-file", `${place.poolToken}/token`] : ["version"],
      env: made?.env ?? [],
      envFrom: [...container.envFrom],
      resources: container.resources,
      volumeMounts: (made?.volumeMounts ?? []).filter(isThere(config)),
      securityContext: container.securityContext
    }
  }
}

const ofRunner = ({ name, task: { pod, runner }, taskNamespace }: ResolvedConfig): Trial => ({
  name: `${name}-trial-runner`,
  namespace: taskNamespace,
  pod: podSettings(pod, {}),
  container: {
    image: runner.image,
    imagePullPolicy: runner.imagePullPolicy,
    command: ["/bin/sh", "-c", "command -v tofu || command -v terraform"],
    resources: runner.resources,
    securityContext: runner.securityContext
  }
})

export const trials = (config: ResolvedConfig): ReadonlyArray<string> => [ofController, ofRunner].map((of) => command(config, of(config)))
