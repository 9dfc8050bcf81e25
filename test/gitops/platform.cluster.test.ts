// The platforms of flux/ with the settings of a cluster, as flux/README.md shows a team. It needs kustomize, but no API server.
import { describe, expect, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { parse } from "yaml"
import { build, buildOf, type Built } from "../kustomize/build.ts"
import { configOf } from "../kustomize/installed-config.ts"
import { type Settings, substitute } from "./substitute.ts"

const yaml = (file: string): unknown => parse(readFileSync(file, "utf8"))
const settingsOf = (cluster: string): Settings => (yaml(`flux/clusters/${cluster}/settings.yaml`) as { readonly data: Settings }).data

/** Returns the images of the Deployments and StatefulSets. */
const images = (objects: ReadonlyArray<Built>): ReadonlyArray<string> =>
  objects.flatMap(({ kind, spec }) =>
    kind === "Deployment" || kind === "StatefulSet"
      ? (spec as { readonly template: { readonly spec: { readonly containers: ReadonlyArray<{ readonly image: string }> } } }).template.spec
        .containers
      : []
  ).map(({ image }) => image)

const mine: Settings = {
  cluster_name: "mine",
  image: "registry.example.com/you/agent-job",
  image_tag: "00123",
  runner_image: "mirror.example.com/runner",
  runner_image_tag: "1e3",
  server_url: "https://server.example.com",
  tasks_total: "7"
}

/** Builds the platform with what README.md#install says to put beside its overlay. */
const withReadme = async (platform: string): Promise<ReadonlyArray<Built>> => {
  const [, kustomization = "", values = ""] =
    /# mine\/kustomization\.yaml\n([^]*?)\n\n +# mine\/values\.yaml\n([^]*?)\n\n/u.exec(readFileSync("README.md", "utf8")) ?? []
  const folder = `flux/platform/${platform}`
  const { components, resources, ...rest } = yaml(`${folder}/kustomization.yaml`) as {
    readonly components: ReadonlyArray<string>
    readonly resources: ReadonlyArray<string>
  }
  const { configMapGenerator, images } = parse(kustomization) as Readonly<Record<string, unknown>>
  return buildOf(
    (at) => ({
      ...rest,
      images,
      configMapGenerator,
      resources: resources.map((_) => at(join(folder, _))),
      components: components.map((_) => at(join(folder, _)))
    }),
    { "values.yaml": [parse(values) as object] }
  )
}

describe.each([
  { platform: "standalone", cluster: "staging", programs: 2 },
  { platform: "production", cluster: "production", programs: 1 }
])("the platform $platform", ({ cluster, platform, programs }) => {
  it("has everything that it asks for in the settings of its cluster", async () => {
    const objects = (await build(`flux/platform/${platform}`)).map(substitute(settingsOf(cluster)))
    expect(configOf(objects).task.worker.image).toBe(images(objects)[0])
  })

  it("runs the images of the settings, in each Pod and for each task, and as many tasks as they say, whatever its components say", async () => {
    const objects = (await build(`flux/platform/${platform}`)).map(substitute(mine))
    expect(images(objects)).toEqual(Array.from({ length: programs }, () => "registry.example.com/you/agent-job:00123"))
    const { policy, task } = configOf(objects)
    expect([task.worker.image, task.runner.image, policy.limits.total]).toEqual([
      "registry.example.com/you/agent-job:00123",
      "mirror.example.com/runner:1e3",
      7
    ])
  })

  it("is refused by Flux where no image is named, rather than run one that is not ours", async () => {
    const { image: _, ...without } = mine
    const objects = await build(`flux/platform/${platform}`)
    expect(() => objects.map(substitute(without))).toThrow(`variable not set (strict mode): "image"`)
  })
})

describe("a values.yaml of a team", () => {
  it("beside a platform, as the README shows it, lies on top of the settings", async () => {
    const { task: { runner, worker } } = configOf((await withReadme("standalone")).map(substitute(mine)))
    expect([worker.image, runner.image]).toEqual([
      "registry.example.com/you/agent-job:TAG",
      "registry.example.com/you/agent-job-runner:TAG-OF-THE-RUNNER"
    ])
  })
})

describe("the README", () => {
  it("names each setting that a cluster has", () => {
    const told = readFileSync("flux/README.md", "utf8")
    expect(["staging", "production"].flatMap((_) => Object.keys(settingsOf(_))).filter((name) => !told.includes(`\`${name}\``))).toEqual([])
  })
})
