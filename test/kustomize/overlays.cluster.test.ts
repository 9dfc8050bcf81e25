import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { Result } from "effect"
import { Yaml } from "effect/encoding"
import { execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { globSync, readFileSync } from "node:fs"
import { parseAllDocuments, stringify } from "yaml"
import { job } from "../../src/core/manifest/job.ts"
import { install } from "../../src/core/manifest/install.ts"
import { server } from "../../src/core/manifest/server.ts"
import { resolve } from "../../src/core/resolve.ts"
import { appVersion, parseValues } from "../../src/schema/values.ts"
import { configOf, taskOf } from "../core/configs.ts"

interface Built {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly annotations?: object }
  readonly [key: string]: unknown
}

const objectsOf = (text: string): ReadonlyArray<Built> => parseAllDocuments(text).map((_) => _.toJS() as Built)
const build = (path: string): ReadonlyArray<Built> => objectsOf(execFileSync("kustomize", ["build", path], { encoding: "utf8" }))
const kubectl = (args: ReadonlyArray<string>, input = ""): string => execFileSync("kubectl", args, { encoding: "utf8", input, stdio: ["pipe", "pipe", "pipe"] })

const rendered = (valuesFile: string): ReadonlyArray<object> => {
  const config = resolve(Result.getOrThrow(parseValues(Yaml.parse(readFileSync(valuesFile, "utf8")))), { name: "agent-job", namespace: "agent-job", version: appVersion })
  return [...install(config), ...server(config)]
}

/** What kustomize names after a hash, what the hash stands for, and the file's comments: everything else must be equal. */
const comparable = (objects: ReadonlyArray<object>): ReadonlyArray<string> =>
  objects.map((_) => JSON.parse(JSON.stringify(_)) as Built).filter(({ kind }) => kind !== "ConfigMap" && kind !== "Namespace")
    .map((_) => stringify(_, { sortMapEntries: true, aliasDuplicateObjects: false }).replace(/agent-job-config-[a-z0-9]{10}/u, "agent-job-config")).sort()

/** In namespaces of this test alone: the real ones may be in use. */
const suffix = randomBytes(4).toString("hex")
const moved = ({ metadata, ...object }: Built): object => ({
  ...object,
  metadata: { ...metadata, ...(metadata.namespace !== undefined && { namespace: `${metadata.namespace}-${suffix}` }) }
})
const namespaces = ["agent-job", "agent-job-tasks"].map((_) => `${_}-${suffix}`)

beforeAll(() => {
  kubectl(["apply", "--server-side", "--force-conflicts", "-f", "kustomize/crd/crd.yaml"])
  kubectl(["wait", "--for=condition=Established", "--timeout=30s", "crd/atasks.scalr.io"])
  for (const name of namespaces) kubectl(["create", "namespace", name])
  for (const name of namespaces) kubectl(["wait", "--for=create", "--timeout=30s", "-n", name, "serviceaccount/default"])
  for (const name of namespaces) kubectl(["label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted"])
})
afterAll(() => void kubectl(["delete", "namespace", ...namespaces, "--wait=false"]))

const dryRun = (objects: ReadonlyArray<Built>): string =>
  kubectl(
    ["apply", "--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts", "-f", "-"],
    objects.filter(({ kind }) => kind !== "Namespace").map((_) => stringify(moved(_), { compat: "yaml-1.1" })).join("---\n")
  )

describe("kustomize", () => {
  it.each(["kustomize/base", "kustomize/overlays/standalone"])("builds %s, which a real API server takes field for field", (path) => {
    const objects = build(path)
    expect(dryRun(objects).trim().split("\n")).toHaveLength(objects.filter(({ kind }) => kind !== "Namespace").length)
  })

  it.each(globSync("kustomize/samples/*.yaml"))("has the sample %s, which a real API server takes", (file) => {
    expect(dryRun(objectsOf(readFileSync(file, "utf8")))).toContain("agenttask.scalr.io/")
  })

  it("builds of the overlay what its values render", () => {
    expect(comparable(build("kustomize/overlays/standalone"))).toEqual(comparable(rendered("kustomize/overlays/standalone/values.yaml")))
  })

  it("gives the controller the values of the overlay, under a name that changes with them", () => {
    const objects = build("kustomize/overlays/standalone")
    const config = objects.find(({ kind }) => kind === "ConfigMap")
    expect(config?.["data"]).toEqual({ "values.yaml": readFileSync("kustomize/overlays/standalone/values.yaml", "utf8") })
    expect(JSON.stringify(objects.find(({ kind }) => kind === "Deployment"))).toContain(`"configMap":{"name":"${config?.metadata.name}"}`)
  })

  it("makes Pods that a namespace with Pod Security restricted lets in", () => {
    const workloads = build("kustomize/overlays/standalone").filter(({ kind }) => kind === "Deployment" || kind === "StatefulSet")
    const templates = [...workloads, job(taskOf(), configOf(), 0)].map((_) => (_ as { readonly spec: { readonly template: { readonly metadata: object; readonly spec: object } } }).spec.template)
    const pods = templates.map(({ metadata, spec }, index) => ({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { ...metadata, name: `pod-${index}`, namespace: namespaces[0] },
      // The claim of a StatefulSet is made for its Pods; the accounts are not there in a dry run.
      spec: { ...spec, serviceAccountName: "default", ...(index === 1 && { volumes: [...(spec as { readonly volumes: ReadonlyArray<object> }).volumes, { name: "data", emptyDir: {} }] }) }
    }))
    expect(kubectl(["create", "--dry-run=server", "--validate=strict", "-f", "-"], pods.map((_) => stringify(_, { compat: "yaml-1.1", aliasDuplicateObjects: false })).join("---\n")).trim().split("\n")).toHaveLength(3)
  })

  it("holds the Pods of the overlay to Pod Security restricted", () => {
    const labels = build("kustomize/overlays/standalone").filter(({ kind }) => kind === "Namespace").map(({ metadata }) => metadata)
    expect(labels).toEqual(["agent-job", "agent-job-tasks"].map((name) => ({ name, labels: expect.objectContaining({ "pod-security.kubernetes.io/enforce": "restricted" }) })))
  })
})
