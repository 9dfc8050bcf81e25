// Judges what an examination of an installation found: one check a line, with what to do if it is not as it should be.
// Invariant: "no answer" alone proves nothing. Isolation counts as proven only where the network is seen to enforce policies.
// Used by cli/doctor/examination, cli/doctor/doctor-network and cli/doctor/doctor-objects.
import { Option } from "effect"
import { type Finding, type ProbeTarget, shown } from "../schema/kubernetes/probe.ts"
import type { Comparison } from "./manifest/installation/crd-growth.ts"
import { metadataAddresses } from "./network/network-addresses.ts"
import { serverTargets } from "./network/pool-server.ts"
import type { Probe } from "./network/probe.ts"
import type { ResolvedConfig } from "./resolve/resolve.ts"

export interface Check {
  readonly name: string
  readonly outcome: "ok" | "warning" | "failed" | "unknown"
  readonly message: string
}

const check = (name: string) => (outcome: Check["outcome"], message: string): Check => ({ name, outcome, message })

/** The metadata services of clouds, which answer any caller, each with one port on which it listens. */
export const metadataTargets: ReadonlyArray<ProbeTarget> = metadataAddresses.map((address) => ({ address, port: 80 }))

const listed = (targets: ReadonlyArray<ProbeTarget>): string => targets.map(shown).join(", ")

/**
 * What the probes found. Every probe tries the listener's addresses, and the probe of tasks all other targets too. None for a probe that
 * did not report.
 */
export interface NetworkFindings {
  readonly listener: ReadonlyArray<ProbeTarget>
  /** Whether the listener was still there when all had tried: if it was not, that somebody did not reach it means nothing. */
  readonly listenerStayed: boolean
  readonly findings: Readonly<Record<Exclude<Probe, "listener">, Option.Option<ReadonlyArray<Finding>>>>
}

const isOneOf = (targets: ReadonlyArray<ProbeTarget>) => ({ address, port }: ProbeTarget): boolean =>
  targets.some((_) => _.address === address && _.port === port)

export const networkPolicies = "network policies are enforced"
const metadataServices = "metadata services are closed to tasks"

const enforcement = ({ findings: { closed, open }, listener, listenerStayed }: NetworkFindings): Check => {
  const say = check(networkPolicies)
  if (Option.isNone(open) || Option.isNone(closed)) {
    return say("unknown", "a probe did not tell what it reached; see its events while it runs, and try again")
  }
  const [free, held] = [open.value, closed.value].map((all) => all.filter(isOneOf(listener)))
  if (held?.some(({ last }) => last)) {
    return say(
      "failed",
      "a Pod that a policy closes reaches another Pod: this network takes NetworkPolicies and does not hold to them; install one that does"
    )
  }
  if (!listenerStayed) {
    return say(
      "unknown",
      "the Pod to connect to ended while others tried to reach it, so nothing is proven by one that did not; see its events while it runs, and try again"
    )
  }
  if (!free?.some(({ last }) => last)) {
    return say(
      "unknown",
      "even a Pod with a policy that allows it does not reach another Pod, so nothing is proven about policies that deny; look for network policies outside Kubernetes"
    )
  }
  return held?.some(({ first }) => first)
    ? say("warning", "enforced, but a new Pod reached another one before its policy took effect, and so may a task's Pod")
    : say("ok", "of two identical Pods, the one that a policy isolates reaches nothing")
}

/** Returns what keeps tasks from metadata services. A policy that the values do not know may go away without a change of the values. */
const closing = ({ restrictMetadataService, taskNetwork: { closedElsewhere, denyPods } }: ResolvedConfig, isClosedElsewhere: boolean) => {
  if (closedElsewhere && !isClosedElsewhere) return "a policy that is not there"
  if (restrictMetadataService || denyPods || closedElsewhere) return "the values"
  return isClosedElsewhere ? "a policy that the values do not know" : "nobody"
}

const metadata = (config: ResolvedConfig, found: ReadonlyArray<Finding>, enforced: boolean, isClosedElsewhere: boolean): Check => {
  const say = check(metadataServices)
  const by = closing(config, isClosedElsewhere)
  const open = found.filter(isOneOf(metadataTargets)).filter(({ last }) => last)
  if (open.length > 0) {
    return say(
      "failed",
      `a task's Pod reaches ${
        listed(open)
      }, where a node's own credentials may be; give restrictMetadataService: true, or component restricted-egress`
    )
  }
  if (by === "a policy that is not there") {
    return say(
      "failed",
      `task.networkPolicy.closedElsewhere is true, but the policies in ${config.taskNamespace} do not close all egress: none selects every Pod, or one opens port 80 of a metadata service to tasks (${
        metadataAddresses.join(", ")
      }); apply component restricted-egress and remove or except what opens it, or take the value back`
    )
  }
  if (by === "a policy that the values do not know") {
    return say(
      "warning",
      "no metadata service answered, and a policy closes all egress, but nobody would notice if it were removed; give task.networkPolicy.closedElsewhere: true, as component restricted-egress does"
    )
  }
  if (by === "nobody") {
    return say(
      "warning",
      "no metadata service answered, but no policy of this installation closes them; give restrictMetadataService: true, or component restricted-egress"
    )
  }
  return enforced
    ? say("ok", "no metadata service answered, a policy closes them, and policies are enforced")
    : say("unknown", "no metadata service answered, but it is not proven that policies are enforced")
}

const otherPods = (
  { taskNetwork: { denyPods } }: ResolvedConfig,
  found: ReadonlyArray<Finding>,
  { listener, listenerStayed }: NetworkFindings,
  enforced: boolean
): Check => {
  const say = check("other Pods are closed to tasks")
  const reached = found.filter(isOneOf(listener)).some(({ last }) => last)
  if (reached) {
    return denyPods
      ? say("failed", "a task's Pod reaches another Pod, though task.networkPolicy.denyPods is true")
      : say("warning", "a task's Pod reaches any other Pod; give task.networkPolicy.denyPods: true to close that")
  }
  if (!listenerStayed) return say("unknown", "a task's Pod did not reach another Pod, but that one ended meanwhile")
  if (!denyPods) return say("ok", "a task's Pod does not reach a Pod that listens")
  return enforced
    ? say("ok", "a task's Pod does not reach a Pod that listens, and policies are enforced")
    : say("unknown", "a task's Pod does not reach a Pod that listens, but it is not proven that policies are enforced")
}

/** Returns what keeps the Pods of tasks from the server of `agent.url` while it runs, and what to change. */
const closesServer = ({ name, taskNamespace, taskNetwork: { closedElsewhere, denyPods } }: ResolvedConfig): string => {
  if (closedElsewhere) {
    return `name it in NetworkPolicy ${name}-egress-named of component restricted-egress, or in what else closes egress in ${taskNamespace}`
  }
  return denyPods
    ? `NetworkPolicy ${taskNamespace}/${name}-task-egress closes it, since in private networks it opens only ports 443 and 6443, and a server that agent.url names as NAME.NAMESPACE.svc; name it so, or give task.networkPolicy.denyPods: false`
    : `look for a network policy that selects the Pods of tasks in ${taskNamespace}`
}

const needed = (config: ResolvedConfig, found: ReadonlyArray<Finding>, apiServer: ReadonlyArray<ProbeTarget>): Check => {
  const say = check("tasks reach what they need")
  const missed = found.filter(isOneOf(apiServer)).filter(({ last }) => !last)
  if (missed.length > 0) {
    return say("failed", `a task's Pod does not reach ${listed(missed)}; a worker could not claim its task, so open DNS and the API server`)
  }
  const server = found.filter(isOneOf(serverTargets(config)))
  return server.every(({ last }) => last)
    ? say("ok", `the API server, by its name${server.length === 0 ? "" : `, and ${listed(server)} of agent.url`}`)
    : say(
      "failed",
      `a task's Pod does not reach ${listed(server)} of agent.url, so no run gets to its end; if that server runs, ${closesServer(config)}`
    )
}

/**
 * Reports whether the network's checks prove isolation: it enforces policies, metadata services are closed, and no check failed or is
 * unknown.
 */
export const provesIsolation = (checks: ReadonlyArray<Check>): boolean =>
  [networkPolicies, metadataServices].every((name) => checks.some((_) => _.name === name && _.outcome === "ok")) &&
  checks.every(({ outcome }) => outcome === "ok" || outcome === "warning")

/** Returns the check for a cluster that started no Pod for the probes to connect to. */
export const nothingStarted = ({ taskNamespace }: ResolvedConfig): Check =>
  check(networkPolicies)("unknown", `no Pod could be started in ${taskNamespace} to connect to; see kubectl -n ${taskNamespace} get events`)

/**
 * Returns the checks of the network. `apiServer` is what every worker has to reach. `isClosedElsewhere` says that a policy which is not part of
 * the values closes all egress of the namespace.
 */
export const networkChecks = (
  config: ResolvedConfig,
  found: NetworkFindings,
  apiServer: ReadonlyArray<ProbeTarget>,
  isClosedElsewhere: boolean
): ReadonlyArray<Check> => {
  const enforced = enforcement(found)
  const proven = enforced.outcome === "ok"
  return [
    enforced,
    ...Option.match(found.findings.task, {
      onNone: () => [check(metadataServices)("unknown", "the probe of tasks did not tell what it reached")],
      onSome: (
        task
      ) => [metadata(config, task, proven, isClosedElsewhere), otherPods(config, task, found, proven), needed(config, task, apiServer)]
    })
  ]
}

export const podSecurity = (namespace: string, labels: Readonly<Record<string, string>>): Check => {
  const level = labels["pod-security.kubernetes.io/enforce"] ?? "privileged"
  return check("Pod Security of the tasks' namespace")(
    level === "restricted" ? "ok" : "warning",
    level === "restricted"
      ? "restricted is enforced"
      : `${level} is enforced; label namespace ${namespace} with pod-security.kubernetes.io/enforce=restricted unless values of yours need more`
  )
}

/** How many differences of a definition are named. */
const namedDifferences = 3

const named = (differences: ReadonlyArray<string>): string =>
  [
    differences.slice(0, namedDifferences).join("; "),
    ...(differences.length > namedDifferences ? [`and ${differences.length - namedDifferences} more`] : [])
  ].join(", ")

/**
 * Returns the check of the CustomResourceDefinition, from its comparison with this program's own. A newer one has more, and lacks nothing;
 * which of two texts of a rule is the newer one does not show.
 */
export const definition = (found: Option.Option<Comparison>): Check => {
  const say = check("the CustomResourceDefinition")
  const next = "apply the kustomize/crd of the newest version that runs here"
  return Option.match(found, {
    onNone: () => say("failed", "atasks.scalr.io is not there; apply kustomize/crd"),
    onSome: ({ lacks, otherRules }) => {
      if (lacks.length > 0) return say("failed", `atasks.scalr.io lacks what this program needs (${named(lacks)}); ${next}`)
      return otherRules.length > 0
        ? say("warning", `another rule for: ${named(otherRules)}; ${next}`)
        : say("ok", "has all that this program needs; one that is newer stays as it is")
    }
  })
}

/** Returns the check of the admission policies. `missing` and `weaker` are policies and bindings, by kind and name. */
export const admission = (config: ResolvedConfig, missing: ReadonlyArray<string>, weaker: ReadonlyArray<string>): Check => {
  const say = check("admission policies")
  if (config.admissionPolicies === undefined) {
    return say("warning", "are not asked for; give admissionPolicies.enabled: true, or component admission")
  }
  if (missing.length > 0) return say("failed", `${missing.join(", ")} are not there; apply component admission`)
  return weaker.length > 0
    ? say("failed", `${weaker.join(", ")} say something else than these values; apply the installation again`)
    : say("ok", "are there, and say what these values say")
}

/**
 * Returns the check of an account's rights. `lacking` is what no role grants though it should, `excess` what is granted though it must not
 * be, both in words.
 */
export const rights = (account: string, lacking: ReadonlyArray<string>, excess: ReadonlyArray<string>): Check => {
  const say = check(`what ${account} may do`)
  if (excess.length > 0) {
    return say("failed", `it may ${excess.join(", ")}, which nothing here grants; find the role that does, and take it away`)
  }
  return lacking.length > 0
    ? say("failed", `it may not ${lacking.join(", ")}; apply the roles again`)
    : say("ok", "as docs/rbac.md has it, and neither get Secrets nor run commands in Pods")
}

/** Returns the tag of an image, or undefined where it has a digest alone, or neither. */
const tagOf = (image: string): string | undefined => /:([^/:]+)$/u.exec(image.replace(/@.*$/u, ""))?.[1]

const digestOf = (image: string): string | undefined => image.split("@")[1]

/** Returns what tells the versions of two images apart: their digests if both have one, since these alone count then, otherwise their tags. */
const versionsOf = (...images: readonly [string, string]) => {
  const [one, other] = images.map(digestOf)
  return one === undefined || other === undefined
    ? { kind: "tag", versions: images.map(tagOf) }
    : { kind: "digest", versions: [one, other] }
}

/** Returns the check of the worker's image, which comes with the values, beside that of the controller, which its Deployment has. */
export const workerImage = ({ name, namespace, task }: ResolvedConfig, controller: Option.Option<string>): Check => {
  const say = check("the worker's image")
  const { image } = task.worker
  return Option.match(controller, {
    onNone: () => say("unknown", `there is no Deployment ${namespace}/${name}-controller with a container "controller" to compare it with`),
    onSome: (of) => {
      const { kind, versions: [own, its] } = versionsOf(image, of)
      if (own === undefined || its === undefined) {
        return say(
          "unknown",
          `is ${image}, and the controller's is ${of}; give both a tag, so that one sees whether they are of one version`
        )
      }
      return own === its
        ? say("ok", `is ${image}, of the same ${kind} as the controller's`)
        : say(
          "warning",
          `is ${image}, and the controller's is ${of}, so they may be of different versions; give the values (agent.image.tag) and the Deployment the same ${kind}`
        )
    }
  })
}

interface Taint {
  readonly key: string
  readonly value?: string
  readonly effect: string
}

type Toleration = Partial<Taint> & { readonly operator?: string }

/** A node as its object describes it. `able`: whether it supports user namespaces in the runtime of tasks. */
export interface SeenNode {
  readonly labels: Readonly<Record<string, string>>
  readonly taints: ReadonlyArray<Taint>
  readonly able: boolean
}

/** Which nodes the Pods of tasks may be scheduled on. */
interface Scheduling {
  readonly nodeSelector?: Readonly<Record<string, string>>
  readonly tolerations?: ReadonlyArray<Toleration>
}

const tolerates = ({ effect, key, operator = "Equal", value = "" }: Toleration, taint: Taint): boolean =>
  (effect === undefined || effect === "" || effect === taint.effect) &&
  (key === undefined || key === "" ? operator === "Exists" : key === taint.key) &&
  (operator === "Exists" || (operator === "Equal" && value === (taint.value ?? "")))

/** Reports whether a taint keeps Pods away for as long as the node exists. Kubernetes sets those of its own prefix for a condition that passes. */
const isLasting = ({ effect, key }: Taint): boolean => effect !== "PreferNoSchedule" && !key.startsWith("node.kubernetes.io/")

const takes = ({ nodeSelector = {}, tolerations = [] }: Scheduling) => ({ labels, taints }: SeenNode): boolean =>
  Object.entries(nodeSelector).every(([key, value]) => labels[key] === value) &&
  taints.filter(isLasting).every((taint) => tolerations.some((_) => tolerates(_, taint)))

const usersCheck = check("user namespaces")

export const noRuntimeClass = (name: string): Check =>
  usersCheck("failed", `there is no RuntimeClass ${name}, so no task's Pod can be created; create it, or correct task.runtimeClassName`)

/** `scheduling`: what the RuntimeClass of tasks adds to the scheduling of their Pods. */
export const userNamespaces = ({ task }: ResolvedConfig, scheduling: Scheduling, nodes: ReadonlyArray<SeenNode>): Check => {
  const candidates = nodes.filter(takes({
    nodeSelector: { ...task.pod.nodeSelector, ...scheduling.nodeSelector },
    tolerations: [...task.pod.tolerations, ...scheduling.tolerations ?? []]
  }))
  const able = candidates.filter((node) => node.able).length
  const share = `${able} of ${candidates.length} nodes for tasks support them`
  if (!task.userNamespaces) {
    return able === candidates.length && able > 0
      ? usersCheck("warning", `${share}, and tasks do not use them; give task.userNamespaces: true`)
      : usersCheck("ok", `${share}; tasks do without`)
  }
  if (candidates.length === 0) {
    return usersCheck("unknown", `no node takes tasks now, by task.nodeSelector, task.tolerations and the taints of ${nodes.length} nodes`)
  }
  if (able === 0) return usersCheck("failed", `${share}, and task.userNamespaces is true, so no task's Pod starts; set it to false`)
  return able === candidates.length
    ? usersCheck("ok", share)
    : usersCheck(
      "warning",
      `${share}, and task.userNamespaces is true: Pods do not start on the others; keep them away with task.nodeSelector`
    )
}
