// kustomize/guard for two installations side by side in namespaces of other names, with the bindings that flux/README.md says to add.
import { expect, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { execFileSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { parseAllDocuments } from "yaml"
import { poolFinalizer } from "../../src/core/task/intake.ts"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { fromKubeconfig } from "../../src/kubernetes/kubeconfig.ts"
import type { AgentTaskStatus } from "../../src/schema/task/agent-task.ts"
import { installDefinitions, kubectl, refused, until } from "./cluster.ts"
import { statuses, succeed } from "./tasks.ts"

interface Installed {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
}
interface Installation {
  readonly product: string
  readonly tasks: string
}
/** The guard knows the server of teal by the names of its namespaces, and that of plum by the URL of its pool. */
const teal: Installation = { product: "teal", tasks: "teal-tasks" }
const plum: Installation = { product: "plum", tasks: "runs-of-plum" }

const build = (folder: string): string => execFileSync("kustomize", ["build", folder], { encoding: "utf8" })

/** Returns the binding that `flux/README.md` says to add for tasks in teal-tasks, for the tasks of this installation. */
const bindingFor = ({ tasks }: Installation): string => {
  const [, binding = ""] =
    /```yaml\n(# [^\n]*\n.*?kind: ValidatingAdmissionPolicyBinding.*?)```/su.exec(readFileSync("flux/README.md", "utf8")) ?? []
  return binding.replaceAll(teal.tasks, tasks)
}

/** Returns the objects of the overlays production and standalone in the namespaces of this installation, and these namespaces. */
const installed = ({ product, tasks }: Installation): ReadonlyArray<Installed> => {
  const renamed: Readonly<Record<string, string>> = { "agent-job": product, "agent-job-tasks": tasks }
  const rename = (name: string): string => renamed[name] ?? name
  const all = new Map<string, Installed>()
  for (const document of ["production", "standalone"].flatMap((_) => parseAllDocuments(build(`kustomize/overlays/${_}`)))) {
    const object: Installed = document.toJS()
    const { kind, metadata: { name, namespace } } = object
    if (namespace === undefined && kind !== "Namespace") continue
    const metadata = namespace === undefined
      ? { ...object.metadata, name: rename(name) }
      : { ...object.metadata, namespace: rename(namespace) }
    all.set(`${kind} ${metadata.namespace} ${metadata.name}`, { ...object, metadata })
  }
  return [...all.values()]
}

const [ofTeal, ofPlum] = [installed(teal), installed(plum)]

/** Writes the status of a task as its controller or its worker would. */
const write = (namespace: string, name: string, step: (status: AgentTaskStatus) => AgentTaskStatus): void => {
  const { status } = JSON.parse(kubectl(["-n", namespace, "get", "atask", name, "-o", "json"])) as { readonly status: AgentTaskStatus }
  const patch = JSON.stringify({ status: step(status) })
  kubectl(["-n", namespace, "patch", "atask", name, "--subresource=status", "--type=merge", `--patch=${patch}`])
}

const running = ({ tasks }: Installation, name: string, source: object): void => {
  kubectl(
    ["create", "-f", "-"],
    JSON.stringify({
      apiVersion: "scalr.io/v1",
      kind: "AgentTask",
      metadata: { name, namespace: tasks },
      spec: { workspace: name, stage: "apply", ...source }
    })
  )
  for (const step of statuses.Running) write(tasks, name, step)
}

const Guarded = Layer.effectDiscard(Effect.gen(function*() {
  installDefinitions("kustomize/crd/crd.yaml")
  const objects = [build("kustomize/guard"), bindingFor(teal), bindingFor(plum)].join("\n---\n")
  kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"], objects)
  yield* Effect.addFinalizer(() => Effect.sync(() => kubectl(["delete", "--ignore-not-found", "-f", "-"], objects))) // the namespaces end with the control plane, because the guard stays in force for a while after it is deleted
  const items = [...ofTeal, ...ofPlum, namespaceNamed("teal-other")]
  kubectl(["create", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items }))
  running(teal, "of-teal", { source: { inline: { "main.tf": "" } } })
})).pipe(Layer.provideMerge(Kubernetes.layer(fromKubeconfig())), Layer.orDie)

/** Returns the objects that the API server would not delete, with the whole error where the reason is not an apply of this task. */
const refusals = (objects: ReadonlyArray<Installed>, task: string): ReadonlyArray<string> =>
  [...new Set(objects.map(({ metadata: { namespace } }) => namespace))].flatMap((namespace) => {
    const items = objects.filter(({ metadata }) => metadata.namespace === namespace)
    const said = refused(["delete", "--dry-run=server", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items }))
    return said.split("\n").filter((line) => line.startsWith("Error")).map((line) => {
      const [, object = line] =
        new RegExp(`deleting "STDIN": (.*) is forbidden: .* the apply of AgentTask ${task} in namespace`, "u").exec(line) ?? []
      return `${namespace ?? "cluster"}: ${object}`
    })
  }).sort()

const namespaceNamed = (name: string): Installed => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } })

/** Returns what an apply of this installation needs: all of it, and nothing else. */
const needed = ({ product, tasks }: Installation): ReadonlyArray<string> =>
  [
    `cluster: namespaces "${product}"`,
    `cluster: namespaces "${tasks}"`,
    `${product}: services "agent-job-server"`,
    `${product}: serviceaccounts "agent-job-server"`,
    `${product}: statefulsets.apps "agent-job-server"`,
    `${tasks}: networkpolicies.networking.k8s.io "agent-job-egress"`,
    `${tasks}: networkpolicies.networking.k8s.io "agent-job-egress-api-server"`,
    `${tasks}: networkpolicies.networking.k8s.io "agent-job-egress-named"`,
    `${tasks}: networkpolicies.networking.k8s.io "agent-job-metadata-service"`,
    `${tasks}: networkpolicies.networking.k8s.io "agent-job-task-ingress"`,
    `${tasks}: poddisruptionbudgets.policy "agent-job-changes"`,
    `${tasks}: rolebindings.rbac.authorization.k8s.io "agent-job-task"`,
    `${tasks}: roles.rbac.authorization.k8s.io "agent-job-task"`,
    `${tasks}: serviceaccounts "agent-job-task"`
  ].sort()

const guards = ({ tasks }: Installation, task: string) =>
  until(`the guard of ${tasks}`, Effect.sync(() => refusals([namespaceNamed(tasks)], task)), (_) => _.length > 0) // the guard knows the CRD within half a minute

layer(Guarded, { excludeTestServices: true, timeout: "5 minutes" })("the guard of two installations", (it) => {
  it.effect("keeps all that a running apply needs, and nothing that goes on without it or that is of the other installation", () =>
    Effect.gen(function*() {
      yield* guards(teal, "of-teal")
      expect(refusals(ofTeal, "of-teal")).toEqual(needed(teal))
      expect(refusals([...ofPlum, namespaceNamed("teal-other")], "of-teal")).toEqual([])
    }))

  it.effect("knows the server of a pool by the URL where the names do not tell, and lets all go with the end of the apply", () =>
    Effect.gen(function*() {
      running(plum, "of-plum", {
        source: { pool: { archiveSha256: "0".repeat(64) } },
        pool: { url: "http://agent-job-server.plum.svc:8080", runId: "run-plum", tokenSecret: { name: "run-plum-apply-token" } }
      })
      yield* guards(plum, "of-plum")
      write(teal.tasks, "of-teal", succeed)
      yield* until("the end of the guard of teal", Effect.sync(() => refusals(ofTeal, "of-teal")), (_) => _.length === 0)
      expect(refusals(ofPlum, "of-plum")).toEqual(needed(plum))
    }))

  it.effect("keeps the namespace of a pool's task until the controller has let that go, whether it is over or not, and nothing else", () =>
    Effect.gen(function*() {
      write(plum.tasks, "of-plum", succeed)
      yield* until("the end of the guard of plum", Effect.sync(() => refusals(ofPlum, "of-plum")), (_) => _.length === 0)
      const release = (finalizers: ReadonlyArray<string>) =>
        kubectl(["-n", plum.tasks, "patch", "atask", "of-plum", "--type=merge", `--patch=${JSON.stringify({ metadata: { finalizers } })}`])
      const refusal = Effect.sync(() => refused(["delete", "--dry-run=server", "namespace", plum.tasks]))
      release([poolFinalizer])
      const said = yield* until("the refusal", refusal, (_) => !_.startsWith("not refused"))
      expect(said).toContain(`the controller has to let go of AgentTask of-plum`)
      expect(said).toContain(`first run kubectl -n ${plum.tasks} delete atasks --all;`)
      expect(refusals(ofPlum, "of-plum")).toEqual([expect.stringContaining(`namespaces "${plum.tasks}" is forbidden`)])
      release([])
      yield* until("the end of the refusal", refusal, (_) => _.startsWith("not refused"))
    }))

  it.effect("leaves the binding that all share to the tasks of agent-job-tasks", () =>
    Effect.sync(() => {
      const path = "jsonpath={.spec.paramRef.namespace}"
      expect(kubectl(["get", "validatingadmissionpolicybinding", "agent-job-installation-in-use", "-o", path])).toBe("agent-job-tasks")
    }))
})
