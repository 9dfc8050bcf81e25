// Rules for keys of the values that contradict each other; each tells what to do instead.
// Invariant: the API server accepts what passes here, as far as the values alone decide it.
// Used by schema/values/values.ts and core/migration/renamed-values.
import { isTree, type Path } from "../document/layers.ts"
import { isCidr } from "../ip-address.ts"
import type { Contradiction, Rule } from "./contradiction.ts"
import { identitiesAreApart } from "./identity-rules.ts"
import { contextsOf, orAgents, resourcesOf } from "./our-containers.ts"
import { podRules } from "./pod-rules.ts"
import { mirrorHost } from "./provider-mirrors.ts"
import { amountOf } from "./quantity.ts"
import { containersOfOurs, isVolumeOfOurs, placesOfOurs, secondsBesideStage, volumesForAll } from "./task-pod.ts"
import type { Sections } from "./value-sections.ts"

const tokenIsOne: Rule = ({ agent: { auth, token, tokenExistingSecret } }) => [
  token !== "" && auth.token !== "" && token !== auth.token &&
  { path: ["agent", "auth", "token"], issue: "differs from agent.token; give the token once" },
  (token !== "" || auth.token !== "") && tokenExistingSecret.name !== "" &&
  { path: ["agent", "token"], issue: "is given, and agent.tokenExistingSecret.name too; give one of them" }
]

const serverNeedsToken: Rule = ({ agent: { auth, token, tokenExistingSecret, url } }) => [
  url !== "" && token === "" && auth.token === "" && tokenExistingSecret.name === "" &&
  { path: ["agent", "url"], issue: "needs a token: give agent.token or agent.tokenExistingSecret.name" }
]

/** Reports whether a budget lets no Pod go. Kubernetes rounds a share of the Pods up, so half of one is one. */
export const blocksDrains = (minAvailable: number | string, replicas: number): boolean =>
  (typeof minAvailable === "number" ? minAvailable : Math.ceil((Number.parseInt(minAvailable, 10) * replicas) / 100)) >=
    Math.max(replicas, 1)

const drainsAreLeft: Rule = ({ controller: { podDisruptionBudget: { enabled, minAvailable }, replicas } }) => [
  enabled && blocksDrains(minAvailable, replicas) &&
  {
    path: ["controller", "podDisruptionBudget", "minAvailable"],
    issue:
      `is ${minAvailable} of ${replicas}, so that no node with a controller could ever be drained; give fewer, or more controller.replicas`
  }
]

const tasksAreHeldToLists: Rule = ({ admissionPolicies: { enabled, tokenRequesters, ...lists } }) =>
  enabled ? [] : [
    ...Object.entries(lists).flatMap(([key, patterns]) => patterns.includes("*") ? [] : [key]),
    ...(tokenRequesters.length > 0 ? ["tokenRequesters"] : [])
  ].map((key) => ({ path: ["admissionPolicies", key], issue: "needs admissionPolicies.enabled: true, which holds tasks to it" }))

const volumesAreNew: Rule = ({ task: { extraVolumes } }) =>
  extraVolumes.map(({ name }, index) =>
    isVolumeOfOurs(name) &&
    { path: ["task", "extraVolumes", index], issue: `"${name}" is the name of a volume of ours; choose another` }
  )

/** What a provider, which listens on a socket in TMPDIR, adds to the data directory. Of its path, Linux takes no more than 107 bytes. */
const longestSocket = "/tmp/plugin4294967295"
const longestDataDir = 107 - longestSocket.length

const dataDirIsFit: Rule = ({ agent: { dataDir } }) => {
  const [path, directory] = [["agent", "dataDir"], dataDir.replace(/\/+$/u, "")]
  const { length } = new TextEncoder().encode(directory)
  return [
    placesOfOurs.has(directory) &&
    { path, issue: "is where agent-job itself mounts something; choose another directory, such as one below it" },
    length > longestDataDir &&
    { path, issue: `is ${length} bytes long, and no provider starts in a directory of more than ${longestDataDir}; choose a shorter path` }
  ]
}

const containersAreNew: Rule = ({ task: { sidecars } }) =>
  sidecars.map(({ name }, index) =>
    containersOfOurs.includes(name) &&
    { path: ["task", "sidecars", index], issue: `"${name}" is the name of a container of ours; choose another` }
  )

const mountsHaveVolumes: Rule = ({ persistence: { enabled, hostPath }, task }) => {
  const ours = volumesForAll.filter((name) => name !== "cache" || enabled || hostPath.path !== "")
  const names = [...task.extraVolumes.map(({ name }) => name), ...ours]
  return (["worker", "runner"] as const).flatMap((part) =>
    task[part].extraVolumeMounts.map(({ name }, index) =>
      !names.includes(name) &&
      {
        path: ["task", part, "extraVolumeMounts", index, "name"],
        issue: `there is no volume "${name}" to mount; give it in task.extraVolumes`
      }
    )
  )
}

const failureRulesHaveContainers: Rule = ({ task: { job: { podFailurePolicy: { rules } }, sidecars } }) => {
  const names = [...containersOfOurs, ...sidecars.map(({ name }) => name)]
  return rules.map(({ onExitCodes: { containerName } = {} }, index) =>
    containerName !== undefined && !names.includes(containerName) &&
    {
      path: ["task", "job", "podFailurePolicy", "rules", index, "onExitCodes", "containerName"],
      issue: `"${containerName}" is no container of a task's Pod; it has ${names.join(", ")}`
    }
  )
}

const deadlineLeavesTime: Rule = ({ task }) => {
  const least = secondsBesideStage(task) + 60
  return [
    task.job.activeDeadlineSeconds > 0 && task.job.activeDeadlineSeconds < least &&
    {
      path: ["task", "job", "activeDeadlineSeconds"],
      issue: `leaves no minute for a stage: start and end take up to ${secondsBesideStage(task)} seconds; give at least ${least}, or 0`
    }
  ]
}

const namesAreServed: Rule = (values) =>
  (["controller", "task"] as const).map((part) =>
    values[part].dnsPolicy === "None" && (values[part].dnsConfig.nameservers ?? []).length === 0 &&
    { path: [part, "dnsConfig"], issue: `needs nameservers, since ${part}.dnsPolicy is None` }
  )

/** Finds privileged containers without privilege escalation, which Kubernetes refuses. */
const privilegedMayEscalate: Rule = (values) =>
  contextsOf(values).map(({ context, path }) =>
    context.privileged === true && context.allowPrivilegeEscalation === false &&
    { path: [...path, "privileged"], issue: `needs ${path.join(".")}.allowPrivilegeEscalation: true too` }
  )

type Ids = Pick<Sections["task"]["podSecurityContext"], "runAsGroup" | "runAsUser">

/** Reports whether both are given and differ. An id that is not given comes from the image, or from whoever admits the Pod. */
const differ = (a: number | undefined, b: number | undefined): boolean => a !== undefined && b !== undefined && a !== b

/** Finds a worker and a runner without a user or a group in common, whose volume has no group either: neither could read the other's files. */
const filesAreShared: Rule = ({ agent, task: { podSecurityContext: pod, runner, worker } }) => {
  const idsOf = ({ runAsGroup = pod.runAsGroup, runAsUser = pod.runAsUser }: Ids) => ({ group: runAsGroup, user: runAsUser })
  const ours = idsOf(orAgents(worker.securityContext, agent))
  const theirs = idsOf(runner.securityContext)
  const { fsGroup, supplementalGroups = [] } = pod
  return [
    fsGroup === undefined && ![ours.user, theirs.user].includes(0) && differ(ours.user, theirs.user) &&
    differ(ours.group, theirs.group) && !supplementalGroups.some((group) => group === ours.group) &&
    {
      path: ["task", "podSecurityContext", "fsGroup"],
      issue:
        "is taken away, and worker and runner have neither a user nor a group in common to share files by; give it, or the same runAsGroup"
    }
  ]
}

/**
 * Finds limits below their requests, compared to the ninth digit. A limit that is given alone is compared with the request of the defaults.
 */
const requestsFitLimits: Rule = (values) =>
  resourcesOf(values).flatMap(({ path, resources: { limits = {}, requests = {} } }) =>
    Object.entries(limits).map(([name, limit]) => {
      const request = requests[name]
      return request !== undefined && amountOf(request) > amountOf(limit) * (1 + 1e-9) &&
        {
          path: [...path, "limits", name],
          issue: `${limit} is less than the request of ${request}; lower ${[...path, "requests", name].join(".")} too`
        }
    })
  )

/** Finds what has the form of a URL, but no host or port that there can be: programs would end with it. */
const urlsCanBeAsked: Rule = ({ agent, global: { proxy } }) =>
  [
    { path: ["agent", "url"], url: agent.url },
    { path: ["global", "proxy", "httpProxy"], url: proxy.httpProxy },
    { path: ["global", "proxy", "httpsProxy"], url: proxy.httpsProxy }
  ].map(({ path, url }) =>
    url !== "" && !URL.canParse(url) &&
    { path, issue: "is no address that a program can ask; correct its host, or its port, which is at most 65535" }
  )

const claimHasRoom: Rule = ({ persistence: { enabled, hostPath, persistentVolumeClaim: { claimName, storage } } }) => [
  enabled && hostPath.path === "" && claimName === "" && amountOf(storage) === 0 &&
  { path: ["persistence", "persistentVolumeClaim", "storage"], issue: "must be more than 0, since a claim of that size is made" }
]

const certificatesAreOne: Rule = ({ global: { tls: { caBundle, caBundleConfigMap, caBundleSecret } } }) => {
  const [first, ...others] = [
    caBundle !== "" && "caBundle",
    caBundleConfigMap.name !== "" && "caBundleConfigMap",
    caBundleSecret.name !== "" && "caBundleSecret"
  ].filter((_) => _ !== false)
  return [
    first !== undefined && others.length > 0 &&
    { path: ["global", "tls", first], issue: `is given, and ${others.join(" and ")} too; give one of them` }
  ]
}

/** Finds mirrors whose token differs from that of another mirror on their host: the engines know one token for each host. */
const mirrorsOfHostAgree: Rule = ({ agent: { providerNetworkMirrors } }) =>
  providerNetworkMirrors.map((mirror, index) => {
    const first = providerNetworkMirrors.find((_) => mirrorHost(_) === mirrorHost(mirror))
    const isSame = first?.tokenSecret?.name === mirror.tokenSecret?.name && first?.tokenSecret?.key === mirror.tokenSecret?.key
    return !isSame && {
      path: ["agent", "providerNetworkMirrors", index, "tokenSecret"],
      issue: `differs from that of another mirror of ${mirrorHost(mirror)}; give both the same`
    }
  })

const cliConfigFile = "TF_CLI_CONFIG_FILE"

const oneCliConfiguration: Rule = ({ agent: { providerFilesystemMirrors, providerNetworkMirrors }, global, task: { runner } }) => [
  providerFilesystemMirrors.length + providerNetworkMirrors.length > 0 && cliConfigFile in { ...global.extraEnv, ...runner.extraEnv } &&
  {
    path: cliConfigFile in runner.extraEnv ? ["task", "runner", "extraEnv", cliConfigFile] : ["global", "extraEnv", cliConfigFile],
    issue: "is given, and agent has provider mirrors, which are such a file too; give one of them"
  }
]

/** Finds a cloudIdentity where nothing is closed: the policy that opens it would then be the only one, and would deny everything else. */
const identityIsOpenedInAWall: Rule = ({ restrictMetadataService, task: { networkPolicy: { cloudIdentity, denyPods } } }) => [
  cloudIdentity !== "" && !restrictMetadataService && !denyPods &&
  {
    path: ["task", "networkPolicy", "cloudIdentity"],
    issue: "is open already; give it with restrictMetadataService or task.networkPolicy.denyPods, which close it"
  }
]

/** Finds networks that would be taken for closed, and what has the form of a network, but no address that there can be. */
const networksAreClosed: Rule = ({ task: { networkPolicy: { denyPods, privateCidrs } } }) => {
  const path = ["task", "networkPolicy", "privateCidrs"]
  return [
    privateCidrs.length > 0 && !denyPods && { path, issue: "closes nothing without task.networkPolicy.denyPods: true; give it too" },
    ...privateCidrs.map((cidr, index) => !isCidr(cidr) && { path: [...path, index], issue: `"${cidr}" is no network; correct its address` })
  ]
}

const rules = [
  tokenIsOne,
  serverNeedsToken,
  drainsAreLeft,
  tasksAreHeldToLists,
  volumesAreNew,
  dataDirIsFit,
  containersAreNew,
  mountsHaveVolumes,
  failureRulesHaveContainers,
  deadlineLeavesTime,
  namesAreServed,
  privilegedMayEscalate,
  filesAreShared,
  requestsFitLimits,
  urlsCanBeAsked,
  claimHasRoom,
  certificatesAreOne,
  mirrorsOfHostAgree,
  oneCliConfiguration,
  identityIsOpenedInAWall,
  networksAreClosed,
  identitiesAreApart,
  ...podRules
]

/** Returns the same data, and tells `asked` the path of each key that is asked for in it. */
const watched = <A extends object>(node: A, asked: (path: string) => void, path: Path = []): A =>
  new Proxy(node, {
    get: (_, key) => {
      const [inside, inner]: [Path, unknown] = [[...path, key], Reflect.get(node, key)]
      asked(inside.join("."))
      return isTree(inner) ? watched(inner, asked, inside) : inner
    }
  })

const asksFor = (rule: Rule, values: Sections, parts: ReadonlyArray<Path>): boolean => {
  const asked = new Set<string>()
  rule(watched(values, (path) => asked.add(path)))
  return parts.some((part) => asked.has(part.join(".")))
}

/**
 * Returns what contradicts in the values. `unsure` are parts of them that are not what a person wrote, because that cannot be used: rules
 * that ask for one of them are left out.
 */
export const contradictions = (values: Sections, unsure: ReadonlyArray<Path>): ReadonlyArray<Contradiction> =>
  rules.filter((rule) => unsure.length === 0 || !asksFor(rule, values, unsure)).flatMap((rule) => rule(values)).filter((_) => _ !== false)
