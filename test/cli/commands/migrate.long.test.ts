// `agent-job migrate` beside the real Helm: a chart is installed and upgraded, and the commands that migrate prints are typed as they are.
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parse, stringify } from "yaml"
import { kubectl as onCluster, refused, removeDefinition, until } from "../../gitops/cluster.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { definitionIn } from "../chart-definition.ts"
import { commandsIn, typed } from "../migration-page.ts"
import { run } from "../program.ts"

const namespace = "of-helm"
const labels = { "app.kubernetes.io/name": "agent-job", "app.kubernetes.io/instance": "blue" }

/** The chart 0.5.59 in short: a controller, its account, the AgentTask that is a template, and the definition of that. */
const chart: Readonly<Record<string, unknown>> = {
  "Chart.yaml": { apiVersion: "v2", name: "agent-job", version: "0.5.59", appVersion: "0.54.0" },
  "values.yaml": { agent: { auth: { token: "" }, url: "" }, task: { job: { backoffLimit: 0 } } },
  "crds/agent-task.yaml": parse(definitionIn("scalr.io")),
  "templates/account.yaml": { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "scalr-agent" } },
  "templates/controller.yaml": {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "scalr-agent-controller", annotations: { url: "{{ .Values.agent.url }}" } },
    spec: {
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: "controller", image: "none" }] } }
    }
  },
  "templates/task.yaml": {
    apiVersion: "scalr.io/v1",
    kind: "AgentTask",
    metadata: { name: "scalr-agent-task" },
    spec: { jobTemplate: { backoffLimit: "{{ .Values.task.job.backoffLimit }}" } }
  }
}

/** Functions of the shell in place of what a control plane lacks: a controller to drain, and a node that runs Pods. Helm is the real one. */
const stubs = [
  "agent-job() { echo agent-job \"$@\"; }",
  "kubectl() { case \" $* \" in *\" rollout \"*) ;; *\" run \"*) command kubectl \"${@/#--[ar][tm]*/--dry-run=server}\" ;; *) command kubectl \"$@\" ;; esac; }"
]

it.live(
  "a release of the real Helm becomes an overlay, is uninstalled with its history kept, and is brought back by helm rollback",
  () =>
    Effect.gen(function*() {
      const folder = yield* temporaryFolder("of-helm")
      for (const name of ["crds", "templates"]) mkdirSync(join(folder, "chart", name), { recursive: true })
      for (const [name, content] of Object.entries(chart)) writeFileSync(join(folder, "chart", name), stringify(content))
      const config = { agent: { auth: { token: "hunter2" }, url: "https://example.com" }, task: { job: { backoffLimit: 2 } } }
      writeFileSync(join(folder, "values.yaml"), stringify(config))
      process.env["KUBECACHEDIR"] = join(folder, "kubectl")
      const helm = (...args: ReadonlyArray<string>) => execFileSync("helm", ["-n", namespace, ...args], { encoding: "utf8" })
      const kubectl = (...args: ReadonlyArray<string>) => execFileSync("kubectl", ["-n", namespace, ...args], { encoding: "utf8" })
      const deployments = () => kubectl("get", "deployments", "-o", "name").trim()
      const status = (): unknown => parse(helm("list", "--all", "-o", "yaml"))

      // Tests before this one leave an installation and its definition, which holds every AgentTask to what the chart's does not know.
      onCluster(["delete", "deployments", "-A", "-l", "app.kubernetes.io/managed-by=agent-job"])
      removeDefinition()
      onCluster(["apply", "--server-side", "--force-conflicts", "-k", "kustomize/guard"])
      helm("install", "blue", join(folder, "chart"), "--create-namespace")
      helm("upgrade", "blue", join(folder, "chart"), "--values", join(folder, "values.yaml"))
      kubectl("wait", "--for=create", "--timeout=300s", "pod", "-l", "app.kubernetes.io/instance=blue")

      const out = join(folder, "blue")
      const images = ["--image", "registry.example.com/agent-job:0.1.0", "--runner-image", "registry.example.com/agent-job-runner:0.1.0"]
      const migrated = yield* run(["migrate", "--release", "blue", "--namespace", namespace, "--out", out, ...images], {
        KUBECONFIG: process.env["KUBECONFIG"] ?? ""
      })
      expect(migrated).toMatchObject({ code: 0, error: "" })
      expect(migrated.out).toContain(`Revision 2 of ${namespace}/blue, chart agent-job 0.5.59, moves to the overlay in this folder.`)
      expect(parse(readFileSync(join(out, "values.yaml"), "utf8"))).toMatchObject({
        agent: { tokenExistingSecret: { name: "blue-token" }, url: "https://example.com" },
        task: { job: { backoffLimit: 2 } }
      })

      const handedOver = yield* Effect.promise(() => typed(commandsIn(out, /^### \d/u), stubs))
      expect(handedOver.at(-1)).toBe("release \"blue\" uninstalled")
      expect(kubectl("get", "secret", "blue-token", "-o", "jsonpath={.data.token}")).toBe(Buffer.from("hunter2").toString("base64"))
      expect(deployments()).toBe("deployment.apps/blue-controller")
      expect(status()).toMatchObject([{ name: "blue", status: "uninstalled", revision: "2" }])

      const older = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-"]
      const refusal = Effect.sync(() => refused(older, definitionIn("scalr.io")))
      yield* until("the guard", refusal, (said) => said.includes("this definition is older than the one in the cluster"))
      const back = yield* Effect.promise(() => typed(commandsIn(out, /^### (From the new|To the release)/u), stubs))
      expect(back.slice(-2)).toEqual(["Rollback was a success! Happy Helming!", "deployment.apps/scalr-agent-controller scaled"])
      expect(deployments()).toBe("deployment.apps/scalr-agent-controller")
      expect(kubectl("get", "atasks.scalr.io", "-o", "jsonpath={.items[*].spec.jobTemplate}")).toContain("backoffLimit")
      expect(status()).toMatchObject([{ name: "blue", status: "deployed", revision: "3" }])

      yield* Effect.promise(() => typed(commandsIn(out, /^### Its end/u), stubs))
      expect(kubectl("get", "secrets", "-l", "owner=helm", "-o", "name")).toBe("")
    }).pipe(Effect.scoped)
)
