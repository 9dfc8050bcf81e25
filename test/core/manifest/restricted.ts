// Pod Security "restricted", as Kubernetes' documentation states it, written separately from the builders that it checks.
// Used by the tests of this folder.
import type { V1Container, V1PodSpec } from "@kubernetes/client-node"

const volumeKinds = ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"]
const seLinuxTypes = [undefined, "container_t", "container_init_t", "container_kvm_t", "container_engine_t"]

const safeSysctls = [
  "kernel.shm_rmid_forced",
  "net.ipv4.ip_local_port_range",
  "net.ipv4.ip_unprivileged_port_start",
  "net.ipv4.tcp_syncookies",
  "net.ipv4.ping_group_range",
  "net.ipv4.ip_local_reserved_ports",
  "net.ipv4.tcp_keepalive_time",
  "net.ipv4.tcp_fin_timeout",
  "net.ipv4.tcp_keepalive_intvl",
  "net.ipv4.tcp_keepalive_probes"
]

const ofContainer = (pod: V1PodSpec, { name, ports = [], securityContext: own = {} }: V1Container): ReadonlyArray<string> => {
  const context = { ...pod.securityContext, ...own }
  const seccomp = context.seccompProfile?.type
  const rules: ReadonlyArray<readonly [boolean, string]> = [
    [own.privileged === true, "is privileged"],
    [own.allowPrivilegeEscalation !== false, "may gain privileges"],
    [own.capabilities?.drop?.includes("ALL") !== true, "keeps capabilities"],
    [(own.capabilities?.add ?? []).some((_) => _ !== "NET_BIND_SERVICE"), "adds capabilities"],
    [context.runAsNonRoot !== true, "may be root"],
    [context.runAsUser === 0, "is root"],
    [seccomp !== "RuntimeDefault" && seccomp !== "Localhost", "has no system call filter"],
    [own.procMount !== undefined && own.procMount !== "Default", "sees /proc unmasked"],
    [!seLinuxTypes.includes(context.seLinuxOptions?.type), "has an SELinux type of its own"],
    [ports.some(({ hostPort }) => hostPort !== undefined && hostPort !== 0), "has a port of the node"]
  ]
  return rules.flatMap(([broken, says]) => broken ? [`${name} ${says}`] : [])
}

/** Returns the parts of the standard that a Pod breaks. */
export const violations = (pod: V1PodSpec): ReadonlyArray<string> => [
  ...(["hostNetwork", "hostPID", "hostIPC"] as const).filter((key) => pod[key] === true),
  ...(pod.securityContext?.sysctls ?? []).filter(({ name }) => !safeSysctls.includes(name)).map(({ name }) => `sysctl ${name}`),
  ...(pod.volumes ?? []).filter((volume) => !Object.keys(volume).every((key) => key === "name" || volumeKinds.includes(key))).map((
    { name }
  ) => `volume ${name}`),
  ...[...pod.initContainers ?? [], ...pod.containers].flatMap((_) => ofContainer(pod, _))
]
