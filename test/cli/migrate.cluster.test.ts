// `agent-job migrate` as a process, against releases that lie in a real API server as Helm keeps them.
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { parse, stringify } from "yaml"
import { crd } from "../../src/core/manifest/crd.ts"
import { kubectl } from "../kustomize/api-server.ts"
import { build } from "../kustomize/build.ts"
import { type Release, releaseSecret } from "./helm-secret.ts"
import { run } from "./program.ts"

const suffix = randomBytes(4).toString("hex")
const namespace = `test-migrate-${suffix}`
const folder = mkdtempSync(join(tmpdir(), "migrate-"))
const kubeconfig = process.env["KUBECONFIG"] ?? ""

const config = { agent: { auth: { token: "hunter2" }, url: "https://example.com" }, task: { job: { backoffLimit: 2 }, runner: { extraEnv: { DB_PASSWORD: "hunter2", REGION: "eu" } } } }
const blue: Release = { name: "blue", namespace, config }

/** What the chart runs; no node takes its Pod. */
const labels = { "app.kubernetes.io/name": "agent-job", "app.kubernetes.io/instance": "blue" }
const oldController = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "scalr-agent-controller", namespace },
  spec: { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { nodeSelector: { "test/nowhere": "true" }, containers: [{ name: "controller", image: "none" }] } } }
}

const store = (of: Release, data?: string) => kubectl(["create", "-f", "-"], JSON.stringify(releaseSecret(of, data)))
const migrate = (release: string, environment = { KUBECONFIG: kubeconfig }, out = join(folder, release)) => run(["migrate", "--release", release, "--namespace", namespace, "--out", out], environment)

beforeAll(async () => {
  await kubectl(["create", "namespace", namespace])
  await kubectl(["wait", "--for=create", "--timeout=30s", "-n", namespace, "serviceaccount/default"])
  await store({ ...blue, version: 9, status: "superseded", config: {} })
  await store({ ...blue, version: 10 })
  await store({ ...blue, version: 11, status: "failed", config: {} })
  await store({ name: "pending", namespace, status: "pending-install" })
  await store({ name: "nginx", namespace, chart: { name: "nginx", version: "1.2.3" } })
  await store({ name: "broken", namespace }, Buffer.from("no gzip at all").toString("base64"))
  await store({ name: "wrong", namespace, config: { agent: { dataDir: "data" } } })
})
afterAll(async () => {
  rmSync(folder, { recursive: true })
  await kubectl(["delete", "namespace", namespace, "--wait=false"])
})

const filesOf = (path: string): Readonly<Record<string, string>> => Object.fromEntries(readdirSync(path).map((name) => [name, readFileSync(join(path, name), "utf8")]))

describe("a release of the chart", () => {
  it.live("becomes an overlay with the values of its newest deployed revision, and without its secrets", () =>
    Effect.gen(function*() {
      const { code, error, out } = yield* migrate("blue")
      expect([code, error]).toEqual([0, ""])
      expect(out).toContain(`Revision 10 of ${namespace}/blue, chart agent-job 0.5.59, moves to the overlay in this folder.`)
      const files = filesOf(join(folder, "blue"))
      expect(Object.keys(files)).toEqual(expect.arrayContaining(["MIGRATION.md", "kustomization.yaml", "values.yaml"]))
      expect(parse(files["values.yaml"] ?? "")).toEqual({
        agent: { tokenExistingSecret: { name: "blue-token" }, url: "https://example.com" },
        task: { job: { backoffLimit: 2 }, namespace: "", runner: { extraEnv: { REGION: "eu" }, extraEnvFrom: [{ secretRef: { name: "blue-runner-env" } }] } }
      })
      expect(out + JSON.stringify(files)).not.toContain("hunter2")
      const objects = yield* Effect.promise(() => build(join(folder, "blue")))
      expect(objects.find(({ kind }) => kind === "Deployment")?.metadata).toMatchObject({ name: "blue-controller", namespace })
    }))

  it.live("hands its secrets over by a pipe that shows none of them", () =>
    Effect.gen(function*() {
      yield* migrate("blue", undefined, join(folder, "again"))
      const step = /### 1\.[^]*?\n\n(?<pipe>(?: {4}.*\n)+)/u.exec(readFileSync(join(folder, "again", "MIGRATION.md"), "utf8"))?.groups?.["pipe"] ?? ""
      const { stdout } = yield* Effect.promise(() => promisify(execFile)("bash", ["-c", `set -o pipefail\n${step}`]))
      expect(stdout.trim().split("\n")).toEqual(["secret/blue-token serverside-applied", "secret/blue-runner-env serverside-applied"])
      const secret = JSON.parse(yield* Effect.promise(() => kubectl(["-n", namespace, "get", "secret", "blue-token", "-o", "json"]))) as { readonly data: object }
      expect(secret.data).toEqual({ token: Buffer.from("hunter2").toString("base64") })
    }))

  it.live("is handed over by the commands of its page, as they are written; only helm and a node are not there", () =>
    Effect.gen(function*() {
      yield* Effect.promise(() => kubectl(["apply", "--server-side", "--force-conflicts", "-f", "kustomize/crd/crd.yaml"]))
      yield* Effect.promise(() => kubectl(["create", "-f", "-"], JSON.stringify(oldController)))
      yield* Effect.promise(() => kubectl(["-n", namespace, "wait", "--for=create", "--timeout=30s", "pod", "-l", "app.kubernetes.io/instance=blue"]))
      yield* migrate("blue", undefined, join(folder, "handed"))
      const commands = readFileSync(join(folder, "handed", "MIGRATION.md"), "utf8").split("\nUntil the release")[0]?.split("\n").filter((line) => line.startsWith("    ")).map((line) => line.slice(4)) ?? []
      const stubs = ["helm() { echo helm \"$@\"; }", "kubectl() { [[ \" $* \" == *\" rollout \"* ]] || command kubectl \"$@\"; }"]
      const { stdout } = yield* Effect.promise(() => promisify(execFile)("bash", ["-c", ["set -eo pipefail", ...stubs, ...commands].join("\n")]))
      const marks = ["secret/blue-token serverside-applied", "deployment.apps/scalr-agent-controller scaled", "customresourcedefinition.apiextensions.k8s.io/atasks.scalr.io serverside-applied", "deployment.apps/blue-controller serverside-applied", `helm -n ${namespace} uninstall blue --wait`]
      expect(stdout.trim().split("\n").filter((line) => marks.includes(line))).toEqual(marks)
    }))

  it.live.each([
    { release: "nope", code: 3, says: () => `There is no Helm release nope in namespace ${namespace}, but there is blue, broken, nginx, pending, wrong; name it with --release, or another namespace with --namespace.` },
    { release: "pending", code: 2, says: () => `The Helm release ${namespace}/pending is not deployed (revision 1 is pending-install); bring it in order with helm rollback or helm upgrade, then try again.` },
    { release: "nginx", code: 2, says: () => `The Helm release ${namespace}/nginx is of the chart nginx 1.2.3; only releases of the chart agent-job can be moved.` },
    { release: "broken", code: 2, says: () => `The Secret ${namespace}/sh.helm.release.v1.broken.v1 holds no Helm release that can be read; see whether helm -n ${namespace} get values broken can.` },
    { release: "wrong", code: 2, says: () => `The values of the Helm release ${namespace}/wrong cannot be used here; correct them in the release, or in a file (helm get values -o yaml) for agent-job overlay:\n  agent.dataDir: must be an absolute path` }
  ])("that cannot be moved is refused in a sentence: $release", ({ code, release, says }) =>
    Effect.map(migrate(release), (answer) => expect(answer).toEqual({ code, out: "", error: `error: ${says()}\n` })))

  it.live("whose Secrets one may not list is refused with what to ask for", () =>
    Effect.gen(function*() {
      const token = (yield* Effect.promise(() => kubectl(["-n", namespace, "create", "token", "default"]))).trim()
      const given = parse(readFileSync(kubeconfig, "utf8")) as { readonly users: ReadonlyArray<{ readonly name: string }> }
      const file = join(folder, "kubeconfig")
      writeFileSync(file, stringify({ ...given, users: given.users.map(({ name }) => ({ name, user: { token } })) }))
      expect(yield* migrate("blue", { KUBECONFIG: file })).toEqual({
        code: 5,
        out: "",
        error: `error: You may not list Secrets in namespace ${namespace}, where Helm keeps its releases; ask for get and list on secrets there, or let somebody who has them run helm -n ${namespace} get values blue >values.yaml, and give that to agent-job overlay --values.\n`
      })
    }))
})

describe("the CustomResourceDefinition of chart 0.5.59", () => {
  const group = `t${suffix}.test.agent-job.io`
  const { metadata: { labels }, spec } = crd()
  const ours = JSON.stringify({ apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition", metadata: { name: `atasks.${group}`, labels }, spec: { ...spec, group } })
  const theirs = JSON.stringify({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `atasks.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: { kind: "AgentTask", plural: "atasks", singular: "atask", shortNames: ["at"] },
      versions: [{
        name: "v1", served: true, storage: true, subresources: { status: {} },
        schema: { openAPIV3Schema: { type: "object", properties: { spec: { type: "object", required: ["jobTemplate"], properties: { jobTemplate: { type: "object", "x-kubernetes-preserve-unknown-fields": true } } } } } }
      }]
    }
  })
  const template = JSON.stringify({ apiVersion: `${group}/v1`, kind: "AgentTask", metadata: { name: "scalr-agent-task", namespace }, spec: { jobTemplate: { spec: { backoffLimit: 7 } } } })
  afterAll(() => kubectl(["delete", "crd", `atasks.${group}`, "--wait=false"]))

  it("is taken over by force alone and given back by force, and what the chart made of it can still be removed", async () => {
    await kubectl(["create", "--field-manager=helm", "-f", "-"], theirs)
    await kubectl(["wait", "--for=condition=Established", "--timeout=30s", `crd/atasks.${group}`])
    await kubectl(["create", "--field-manager=helm", "-f", "-"], template)
    await expect(kubectl(["apply", "--server-side", "-f", "-"], ours)).rejects.toThrow(/conflict with "helm"/u)
    expect(await kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"], ours)).toContain("serverside-applied")
    // The way back: what the chart stored is whole again as soon as its own definition is.
    await kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"], theirs)
    await kubectl(["wait", "-n", namespace, "--for=jsonpath={.spec.jobTemplate.spec.backoffLimit}=7", "--timeout=30s", `atasks.${group}/scalr-agent-task`])
    await kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"], ours)
    await kubectl(["delete", "-n", namespace, `atasks.${group}`, "scalr-agent-task", "--timeout=30s"])
  })
})
