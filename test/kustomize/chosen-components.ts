// Components over the base as the real kustomize builds them, and what they are to come to: what the values in the ConfigMap render.
// Used by components.cluster.test.ts and component-order.long.test.ts beside it.
import { cpus } from "node:os"
import { install } from "../../src/core/manifest/installation/install.ts"
import type { ResolvedConfig } from "../../src/core/resolve/resolve.ts"
import { components } from "../../src/generate/components.ts"
import type { ObjectPatch } from "../../src/generate/files/component.ts"
import { installationOf } from "../../src/generate/files/installation.ts"
import { merge, type Tree } from "../../src/schema/document/layers.ts"
import { buildOf, type Built, idOf, meaningOf } from "./build.ts"
import { configId, configOf } from "./installed-config.ts"

/** Names of components, in the order in which they are listed. */
export type Chosen = ReadonlyArray<string>

/** The ConfigMaps that some components require of their users. */
const inputs = components.flatMap(({ inputs = [], name }) =>
  inputs.length === 0 ? [] : [{
    name: `agent-job-${name}`,
    literals: inputs.map(({ example, literal }) => `${literal}=${example.replace("example", "mine")}`),
    options: { annotations: { "config.kubernetes.io/local-config": "true" } }
  }]
)

const over = (chosen: Chosen): Promise<ReadonlyArray<Built>> =>
  buildOf((at) => ({
    resources: [at("kustomize/base")],
    configMapGenerator: inputs,
    components: chosen.map((name) => at(`kustomize/components/${name}`))
  }))

/** Builds all of these, as many at a time as there are processors. Returns for each, by its names, what was built, or the error. */
export const builtOver = async (all: ReadonlyArray<Chosen>): Promise<ReadonlyMap<string, ReadonlyArray<Built> | Error>> => {
  const results = new Map<string, ReadonlyArray<Built> | Error>()
  const left = [...all]
  const worker = async () => {
    for (let chosen = left.pop(); chosen !== undefined; chosen = left.pop()) {
      results.set(
        chosen.join(),
        await over(chosen).catch((error: Error) => error)
      )
    }
  }
  await Promise.all(cpus().map(worker))
  return results
}

const asBuilt = (objects: ReadonlyArray<object>) => JSON.parse(JSON.stringify(objects)) as ReadonlyArray<Built>

/** Returns the object with the patches that components make to what another one brings. */
const patched = (object: Built, patches: ReadonlyArray<ObjectPatch>): ReadonlyArray<Built> => {
  const found = patches.filter(({ kind, metadata }) => kind === object.kind && metadata.name === object.metadata.name)
  return found.some(({ $patch }) => $patch === "delete")
    ? []
    : [
      found.reduce<Tree>((below, { metadata: { labels = {} }, spec = {} }) => merge(below, { metadata: { labels }, spec }), {
        ...object
      }) as Built
    ]
}

/** Returns the object as components leave it that change what another one brings. */
const changed = (object: Built, those: ReadonlyArray<(typeof components)[number]>): Built =>
  those.flatMap(({ changes, layer = {} }) => changes === undefined ? [] : asBuilt(changes(installationOf(layer)).after)).find((_) =>
    idOf(_) === idOf(object)
  ) ?? object

const objectsFor = (chosen: Chosen, config: ResolvedConfig): ReadonlyArray<Built> => {
  const those = components.filter(({ name }) => chosen.includes(name))
  const brought = those.flatMap(({ layer = {}, objects }) => [...install(installationOf(layer)), ...objects?.(installationOf(layer)) ?? []])
  const all = asBuilt([...brought, ...install(config)])
  return all.flatMap((object) => patched(changed(object, those), those.flatMap(({ ifThere = [] }) => ifThere)))
}

/** The ConfigMaps that kustomize makes of plain files. They are not compared, nor is the large CustomResourceDefinition. */
const plain = components.flatMap(({ configMaps = [] }) => configMaps.map(({ name }) => name))
export const toCompare = (objects: ReadonlyArray<Built>) =>
  meaningOf(
    objects.filter((object) =>
      idOf(object) !== configId && object.kind !== "CustomResourceDefinition" && !plain.includes(object.metadata.name)
    )
  )

/** Returns, to compare, what the values in the ConfigMap render, and what the components bring beside that. */
export const expected = (chosen: Chosen, objects: ReadonlyArray<Built>) => toCompare(objectsFor(chosen, configOf(objects)))
