// An upgrade of the CRD while there are tasks: those of the first version stay as they were, and running ones go on to their end.
// And a field that the CRD does not know: its writer gets an error or a warning.
import { expect, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { spawnSync } from "node:child_process"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { agentTasks, namespaces } from "../../src/kubernetes/kinds.ts"
import { fromKubeconfig } from "../../src/kubernetes/kubeconfig.ts"
import { installDefinitions, kubectl, refused, removeDefinition } from "./cluster.ts"
import { bring, createTask, end, run, statuses, task, taskNamespace } from "./tasks.ts"

const FirstVersion = Layer.effectDiscard(Effect.gen(function*() {
  removeDefinition()
  installDefinitions("test/gitops/crd-v0.yaml")
  yield* (yield* Kubernetes).create(namespaces, { metadata: { name: taskNamespace } }).pipe(
    Effect.catchTag("AlreadyExists", () => Effect.void)
  )
  yield* Effect.addFinalizer(() => Effect.sync(removeDefinition))
})).pipe(Layer.provideMerge(Kubernetes.layer(fromKubeconfig())), Layer.orDie)

/** A task with a bit of everything that the first version knew. */
const rich = {
  apiVersion: "scalr.io/v1",
  kind: "AgentTask",
  metadata: { name: "upgrade-rich", namespace: taskNamespace },
  spec: {
    workspace: "rich",
    stage: "apply",
    attempt: 2,
    engine: { name: "tofu", version: "1.12.6" },
    source: { archive: { url: "https://example.com/a.tar.gz", sha256: "0".repeat(64) } },
    workingDirectory: "infrastructure",
    options: { targets: ["a.b"], refresh: false },
    plan: { sha256: "1".repeat(64) },
    variables: [
      { name: "region", value: "eu", category: "env" },
      { name: "password", valueFrom: { secretKeyRef: { name: "s", key: "k" } }, sensitive: true, hcl: true }
    ],
    backend: { type: "local", config: { path: "/state" } },
    timeoutSeconds: 60,
    jobTemplate: {
      runner: { image: "example.com/tofu:1", resources: { limits: { memory: "4Gi" } } },
      volumeClaims: [{ claimName: "state", mountPath: "/state" }]
    }
  }
}

const written = (more: object): string => {
  const { metadata, spec, ...kind } = rich
  return JSON.stringify({ ...kind, metadata: { ...metadata, name: "unknown" }, spec: { ...spec, ...more } })
}

layer(FirstVersion, { excludeTestServices: true, timeout: "5 minutes" })("an upgrade of the CRD", (it) => {
  it.effect("keeps every object as it was, lets what runs end, and makes the old ones none the harder to change", () =>
    Effect.gen(function*() {
      const raw = (name: string) =>
        Effect.map(
          Effect.flatMap(Kubernetes, (_) => _.get(agentTasks, { name, namespace: taskNamespace })),
          ({ metadata: { generation, uid }, spec, status }) => ({ generation, uid, spec, status })
        )
      kubectl(["create", "--validate=strict", "-f", "-"], JSON.stringify(rich))
      yield* createTask("upgrade-waits")
      yield* createTask("upgrade-over")
      yield* bring("upgrade-over", ...statuses.Succeeded)
      yield* createTask("upgrade-runs", "apply")
      yield* run("upgrade-runs")
      const names = ["upgrade-rich", "upgrade-waits", "upgrade-over", "upgrade-runs"]
      const before = yield* Effect.forEach(names, raw)
      installDefinitions("kustomize/crd/crd.yaml")
      expect(yield* Effect.forEach(names, raw)).toMatchObject(before) // the new version may add defaults
      yield* end("upgrade-runs")
      expect((yield* task("upgrade-runs")).status).toMatchObject({ phase: "Succeeded", claim: { nonce: "nonce" } })
      yield* bring("upgrade-waits", ...statuses.Failed)
      kubectl(["-n", taskNamespace, "patch", "atask/upgrade-rich", "--type=merge", `--patch={"spec":{"cancel":true}}`])
      expect((yield* task("upgrade-rich")).spec).toEqual({ ...rich.spec, cancel: true })
    }))

  it.effect("has one stored version, so that nothing must be converted or migrated", () =>
    Effect.sync(() => {
      expect(kubectl(["get", "crd", "atasks.scalr.io", "--output=jsonpath={.status.storedVersions}"])).toBe("[\"v1\"]")
    }))
})

layer(FirstVersion, { excludeTestServices: true, timeout: "5 minutes" })("a field that the CRD does not know", (it) => {
  it.effect("is refused to kubectl, to server-side apply as Flux and Argo CD do it, and to agent-job itself, by its name", () =>
    Effect.gen(function*() {
      const { status: _, ...spec } = { ...rich.spec, unheard: 1, status: undefined }
      expect(refused(["create", "-f", "-"], written({ unheard: 1 }))).toContain("unknown field \"spec.unheard\"")
      const applied = yield* (yield* Kubernetes).apply(agentTasks, { metadata: { name: "unknown", namespace: taskNamespace }, spec }).pipe(
        Effect.flip
      )
      expect(applied.message).toContain(".spec.unheard: field not declared in schema")
      const created = yield* (yield* Kubernetes).create(agentTasks, { metadata: { name: "unknown", namespace: taskNamespace }, spec }).pipe(
        Effect.flip
      )
      expect(created.message).toContain("unknown field \"spec.unheard\"")
    }))

  it.effect("is dropped only for who asks for less than strict validation, and the API server warns", () =>
    Effect.sync(() => {
      const { stderr, stdout } = spawnSync("kubectl", ["create", "-f", "-", "--output=json", "--validate=warn"], {
        encoding: "utf8",
        input: written({ unheard: 1 })
      })
      expect(stderr).toBe("Warning: unknown field \"spec.unheard\"\n")
      expect(JSON.parse(stdout).spec).toEqual(rich.spec)
    }))
})
