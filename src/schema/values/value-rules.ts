// Rules for keys of the values that contradict each other; each tells what to do instead.
// Invariant: the API server accepts what passes here, as far as the values alone decide it.
// Used by schema/values/values.ts. What concerns one section stands there.
import { isCidr } from "../ip-address.ts"
import type { Contradiction, Rule } from "./contradiction.ts"
import { identitiesAreApart } from "./identities.ts"
import { contextsOf, orAgents, resourcesOf } from "./our-containers.ts"
import { podRules } from "./pod-rules.ts"
import { amountOf } from "./quantity.ts"
import { containersOfOurs, isVolumeOfOurs, placesOfOurs, secondsBesideStage, volumesForAll } from "./task-pod.ts"
import type { Sections } from "./value-sections.ts"

const serverNeedsToken: Rule = ({ agent: { auth, token, tokenExistingSecret, url } }) => [
  url !== "" && token === "" && auth.token === "" && tokenExistingSecret.name === "" &&
  { path: ["agent", "url"], issue: "needs a token: give agent.token or agent.tokenExistingSecret.name" }
]

const volumesAreNew: Rule = ({ task: { extraVolumes } }) =>
  extraVolumes.map(({ name }, index) =>
    isVolumeOfOurs(name) &&
    { path: ["task", "extraVolumes", index], issue: `"${name}" is the name of a volume of ours; choose another` }
  )

const dataDirIsNew: Rule = ({ agent: { dataDir } }) => [
  placesOfOurs.has(dataDir.replace(/\/+$/u, "")) &&
  { path: ["agent", "dataDir"], issue: "is where agent-job itself mounts something; choose another directory, such as one below it" }
]

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
  serverNeedsToken,
  volumesAreNew,
  dataDirIsNew,
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
  oneCliConfiguration,
  identityIsOpenedInAWall,
  networksAreClosed,
  identitiesAreApart,
  ...podRules
]

export const contradictions = (values: Sections): ReadonlyArray<Contradiction> =>
  rules.flatMap((rule) => rule(values)).filter((_) => _ !== false)
