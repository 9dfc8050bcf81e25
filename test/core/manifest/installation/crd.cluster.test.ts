import { expect, layer } from "@effect/vitest"
import { Context, Effect, Layer, Schedule } from "effect"
import { randomBytes } from "node:crypto"
import { crd } from "../../../../src/core/manifest/installation/crd.ts"
import { Kubernetes } from "../../../../src/kubernetes/client.ts"
import { agentTasks, definitions } from "../../../../src/kubernetes/kinds.ts"
import { fromKubeconfig } from "../../../../src/kubernetes/kubeconfig.ts"
import type { KubernetesObject } from "../../../../src/kubernetes/object.ts"
import { kubectl } from "../../../kustomize/api-server.ts"
import { servedNamespace } from "../served-namespace.ts"

class Place extends Context.Service<Place, { readonly namespace: string }>()("test/Place") {}

const RealCrd = Layer.effect(Place, Effect.map(servedNamespace("test-crd"), (namespace) => ({ namespace }))).pipe(
  Layer.provideMerge(Kubernetes.layer(fromKubeconfig())),
  Layer.orDie
)

const spec = { workspace: "demo", stage: "plan", source: { inline: { "main.tf": "" } } }
const at = "2026-01-31T12:00:00Z"
const claim = { podUid: "a", nonce: "n", epoch: 0, at }
const result = { outcome: "succeeded", reason: "Completed", message: "ok", finishedAt: at }
const sha256 = "a".repeat(64)
const flux = { fluxSource: { kind: "GitRepository", name: "infra" } }
const artifact = { revision: "main@sha1:a", url: "http://flux/a.tar.gz", sha256 }
const pool = { url: "https://example.com", runId: "run-1", tokenSecret: { name: "token" } }

const create = Effect.fnUntraced(function*(spec: object) {
  return yield* (yield* Kubernetes).create(agentTasks, {
    metadata: { name: `task-${randomBytes(4).toString("hex")}`, namespace: (yield* Place).namespace },
    spec
  })
})

/** Writes the spec, or the status through the status subresource, as the worker and the controller do. */
const change = (task: KubernetesObject, { spec, status }: { readonly spec?: object; readonly status?: object }) =>
  Effect.flatMap(Kubernetes, (kubernetes) => {
    const next = { ...task, ...(spec !== undefined && { spec }), ...(status !== undefined && { status }) }
    return status === undefined ? kubernetes.update(agentTasks, next) : kubernetes.updateStatus(agentTasks, next)
  })

layer(RealCrd, { excludeTestServices: true })("a real API server", (it) => {
  it.effect("takes the CRD, gives a new task the status of one that nobody has looked at, and no more", () =>
    Effect.map(create(spec), (task) => expect(task["status"]).toEqual({ observedGeneration: -1, phase: "Pending" })))

  it.effect("has kubectl find a task by what kubectl itself prints of it, and by each of its names", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Place
      const { name } = (yield* create(spec)).metadata
      const printed = (...asked: ReadonlyArray<string>) =>
        Effect.promise(() => kubectl(["get", "-n", namespace, "-o", "name", ...asked])).pipe(Effect.map((lines) => lines.trim()))
      const printedName = `agenttask.scalr.io/${name}`
      for (const resource of ["atasks", "atask", "at", "agenttasks", "agenttask"]) expect(yield* printed(resource, name)).toBe(printedName)
      expect(yield* printed(printedName)).toBe(printedName)
    }))

  const refused = [
    {
      given: "no source",
      spec: { ...spec, source: {} },
      says: "exactly one of inline, archive, configMap, fluxSource, savedPlan, pool is required"
    },
    {
      given: "two sources",
      spec: { ...spec, source: { ...spec.source, configMap: { name: "a" } } },
      says: "exactly one of inline, archive, configMap, fluxSource, savedPlan, pool is required"
    },
    {
      given: "a pool's source without a pool",
      spec: { ...spec, source: { pool: { archiveSha256: sha256 } } },
      says: "source.pool and pool go together"
    },
    { given: "a pool without its source", spec: { ...spec, pool }, says: "source.pool and pool go together" },
    {
      given: "a saved plan to plan with",
      spec: { ...spec, plan: { sha256 } },
      says: "a plan stage makes a saved plan and cannot be given one"
    },
    {
      given: "an apply that follows its source",
      spec: { ...spec, stage: "apply", source: { fluxSource: { ...flux.fluxSource, onChange: "plan" } } },
      says: "source.fluxSource.onChange needs stage plan"
    },
    {
      given: "a plan kept for an apply",
      spec: { ...spec, stage: "apply", source: flux, savePlan: { claimName: "plans" } },
      says: "savePlan is for a plan whose source is archive or fluxSource"
    },
    {
      given: "a plan kept of inline files",
      spec: { ...spec, savePlan: { claimName: "plans" } },
      says: "savePlan is for a plan whose source is archive or fluxSource"
    },
    {
      given: "a kept plan to plan with",
      spec: { ...spec, source: { savedPlan: { claimName: "plans", sha256 } } },
      says: "source.savedPlan is for an apply or destroy"
    },
    {
      given: "planAndApply without a place for the plan",
      spec: { ...spec, source: { fluxSource: { ...flux.fluxSource, onChange: "planAndApply" } } },
      says: "onChange: planAndApply needs savePlan"
    },
    {
      given: "a source of Flux of an unknown kind",
      spec: { ...spec, source: { fluxSource: { kind: "HelmChart", name: "infra" } } },
      says: "Unsupported value"
    },
    {
      given: "a variable with two values",
      spec: { ...spec, variables: [{ name: "a", value: "1", valueFrom: { secretKeyRef: { name: "s", key: "k" } } }] },
      says: "exactly one of value, valueFrom is required"
    },
    {
      given: "a key of 318 characters among its labels, though it is made as cancelled",
      spec: { ...spec, cancel: true, jobTemplate: { labels: { ["k".repeat(318)]: "v" } } },
      says: "a key has at most 317 characters"
    },
    {
      given: "a key of 129 characters among the arguments of its backend",
      spec: { ...spec, backend: { type: "s3", config: { ["k".repeat(129)]: "v" } } },
      says: "a key has at most 128 characters"
    },
    { given: "an unknown stage", spec: { ...spec, stage: "import" }, says: "Unsupported value" },
    { given: "a workspace that is a path", spec: { ...spec, workspace: "../a" }, says: "spec.workspace" }
  ]
  for (const { given, says, spec } of refused) {
    it.effect(`refuses a task with ${given}`, () =>
      Effect.map(Effect.flip(create(spec)), (error) => {
        expect(error._tag).toBe("Invalid")
        expect(error.message).toContain(says)
      }))
  }

  const transitions: ReadonlyArray<
    {
      readonly given: string
      readonly from: ReadonlyArray<{ readonly spec?: object; readonly status?: object }>
      readonly to: { readonly spec?: object; readonly status?: object }
      readonly says?: string
    }
  > = [
    { given: "another workspace", from: [], to: { spec: { ...spec, workspace: "other" } }, says: "spec is immutable but for cancel" },
    {
      given: "another source",
      from: [],
      to: { spec: { ...spec, source: { inline: { "main.tf": "#" } } } },
      says: "spec is immutable but for cancel"
    },
    {
      given: "a timeout where there was none",
      from: [],
      to: { spec: { ...spec, timeoutSeconds: 5 } },
      says: "spec is immutable but for cancel"
    },
    { given: "a cancel", from: [], to: { spec: { ...spec, cancel: true } } },
    { given: "a cancel taken back", from: [{ spec: { ...spec, cancel: true } }], to: { spec }, says: "a cancel cannot be taken back" },
    { given: "a claim while it starts", from: [{ status: { phase: "Starting" } }], to: { status: { phase: "Running", claim } } },
    { given: "a claim before the controller told of the start", from: [], to: { status: { phase: "Running", claim } } },
    {
      given: "a claim of a task that runs",
      from: [{ status: { phase: "Running" } }],
      to: { status: { phase: "Running", claim } },
      says: "a task is claimed only while it starts and is not cancelled"
    },
    {
      given: "a claim of a cancelled task",
      from: [{ spec: { ...spec, cancel: true } }, { status: { phase: "Starting" } }],
      to: { status: { phase: "Running", claim } },
      says: "a task is claimed only while it starts and is not cancelled"
    },
    {
      given: "a claim of a failed task",
      from: [{ status: { phase: "Failed" } }],
      to: { status: { phase: "Failed", claim } },
      says: "a task is claimed only while it starts and is not cancelled"
    },
    {
      given: "a second claim",
      from: [{ status: { phase: "Starting" } }, { status: { phase: "Running", claim } }],
      to: { status: { phase: "Running", claim: { ...claim, nonce: "m" } } },
      says: "status.claim is written once"
    },
    {
      given: "a claim that vanishes",
      from: [{ status: { phase: "Starting" } }, { status: { phase: "Running", claim } }],
      to: { status: { phase: "Running" } },
      says: "status.claim is written once"
    },
    {
      given: "a status that vanishes",
      from: [{ status: { phase: "Starting" } }, { status: { phase: "Running", claim } }],
      to: { status: {} },
      says: "status.claim is written once"
    },
    {
      given: "another artifact before the claim",
      from: [{ status: { phase: "Starting", source: artifact } }],
      to: { status: { phase: "Starting", source: { ...artifact, sha256: "b".repeat(64) } } }
    },
    {
      given: "another artifact after the claim",
      from: [{ status: { phase: "Starting", source: artifact } }, { status: { phase: "Running", claim, source: artifact } }],
      to: { status: { phase: "Running", claim, source: { ...artifact, sha256: "b".repeat(64) } } },
      says: "status.source stays as the worker found it"
    },
    {
      given: "an artifact that vanishes after the claim",
      from: [{ status: { phase: "Starting", source: artifact } }, { status: { phase: "Running", claim, source: artifact } }],
      to: { status: { phase: "Running", claim } },
      says: "status.source stays as the worker found it"
    },
    {
      given: "an artifact after a claim without one",
      from: [{ status: { phase: "Starting" } }, { status: { phase: "Running", claim } }],
      to: { status: { phase: "Running", claim, source: artifact } },
      says: "status.source stays as the worker found it"
    },
    {
      given: "a second result",
      from: [{ status: { phase: "Succeeded", result } }],
      to: { status: { phase: "Succeeded", result: { ...result, message: "better" } } },
      says: "status.result is written once"
    },
    { given: "a phase that goes on", from: [{ status: { phase: "Queued" } }], to: { status: { phase: "Starting" } } },
    {
      given: "a phase that goes back",
      from: [{ status: { phase: "Running" } }],
      to: { status: { phase: "Starting" } },
      says: "status.phase only moves forward"
    },
    {
      given: "another end",
      from: [{ status: { phase: "Failed" } }],
      to: { status: { phase: "Succeeded" } },
      says: "status.phase only moves forward"
    },
    { given: "a reason outside the list", from: [], to: { status: { phase: "Pending", reason: "Whatever" } }, says: "Unsupported value" }
  ]
  for (const { from, given, says, to } of transitions) {
    it.effect(`${says === undefined ? "takes" : "refuses"} ${given}`, () =>
      Effect.gen(function*() {
        let task = yield* create(spec)
        for (const step of from) task = yield* change(task, step)
        if (says === undefined) return yield* change(task, to)
        const error = yield* Effect.flip(change(task, to))
        expect(error._tag).toBe("Invalid")
        expect(error.message).toContain(says)
      }))
  }

  const younger = [
    {
      given: "the claim of the plan was for the worker alone",
      says: "the claim of the plan is for the worker alone",
      older: {
        source: flux,
        savePlan: { claimName: "plans" },
        jobTemplate: { volumeClaims: [{ claimName: "plans", mountPath: "/plans" }] }
      }
    },
    { given: "keys had a length", says: "a key has at most", older: { jobTemplate: { nodeSelector: { ["k".repeat(42_000)]: "v" } } } }
  ]
  for (const { given, older, says } of younger) {
    it.effect(`lets a task be cancelled, and its status be written, that was stored before ${given}`, () =>
      Effect.gen(function*() {
        const kubernetes = yield* Kubernetes
        const { metadata, spec: definition } = crd()
        const before = JSON.parse(JSON.stringify(definition), (_, value) =>
          Array.isArray(value) ? value.filter(({ message = "" }) => !String(message).startsWith(says)) : value)
        yield* kubernetes.apply(definitions, { metadata, spec: before })
        const soon = { times: 300, schedule: Schedule.spaced("100 millis") }
        const stored = yield* create({ ...spec, ...older }).pipe(Effect.retry(soon))
        yield* kubernetes.apply(definitions, { metadata, spec: definition })
        const refusal = yield* Effect.flip(create({ ...spec, ...older })).pipe(Effect.retry(soon))
        expect(refusal.message).toContain(says)
        const told = yield* change(stored, { status: { phase: "Queued" } })
        yield* kubernetes.patch(agentTasks, told.metadata, [{ op: "add", path: "/spec/cancel", value: true }])
      }))
  }
})
