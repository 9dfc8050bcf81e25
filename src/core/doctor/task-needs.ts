// Judges whether a task reaches what it needs, and says which policy is in its way if it does not.
// Used by core/doctor/network; cli/doctor/examination asks its `apiServerOf`.
import { apiServerVariable, type ProbeTarget } from "../../schema/kubernetes/probe.ts"
import { serverTargets } from "../network/pool-server.ts"
import type { ResolvedConfig } from "../resolve/resolve.ts"
import { type Check, check, checkNames } from "./check.ts"
import { isOneOf, type Judged, listed, taskEgress } from "./network-findings.ts"

/** Returns by what the Pod of a task tries the API server: by its name, which tries the DNS too, unless the values have Pods not ask the cluster's. */
export const apiServerOf = ({ task: { pod: { dnsPolicy } } }: ResolvedConfig): ReadonlyArray<ProbeTarget> => [
  { address: dnsPolicy === "Default" || dnsPolicy === "None" ? apiServerVariable : "kubernetes.default.svc", port: 443 }
]

const openPorts = ({ taskNetwork: { apiServerPorts } }: ResolvedConfig): string => `ports ${apiServerPorts.join(" and ")}`

/** Returns what may keep the Pods of tasks from the API server, and what to change, behind what is said of it. */
const closesApiServer = (config: ResolvedConfig): string => {
  const { name, taskNamespace, taskNetwork: { closedElsewhere, denyPods } } = config
  const shows = "kubectl get endpointslices kubernetes shows"
  if (closedElsewhere) {
    return `: NetworkPolicy ${name}-egress-api-server of component restricted-egress, or what else closes egress in ${taskNamespace}, has to allow what ${shows}`
  }
  return denyPods
    ? `: ${taskEgress(config)} opens private networks at ${
      openPorts(config)
    } only; where ${shows} another one, give it in task.networkPolicy.apiServerPorts`
    : ""
}

/** Returns what keeps the Pods of tasks from the server of `agent.url` while it runs, and what to change. */
const closesServer = (config: ResolvedConfig): string => {
  const { name, taskNamespace, taskNetwork: { closedElsewhere, denyPods } } = config
  if (closedElsewhere) {
    return `name it in NetworkPolicy ${name}-egress-named of component restricted-egress, or in what else closes egress in ${taskNamespace}`
  }
  return denyPods
    ? `${taskEgress(config)} closes it, since in private networks it opens only ${
      openPorts(config)
    }, and a server that agent.url names as NAME.NAMESPACE.svc; name it so, or give task.networkPolicy.denyPods: false`
    : `look for a network policy that selects the Pods of tasks in ${taskNamespace}`
}

export const needs = ({ config, found }: Judged): Check => {
  const apiServer = apiServerOf(config)
  const isByName = apiServer.every(({ address }) => address !== apiServerVariable)
  const say = check(checkNames.needs)
  const missed = found.filter(isOneOf(apiServer)).filter(({ last }) => !last)
  if (missed.length > 0) {
    const [what, toOpen] = isByName
      ? [listed(missed), "DNS and the API server"]
      : [`the API server at the address that its variable ${apiServerVariable} has`, "that address"]
    return say(
      "failed",
      `a task's Pod does not reach ${what}; a worker could not claim its task, so open ${toOpen}${closesApiServer(config)}`
    )
  }
  const server = found.filter(isOneOf(serverTargets(config)))
  return server.every(({ last }) => last)
    ? say("ok", `the API server${isByName ? ", by its name" : ""}${server.length === 0 ? "" : `, and ${listed(server)} of agent.url`}`)
    : say(
      "failed",
      `a task's Pod does not reach ${listed(server)} of agent.url, so no run gets to its end; if that server runs, ${closesServer(config)}`
    )
}
