// A worker meets a CRD that is older than itself, as when an image is upgraded first or a CRD is put back: how its stage ended is stored.
// The CRD is the first version's, in a group of its own, so that it is beside the one of the other tests.
import { expect, layer } from "@effect/vitest"
import { Effect, Layer, Option, Schedule } from "effect"
import { randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import { isDeepStrictEqual } from "node:util"
import { parse } from "yaml"
import { agentTaskOpenApi } from "../../src/core/manifest/installation/crd.ts"
import { cancellationOf } from "../../src/core/task/cancellation.ts"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { agentTasks, definitions, type Kind, namespaces } from "../../src/kubernetes/kinds.ts"
import { fromKubeconfig } from "../../src/kubernetes/kubeconfig.ts"
import { Sha256, Uid } from "../../src/schema/names.ts"
import type { AgentTask, AgentTaskStatus } from "../../src/schema/task/agent-task.ts"
import type { StageResult } from "../../src/schema/task/stage-result.ts"
import { claimTask } from "../../src/worker/task/claim.ts"
import { report } from "../../src/worker/task/report.ts"
import { Stop } from "../../src/worker/task/stop.ts"
import { taskKind, writeTaskStatus } from "../../src/worker/task/task-kind.ts"
import { until } from "../controller/task-cluster.ts"
import { neverStops } from "./never-stops.ts"
import { podSettings } from "./pod-settings.ts"

const suffix = randomBytes(4).toString("hex")
const namespace = `test-older-crd-${suffix}`
const group = `t${suffix}.test.agent-job.io`
const firstSchema: object = parse(readFileSync("test/gitops/crd-v0.yaml", "utf8")).spec.versions[0].schema.openAPIV3Schema
const crdWith = (openAPIV3Schema: object) => ({
  metadata: { name: `atasks.${group}` },
  spec: {
    group,
    scope: "Namespaced",
    names: { kind: "AgentTask", plural: "atasks" },
    versions: [{ name: "v1", served: true, storage: true, subresources: { status: {} }, schema: { openAPIV3Schema } }]
  }
})

const ofGroup = <A>(kind: Kind<A>): Kind<A> => kind.plural === taskKind.plural ? { ...kind, apiVersion: `${group}/v1` } : kind

const cluster = Layer.effect(
  Kubernetes,
  Effect.gen(function*() {
    const kubernetes = yield* Kubernetes
    yield* Effect.acquireRelease(
      kubernetes.create(definitions, crdWith(firstSchema)),
      () => Effect.ignore(kubernetes.delete(definitions, { name: `atasks.${group}` }))
    )
    yield* Effect.acquireRelease(
      kubernetes.create(namespaces, { metadata: { name: namespace } }),
      () => Effect.ignore(kubernetes.delete(namespaces, { name: namespace }))
    )
    // Until the resource is served.
    yield* kubernetes.list(ofGroup(taskKind), { namespace }).pipe(Effect.retry({ times: 300, schedule: Schedule.spaced("100 millis") }))
    return Kubernetes.of({
      ...kubernetes,
      get: (kind, place) => kubernetes.get(ofGroup(kind), place),
      watch: (kind, selection) => kubernetes.watch(ofGroup(kind), selection),
      create: (kind, object) => kubernetes.create(ofGroup(kind), object),
      apply: (kind, object) => kubernetes.apply(ofGroup(kind), object),
      updateStatus: (kind, ...written) => kubernetes.updateStatus(ofGroup(kind), ...written)
    })
  })
).pipe(Layer.provide(Kubernetes.layer(fromKubeconfig())), Layer.orDie)

const settingsOf = ({ metadata: { name, uid } }: AgentTask) =>
  podSettings("/none", "/none", {
    AGENT_JOB_NAMESPACE: namespace,
    AGENT_JOB_TASK: name,
    AGENT_JOB_TASK_UID: uid,
    AGENT_JOB_TERMINATION_LOG: "/dev/null"
  })

const spec = { workspace: "demo", stage: "apply", source: { inline: { "main.tf": "" } } }
const known: StageResult = {
  outcome: "succeeded",
  reason: "Completed",
  message: "tofu apply ended with success.",
  exitCode: 0,
  statePushed: true,
  finishedAt: "2026-01-01T00:00:00Z"
}
const result: StageResult = { ...known, stateDigest: Sha256.make("0".repeat(64)), unusedBackend: "s3" }

/** Claims a new task; returns it, the settings of its worker, and what reports a result of it. */
const taken = Effect.fnUntraced(function*(made: AgentTask) {
  const settings = settingsOf(made)
  const around = Layer.merge(settings, neverStops())
  yield* writeTaskStatus(taskKind, made, { phase: "Starting", reason: "JobCreated", message: "Starts." })
  const { claim, task } = yield* Effect.provide(claimTask(), around)
  const send = (result: StageResult) =>
    Effect.provide(report(claim, result, { flushLog: () => Effect.void, tellPool: Option.none() }), around)
  return { send, settings, task }
})

/** Makes a task, claims it and reports this result of it; returns the task as it is then, and the effect that reports again. */
const ended = Effect.fnUntraced(function*(name: string, result: StageResult) {
  const kubernetes = yield* Kubernetes
  const at = { name, namespace }
  const { send } = yield* taken(yield* kubernetes.create(taskKind, { metadata: at, spec }))
  yield* send(result)
  return { send: send(result), read: kubernetes.get(taskKind, at), task: yield* kubernetes.get(taskKind, at) }
})

/** Replaces the CRD, and returns once this AgentTask is read with this source. */
const replaceCrd = Effect.fnUntraced(function*(schema: object, name: string, source: object) {
  const kubernetes = yield* Kubernetes
  yield* kubernetes.apply(definitions, crdWith(schema))
  yield* until(
    "the other CRD",
    Effect.map(Effect.option(kubernetes.get(agentTasks, { name, namespace })), Option.getOrUndefined),
    (task) => isDeepStrictEqual(task?.["spec"], { ...spec, source })
  )
})

layer(cluster, { timeout: 300_000, excludeTestServices: true })("an API server with an older CRD", (it) => {
  it.effect("stores nothing of a status that is not an end if it does not know all of it, as its parts belong together", () =>
    Effect.gen(function*() {
      const kubernetes = yield* Kubernetes
      const made = yield* kubernetes.create(taskKind, { metadata: { name: "parts", namespace }, spec })
      const job = { name: "agent-job-parts", uid: Uid.make("job-uid") }
      const started = yield* writeTaskStatus(taskKind, made, {
        phase: "Starting",
        reason: "JobCreated",
        message: "Starts.",
        launches: 3,
        job
      })
      const givenUp: AgentTaskStatus = { ...started.status, launches: 2, job: { ...job, replacedFor: "QuotaExceeded" } }
      expect(yield* Effect.flip(writeTaskStatus(taskKind, started, givenUp))).toMatchObject({
        _tag: "Rejected",
        detail: expect.stringContaining("unknown field \"status.job.replacedFor\"")
      })
      expect((yield* kubernetes.get(taskKind, made.metadata)).status).toEqual(started.status)
    }))

  it.effect("stores nothing of what a task that is over does later if it does not know all of it", () =>
    Effect.gen(function*() {
      const { read, task } = yield* ended("later", known)
      const latest = { attempt: 2, name: "later-2", sha256: Sha256.make("0".repeat(64)) }
      expect(yield* Effect.flip(writeTaskStatus(taskKind, task, { ...task.status, latest }))).toMatchObject({
        _tag: "Rejected",
        detail: expect.stringContaining("unknown field \"status.latest\"")
      })
      expect((yield* read).status).toEqual(task.status)
    }))

  it.effect("stores an end without a reason that it does not have in its list", () =>
    Effect.gen(function*() {
      const { task: { status } } = yield* ended("reason", { ...known, outcome: "failed", reason: "StateRescuePending" })
      expect(status).toMatchObject({ phase: "Failed", reason: "ExitCode", message: known.message, result: { reason: "ExitCode" } })
      expect(status.conditions?.map(({ reason }) => reason)).toEqual(Array(3).fill("StateRescuePending"))
    }))

  it.effect("stores what it knows of a result, so that the task ends, and lets every later write have the result as it is stored", () =>
    Effect.gen(function*() {
      const { read, send, task } = yield* ended("field", result)
      expect(task.status).toMatchObject({ phase: "Succeeded", reason: "Completed", claim: { podUid: "pod-uid" } })
      expect(task.status.result).toEqual(known)
      const reported = yield* writeTaskStatus(taskKind, task, { ...task.status, reportedAt: known.finishedAt })
      yield* (yield* Kubernetes).apply(definitions, crdWith(agentTaskOpenApi()))
      yield* send
      expect((yield* read).status).toEqual(reported.status)
    }))

  it.effect("that dropped the source of a claimed task stores its end, and lets its worker hear of a cancel", () =>
    Effect.gen(function*() {
      const kubernetes = yield* Kubernetes
      const at = { name: "rolled-back", namespace }
      const source = { fluxSource: { kind: "GitRepository", name: "infra" } }
      yield* kubernetes.apply(definitions, crdWith(agentTaskOpenApi()))
      const made = yield* kubernetes.create(taskKind, { metadata: at, spec: { ...spec, source } }).pipe(
        Effect.retry({ times: 300, schedule: Schedule.spaced("100 millis") }) // until that CRD is served
      )
      const { send, settings, task } = yield* taken(made)
      yield* replaceCrd(firstSchema, at.name, {})
      yield* kubernetes.apply(agentTasks, cancellationOf(task))
      const cause = Effect.gen(function*() {
        const stop = yield* Stop
        yield* stop.begin("1 hour")
        return yield* Effect.timeout(stop.asked, "30 seconds")
      })
      expect(yield* Effect.provide(cause, Layer.provideMerge(Stop.layerOn(Effect.never), settings))).toBe("Cancelled")
      yield* send({ ...known, outcome: "cancelled", reason: "Cancelled" })
      expect(yield* kubernetes.get(agentTasks, at)).toMatchObject({ status: { phase: "Cancelled", result: { reason: "Cancelled" } } })
    }))
})
