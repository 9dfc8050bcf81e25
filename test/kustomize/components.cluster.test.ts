// Every component alone and every two of them over the base, built once and looked at from all sides.
// What the values in the ConfigMap render is what was built, so that a component's layer and its patches never disagree, nor do two components.
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { Result } from "effect"
import { cpus } from "node:os"
import { install } from "../../src/core/manifest/install.ts"
import { resolve } from "../../src/core/resolve.ts"
import { components } from "../../src/generate/components.ts"
import { installationOf, release } from "../../src/generate/installation.ts"
import { parseLayers } from "../../src/schema/values.ts"
import { yamlLayer } from "../../src/schema/yaml-layer.ts"
import { begin, dryRun, end } from "./api-server.ts"
import { build, type Built, buildOf, idOf, meaningOf } from "./build.ts"

const names = components.map(({ name }) => name)
const pairs = names.flatMap((one, index) => names.slice(index + 1).map((other) => [one, other] as const))
const combinations: ReadonlyArray<ReadonlyArray<string>> = [...names.map((name) => [name]), ...pairs]

/** With what the component `pool` asks of whoever uses it. */
const over = (chosen: ReadonlyArray<string>): Promise<ReadonlyArray<Built>> =>
  buildOf((at) => ({
    resources: [at("kustomize/base")],
    configMapGenerator: [{ name: "agent-job-pool", literals: ["url=https://pool.example.com", "secret=token"], options: { annotations: { "config.kubernetes.io/local-config": "true" } } }],
    components: chosen.map((name) => at(`kustomize/components/${name}`))
  }))

const results = new Map<string, ReadonlyArray<Built> | Error>()
const builtOf = (chosen: ReadonlyArray<string>): ReadonlyArray<Built> => {
  const found = results.get(chosen.join())
  if (found === undefined || found instanceof Error) throw found ?? new Error("not built")
  return found
}

beforeAll(async () => {
  await begin()
  const left = [...combinations]
  const worker = async () => {
    for (let chosen = left.pop(); chosen !== undefined; chosen = left.pop()) results.set(chosen.join(), await over(chosen).catch((error: Error) => error))
  }
  await Promise.all(cpus().map(worker))
})
afterAll(end)

const isConfig = ({ kind, metadata }: Built): boolean => kind === "ConfigMap" && metadata.name === "agent-job-config"

/** As the controller reads its ConfigMap: all of them valid, later ones over earlier ones, values.yaml last. */
const configOf = (objects: ReadonlyArray<Built>) => {
  const layers = Object.entries(objects.find(isConfig)?.["data"] as Readonly<Record<string, string>>).sort(([a], [b]) => a < b ? -1 : 1)
  return resolve(Result.getOrThrow(parseLayers(layers.map(([name, text]) => Result.getOrThrow(yamlLayer(name, text))))), release)
}

const own = (chosen: ReadonlyArray<string>) => components.filter(({ name }) => chosen.includes(name)).flatMap(({ objects }) => objects?.(installationOf({})) ?? [])

describe("kustomize/base", () => {
  it("is what its values render", async () => {
    const objects = await build("kustomize/base")
    const rendered = install(configOf(objects))
    expect(meaningOf(objects.filter((_) => !isConfig(_)))).toEqual(meaningOf(rendered.filter(({ kind }) => kind !== "ConfigMap")))
  })
})

describe.each(combinations.map((chosen) => ({ with: chosen.join(" and "), chosen })))("with $with", ({ chosen }) => {
  it("is what its values render, and what the components add", () => {
    const objects = builtOf(chosen)
    const rendered = meaningOf([...install(configOf(objects)), ...own(chosen)] as ReadonlyArray<object>)
    const { "ConfigMap agent-job/agent-job-config": _, ...expected } = rendered
    expect(meaningOf(objects.filter((_) => !isConfig(_)))).toEqual(expected)
  })
})

describe("a real API server", () => {
  it("takes whatever is built, field for field", async () => {
    const distinct = new Map([...results.values()].flatMap((_) => _ instanceof Error ? [] : _).map((object) => [JSON.stringify(object), object]))
    const objects = [...distinct.values()].sort((a, b) => idOf(a) < idOf(b) ? -1 : 1)
    expect(await dryRun(objects)).toHaveLength(objects.length)
  })
})
