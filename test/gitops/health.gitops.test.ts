// The health that Flux and Argo CD see in an AgentTask in each phase, by the code that they use: kstatus, and our Lua check for Argo CD.
import { expect, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { execFileSync } from "node:child_process"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { namespaces } from "../../src/kubernetes/kinds.ts"
import { fromKubeconfig } from "../../src/kubernetes/kubeconfig.ts"
import { installDefinitions, kubectl } from "./cluster.ts"
import { bring, createTask, statuses, taskNamespace } from "./tasks.ts"

const Cluster = Layer.effectDiscard(Effect.gen(function*() {
  installDefinitions("kustomize/crd/crd.yaml")
  yield* (yield* Kubernetes).create(namespaces, { metadata: { name: taskNamespace } }).pipe(
    Effect.catchTag("AlreadyExists", () => Effect.void)
  )
})).pipe(Layer.provideMerge(Kubernetes.layer(fromKubeconfig())), Layer.orDie)

/** Returns what kubectl prints of a task, which is what both tools read. */
const stored = (name: string): string => kubectl(["-n", taskNamespace, "get", "atask", name, "--output=json"])
const asked = (program: string, args: ReadonlyArray<string>, object: string): string =>
  execFileSync(program, args, { encoding: "utf8", input: object }).split("\t", 1)[0] ?? ""

interface Case {
  readonly phase: keyof typeof statuses
  readonly flux: "Current" | "InProgress" | "Failed"
  readonly argo: "Healthy" | "Progressing" | "Degraded"
}

const cases: ReadonlyArray<Case> = [
  { phase: "none", flux: "InProgress", argo: "Progressing" },
  { phase: "Pending", flux: "InProgress", argo: "Progressing" },
  { phase: "Queued", flux: "InProgress", argo: "Progressing" },
  { phase: "Starting", flux: "InProgress", argo: "Progressing" },
  { phase: "Running", flux: "InProgress", argo: "Progressing" },
  { phase: "unreachable", flux: "Failed", argo: "Degraded" },
  { phase: "Succeeded", flux: "Current", argo: "Healthy" },
  { phase: "Failed", flux: "Failed", argo: "Degraded" },
  { phase: "Cancelled", flux: "Failed", argo: "Degraded" }
]

layer(Cluster, { excludeTestServices: true, timeout: "5 minutes" })("the health of an AgentTask", (it) => {
  it.effect.each(cases)("is for one that is $phase: $flux to Flux, $argo to Argo CD", ({ argo, flux, phase }) =>
    Effect.gen(function*() {
      const name = `health-${phase.toLowerCase()}`
      yield* createTask(name)
      yield* bring(name, ...statuses[phase])
      expect({
        flux: asked("kstatus", [], stored(name)),
        argo: asked("lua-health", ["kustomize/argo-cd/settings/agent-task-health.lua"], stored(name))
      }).toEqual({ flux, argo })
    }))

  it.effect("is there from the first moment: the API server itself says that nobody has seen it", () =>
    Effect.gen(function*() {
      yield* createTask("health-fresh")
      expect(JSON.parse(stored("health-fresh"))).toMatchObject({ status: { observedGeneration: -1 } })
    }))

  it.effect("is what kubectl waits for, too", () =>
    Effect.gen(function*() {
      yield* createTask("health-waited")
      yield* bring("health-waited", ...statuses.Succeeded)
      expect(kubectl(["-n", taskNamespace, "wait", "--for=condition=Ready", "atask/health-waited", "--timeout=10s"])).toContain(
        "condition met"
      )
    }))
})
