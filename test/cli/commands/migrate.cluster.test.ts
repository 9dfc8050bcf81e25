// `agent-job migrate` as a process, against releases that are stored in a real API server the way Helm stores them.
import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parse, stringify } from "yaml"
import { crd } from "../../../src/core/manifest/installation/crd.ts"
import { established } from "../../established.ts"
import { kubectl } from "../../kustomize/api-server.ts"
import { build } from "../../kustomize/build.ts"
import { definitionIn } from "../chart-definition.ts"
import { type Release, releaseSecret } from "../helm-secret.ts"
import { commandsIn, typed as typedBelow } from "../migration-page.ts"
import { run } from "../program.ts"

const suffix = randomBytes(4).toString("hex")
const namespace = `test-migrate-${suffix}`
const folder = mkdtempSync(join(tmpdir(), "migrate-"))
process.env["KUBECACHEDIR"] = join(folder, "kubectl") // kubectl caches API definitions for ten minutes, but those of these tests are gone sooner
const kubeconfig = process.env["KUBECONFIG"] ?? ""

const config = {
  agent: { auth: { token: "hunter2" }, url: "https://example.com" },
  task: { job: { backoffLimit: 2 }, runner: { extraEnv: { DB_PASSWORD: "hunter2", REGION: "eu" } } }
}

const keptGroup = `kept${suffix}.test.agent-job.io`
const blue: Release = { name: "blue", namespace, config, crds: [definitionIn(keptGroup)] }

const labels = { "app.kubernetes.io/name": "agent-job", "app.kubernetes.io/instance": "blue" }
/** The controller that the chart runs. No node matches the node selector of its Pod. */
const oldController = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "scalr-agent-controller", namespace },
  spec: {
    selector: { matchLabels: labels },
    template: {
      metadata: { labels },
      spec: { nodeSelector: { "test/nowhere": "true" }, containers: [{ name: "controller", image: "none" }] }
    }
  }
}

/** An AgentTask that the new controller made for a run of the pool, or one that somebody put into Git. */
const task = (name: string, ofPool: boolean) => ({
  apiVersion: "scalr.io/v1",
  kind: "AgentTask",
  metadata: { name, namespace },
  spec: {
    workspace: name,
    stage: "plan",
    ...ofPool
      ? {
        pool: { url: "https://example.com", runId: "run-0123456789abcdef", tokenSecret: { name } },
        source: { pool: { archiveSha256: "0".repeat(64) } }
      }
      : { source: { inline: { "main.tf": "" } } }
  }
})
const claimed = {
  status: {
    phase: "Succeeded",
    claim: { podUid: "5f0c2c4e-0000-4000-8000-000000000000", nonce: "n", epoch: 0, at: "2026-01-01T00:00:00Z" }
  }
}

const store = (of: Release, data?: string) => kubectl(["create", "-f", "-"], JSON.stringify(releaseSecret(of, data)))
const images = ["--image", "registry.example.com/agent-job:0.1.0", "--runner-image", "registry.example.com/agent-job-runner:0.1.0"]
const migrate = (release: string, environment = { KUBECONFIG: kubeconfig }, out = join(folder, release), chosen = images) =>
  run(["migrate", "--release", release, "--namespace", namespace, "--out", out, ...chosen], environment)

const commandsOf = (out: string, heading: RegExp): string => commandsIn(join(folder, out), heading)

/**
 * Shell functions in place of what the tests lack: helm, a controller to drain, a node that runs Pods, and registries. They also hide the
 * installations of other tests, and leave the CustomResourceDefinition of those guarded.
 */
const stubs = [
  "helm() { echo helm \"$@\"; }",
  "agent-job() { echo agent-job \"$@\"; }",
  "kubectl() { case \" $* \" in *\" rollout \"*|*\" deployments -A \"*) ;; *\" annotate crd \"*) command kubectl \"$@\" --dry-run=server ;; *\" run \"*) command kubectl \"${@/#--[ar][tm]*/--dry-run=server}\" ;; *) command kubectl \"$@\" ;; esac; }"
]
const typed = (commands: string) => typedBelow(commands, stubs)

beforeAll(async () => {
  await kubectl(["create", "namespace", namespace])
  await kubectl(["wait", "--for=create", "--timeout=300s", "-n", namespace, "serviceaccount/default"])
  await store({ ...blue, version: 9, status: "superseded", config: {} })
  await store({ ...blue, version: 10 })
  await store({ ...blue, version: 11, status: "failed", config: {} })
  await store({ name: "pending", namespace, status: "pending-install" })
  await store({ name: "nginx", namespace, chart: { name: "nginx", version: "1.2.3" } })
  await store({ name: "broken", namespace }, Buffer.from("no gzip at all").toString("base64"))
  await store({ name: "damaged", namespace, manifest: "kind: &hunter2\nname: *hunter3\n" })
  await store({ name: "wrong", namespace, config: { agent: { dataDir: "data" } } })
})
afterAll(async () => {
  await kubectl(["delete", "namespace", namespace, "--wait=false"])
  await kubectl(["delete", "--ignore-not-found", "--wait=false", "crd", `atasks.${keptGroup}`])
  rmSync(folder, { recursive: true }) // last: kubectl writes its cache there
})

const filesOf = (path: string): Readonly<Record<string, string>> =>
  Object.fromEntries(readdirSync(path).map((name) => [name, readFileSync(join(path, name), "utf8")]))

describe("a release of the chart", () => {
  it.live("becomes an overlay with the values of its newest deployed revision, and without its secrets", () =>
    Effect.gen(function*() {
      const { code, error, out } = yield* migrate("blue")
      expect([code, error]).toEqual([0, ""])
      expect(out).toContain(`Revision 10 of ${namespace}/blue, chart agent-job 0.5.59, moves to the overlay in this folder.`)
      const files = filesOf(join(folder, "blue"))
      expect(Object.keys(files)).toEqual(expect.arrayContaining(["MIGRATION.md", "kustomization.yaml", "values.yaml"]))
      expect(parse(files["values.yaml"] ?? "")).toEqual({
        agent: {
          image: { repository: "registry.example.com/agent-job", tag: "0.1.0" },
          tokenExistingSecret: { name: "blue-token" },
          url: "https://example.com"
        },
        task: {
          job: { backoffLimit: 2 },
          namespace: "",
          runner: {
            image: { repository: "registry.example.com/agent-job-runner", tag: "0.1.0" },
            extraEnv: { DB_PASSWORD: "$(DB_PASSWORD)", REGION: "eu" },
            extraEnvFrom: [{ secretRef: { name: "blue-runner-env" } }]
          }
        }
      })
      expect(out + JSON.stringify(files)).not.toContain("hunter2")
      const objects = yield* Effect.promise(() => build(join(folder, "blue")))
      expect(objects.find(({ kind }) => kind === "Deployment")).toMatchObject({
        metadata: { name: "blue-controller", namespace },
        spec: { template: { spec: { containers: [{ image: "registry.example.com/agent-job:0.1.0" }] } } }
      })
    }))

  it.live("keeps its page when the overlay is written anew by the command in its files, and takes the page's place when it is moved again", () =>
    Effect.gen(function*() {
      const out = join(folder, "anew")
      yield* migrate("blue", undefined, out)
      const page = readFileSync(join(out, "MIGRATION.md"), "utf8")
      expect(yield* run(["overlay", "--values", join(out, "values.yaml"), "--name", "blue", "--namespace", namespace, "--out", out]))
        .toMatchObject({ code: 0, error: "" })
      expect(readFileSync(join(out, "MIGRATION.md"), "utf8")).toBe(page)
      expect(yield* migrate("blue", undefined, out, [...images, "--url", "https://ours.example.com"])).toMatchObject({ code: 0, error: "" })
      expect(readFileSync(join(out, "MIGRATION.md"), "utf8")).toContain("asks the server at https://ours.example.com")
    }))

  it.live.each([
    {
      chosen: [],
      says:
        "No image of the chart can run here, since its agent is another program; build both images with make image, and name them with --image and --runner-image."
    },
    {
      chosen: images.slice(0, 2),
      says:
        "No image of the chart can run here, since its agent is another program; build both images with make image, and name them with --image and --runner-image."
    },
    {
      chosen: ["--image", "registry.example.com:5000/agent-job", ...images.slice(2)],
      says: "--image registry.example.com:5000/agent-job is no image with its tag; write it like registry.example.com/agent-job:0.1.0."
    }
  ])(
    "is not moved without images that can run here: $chosen",
    ({ chosen, says }) =>
      Effect.map(
        migrate("blue", undefined, undefined, chosen),
        (answer) => expect(answer).toEqual({ code: 2, out: "", error: `error: ${says}\n` })
      )
  )

  it.live("hands its secrets over by a pipe that shows none of them", () =>
    Effect.gen(function*() {
      yield* migrate("blue", undefined, join(folder, "again"))
      expect(yield* Effect.promise(() => typed(commandsOf("again", /^### 1\./u)))).toEqual([
        "secret/blue-token serverside-applied",
        "secret/blue-runner-env serverside-applied"
      ])
      const secret = JSON.parse(yield* Effect.promise(() => kubectl(["-n", namespace, "get", "secret", "blue-token", "-o", "json"]))) as {
        readonly data: object
      }
      expect(secret.data).toEqual({ token: Buffer.from("hunter2").toString("base64") })
    }))

  it.live("has the token of another server from a file, also where the step is repeated", () =>
    Effect.gen(function*() {
      yield* migrate("blue", undefined, join(folder, "elsewhere"), [...images, "--url", "https://ours.example.com"])
      writeFileSync(join(folder, "pool.token"), "theirs")
      const make = commandsOf("elsewhere", /^### \d\. Make the Secret `blue-token`/u)
      expect(yield* Effect.promise(() => typed([`cd ${folder}`, make, make].join("\n")))).toEqual([
        "secret/blue-token serverside-applied",
        "secret/blue-token serverside-applied"
      ])
      expect(yield* Effect.promise(() => kubectl(["-n", namespace, "get", "secret", "blue-token", "-o", "jsonpath={.data}"]))).toBe(
        JSON.stringify({ token: Buffer.from("theirs").toString("base64") })
      )
    }))

  it.live("is handed over by the commands of its page, as they are written; only helm and a node are not there", () =>
    Effect.gen(function*() {
      yield* Effect.promise(() => kubectl(["apply", "--server-side", "--force-conflicts", "-f", "kustomize/crd/crd.yaml"]))
      yield* Effect.promise(() => kubectl(["create", "-f", "-"], JSON.stringify(oldController)))
      yield* Effect.promise(() =>
        kubectl(["-n", namespace, "wait", "--for=create", "--timeout=300s", "pod", "-l", "app.kubernetes.io/instance=blue"])
      )
      yield* migrate("blue", undefined, join(folder, "handed"))
      const told = yield* Effect.promise(() => typed(commandsOf("handed", /^### \d/u)))
      const marks = [
        "secret/blue-token serverside-applied",
        "pod/blue-trial created (server dry run)",
        "pod/blue-trial-runner created (server dry run)",
        "deployment.apps/scalr-agent-controller scaled",
        "customresourcedefinition.apiextensions.k8s.io/atasks.scalr.io serverside-applied",
        "deployment.apps/blue-controller serverside-applied",
        `helm -n ${namespace} uninstall blue --keep-history --wait`
      ]
      expect(told.filter((line) => marks.includes(line))).toEqual(marks)
      yield* Effect.promise(() =>
        kubectl(
          ["create", "-f", "-"],
          [task("waits", true), task("over", true), task("of-git", false)].map((_) => JSON.stringify(_)).join("\n")
        )
      )
      yield* Effect.promise(() =>
        kubectl(["-n", namespace, "patch", "atasks.scalr.io/over", "--subresource=status", "--type=merge", "-p", JSON.stringify(claimed)])
      )
      expect(yield* Effect.promise(() => typed(commandsOf("handed", /^### (From the new|To the release)/u)))).toEqual([
        `agent-job drain --name blue --controller-namespace ${namespace} --namespace ${namespace}`,
        `agenttask.scalr.io "waits" deleted from ${namespace} namespace`,
        `deployment.apps "blue-controller" deleted from ${namespace} namespace`,
        "customresourcedefinition.apiextensions.k8s.io/atasks.scalr.io annotated (server dry run)",
        `customresourcedefinition.apiextensions.k8s.io/atasks.${keptGroup} condition met`,
        `helm -n ${namespace} rollback blue 10`,
        "deployment.apps/scalr-agent-controller scaled"
      ])
    }))

  it.live.each([
    {
      release: "nope",
      code: 3,
      says: () =>
        `There is no Helm release nope in namespace ${namespace}, but there is blue, broken, damaged, nginx, pending, wrong; name it with --release, or another namespace with --namespace.`
    },
    {
      release: "pending",
      code: 2,
      says: () =>
        `The Helm release ${namespace}/pending is not deployed (revision 1 is pending-install); bring it in order with helm rollback or helm upgrade, then try again.`
    },
    {
      release: "nginx",
      code: 2,
      says: () => `The Helm release ${namespace}/nginx is of the chart nginx 1.2.3; only releases of the chart agent-job can be moved.`
    },
    {
      release: "broken",
      code: 2,
      says: () =>
        `The Secret ${namespace}/sh.helm.release.v1.broken.v1 holds no Helm release that can be read; see whether helm -n ${namespace} get values broken can.`
    },
    {
      release: "damaged",
      code: 2,
      says: () =>
        `The Secret ${namespace}/sh.helm.release.v1.damaged.v1 holds no Helm release that can be read; see whether helm -n ${namespace} get values damaged can.`
    },
    {
      release: "wrong",
      code: 2,
      says: () =>
        `The values of the Helm release ${namespace}/wrong cannot be used here; correct them in the release, or in a file (helm get values -o yaml) for agent-job overlay:\n  agent.dataDir: must be an absolute path`
    }
  ])(
    "that cannot be moved is refused in a sentence: $release",
    ({ code, release, says }) =>
      Effect.map(migrate(release), (answer) => expect(answer).toEqual({ code, out: "", error: `error: ${says()}\n` }))
  )

  it.live("whose Secrets one may not list is refused with what to ask for", () =>
    Effect.gen(function*() {
      const token = (yield* Effect.promise(() => kubectl(["-n", namespace, "create", "token", "default"]))).trim()
      const given = parse(readFileSync(kubeconfig, "utf8")) as { readonly users: ReadonlyArray<{ readonly name: string }> }
      const file = join(folder, "kubeconfig")
      writeFileSync(file, stringify({ ...given, users: given.users.map(({ name }) => ({ name, user: { token } })) }))
      expect(yield* migrate("blue", { KUBECONFIG: file })).toEqual({
        code: 5,
        out: "",
        error:
          `error: You may not list Secrets in namespace ${namespace}, where Helm keeps its releases; ask for get and list on secrets there, or let somebody who has them run helm -n ${namespace} get values blue >values.yaml, and give that to agent-job overlay --values.\n`
      })
    }))
})

describe("the CustomResourceDefinition of chart 0.5.59", () => {
  const group = `t${suffix}.test.agent-job.io`
  const theirs = definitionIn(group)
  const { metadata: { labels }, spec } = crd()
  const ours = JSON.stringify({
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `atasks.${group}`, labels },
    spec: { ...spec, group }
  })
  const template = JSON.stringify({
    apiVersion: `${group}/v1`,
    kind: "AgentTask",
    metadata: { name: "scalr-agent-task", namespace },
    spec: { jobTemplate: { spec: { backoffLimit: 7 } } }
  })
  afterAll(() => kubectl(["delete", "crd", `atasks.${group}`, "--wait=false"]))

  it("is taken over by force alone and given back by force, and what the chart made of it can still be removed", async () => {
    await kubectl(["create", "--field-manager=helm", "-f", "-"], theirs)
    for (const state of established) {
      await kubectl(["wait", `--for=${state}`, "--timeout=300s", `crd/atasks.${group}`])
    }
    await kubectl(["create", "--field-manager=helm", "-f", "-"], template)
    await expect(kubectl(["apply", "--server-side", "-f", "-"], ours)).rejects.toThrow(/conflicts with "helm"/u)
    expect(await kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"], ours)).toContain("serverside-applied")
    // The way back: the object that the chart stored is complete again as soon as the chart's own definition is in place.
    await kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"], theirs)
    await kubectl([
      "wait",
      "-n",
      namespace,
      "--for=jsonpath={.spec.jobTemplate.spec.backoffLimit}=7",
      "--timeout=300s",
      `atasks.${group}/scalr-agent-task`
    ])
    await kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"], ours)
    await kubectl(["delete", "-n", namespace, `atasks.${group}`, "scalr-agent-task", "--timeout=300s"])
  })
})
