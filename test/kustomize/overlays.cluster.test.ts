import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { globSync, readFileSync } from "node:fs"
import { parse } from "yaml"
import { manifestYaml } from "../../src/cli/terminal/manifest-yaml.ts"
import { job } from "../../src/core/manifest/job.ts"
import { configOf, taskOf } from "../core/configs.ts"
import { begin, dryRun, end, kubectl, namespaces } from "./api-server.ts"
import { build, buildOf, type Built, idOf, objectsOf } from "./build.ts"

beforeAll(begin)
afterAll(end)

const overlays = globSync("kustomize/overlays/*").sort()
const configMap = (objects: ReadonlyArray<Built>) => objects.find(({ kind }) => kind === "ConfigMap")
const layers = (objects: ReadonlyArray<Built>) => configMap(objects)?.["data"]

describe("kustomize", () => {
  it.each(["kustomize/base", ...overlays])("builds %s, which a real API server takes field for field", async (path) => {
    const objects = await build(path)
    expect(await dryRun(objects)).toHaveLength(objects.length)
  })

  it.each(globSync("kustomize/samples/*.yaml"))("has the sample %s, which a real API server takes", async (file) => {
    expect((await dryRun(objectsOf(readFileSync(file, "utf8")))).join("\n")).toContain("agenttask.scalr.io/")
  })

  it("has the sample nightly-plan, which a real API server takes, and its Pod under Pod Security restricted", async () => {
    const [cronJob] = objectsOf(readFileSync("kustomize/samples/nightly-plan/cron-job.yaml", "utf8")) as ReadonlyArray<
      Built & { readonly spec: { readonly jobTemplate: { readonly spec: { readonly template: { readonly spec: object } } } } }
    >
    if (cronJob === undefined) throw new Error("There is no CronJob in that file.")
    const pod = { apiVersion: "v1", kind: "Pod", metadata: cronJob.metadata, spec: cronJob.spec.jobTemplate.spec.template.spec }
    expect(await dryRun([cronJob, pod])).toHaveLength(2)
  })

  it("has the sample git-approval, which a real API server takes but for what Flux alone knows", async () => {
    const objects = [
      ...await build("kustomize/samples/git-approval"),
      ...objectsOf(readFileSync("kustomize/samples/git-approval/approval.yaml", "utf8"))
    ]
    const ours = objects.filter(({ kind, metadata: { namespace } }) => namespace === "agent-job-tasks" && kind !== "GitRepository")
    expect(ours.map(({ kind }) => kind).sort()).toEqual([
      "AgentTask",
      "AgentTask",
      "PersistentVolumeClaim",
      "PersistentVolumeClaim",
      "Role",
      "RoleBinding"
    ])
    expect(await dryRun(ours)).toHaveLength(ours.length)
  })
})

describe("an overlay", () => {
  it.each(overlays)("%s holds its Pods to Pod Security restricted", async (path) => {
    const labels = { "pod-security.kubernetes.io/enforce": "restricted" }
    expect((await build(path)).filter(({ kind }) => kind === "Namespace")).toMatchObject(
      ["agent-job", "agent-job-tasks"].map((name) => ({ metadata: { name, labels } }))
    )
  })

  it.each([
    { by: "labels with includeSelectors", added: { labels: [{ pairs: { team: "a" }, includeSelectors: true }] } },
    { by: "commonLabels", added: { commonLabels: { team: "a" } } }
  ])(
    "keeps its policies and the budget of its tasks whole under $by, since the controller's Pods do not get such a label",
    async ({ added }) => {
      for (const component of ["restricted-egress", "restrict-metadata"]) {
        const over = (more: object) =>
          buildOf((at) => ({
            resources: [at("kustomize/base")],
            components: ["no-ingress", "admission", component].map((name) => at(`kustomize/components/${name}`)),
            ...more
          }))
        const specs = (objects: ReadonlyArray<Built>) =>
          objects.filter(({ kind }) => kind === "NetworkPolicy" || kind === "PodDisruptionBudget").map((_) => [idOf(_), _["spec"]])
        const labelled = await over(added)
        expect(specs(labelled)).toEqual(specs(await over({})))
        expect(labelled.filter(({ metadata }) => metadata.name === "agent-job-changes" || metadata.name === "agent-job-task-ingress"))
          .toMatchObject([{ metadata: { labels: { team: "a" } } }, { metadata: { labels: { team: "a" } } }])
      }
    }
  )

  it.each([
    { overlay: "standalone", components: [], policy: "agent-job-metadata-service" },
    { overlay: "standalone", components: ["restricted-egress"], policy: "agent-job-egress" },
    { overlay: "production", components: [], policy: "agent-job-egress" }
  ])(
    "$overlay with $components keeps controller and tasks from metadata services by $policy alone",
    async ({ components, overlay, policy }) => {
      const over = (at: (path: string) => string) => ({
        resources: [at(`kustomize/overlays/${overlay}`)],
        components: components.map((name) => at(`kustomize/components/${name}`))
      })
      const closing = (await buildOf(over)).filter(({ kind, metadata }) =>
        kind === "NetworkPolicy" && ["agent-job-metadata-service", "agent-job-egress"].includes(metadata.name)
      )
      expect(closing.map(({ metadata: { name, namespace } }) => `${namespace} ${name}`).sort()).toEqual([
        `agent-job ${policy}`,
        `agent-job-tasks ${policy}`
      ])
    }
  )

  it("makes Pods that a namespace with Pod Security restricted lets in", async () => {
    const workloads = (await build("kustomize/overlays/standalone")).filter(({ kind }) => kind === "Deployment" || kind === "StatefulSet")
    const templates = [...workloads, job(taskOf(), configOf(), 0)].map((_) =>
      (_ as { readonly spec: { readonly template: { readonly metadata: object; readonly spec: object } } }).spec.template
    )
    const pods = templates.map(({ metadata, spec }, index) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { ...metadata, name: `pod-${index}`, namespace: namespaces[0] },
      // A StatefulSet's Pod gets the volume of its claim here. All use the default account, because theirs do not exist in a dry run.
      spec: {
        ...spec,
        serviceAccountName: "default",
        ...(index === 1 && { volumes: [...(spec as { readonly volumes: ReadonlyArray<object> }).volumes, { name: "data", emptyDir: {} }] })
      }
    }))
    expect(
      (await kubectl(["create", "--dry-run=server", "--validate=strict", "-f", "-"], pods.map(manifestYaml).join("---\n"))).trim().split(
        "\n"
      )
    ).toHaveLength(3)
  })

  it("gets a user's values as the layer on top, under a name that stays", async () => {
    const objects = await buildOf((at) => ({
      resources: [at("kustomize/overlays/agent")],
      configMapGenerator: [{ name: "agent-job-config", namespace: "agent-job", behavior: "merge", files: ["values.yaml"] }]
    }), { "values.yaml": [{ task: { limits: { total: 3 } } }] })
    expect(configMap(objects)?.metadata.name).toBe("agent-job-config")
    expect(layers(objects)).toEqual({
      ...layers(await build("kustomize/overlays/agent")) as object,
      "values.yaml": "task:\n  limits:\n    total: 3\n"
    })
  })

  it.each(overlays)("%s leaves the definition of AgentTask to others by a component, and is the same otherwise", async (overlay) => {
    const objects = await buildOf((at) => ({ resources: [at(overlay)], components: [at("kustomize/components/without-crd")] }))
    expect(objects).toEqual((await build(overlay)).filter(({ kind }) => kind !== "CustomResourceDefinition"))
  })

  it.each(["kustomize/base", "flux/platform/crds", "kustomize/argo-cd/standalone", ...overlays])(
    "does not take the definition of AgentTask, and all tasks, or a namespace out of the cluster when it leaves Git: %s",
    async (folder) => {
      const ofCluster = (await build(folder)).filter(({ kind }) => kind === "CustomResourceDefinition" || kind === "Namespace")
      const kept = {
        "argocd.argoproj.io/sync-options": "Prune=false,Delete=false",
        "kustomize.toolkit.fluxcd.io/prune": "disabled"
      }
      for (const { metadata: { annotations } } of ofCluster) expect(annotations).toMatchObject(kept)
      expect(ofCluster).not.toEqual([])
    }
  )

  it.each(["flux/platform/standalone", "flux/platform/production"])("%s leaves it to flux/platform/crds", async (folder) => {
    expect((await build(folder)).filter(({ kind }) => kind === "CustomResourceDefinition")).toEqual([])
  })

  it("takes another pool from an overlay over it", async () => {
    const objects = await buildOf((at) => ({
      resources: [at("kustomize/overlays/agent")],
      configMapGenerator: [{ name: "agent-job-pool", behavior: "merge", literals: ["url=https://other.example.com", "secret=other"] }],
      components: [at("kustomize/components/pool")]
    }))
    const [text] = objects.filter(({ kind }) => kind === "Deployment").map((_) => JSON.stringify(_))
    expect(text).toContain(`"secretName":"other"`)
    expect(layers(objects)).toEqual(
      expect.objectContaining({ "pool.yaml": expect.stringMatching(/url: "https:\/\/other.example.com"\n[^]*name: "other"/u) })
    )
  })
})

describe("the README", () => {
  const readme = readFileSync("kustomize/README.md", "utf8")
  const blocks = [...readme.matchAll(/```yaml\n# (\S+)(.*)\n([^]*?)```/gu)].map(([, file = "", about = "", text = ""]) => ({
    file,
    about,
    text
  }))
  const values = blocks.find(({ file }) => file === "values.yaml")?.text ?? ""

  it.each(blocks.filter(({ file }) => file === "kustomization.yaml"))(
    "shows a kustomization$about that builds, and is taken by a real API server",
    async ({ text }) => {
      const here = (at: (path: string) => string) =>
        parse(text.replaceAll(/https:\/\/git\.example\.com\/agent-job\/\/(\S+)\?ref=\S+/gu, (_, path: string) => at(path))) as object
      const objects = await buildOf(here, { "values.yaml": [parse(values) as object] })
      expect(await dryRun(objects)).toHaveLength(objects.length)
    }
  )
})
