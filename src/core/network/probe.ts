// The Pods and NetworkPolicies with which the doctor finds out what the network really enforces, and what a task's Pod reaches.
// Invariant: the Pods pass Pod Security "restricted", have no token and end by themselves, and the controller never sees them.
// Used by cli/doctor/doctor-network.ts, cli/doctor/earlier-doctors.ts and core/doctor/network-findings.ts.
import type { V1NetworkPolicy, V1NetworkPolicySpec, V1Pod } from "@kubernetes/client-node"
import { Record, Struct } from "effect"
import type { ProbeTarget } from "../../schema/kubernetes/probe.ts"
import { selectorLabels } from "../manifest/labels.ts"
import { podSettings } from "../manifest/pod-settings.ts"
import type { ResolvedConfig } from "../resolve/resolve.ts"

export type Listener = "listener" | "task-listener"

/**
 * The listeners wait for connections, the first from everybody whatever other policies say. `open` may reach others whatever they say, and
 * `closed` may reach nothing: only both together prove anything. `task` and `task-listener` have the labels by which network policies select the Pods of tasks. All have the
 * annotations of these, by which others put a proxy into a Pod or connect it to another network.
 */
export type Probe = Listener | "open" | "closed" | "task"

export const listenerPort = 8083
export const probeContainer = "probe"

/** On all objects of a doctor, with the id of its examination. */
export const doctorLabel = "scalr.io/doctor"
const probeLabel = "scalr.io/probe"

/** How annotations begin that name a container: Kubernetes refuses them for a Pod without that container. */
const ofOneContainer = "container.apparmor.security.beta.kubernetes.io/"

/** Returns the name of a probe's objects. `id` tells one examination by the doctor from others. */
const nameOf = ({ name }: ResolvedConfig, id: string, probe: Probe): string => `${name}-doctor-${id}-${probe}`

const listens = (probe: Probe): probe is Listener => probe === "listener" || probe === "task-listener"
const isLikeTask = (probe: Probe): boolean => probe === "task" || probe === "task-listener"

const ownLabels = (id: string, probe: Probe) => ({ [doctorLabel]: id, [probeLabel]: probe })

export const probePod = (
  config: ResolvedConfig,
  id: string,
  probe: Probe,
  targets: ReadonlyArray<ProbeTarget>
): V1Pod & { readonly metadata: { readonly name: string; readonly namespace: string } } => {
  const { pod, worker } = config.task
  const annotations = Record.filter(pod.annotations, (_, key) => !key.startsWith(ofOneContainer))
  const labels = { ...pod.labels, ...(isLikeTask(probe) && selectorLabels(config, "task")), ...ownLabels(id, probe) }
  return {
    metadata: {
      name: nameOf(config, id, probe),
      namespace: config.taskNamespace,
      labels,
      ...(Object.keys(annotations).length > 0 && { annotations })
    },
    spec: {
      activeDeadlineSeconds: 300, // ends a Pod whose doctor went away
      ...(config.imagePullSecrets.length > 0 && { imagePullSecrets: [...config.imagePullSecrets] }),
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      restartPolicy: "Never",
      ...podSettings({ ...pod, terminationGracePeriodSeconds: 1 }, labels),
      containers: [{
        name: probeContainer,
        image: worker.image,
        imagePullPolicy: worker.imagePullPolicy,
        args: listens(probe) ? ["probe", "--listen", String(listenerPort)] : ["probe"],
        ...(listens(probe)
          ? { readinessProbe: { tcpSocket: { port: listenerPort }, periodSeconds: 1 } } // no policy keeps the kubelet out, which alone can tell that it listens
          : { env: [{ name: "AGENT_JOB_PROBE_TARGETS", value: JSON.stringify(targets) }] }),
        resources: worker.resources,
        securityContext: worker.securityContext
      }]
    }
  }
}

const rules = {
  // From everybody, so that where Pods are closed to others by default only its own egress can keep one from the listener.
  listener: { policyTypes: ["Ingress"], ingress: [{}] },
  open: { policyTypes: ["Egress"], egress: [{}] },
  closed: { policyTypes: ["Egress"] }
} satisfies Partial<Record<Probe, Omit<V1NetworkPolicySpec, "podSelector">>>

export const probePolicies = (
  config: ResolvedConfig,
  id: string
): ReadonlyArray<V1NetworkPolicy & { readonly metadata: { readonly name: string; readonly namespace: string } }> =>
  Struct.keys(rules).map((probe) => ({
    metadata: { name: nameOf(config, id, probe), namespace: config.taskNamespace, labels: ownLabels(id, probe) },
    spec: { podSelector: { matchLabels: ownLabels(id, probe) }, ...rules[probe] }
  }))
