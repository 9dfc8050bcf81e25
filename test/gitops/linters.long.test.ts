// What the linters of manifests say of ours: kubeconform, kube-score and checkov.
// The checks of kube-score that are skipped, and the findings of checkov that are accepted, are below with their reasons.
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { installDefinitions, kubectl } from "./cluster.ts"
import { writeSchemas } from "./schemas.ts"

const overlays = ["standalone", "agent", "production"].map((name) => `kustomize/overlays/${name}`)
const folders = [
  ...overlays,
  "kustomize/crd",
  "kustomize/guard",
  "kustomize/argo-cd/standalone",
  "kustomize/argo-cd/samples",
  "flux/platform/crds",
  "flux/clusters/staging",
  "flux/clusters/production"
]

const directory = mkdtempSync(join(tmpdir(), "schemas-"))
let schemas = ""

beforeAll(() => {
  const definitions = `${process.env["GITOPS_CACHE"]}/definitions`
  installDefinitions("kustomize/crd/crd.yaml")
  for (
    const path of [`${definitions}/flux`, `${definitions}/notification`, `${definitions}/argocd`, "test/kustomize/prometheus-crds.yaml"]
  ) installDefinitions(path)
  schemas = writeSchemas(JSON.parse(kubectl(["get", "--raw", "/openapi/v2"])), directory)
})
afterAll(() => rmSync(directory, { recursive: true }))

const said = (program: string, args: ReadonlyArray<string>, input = "") => {
  const { status, stderr, stdout } = spawnSync(program, args, { encoding: "utf8", input, maxBuffer: 2 ** 26 })
  return { status, text: stdout + stderr }
}
const built = (folder: string): string => kubectl(["kustomize", folder])
const kubeconform = (manifests: string) => said("kubeconform", ["-strict", "-summary", `-schema-location=${schemas}`], manifests)

describe("kubeconform", () => {
  it.each(folders)("finds every field of %s in its kind's schema", (folder) => {
    const { status, text } = kubeconform(built(folder))
    expect(text).toMatch(/ Invalid: 0, Errors: 0,/u)
    expect(status).toBe(0)
  })

  it("would find one that is misspelt", () => {
    expect(kubeconform(built("kustomize/overlays/standalone").replace("replicas:", "replica:"))).toMatchObject({
      status: 1,
      text: expect.stringContaining("additional properties 'replica' not allowed")
    })
  })
})

const notAsked = {
  "container-image-pull-policy": "tags are fixed, so IfNotPresent gives the same image and needs no registry",
  "container-ephemeral-storage-request-and-limit": "every emptyDir has a sizeLimit; a limit of the container is a value",
  "container-security-context-user-group-id": "1001 is the account of the chart's image, and its files are of it",
  "pod-networkpolicy": "policies are components, since not every cluster's network has them",
  "networkpolicy-targets-pod": "the Pods of tasks are made later",
  "service-targets-pod": "the server's is for the first Pod of its StatefulSet, by the label that Kubernetes gives to each of them",
  "statefulset-has-servicename": "it has, of a Service with an address: there is one server"
}

describe("kube-score", () => {
  it.each(overlays)("finds nothing critical in %s", (folder) => {
    const { status, text } = said("kube-score", [
      "score",
      "--output-format=ci",
      ...Object.keys(notAsked).map((_) => `--ignore-test=${_}`),
      "-"
    ], built(folder))
    expect(text.split("\n").filter((_) => _.startsWith("[CRITICAL]"))).toEqual([])
    expect(status).toBe(0)
  })
})

const accepted = {
  CKV_K8S_15: "tags are fixed, so IfNotPresent gives the same image and needs no registry",
  CKV_K8S_22: "a runner is any image, and engines write where they like; worker, controller and server have a read-only root",
  CKV_K8S_38: "the controller speaks to the API server: that is what it is for",
  CKV_K8S_40: "1001 is the account of the chart's image, and its files are of it; user ids are values",
  CKV_K8S_43: "an installation pins digests with images: of its overlay, or in the values",
  CKV2_K8S_6: "the policy of tasks selects by label, and a component: not every cluster's network has policies"
}
interface Finding {
  readonly id: string
  readonly why: string
  readonly resource: string
}
const checkov = (manifests: string): ReadonlyArray<Finding> => {
  const file = join(directory, "checked.yaml")
  writeFileSync(file, manifests)
  const { text } = said("checkov", ["--framework=kubernetes", "--output=json", "--quiet", "--skip-download", `--file=${file}`])
  const { results } = JSON.parse(text)
  return results.failed_checks.map(({ check_id: id, check_name: why, resource }: Readonly<Record<string, string>>) => ({
    id,
    why,
    resource
  }))
}
const jobOfSample = (): string => {
  const { items } = JSON.parse(said("bin/agent-job", ["render", "--task", "kustomize/samples/plan.yaml", "--output", "json"]).text)
  return JSON.stringify(items.find(({ kind }: { readonly kind: string }) => kind === "Job"))
}

describe("checkov", () => {
  const found = [...overlays.map((folder) => ({ name: basename(folder), manifests: () => built(folder) })), {
    name: "a task's Job",
    manifests: jobOfSample
  }]

  it.each(found)("finds nothing in $name that is not accepted here", ({ manifests }) => {
    expect(checkov(manifests()).filter(({ id }) => !(id in accepted))).toEqual([])
  })

  it("would find a container that may gain privileges, and finds each thing that is accepted", () => {
    const all = found.flatMap(({ manifests }) => checkov(manifests()).map(({ id }) => id))
    expect(new Set(all)).toEqual(new Set(Object.keys(accepted)))
    expect(
      checkov(built("kustomize/overlays/agent").replaceAll("allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true")).map((
        { id }
      ) => id)
    ).toContain("CKV_K8S_20")
  })
})
