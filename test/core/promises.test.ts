// The promises of the Helm chart's README for values files of every kind: what is rendered has each fact that the model derives from one.
import { describe, expect, it } from "@effect/vitest"
import type { V1Container, V1PodTemplateSpec } from "@kubernetes/client-node"
import { deployment } from "../../src/core/manifest/installation/deployment.ts"
import { job } from "../../src/core/manifest/job.ts"
import { appVersion } from "../../src/schema/values/values.ts"
import { configOf, taskOf } from "./configs.ts"
import { facts, type File, files } from "./promises.ts"

const release = "blue"

const containerFacts = (name: string, template: V1PodTemplateSpec | undefined) => {
  const all: ReadonlyArray<V1Container> = [...template?.spec?.initContainers ?? [], ...template?.spec?.containers ?? []]
  const found = all.find((_) => _.name === name)
  return {
    image: found?.image,
    pullPolicy: found?.imagePullPolicy,
    env: Object.fromEntries((found?.env ?? []).flatMap(({ name, value }) => /^(?:AGENT_JOB|POD)_/u.test(name) ? [] : [[name, value]])),
    context: { runAsUser: found?.securityContext?.runAsUser, readOnlyRootFilesystem: found?.securityContext?.readOnlyRootFilesystem },
    resources: { cpu: found?.resources?.limits?.["cpu"], memory: found?.resources?.requests?.["memory"] }
  }
}

const ours = [
  "kubectl.kubernetes.io/default-container",
  "cluster-autoscaler.kubernetes.io/safe-to-evict",
  "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes",
  "karpenter.sh/do-not-disrupt"
]

const podFacts = (template: V1PodTemplateSpec | undefined) => ({
  annotations: Object.fromEntries(Object.entries(template?.metadata?.annotations ?? {}).filter(([key]) => !ours.includes(key))),
  nodeSelector: template?.spec?.nodeSelector ?? {},
  grace: template?.spec?.terminationGracePeriodSeconds,
  fsGroup: template?.spec?.securityContext?.fsGroup,
  pullSecrets: template?.spec?.imagePullSecrets ?? []
})

const rendered = (file: File) => {
  const config = configOf(file, { name: release })
  const controller = deployment(config).spec?.template
  const { spec: { template, ...ofJob } = { template: {} } } = job(taskOf(), config, 0)
  const mount = (template.spec?.containers ?? []).flatMap(({ volumeMounts = [] }) => volumeMounts).find(({ name }) => name === "data")
  return {
    controller: containerFacts("controller", controller),
    worker: containerFacts("worker", template),
    runner: containerFacts("runner", template),
    controllerPod: {
      ...podFacts(controller),
      account: controller?.spec?.serviceAccountName,
      automount: controller?.spec?.automountServiceAccountToken
    },
    taskPod: podFacts(template),
    job: {
      backoffLimit: "backoffLimit" in ofJob ? ofJob.backoffLimit : undefined,
      ttl: "ttlSecondsAfterFinished" in ofJob ? ofJob.ttlSecondsAfterFinished : undefined
    },
    dataDir: mount?.mountPath
  }
}

describe("the promises of the chart's README", () => {
  it.prop("hold for any values file", [files], ([file]) => expect(rendered(file)).toEqual(facts(file, appVersion, release)))

  it("hold for no file", () => expect(rendered({})).toEqual(facts({}, appVersion, release)))
})
