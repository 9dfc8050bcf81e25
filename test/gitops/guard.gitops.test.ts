// kustomize/guard for an installation whose namespaces have other names, as flux/README.md tells a team to patch its binding.
import { expect, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { fromKubeconfig } from "../../src/kubernetes/credentials.ts"
import type { AgentTaskStatus } from "../../src/schema/agent-task.ts"
import { installDefinitions, kubectl, refused, until } from "./cluster.ts"
import { statuses } from "./tasks.ts"

const ofTasks = "teal-tasks"
const guard = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "agent-job-guard-"))
  const patch = `[{ "op": "replace", "path": "/spec/paramRef/namespace", "value": "${ofTasks}" }]`
  writeFileSync(
    join(folder, "kustomization.yaml"),
    JSON.stringify({
      resources: [relative(folder, "kustomize/guard")],
      patches: [{ target: { kind: "ValidatingAdmissionPolicyBinding", name: "agent-job-installation-in-use" }, patch }]
    })
  )
  try {
    return execFileSync("kustomize", ["build", folder], { encoding: "utf8" })
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const namespaces = [
  { name: ofTasks, labels: {} },
  { name: "teal", labels: { "app.kubernetes.io/name": "agent-job" } },
  { name: "teal-other", labels: {} }
]

/** The worker of a task in that namespace claims it, by the writes that it would make. */
const run = (name: string): void => {
  kubectl(
    ["create", "-f", "-"],
    JSON.stringify({
      apiVersion: "scalr.io/v1",
      kind: "AgentTask",
      metadata: { name, namespace: ofTasks },
      spec: { workspace: name, stage: "apply", source: { inline: { "main.tf": "" } } }
    })
  )
  for (const step of statuses.Running) {
    const { status } = JSON.parse(kubectl(["-n", ofTasks, "get", "atask", name, "-o", "json"])) as { readonly status: AgentTaskStatus }
    kubectl([
      "-n",
      ofTasks,
      "patch",
      "atask",
      name,
      "--subresource=status",
      "--type=merge",
      `--patch=${JSON.stringify({ status: step(status) })}`
    ])
  }
}

const Guarded = Layer.effectDiscard(Effect.gen(function*() {
  installDefinitions("kustomize/crd/crd.yaml")
  const objects = guard()
  kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"], objects)
  yield* Effect.addFinalizer(() => Effect.sync(() => kubectl(["delete", "--ignore-not-found", "-f", "-"], objects))) // the namespaces end with the control plane: the guard goes slower than it is deleted
  for (const metadata of namespaces) kubectl(["create", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata }))
  run("of-teal")
})).pipe(Layer.provideMerge(Kubernetes.layer(fromKubeconfig())), Layer.orDie)

layer(Guarded, { excludeTestServices: true, timeout: "60 seconds" })("the guard of an installation in namespaces of other names", (it) => {
  const deletion = (name: string) => Effect.sync(() => refused(["delete", "namespace", name, "--dry-run=server"]))

  it.effect("keeps the namespace of the tasks while an apply runs there, and that which is labelled as of agent-job", () =>
    Effect.gen(function*() {
      for (const name of [ofTasks, "teal"]) {
        yield* until(
          `the guard of ${name}`,
          deletion(name),
          (_) => _.includes("the apply of AgentTask of-teal in namespace teal-tasks is running and needs it")
        )
      }
    }))

  it.effect("lets every other namespace go", () => Effect.map(deletion("teal-other"), (_) => expect(_).toMatch(/^not refused/u)))
})
