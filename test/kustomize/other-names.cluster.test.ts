// Components for an installation of another name in other namespaces, as the README shows it. It needs kustomize, and no API server.
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative, resolve } from "node:path"
import { build, type Built } from "./build.ts"

const folder = realpathSync(mkdtempSync(join(tmpdir(), "agent-job-names-")))
afterAll(() => rmSync(folder, { recursive: true }))

const shown = (title: string): string =>
  new RegExp(`\`\`\`yaml\\n# ${title}\\n([^]*?)\`\`\``, "u").exec(readFileSync("kustomize/README.md", "utf8"))?.[1] ?? ""
const base = join(folder, "base")
let objects: ReadonlyArray<Built> = []

beforeAll(async () => {
  mkdirSync(base)
  writeFileSync(
    join(base, "kustomization.yaml"),
    shown("kustomization.yaml of a base for other names").replaceAll(
      /https:\/\/git\.example\.com\/agent-job\/\/(\S+)\?ref=\S+/gu,
      (_, path: string) => relative(base, resolve(path))
    )
  )
  writeFileSync(join(folder, "values.yaml"), shown("values.yaml for other names"))
  writeFileSync(
    join(folder, "walls.yaml"),
    "{ restrictMetadataService: true, task: { networkPolicy: { denyIngress: true, denyPods: true } } }\n"
  ) // there are components for these beside the base of the checkout, but not beside this one
  const flags = [
    "--values",
    join(folder, "values.yaml"),
    "--values",
    join(folder, "walls.yaml"),
    "--name",
    "scalr-agent",
    "--namespace",
    "scalr",
    "--base",
    base,
    "--out",
    join(folder, "scalr")
  ]
  execFileSync(process.execPath, ["src/main.ts", "overlay", ...flags])
  objects = await build(join(folder, "scalr"))
})

const ofKind = (kind: string): ReadonlyArray<Built> => objects.filter((_) => _.kind === kind)

describe("components beneath an overlay with other names", () => {
  it("bring all that they bring into its namespaces, and nothing into those that are shipped", () => {
    expect([...new Set(objects.flatMap(({ metadata: { namespace = [] } }) => namespace))].sort()).toEqual(["scalr", "scalr-tasks"])
  })

  it.each([
    { kind: "NetworkPolicy", namespaces: ["scalr-tasks", "scalr-tasks", "scalr-tasks", "scalr-tasks", "scalr", "scalr", "scalr"] },
    { kind: "ResourceQuota", namespaces: ["scalr-tasks"] },
    { kind: "LimitRange", namespaces: ["scalr-tasks"] },
    { kind: "PodMonitor", namespaces: ["scalr"] }
  ])("have each $kind where its Pods are", ({ kind, namespaces }) => {
    expect(ofKind(kind).map(({ metadata }) => metadata.namespace).sort()).toEqual([...namespaces].sort())
  })

  it("close all egress, whatever the values say of some of it: policies add up", () => {
    expect(JSON.stringify(ofKind("NetworkPolicy"))).not.toMatch(/"0\.0\.0\.0\/0"|"::\/0"/u)
  })

  it("share nothing with another installation but the definition of AgentTask", () => {
    expect(
      objects.filter(({ metadata }) => metadata.namespace === undefined && /agent-job|atasks/u.test(metadata.name)).map(({ kind }) => kind)
    ).toEqual(["CustomResourceDefinition"])
  })

  it("find the Pods of its controller", () => {
    const labels = ofKind("Deployment").map(({ spec }) =>
      (spec as { readonly template: { readonly metadata: { readonly labels: object } } }).template.metadata.labels
    )
    const selected = ofKind("PodMonitor").map(({ spec }) =>
      (spec as { readonly selector: { readonly matchLabels: object } }).selector.matchLabels
    )
    expect(labels).toMatchObject(selected)
  })
})
