// Pods that try what the new installation depends on while the old one still works: both images, and the server with the pool's token.
// Invariant: each Pod ends by itself and takes no work, and its command fails if what it tries fails.
// Used by core/migration/hand-over.ts.
import type { V1Container, V1PodSpec } from "@kubernetes/client-node"
import { deployment } from "../manifest/installation/deployment.ts"
import { podSettings } from "../manifest/pod-settings.ts"
import type { ResolvedConfig } from "../resolve/resolve.ts"
import { place } from "../task/places.ts"
import { shellWord } from "../text/shell-word.ts"

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
    shellWord(container.image ?? "")
  } --restart=Never --attach --rm --quiet --pod-running-timeout=3m --overrides=${shellWord(JSON.stringify({ spec }))}`
}

/**
 * Reports whether the trial asks the server. It does not if the values contain the trusted roots, because these are in the cluster only
 * once the overlay is.
 */
export const asksServer = ({ pool, trust }: ResolvedConfig): boolean => pool !== undefined && trust?.bundle === undefined

/** Returns a predicate for those volumes and mounts of the controller's Pod that exist before the overlay is applied. */
const isThere = ({ trust }: ResolvedConfig) => ({ name }: { readonly name: string }): boolean =>
  ["pool-token", "agent-job-client-certificate", ...trust?.bundle === undefined ? ["agent-job-ca-bundle"] : []].includes(name)

/** Returns the trial of the controller's image, with the proxy, the certificates and the token of the controller's Pod. */
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
