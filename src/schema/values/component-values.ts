// Keys that several parts of an installation have alike: an image, security contexts, a Pod's place and surroundings, an environment.
// Invariant: a key means the same wherever it is; `of` only says in its description to what it applies.
// Used by schema/values/value-sections.ts.
import { Schema } from "effect"
import { Subdomain } from "../names.ts"
import * as pod from "./pod-values.ts"
import { orEmpty, passedOn, removable, removables, Repository, section, Tag, value, whole } from "./value.ts"

export const image = (of: string, repository: string, pullPolicy: "IfNotPresent" | "") =>
  section({
    pullPolicy: value(
      pullPolicy === "" ? orEmpty(pod.PullPolicy) : pod.PullPolicy,
      pullPolicy,
      `When the node pulls the image of ${of}: Always, IfNotPresent or Never${pullPolicy === "" ? "; empty: agent.image.pullPolicy" : ""}.`
    ),
    repository: value(
      repository === "" ? orEmpty(Repository) : Repository,
      repository,
      `Image of ${of}, without its tag${repository === "" ? "; empty: agent.image.repository" : ""}.`
    ),
    tag: value(
      orEmpty(Tag),
      "",
      `Tag of the image of ${of}; empty: ${repository === "" ? "agent.image.tag, or else " : ""}the chart's application version.`
    )
  })

export const securityContext = (of: string, readOnlyRootFilesystem: boolean) =>
  removables({
    allowPrivilegeEscalation: removable(Schema.Boolean, false, `Lets a process in ${of} gain more privileges than its parent has.`),
    appArmorProfile: passedOn(pod.Profile, `AppArmor profile of ${of}.`),
    capabilities: removable(pod.Capabilities, { drop: ["ALL"] }, `Linux capabilities given to (add) and taken from (drop) ${of}.`),
    privileged: removable(Schema.Boolean, false, `Gives ${of} all privileges on the node.`),
    procMount: passedOn(pod.ProcMount, `How /proc is mounted in ${of}: Default or Unmasked.`),
    readOnlyRootFilesystem: removable(Schema.Boolean, readOnlyRootFilesystem, `Leaves nothing but volumes to write to in ${of}.`),
    runAsGroup: removable(pod.UserId, 1001, `Group id of ${of}.`),
    runAsNonRoot: removable(Schema.Boolean, true, `Refuses root in ${of}.`),
    runAsUser: removable(pod.UserId, 1001, `User id of ${of}.`),
    seLinuxOptions: removable(pod.SeLinuxOptions, {}, `SELinux label of ${of}.`),
    seccompProfile: removable(pod.Profile, { type: "RuntimeDefault" }, `System call filter of ${of}.`)
  })

const podSecurityContext = (of: string) =>
  removables({
    appArmorProfile: passedOn(pod.Profile, `AppArmor profile in ${of}, unless a container has its own.`),
    fsGroup: removable(pod.UserId, 1001, `Group that the volumes of ${of} belong to.`),
    fsGroupChangePolicy: removable(
      Schema.Literals(["OnRootMismatch", "Always"]),
      "OnRootMismatch",
      `When a volume's files are given to that group: Always, or OnRootMismatch.`
    ),
    runAsGroup: removable(pod.UserId, 1001, `Group id in ${of}, unless a container has its own.`),
    runAsNonRoot: removable(Schema.Boolean, true, `Refuses root in ${of}, unless a container says otherwise.`),
    runAsUser: removable(pod.UserId, 1001, `User id in ${of}, unless a container has its own.`),
    seLinuxChangePolicy: passedOn(
      Schema.Literals(["MountOption", "Recursive"]),
      `How volumes get the SELinux label of ${of}: MountOption, or Recursive, file by file.`
    ),
    seLinuxOptions: removable(pod.SeLinuxOptions, {}, `SELinux label in ${of}, unless a container has its own.`),
    seccompProfile: removable(
      pod.Profile,
      { type: "RuntimeDefault" },
      `System call filter in ${of}, unless a container has its own.`
    ),
    supplementalGroups: removable(pod.SupplementalGroups, [], `Further groups of the processes in ${of}.`),
    supplementalGroupsPolicy: passedOn(
      Schema.Literals(["Merge", "Strict"]),
      `Whether the groups that the image gives its user count too in ${of}: Merge, so that they do, or Strict.`
    ),
    sysctls: removable(pod.Sysctls, [], `Kernel parameters of ${of}, as name and value.`)
  })

/** Returns the keys for variables, given one by one or from objects of the cluster. */
export const environment = (of: string, over: string) => ({
  extraEnv: value(pod.Environment, {}, `Environment of ${of}${over === "" ? "" : `, over ${over}`}.`),
  extraEnvFrom: value(
    pod.EnvironmentSources,
    [],
    `ConfigMaps and Secrets whose keys become variables of ${of}, each as {configMapRef} or {secretRef}, a later one over an earlier one and extraEnv over all; the log does not hide what is in them.`
  )
})

export const scheduling = (of: string) => ({
  affinity: value(pod.Affinity, {}, `Which nodes and neighbours ${of} wants.`),
  dnsConfig: value(pod.DnsConfig, {}, `Name servers, search domains and resolver options of ${of}, beside what dnsPolicy gives.`),
  dnsPolicy: value(
    orEmpty(pod.DnsPolicy),
    "",
    `Where ${of} gets name servers from: ClusterFirst, Default (the node's) or None (dnsConfig alone); empty: ClusterFirst.`
  ),
  hostAliases: value(pod.HostAliases, [], `Lines of /etc/hosts of ${of}, each as ip and hostnames.`),
  nodeSelector: value(pod.Labels, {}, `Labels that the node of ${of} must have.`),
  podAnnotations: value(pod.Annotations, {}, `Annotations of ${of}; they override those of global.podAnnotations with the same key.`),
  podLabels: value(pod.OwnLabels, {}, `Labels of ${of}; they override those of global.podLabels with the same key.`),
  podSecurityContext: podSecurityContext(of),
  priorityClassName: value(orEmpty(Subdomain), "", `Priority class of ${of}, which must exist.`),
  terminationGracePeriodSeconds: value(whole, 360, `Seconds that ${of} gets to end in order before it is killed.`),
  tolerations: value(pod.Tolerations, [], `Taints of nodes that ${of} accepts.`),
  topologySpreadConstraints: value(
    pod.TopologySpread,
    [],
    `How ${of} is spread over nodes and zones; a constraint without labelSelector counts Pods of its own kind.`
  )
})

/** Returns the keys of a container whose image and security context fall back to those of the agent. */
export const agentContainer = (of: string, resources: pod.Resources) => ({
  ...environment(of, "agent.extraEnv and global.extraEnv"),
  image: image(of, "", ""),
  resources: value(pod.Resources, resources, `CPU and memory of ${of}.`),
  securityContext: value(
    pod.SecurityContext,
    {},
    `Security context of ${of}; empty: agent.securityContext; if set, nothing of that applies.`
  )
})
