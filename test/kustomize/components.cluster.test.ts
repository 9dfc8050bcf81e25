// Every component alone and every two of them over the base, built once and checked in several ways.
// What was built is what the values in the ConfigMap render: a component's layer and its patches never disagree, nor do two components.
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { cpus } from "node:os"
import { install } from "../../src/core/manifest/installation/install.ts"
import type { ResolvedConfig } from "../../src/core/resolve/resolve.ts"
import { components } from "../../src/generate/components.ts"
import type { ObjectPatch } from "../../src/generate/files/component.ts"
import { installationOf } from "../../src/generate/files/installation.ts"
import { merge, type Tree } from "../../src/schema/document/layers.ts"
import { substitute } from "../gitops/substitute.ts"
import { begin, dryRun, end } from "./api-server.ts"
import { buildOf, type Built, idOf, meaningOf } from "./build.ts"
import { configId, configOf } from "./installed-config.ts"

const names = components.map(({ name }) => name)
const pairs = names.flatMap((one, index) => names.slice(index + 1).map((other) => [one, other]))
const combinations: ReadonlyArray<ReadonlyArray<string>> = [[], ...names.map((name) => [name]), ...pairs, ["mtls", "admission"]]

/** The ConfigMaps that some components require of their users. */
const inputs = components.flatMap(({ inputs = [], name }) =>
  inputs.length === 0 ? [] : [{
    name: `agent-job-${name}`,
    literals: inputs.map(({ example, literal }) => `${literal}=${example.replace("example", "mine")}`),
    options: { annotations: { "config.kubernetes.io/local-config": "true" } }
  }]
)

const over = (chosen: ReadonlyArray<string>): Promise<ReadonlyArray<Built>> =>
  buildOf((at) => ({
    resources: [at("kustomize/base")],
    configMapGenerator: inputs,
    components: chosen.map((name) => at(`kustomize/components/${name}`))
  }))

const results = new Map<string, ReadonlyArray<Built> | Error>()

beforeAll(async () => {
  await begin()
  const left = [...combinations]
  const worker = async () => {
    for (let chosen = left.pop(); chosen !== undefined; chosen = left.pop()) {
      results.set(
        chosen.join(),
        await over(chosen).catch((error: Error) => error)
      )
    }
  }
  await Promise.all(cpus().map(worker))
})
afterAll(end)

const builtOf = (chosen: ReadonlyArray<string>): ReadonlyArray<Built> => {
  const found = results.get(chosen.join())
  if (found === undefined || found instanceof Error) throw found ?? new Error("not built")
  return found
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

/** Returns what the values in the ConfigMap render, and what the components bring beside that. */
const expected = (chosen: ReadonlyArray<string>, config: ResolvedConfig): ReadonlyArray<Built> => {
  const those = components.filter(({ name }) => chosen.includes(name))
  const brought = those.flatMap(({ layer = {}, objects }) => [...install(installationOf(layer)), ...objects?.(installationOf(layer)) ?? []])
  const all = asBuilt([...brought, ...install(config)])
  return all.flatMap((object) => patched(changed(object, those), those.flatMap(({ ifThere = [] }) => ifThere)))
}

/** The ConfigMaps that kustomize makes of plain files. They are not compared, nor is the large CustomResourceDefinition. */
const plain = components.flatMap(({ configMaps = [] }) => configMaps.map(({ name }) => name))
const toCompare = (objects: ReadonlyArray<Built>) =>
  meaningOf(
    objects.filter((object) =>
      idOf(object) !== configId && object.kind !== "CustomResourceDefinition" && !plain.includes(object.metadata.name)
    )
  )

describe("what its values render, and what its components bring, is built of", () => {
  it.each(combinations.map((chosen) => ({ of: ["the base", ...chosen].join(" and "), chosen })))("$of", ({ chosen }) => {
    const objects = builtOf(chosen)
    expect(toCompare(objects)).toEqual(toCompare(expected(chosen, configOf(objects))))
  })
})

describe("Flux, which takes ${…} for a variable and refuses one without a value,", () => {
  it.each(names)("leaves whatever is built of the base and %s as it is", (name) => {
    const objects = builtOf([name])
    expect(objects.map(substitute({}))).toEqual(objects)
  })
})

describe("a real API server", () => {
  it("takes whatever is built, field for field", async () => {
    const distinct = new Map(
      [...results.values()].flatMap((_) => _ instanceof Error ? [] : _).map((object) => [JSON.stringify(object), object])
    )
    const objects = [...distinct.values()].sort((a, b) => idOf(a) < idOf(b) ? -1 : 1)
    expect(await dryRun(objects)).toHaveLength(objects.length)
  })
})
