// The server of agent.url as the network sees it: where the worker of a task connects to, and whose Pods those are inside the cluster.
// Pure.
// Used by core/network/network-policy, core/doctor/task-needs, core/scheduling/isolation and cli/doctor/examination.
import type { ProbeTarget } from "../../schema/kubernetes/probe.ts"
import { shortClusterHost } from "../resolve/network.ts"
import type { ResolvedConfig } from "../resolve/resolve.ts"

const urlOf = ({ pool }: ResolvedConfig): URL | undefined => pool !== undefined && URL.canParse(pool.url) ? new URL(pool.url) : undefined

const service = /^[^.]+\.(?<namespace>[^.]+)\.svc(?:\.|$)/u

/** Returns the namespace of the server if that is in the cluster, and another than the controller's. Its address has to name it. */
export const otherServerNamespace = (config: ResolvedConfig): string | undefined => {
  const { namespace } = service.exec(urlOf(config)?.hostname ?? "")?.groups ?? {}
  return namespace === config.namespace ? undefined : namespace
}

const isInCluster = ({ hostname, href }: URL): boolean => service.test(hostname) || shortClusterHost(href) !== undefined

/** Reports whether the environment of workers may name a proxy, or has variables that only the cluster knows. */
const mayUseProxy = ({ task: { worker: { env, envFrom } } }: ResolvedConfig): boolean =>
  envFrom.length > 0 || Object.keys(env).some((name) => /^https?_proxy$/iu.test(name))

/** Returns the host and port that a worker connects to, or nothing if it asks no server or may ask it through a proxy. */
export const serverTargets = (config: ResolvedConfig): ReadonlyArray<ProbeTarget> => {
  const url = urlOf(config)
  if (url === undefined || (mayUseProxy(config) && !isInCluster(url))) return []
  return [{ address: url.hostname.replace(/^\[|\]$/gu, ""), port: Number(url.port || (url.protocol === "https:" ? 443 : 80)) }]
}
