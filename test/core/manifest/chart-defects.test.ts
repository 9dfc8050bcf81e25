// What the Helm chart agent-job 0.5.59 promises in its README and breaks, as it works here; docs/from-the-helm-chart.md tells its users.
import { describe, expect, it } from "@effect/vitest"
import type { V1Container, V1NetworkPolicy, V1Role, V1RoleBinding } from "@kubernetes/client-node"
import { globSync, readFileSync } from "node:fs"
import { parseAllDocuments } from "yaml"
import { crd } from "../../../src/core/manifest/installation/crd.ts"
import { deployment } from "../../../src/core/manifest/installation/deployment.ts"
import { install, type InstalledObject } from "../../../src/core/manifest/installation/install.ts"
import { job } from "../../../src/core/manifest/job.ts"
import { parseValues } from "../../../src/schema/values/values.ts"
import { configOf, fullTask, taskOf } from "../configs.ts"

const objects = (values: object = {}, release = {}): ReadonlyArray<InstalledObject> => install(configOf(values, release))
const ofKind = (kind: string, values: object = {}) => objects(values).filter((_) => _.kind === kind)
const podOf = (values: object = {}) => job(taskOf(), configOf(values), 0).spec?.template
const container = (name: string, values: object = {}): V1Container =>
  [...podOf(values)?.spec?.initContainers ?? [], ...podOf(values)?.spec?.containers ?? []].find((_) => _.name === name) ?? { name: "none" }
const mountAt = (name: string, path: string, values: object = {}) =>
  container(name, values).volumeMounts?.find(({ mountPath }) => mountPath === path)

describe("a defect of the chart is none here:", () => {
  it("the NetworkPolicy selects the tasks, and the controller", () => {
    const [policy] = ofKind("NetworkPolicy", { restrictMetadataService: true }) as ReadonlyArray<V1NetworkPolicy>
    const { matchExpressions = [] } = policy?.spec?.podSelector ?? {}
    expect(matchExpressions.map(({ key }) => key)).toContain("app.kubernetes.io/component")
    for (const labels of [podOf()?.metadata?.labels, deployment(configOf()).spec?.template.metadata?.labels]) {
      for (const { key, values } of matchExpressions) expect(values).toContain(labels?.[key])
    }
    const closed = JSON.stringify(policy?.spec?.egress)
    for (const address of ["169.254.0.0/16", "fd00:ec2::254/128"]) expect(closed).toContain(address)
  })

  it("the Secret of a token is made", () => expect(ofKind("Secret", { agent: { token: "t" } })).toHaveLength(1))

  it("the token is taken as the README's own install line spells it, and unknown keys are not", () => {
    expect(ofKind("Secret", { agent: { auth: { token: "t" } } })).toEqual(ofKind("Secret", { agent: { token: "t" } }))
    expect(parseValues({ agent: { tokn: "t" } })._tag).toBe("Failure")
  })

  it("the rights are for the resource that is installed", () => {
    const rules = (ofKind("Role") as ReadonlyArray<V1Role>).flatMap(({ rules = [] }) => rules).filter(({ apiGroups }) =>
      apiGroups?.includes("scalr.io")
    )
    expect(new Set(rules.flatMap(({ resources = [] }) => resources.map((_) => _.split("/")[0])))).toEqual(new Set(["atasks"]))
  })

  it("worker and runner share a volume that both may write", () => {
    const [worker, runner] = [mountAt("worker", "/var/lib/scalr-agent"), mountAt("runner", "/var/lib/scalr-agent")]
    expect(worker).toEqual({ name: "data", mountPath: "/var/lib/scalr-agent" })
    expect(runner).toEqual(worker)
  })

  it("a claim without a name is made, of no class for a dash", () => {
    expect(ofKind("PersistentVolumeClaim", { persistence: { enabled: true } })).toHaveLength(1)
    expect(ofKind("PersistentVolumeClaim", { persistence: { enabled: true, persistentVolumeClaim: { storageClassName: "-" } } }))
      .toMatchObject([{ spec: { storageClassName: "" } }])
  })

  it("further volumes are in the Pod", () =>
    expect(podOf({ task: { extraVolumes: [{ name: "v", emptyDir: {} }] } })?.spec?.volumes).toContainEqual({ name: "v", emptyDir: {} }))

  it("the nearer annotation and label win", () => {
    const values = {
      global: { podAnnotations: { a: "global" }, podLabels: { b: "global" } },
      task: { podAnnotations: { a: "task" }, podLabels: { b: "task" } }
    }
    expect(podOf(values)?.metadata).toMatchObject({ annotations: { a: "task" }, labels: { b: "task" } })
  })

  it("global variables, labels of the account and the size of the shared volume are not ignored", () => {
    expect(container("runner", { global: { extraEnv: { A: "1" } } }).env).toEqual([{ name: "A", value: "1" }])
    expect(ofKind("ServiceAccount", { serviceAccount: { labels: { team: "a" } } })[0]?.metadata?.labels).toMatchObject({ team: "a" })
    expect(podOf({ persistence: { emptyDir: { sizeLimit: "1Gi" } } })?.spec?.volumes).toContainEqual({
      name: "data",
      emptyDir: { sizeLimit: "1Gi" }
    })
  })

  it("a tag alone is taken", () => expect(container("worker", { task: { worker: { image: { tag: "9" } } } }).image).toBe("scalr/agent:9"))

  it("an account that is not made still has its rights", () => {
    const bindings = ofKind("RoleBinding", { serviceAccount: { create: false, name: "theirs" } }) as ReadonlyArray<V1RoleBinding>
    expect(bindings.filter(({ subjects = [] }) => subjects.some(({ name }) => name === "theirs"))).toHaveLength(2)
  })

  it("objects of two releases in one namespace have other names, but for the CustomResourceDefinition", () => {
    const everything = { agent: { token: "t" }, persistence: { enabled: true }, restrictMetadataService: true }
    const names = (release: string) => objects(everything, { name: release }).map(({ kind, metadata }) => `${kind}/${metadata?.name}`)
    expect(names("blue").filter((name) => names("green").includes(name))).toEqual(["CustomResourceDefinition/atasks.scalr.io"])
  })

  it("no key stands twice in a map of a file, or of a patch in one", () => {
    const errors = (text: string) => parseAllDocuments(text).flatMap((_) => _.errors)
    const patches = (text: string): ReadonlyArray<string> =>
      parseAllDocuments(text).flatMap((_) => Object(_.toJS()).patches ?? []).map(({ patch = "" }) => patch)
    const files = globSync("{flux,kustomize}/**/*.yaml").map((file) => ({ file, text: readFileSync(file, "utf8") }))
    expect(files.length).toBeGreaterThan(0)
    expect(files.filter(({ text }) => [text, ...patches(text)].flatMap(errors).length > 0).map(({ file }) => file)).toEqual([])
  })

  it("tasks have an account of their own, and nobody gets or lists Secrets, makes Pods or runs commands in them", () => {
    expect(podOf()?.spec?.serviceAccountName).not.toBe(deployment(configOf()).spec?.template.spec?.serviceAccountName)
    const rules = (ofKind("Role") as ReadonlyArray<V1Role>).flatMap(({ rules = [] }) => rules)
    const may = (verb: string, resource: string) =>
      rules.some(({ resources, verbs }) => resources?.includes(resource) && verbs.includes(verb))
    expect([may("get", "secrets"), may("list", "secrets"), may("create", "pods"), may("create", "pods/exec")]).toEqual([
      false,
      false,
      false,
      false
    ])
  })

  it("no task's Pod has the pool's token or the Secret with it", () => {
    const made = JSON.stringify(job(fullTask(), configOf({ agent: { token: "very-secret", url: "https://example.com" } }), 1))
    expect(made).not.toMatch(/very-secret|agent-job-token/u)
  })

  it("a start and a stage have limits, Pods say whether they are ready, and the task says how it is", () => {
    expect(configOf().policy.startupTimeoutSeconds).toBeGreaterThan(0)
    expect(crd().spec).toMatchObject({
      versions: [{ schema: { openAPIV3Schema: { properties: { spec: {}, status: {} } } }, subresources: { status: {} } }]
    })
    expect(ofKind("PodDisruptionBudget")).not.toEqual([])
    expect(job(taskOf(), configOf(), 0).spec?.activeDeadlineSeconds).toBeGreaterThan(0)
    expect(container("worker").readinessProbe).toBeDefined()
    expect(deployment(configOf()).spec?.template.spec?.containers[0]).toMatchObject({ livenessProbe: {}, readinessProbe: {} })
  })

  it("an existing claim is the only one, and the volume that would overwrite it is an unknown key", () => {
    expect(ofKind("PersistentVolumeClaim", { persistence: { enabled: true, persistentVolumeClaim: { claimName: "efs" } } })).toEqual([])
    expect(parseValues({ efsVolumeHandle: "fs-1" })._tag).toBe("Failure")
  })
})
