// The files that a team puts into Git for Flux and Argo CD: they fetch nothing, rely on no surprising default, and name only what exists.
import { describe, expect, it } from "@effect/vitest"
import { existsSync, globSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { parse, parseAllDocuments } from "yaml"

type Tree = { readonly [key: string]: unknown }
const documents = (file: string): ReadonlyArray<Tree> => parseAllDocuments(readFileSync(file, "utf8")).map((_) => Object(_.toJS()))
const at = (tree: unknown, ...path: ReadonlyArray<string>): unknown => path.reduce<unknown>((value, key) => Object(value)[key], tree)
const texts = (input: unknown): ReadonlyArray<string> => (Array.isArray(input) ? input : []).map(String)

const folders = globSync("{flux,kustomize/argo-cd,kustomize/guard}/**/kustomization.yaml").sort()
const ofFlux = globSync("flux/clusters/**/*.yaml").flatMap(documents).filter(({ apiVersion }) =>
  String(apiVersion).startsWith("kustomize.toolkit.fluxcd.io/")
)
const settings = (cluster: string): ReadonlyArray<string> =>
  Object.keys(Object(at(documents(`flux/clusters/${cluster}/settings.yaml`)[0], "data")))

describe("each kustomization", () => {
  it.each(folders)("%s uses only what lies beside it", (file) => {
    const used = documents(file).flatMap((_) => [...texts(_["resources"]), ...texts(_["components"])])
    expect(used.filter((path) => !existsSync(join(dirname(file), path)))).toEqual([])
  })
})

describe("each Kustomization of Flux", () => {
  it.each(ofFlux.map((_) => ({ name: at(_, "metadata", "name"), spec: Object(_["spec"]) })))(
    "$name says what it would else be surprised by, and where its files are",
    ({ spec }) => {
      expect(Object.keys(spec)).toEqual(expect.arrayContaining(["interval", "retryInterval", "timeout", "prune", "path", "sourceRef"]))
      expect(existsSync(join(spec.path, "kustomization.yaml"))).toBe(true)
    }
  )

  it.each(["staging", "production"])("in %s is listened to by the Alert", (cluster) => {
    const here = globSync(`flux/clusters/{base,${cluster}}/*.yaml`).flatMap(documents)
    const names = here.filter(({ kind, spec }) => kind === "Kustomization" && spec !== undefined).map((_) => at(_, "metadata", "name"))
    const patches = here.flatMap(({ patches }) => Array.isArray(patches) ? patches : []).flatMap(({ patch }) => parse(patch))
    const sources = [
      ...here.flatMap((_) => at(_, "spec", "eventSources") ?? []),
      ...patches.filter(({ path }) => path === "/spec/eventSources/-").map(({ value }) => value)
    ]
    expect(names.length).toBeGreaterThanOrEqual(2)
    expect(sources.filter(({ kind }) => kind === "Kustomization").map(({ name }) => name).sort()).toEqual(names.sort())
  })

  it("removes nothing that leaves Git where the CRD is", () => {
    expect(ofFlux.filter((_) => at(_, "spec", "prune") === false).map((_) => at(_, "metadata", "name"))).toEqual(["agent-job-crds"])
  })

  it.each([
    { cluster: "staging", folders: ["flux/samples", "flux/platform/standalone", "flux/platform/settings"] },
    { cluster: "production", folders: ["flux/platform/production", "flux/platform/settings"] }
  ])("finds each of its variables in the settings of $cluster, or has a default", ({ cluster, folders }) => {
    const text = folders.flatMap((folder) => globSync(`${folder}/*.yaml`)).map((file) =>
      readFileSync(file, "utf8").replaceAll(/^\s*#.*$/gmu, "")
    ).join("\n")
    const wanted = [...text.matchAll(/(?<!\$)\$\{(\w+)\}/gu)].map(([, name]) => name ?? "")
    expect(wanted.filter((name) => !settings(cluster).includes(name))).toEqual([])
  })
})

describe("the guard", () => {
  it("tells how to cancel a task so that Flux, which undoes what kubectl has set, leaves it so", () => {
    const texts = globSync("kustomize/guard/running-*.yaml").map((file) => readFileSync(file, "utf8")).join()
    expect(texts).toContain("cancel it first with agent-job cancel ")
    expect(texts).not.toContain("kubectl")
  })
})

describe("Argo CD", () => {
  it("is told the same by the Application and the ApplicationSet", () => {
    const one = at(documents("kustomize/argo-cd/application.yaml")[0], "spec")
    const many = at(documents("kustomize/argo-cd/application-set.yaml")[0], "spec", "template", "spec")
    for (const key of ["ignoreDifferences", "syncPolicy"]) expect(at(many, key)).toEqual(at(one, key))
  })

  it.each([["application", []], ["application-set", ["template", "spec"]]] as const)(
    "takes a release by the %s, and no branch",
    (file, path) => {
      const [document] = documents(`kustomize/argo-cd/${file}.yaml`)
      expect(at(document, "spec", ...path, "source", "targetRevision")).toMatch(/^v\d+\.\d+\.\d+$/u)
    }
  )

  it("takes the newest commit when it tries a sync again, and not the one that failed", () => {
    expect(at(documents("kustomize/argo-cd/application.yaml")[0], "spec", "syncPolicy", "retry")).toMatchObject({
      limit: -1,
      refresh: true
    })
  })

  it("names the Application of a cluster by what is fit for a name, since `argocd cluster add` takes that of a context, an ARN say", () => {
    expect(at(documents("kustomize/argo-cd/application-set.yaml")[0], "spec", "template", "metadata", "name")).toBe(
      "agent-job-{{ .nameNormalized }}"
    )
  })
})
