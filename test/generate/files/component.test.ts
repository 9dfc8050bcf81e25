import { describe, expect, it } from "@effect/vitest"
import { parse } from "yaml"
import { components } from "../../../src/generate/components.ts"
import { type Component, componentFiles } from "../../../src/generate/files/component.ts"

const filesOf = (component: Omit<Component, "name" | "does" | "adapt">) =>
  Object.fromEntries(
    componentFiles({ name: "mine", does: "Does it.", adapt: ["Needs that."], ...component }).map((
      { content, path }
    ) => [path.replace("kustomize/components/mine/", ""), content])
  )
const kustomizationOf = (component: Omit<Component, "name" | "does" | "adapt">) =>
  parse(filesOf(component)["kustomization.yaml"] ?? "") as Readonly<Record<string, unknown>>

describe("a component", () => {
  it("says first what it does and what it needs", () => {
    expect(filesOf({})["kustomization.yaml"]?.split("\n").slice(1, 3)).toEqual(["# Does it.", "# Needs that."])
  })

  it("adds its layer to the controller's ConfigMap, under its own name", () => {
    const layer = { task: { limits: { total: 3 } } }
    expect(filesOf({ layer })["mine.yaml"]).toMatch(/^# .*\ntask:\n {2}limits:\n {4}total: 3\n$/u)
    expect(kustomizationOf({ layer })).toEqual({
      apiVersion: "kustomize.config.k8s.io/v1alpha1",
      kind: "Component",
      configMapGenerator: [{ name: "agent-job-config", namespace: "agent-job", behavior: "merge", files: ["mine.yaml"] }]
    })
  })

  it("changes and adds the objects that its layer is about, and no others", () => {
    const files = filesOf({ layer: { controller: { replicas: 3, podDisruptionBudget: { enabled: true } } } })
    expect(Object.keys(files).sort()).toEqual(["kustomization.yaml", "mine.yaml", "patch-deployment.yaml", "pod-disruption-budget.yaml"])
    expect(parse(files["patch-deployment.yaml"] ?? "")).toEqual({
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata: { name: "agent-job-controller", namespace: "agent-job" },
      spec: { replicas: 3 }
    })
  })

  it("has a file for each object, told apart by what sets it apart", () => {
    const objects = () => [
      { kind: "Role", metadata: { name: "agent-job-a", namespace: "agent-job" } },
      { kind: "Role", metadata: { name: "agent-job-b", namespace: "agent-job" } },
      { kind: "NetworkPolicy", metadata: { name: "agent-job-c", namespace: "agent-job" } },
      { kind: "NetworkPolicy", metadata: { name: "agent-job-c", namespace: "agent-job-tasks" } }
    ]
    expect(kustomizationOf({ objects })["resources"]).toEqual([
      "role-a.yaml",
      "role-b.yaml",
      "network-policy.yaml",
      "network-policy-tasks.yaml"
    ])
  })

  it("puts each input wherever its example stands", () => {
    const component = {
      layer: { global: { proxy: { httpProxy: "http://a", httpsProxy: "http://a", noProxy: "b" } } },
      inputs: [{ literal: "url", example: "http://a" }, { literal: "direct", example: "b", elsewhere: [{ select: { kind: "X" } }] }]
    }
    const at = (index: number) => ({
      select: { kind: "ConfigMap", name: "agent-job-config", namespace: "agent-job" },
      fieldPaths: ["data.mine\\.yaml"],
      options: { delimiter: `"`, index }
    })
    expect(kustomizationOf(component)["replacements"]).toEqual([
      { source: { kind: "ConfigMap", name: "agent-job-mine", fieldPath: "data.url" }, targets: [at(1), at(3)] },
      { source: { kind: "ConfigMap", name: "agent-job-mine", fieldPath: "data.direct" }, targets: [at(5), { select: { kind: "X" } }] }
    ])
  })

  it("patches the object of another one by a target, which need not be there", () => {
    expect(
      kustomizationOf({ ifThere: [{ apiVersion: "v1", kind: "Namespace", metadata: { name: "theirs" }, $patch: "delete" }] })["patches"]
    ).toEqual([
      {
        target: { kind: "Namespace", name: "theirs" },
        patch: "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: theirs\n$patch: delete\n"
      }
    ])
  })
})

describe("the components", () => {
  it.each(components)(
    "$name: has an example of each input in its layer, and says in sentences what it does and needs",
    ({ adapt, does, inputs = [], layer }) => {
      for (const { example } of inputs) expect(JSON.stringify(layer)).toContain(JSON.stringify(example))
      for (const text of [does, ...adapt]) expect(text).toMatch(/^[A-Z].*\.$/u)
    }
  )
})
