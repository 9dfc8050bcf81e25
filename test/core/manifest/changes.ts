// An installation and one of its Jobs, split into pieces with names, and which of the pieces a value changes.
// Used by test/core/manifest/every-value.test.ts.
import type { V1Container, V1Deployment } from "@kubernetes/client-node"
import { configMapName } from "../../../src/core/manifest/installation/config-map.ts"
import { install, type InstalledObject } from "../../../src/core/manifest/installation/install.ts"
import { job } from "../../../src/core/manifest/job.ts"
import { merge, type Tree } from "../../../src/schema/document/layers.ts"
import { configOf, taskOf } from "../configs.ts"

type Pieces = Readonly<Record<string, unknown>>

const byName = (containers: ReadonlyArray<V1Container> = []): Pieces =>
  Object.fromEntries(containers.map((container) => [container.name, container]))

const isDeployment = (object: InstalledObject): object is V1Deployment => object.kind === "Deployment"

const ofDeployment = ({ metadata, spec }: V1Deployment): Pieces => {
  const { containers, ...pod } = spec?.template.spec ?? { containers: [] }
  return { Deployment: [metadata, spec?.replicas], "controller's Pod": [spec?.template.metadata, pod], ...byName(containers) }
}

/** Splits a Job. `hash` is the configuration's hash, which is left out because any value changes it. */
const ofJob = (values: Tree, hash: string): Pieces => {
  const { metadata, spec } = job(taskOf(), configOf(values), 0)
  const { containers, initContainers, ...pod } = spec?.template.spec ?? { containers: [] }
  const own = JSON.stringify([metadata, { ...spec, template: undefined }]).replaceAll(hash, "")
  return {
    Job: own,
    "task's Pod": [spec?.template.metadata, pod],
    ...byName(initContainers),
    ...byName(containers),
    worker: JSON.stringify(containers).replaceAll(hash, "")
  }
}

/** Splits an installation, without the ConfigMap of the values, which any value changes. */
const pieces = (values: Tree): Pieces => {
  const config = configOf(values)
  const objects = install(config).filter(({ metadata }) => metadata?.name !== configMapName(config))
  const kinds = new Set(objects.flatMap((object) => isDeployment(object) ? [] : [object.kind ?? ""]))
  return {
    ...Object.fromEntries([...kinds].map((kind) => [kind, objects.filter((object) => object.kind === kind)])),
    ...Object.assign({}, ...objects.filter(isDeployment).map(ofDeployment)) as Pieces,
    ...ofJob(values, config.policy.configHash),
    policy: { ...config.policy, configHash: "" },
    pool: config.pool,
    "proof of isolation": config.taskNetwork.closedElsewhere
  }
}

/** Returns `{ a: { b: value } }` for "a.b". */
export const treeOf = (key: string, value: unknown): Tree =>
  key.split(".").reduceRight<unknown>((inner, part) => ({ [part]: inner }), value) as Tree

/** Returns the names of the pieces that the value changes, in alphabetical order. `beside` is given before and after, and not with null. */
export const changedBy = (key: string, value: unknown, beside?: Tree): string => {
  const given = treeOf(key, value)
  const [before, after] = [pieces(beside ?? {}), pieces(beside === undefined ? given : merge(beside, given))]
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  return names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name])).sort().join(", ")
}
