// Policies on Jobs and Pods with an account of tasks: the controller makes such Jobs and no others, Kubernetes the Pods, the worker has its volumes.
// Invariant: every Pod that our builder makes from the same values passes, and no policy keeps an existing Pod from ending.
// Used by core/manifest/admission/admission.
import type { V1Volume } from "@kubernetes/client-node"
import { workerVolumes } from "../../../schema/values/task-pod.ts"
import type { ResolvedConfig } from "../../resolve/resolve.ts"
import { accountNames } from "../../task/identity.ts"
import { labels, selectorLabels, stageLabel, taskUidLabel } from "../labels.ts"
import { byController, cel, type Check, hasLabels, isOneOf, onCreate, type Policy } from "./admission-policy.ts"

const onUpdate = ({ expression, ...said }: Check): Check => ({ expression: `request.operation != 'UPDATE' || (${expression})`, ...said })

/** The user names of Kubernetes' Job controller, which makes the Pods of Jobs: with a service account of its own, and without. */
const jobControllers = ["system:serviceaccount:kube-system:job-controller", "system:kube-controller-manager"]

/**
 * Audiences of the tokens that webhooks add to Pods: those of AWS, of Azure, and of the meshes Istio and Linkerd. The API server accepts no
 * token with one of these audiences.
 */
const foreignAudiences = ["sts.amazonaws.com", "pods.eks.amazonaws.com", "api://AzureADTokenExchange", "istio-ca", "identity.l5d.io"]

const hostPaths = ({ cache, task: { volumes } }: ResolvedConfig): ReadonlyArray<string> =>
  [...cache === undefined ? [] : [cache.volume], ...volumes].flatMap(({ hostPath }) => hostPath === undefined ? [] : [hostPath.path])

const hasToken = ({ projected }: V1Volume): boolean =>
  (projected?.sources ?? []).some(({ serviceAccountToken }) => serviceAccountToken !== undefined)

/** Returns the names of the values' volumes that contain a token: whoever wrote the values gave that token away on purpose. */
const tokenVolumes = ({ task: { volumes } }: ResolvedConfig): ReadonlyArray<string> => volumes.filter(hasToken).map(({ name }) => name)

const privilegedContainers = ({ task: { runner, sidecars, worker } }: ResolvedConfig): ReadonlyArray<string> => [
  ...(worker.securityContext.privileged === true ? ["install", "worker"] : []),
  ...(runner.securityContext.privileged === true ? ["runner"] : []),
  ...sidecars.filter(({ securityContext }) => securityContext?.privileged === true).map(({ name }) => name)
]

/** Returns the containers that may mount each volume of the worker: the worker, and each sidecar to which the values give the volume. */
const holders = ({ task: { sidecars } }: ResolvedConfig): Readonly<Record<string, ReadonlyArray<string>>> =>
  Object.fromEntries(workerVolumes.map((volume) => [volume, [
    "worker",
    ...sidecars.filter(({ volumeMounts }) => volumeMounts?.some(({ name }) => name === volume)).map(({ name }) => name)
  ]]))

const sameImages = (field: "containers" | "initContainers"): string =>
  `oldObject.spec.?${field}.orValue([]).all(was, object.spec.?${field}.orValue([]).exists(is, is.name == was.name && is.image == was.image))`

/** No kubelet starts anything in such a Pod. Where a webhook rewrites images at each update, Kubernetes could not let go of it otherwise. */
const isOver = "oldObject.?status.phase.orValue('') in ['Succeeded', 'Failed']"

export const podPolicy = (config: ResolvedConfig): Policy => ({
  name: "task-pod",
  rules: [{ apiGroups: [""], apiVersions: ["v1"], resources: ["pods", "pods/ephemeralcontainers"], operations: ["CREATE", "UPDATE"] }],
  inTaskNamespace: true,
  matchCondition: { name: "as-a-task", expression: isOneOf("object.?spec.?serviceAccountName.orValue('')", accountNames(config)) },
  variables: {
    containers: "object.spec.containers + object.spec.?initContainers.orValue([])",
    volumes: "object.spec.?volumes.orValue([])",
    // the values decide these: a patch for other values has to replace only variables, and no check
    hostPaths: cel(hostPaths(config)),
    privileged: cel(privilegedContainers(config)),
    tokenVolumes: cel(["api-token", ...tokenVolumes(config)]),
    holders: cel(holders(config))
  },
  checks: [
    onCreate({
      expression: `request.userInfo.username in ${
        cel(jobControllers)
      } && object.metadata.?ownerReferences.orValue([]).exists(o, o.?controller.orValue(false) && o.apiVersion == 'batch/v1' && o.kind == 'Job' && object.metadata.name.startsWith(o.name + '-'))`,
      message: "only Kubernetes itself makes a Pod with the account of tasks, for a Job"
    }),
    onCreate({
      expression: hasLabels("object", selectorLabels(config, "task")),
      message: "a Pod with the account of tasks has the labels that network policies select it by"
    }),
    onCreate({
      expression: ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"].map((field) => `!object.spec.?${field}.orValue(false)`)
        .join(" && "),
      message: "a Pod with the account of tasks shares no namespace of its node, and its containers no processes"
    }),
    onCreate({
      expression: "variables.volumes.all(v, !has(v.hostPath) || v.hostPath.path in variables.hostPaths)",
      message: "a Pod with the account of tasks mounts no directory of its node but those of the values that this policy was made from"
    }),
    onCreate({
      expression: "variables.containers.all(c, !c.?securityContext.?privileged.orValue(false) || c.name in variables.privileged)",
      message: "a Pod with the account of tasks has no privileged container but those of the values that this policy was made from"
    }),
    onCreate({
      expression:
        `object.spec.?automountServiceAccountToken.orValue(true) == false && variables.volumes.all(v, v.name in variables.tokenVolumes || v.?projected.?sources.orValue([]).all(s, !has(s.serviceAccountToken) || s.serviceAccountToken.?audience.orValue('') in ${
          cel(foreignAudiences)
        }))`,
      message: "a Pod with the account of tasks has one token of the Kubernetes API, that of its worker"
    }),
    onCreate({
      expression:
        "variables.containers.all(c, c.?volumeMounts.orValue([]).all(m, !(m.name in variables.holders) || c.name in variables.holders[m.name]))",
      message: "the worker's volumes, such as the tokens of the Kubernetes API and of the task, are mounted in the worker alone"
    }),
    onUpdate({
      expression: "size(object.spec.?ephemeralContainers.orValue([])) <= size(oldObject.spec.?ephemeralContainers.orValue([]))",
      message: "nothing is put into a Pod with the account of tasks: it could read the worker's token"
    }),
    onUpdate({
      expression: `${isOver} || (${sameImages("containers")} && ${sameImages("initContainers")})`,
      message: "the images of a Pod with the account of tasks stay"
    }),
    onUpdate({
      expression: [...Object.keys(labels(config, "task")), taskUidLabel, stageLabel].map((key) =>
        `object.metadata.?labels[?${cel(key)}] == oldObject.metadata.?labels[?${cel(key)}]`
      ).join(" && "),
      message: "the labels that network policies, the disruption budget and the controller select a Pod by stay"
    })
  ]
})

export const jobPolicy = (config: ResolvedConfig): Policy => {
  const account = "object.spec.template.spec.?serviceAccountName.orValue('')"
  const accounts = accountNames(config)
  return {
    name: "task-job",
    rules: [{ apiGroups: ["batch"], apiVersions: ["v1"], resources: ["jobs"], operations: ["CREATE"] }],
    inTaskNamespace: true,
    matchCondition: { name: "as-a-task", expression: `${isOneOf(account, accounts)} || ${byController(config)}` }, // an overlay that was written before patches it by this name
    variables: { accounts: cel(accounts) },
    checks: [
      {
        expression: byController(config),
        message: "only the controller makes a Job with the account of tasks; make an AgentTask instead"
      },
      {
        expression: `${account} in variables.accounts`,
        message: "the controller makes Jobs with the account of tasks alone, whose Pods the policy on Pods holds to their shape"
      },
      {
        expression:
          "object.metadata.?ownerReferences.orValue([]).exists(o, o.?controller.orValue(false) && o.apiVersion.startsWith('scalr.io/') && o.kind == 'AgentTask')",
        message: "a Job with the account of tasks belongs to an AgentTask"
      }
    ]
  }
}
