import { describe, expect, it } from "@effect/vitest"
import { existsSync, globSync, readFileSync } from "node:fs"
import { basename, dirname, join, normalize } from "node:path"
import { parse } from "yaml"
import { components } from "../../src/generate/components.ts"

interface Kustomization {
  readonly resources?: ReadonlyArray<string>
  readonly components?: ReadonlyArray<string>
  readonly patches?: ReadonlyArray<{ readonly path?: string }>
  readonly configMapGenerator?: ReadonlyArray<{ readonly files?: ReadonlyArray<string> }>
}

const kustomizations = globSync("kustomize/**/kustomization.yaml").sort()
const read = (file: string) => parse(readFileSync(file, "utf8")) as Kustomization
const named = ({ components = [], configMapGenerator = [], patches = [], resources = [] }: Kustomization) =>
  [...resources, ...components, ...patches.flatMap(({ path = [] }) => path), ...configMapGenerator.flatMap(({ files = [] }) => files)].map((
    _
  ) => _.replace(/^.*=/u, ""))

describe("a kustomization", () => {
  it.each(kustomizations)("%s names only what is in the checkout, never a URL", (file) => {
    expect(named(read(file)).filter((path) => !existsSync(join(dirname(file), path)))).toEqual([])
  })

  it.each(kustomizations.filter((_) => /overlays|components/u.test(_)))(
    "%s says at its beginning what it is for and what it needs",
    (file) => {
      const comments = readFileSync(file, "utf8").split("\n").filter((line) => line.startsWith("# "))
      expect(comments.length).toBeGreaterThanOrEqual(2)
    }
  )

  it("has no YAML file beside it that nothing names", () => {
    const used = new Set([
      ...kustomizations.flatMap((file) => [file, ...named(read(file)).map((path) => normalize(join(dirname(file), path)))]),
      ...components.flatMap(({ files = {}, name }) => Object.keys(files).map((file) => `kustomize/components/${name}/${file}`)) // these are for people and other programs
    ])
    expect(globSync("kustomize/{base,components,crd,overlays}/**/*.yaml").filter((file) => !used.has(file))).toEqual([])
  })
})

describe("the components", () => {
  it("are those of the table, in the order of their names", () => {
    const names = components.map(({ name }) => name)
    expect(names).toEqual(globSync("kustomize/components/*").map((_) => basename(_)).sort())
    expect([...names].sort()).toEqual(names)
  })
})

describe("the policy on what tasks may name", () => {
  it("knows the Secret of mtls by itself, so that the order of these two says nothing", () => {
    const policy = "task-references"
    expect(readFileSync(`kustomize/components/admission/validating-admission-policy-${policy}.yaml`, "utf8")).toContain(
      `'["agent-job-client-certificate"]'`
    )
    expect(components.flatMap(({ ifThere = [], name }) => ifThere.some(({ metadata }) => metadata.name.includes(policy)) ? [name] : []))
      .toEqual([])
  })
})

describe("the README", () => {
  it("links only to what is there", () => {
    const links = [...readFileSync("kustomize/README.md", "utf8").matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/gu)].map(([, path = ""]) =>
      join("kustomize", path)
    )
    expect(links.length).toBeGreaterThan(3)
    expect(links.filter((path) => !existsSync(path))).toEqual([])
  })
})
