// The claim and the result against a real API server, whose versions and rules decide.
import { describe, expect, layer } from "@effect/vitest"
import { ConfigProvider, Effect, Exit, Layer, Option, Schedule } from "effect"
import { randomBytes } from "node:crypto"
import { join } from "node:path"
import { tmpdir } from "node:os"
import { crd } from "../../src/core/manifest/crd.ts"
import { signalPlan } from "../../src/core/signal-plan.ts"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { fromKubeconfig } from "../../src/kubernetes/credentials.ts"
import { type Kind, namespaces } from "../../src/kubernetes/kinds.ts"
import type { StageResult } from "../../src/schema/stage-result.ts"
import { claimTask } from "../../src/worker/claim.ts"
import { report } from "../../src/worker/report.ts"
import { Settings } from "../../src/worker/settings.ts"
import { Stop } from "../../src/worker/stop.ts"
import { taskKind } from "../../src/worker/task-kind.ts"

const definitions: Kind = { ...namespaces, apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition", plural: "customresourcedefinitions" }
const namespace = `test-worker-${randomBytes(4).toString("hex")}`

const cluster = Layer.effectDiscard(Effect.gen(function*() {
  const kubernetes = yield* Kubernetes
  yield* kubernetes.apply(definitions, crd())
  yield* Effect.acquireRelease(kubernetes.create(namespaces, { metadata: { name: namespace } }), () => Effect.ignore(kubernetes.delete(namespaces, { name: namespace })))
  yield* kubernetes.list(taskKind, { namespace }).pipe(Effect.retry({ times: 100, schedule: Schedule.spaced("100 millis") })) // until it is served
})).pipe(Layer.provideMerge(Kubernetes.layer(fromKubeconfig())), Layer.orDie)

const settings = (task: string, pod: string) =>
  Layer.orDie(Settings.layer).pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({
    AGENT_JOB_NAMESPACE: namespace,
    AGENT_JOB_TASK: task,
    AGENT_JOB_JOB: "agent-job-demo",
    AGENT_JOB_CONFIG_HASH: "c0ffee",
    AGENT_JOB_POD_NAME: `${task}-${pod}`,
    AGENT_JOB_POD_UID: `uid-${pod}`,
    AGENT_JOB_NODE: "node-1",
    AGENT_JOB_DATA_DIR: "/none",
    AGENT_JOB_PRIVATE_DIR: "/none",
    AGENT_JOB_TERMINATION_LOG: join(tmpdir(), `${namespace}-termination-log`)
  }))))
const stop = Layer.succeed(Stop, Stop.of({ asked: Effect.never, now: Effect.succeed(Option.none()), plan: signalPlan(30), tooLate: Effect.never, because: () => Effect.void, begin: () => Effect.void }))

const claiming = (task: string, pod: string) => Effect.exit(Effect.provide(claimTask(), Layer.merge(settings(task, pod), stop)))

/** A task as the controller leaves it when its Job starts. */
const starting = Effect.fnUntraced(function*(name: string) {
  const kubernetes = yield* Kubernetes
  const made = yield* kubernetes.create(taskKind, { metadata: { name, namespace }, spec: { workspace: "demo", stage: "plan", source: { inline: { "main.tf": "" } } } })
  yield* kubernetes.updateStatus(taskKind, { ...made, status: { phase: "Starting", reason: "JobCreated", message: "Starts." } })
})
const read = (name: string) => Effect.flatMap(Kubernetes, (kubernetes) => kubernetes.get(taskKind, { namespace, name }))

layer(cluster, { timeout: 60_000, excludeTestServices: true })("the API server", (it) => {
  describe("and the claim", () => {
    it.effect("lets one of twenty that race have the task", () =>
      Effect.gen(function*() {
        yield* starting("race")
        const exits = yield* Effect.all(Array.from({ length: 20 }, (_, at) => claiming("race", `p${at}`)), { concurrency: "unbounded" })
        const winners = exits.flatMap((exit, at) => Exit.isSuccess(exit) ? [`uid-p${at}`] : [])
        expect(winners).toHaveLength(1)
        expect((yield* read("race")).status).toMatchObject({ phase: "Running", claim: { podUid: winners[0] }, pod: { node: "node-1" } })
        expect(JSON.stringify(exits.filter(Exit.isFailure)[0])).toContain("ClaimLost")
      }), 60_000)

    it.effect("lets either the claim or the cancel be first, never both", () =>
      Effect.gen(function*() {
        const kubernetes = yield* Kubernetes
        for (let round = 0; round < 20; round++) {
          const name = `cancel-${round}`
          yield* starting(name)
          const cancel = Effect.gen(function*() {
            const task = yield* read(name)
            yield* kubernetes.update(taskKind, { ...task, spec: { ...task.spec, cancel: true } })
          }).pipe(Effect.retry({ times: 20, while: ({ _tag }) => _tag === "Conflict" }))
          const [claim] = yield* Effect.all([claiming(name, "p"), cancel], { concurrency: "unbounded" })
          const { spec, status } = yield* read(name)
          expect(spec.cancel).toBe(true)
          expect(status.claim !== undefined).toBe(Exit.isSuccess(claim))
          if (Exit.isFailure(claim)) expect(JSON.stringify(claim)).toContain("is cancelled")
        }
      }), 60_000)

    it.effect("is refused in a second start of the same container", () =>
      Effect.gen(function*() {
        yield* starting("again")
        expect(Exit.isSuccess(yield* claiming("again", "p"))).toBe(true)
        expect(JSON.stringify(yield* claiming("again", "p"))).toContain("earlier start of this container")
      }))
  })

  describe("and the result", () => {
    it.effect("takes it once, and then nothing more", () =>
      Effect.gen(function*() {
        yield* starting("done")
        yield* claiming("done", "p")
        const result: StageResult = { outcome: "failed", reason: "ExitCode", message: "tofu plan failed.", exitCode: 1, changes: { add: 1, change: 0, destroy: 2 }, finishedAt: "2026-01-01T00:00:00Z" }
        const send = (_: StageResult) => report(_, { flushLog: () => Effect.void, tellPool: Option.none() }).pipe(Effect.provide(Layer.merge(settings("done", "p"), stop)))
        yield* send(result)
        yield* send({ ...result, outcome: "succeeded", reason: "Completed" })
        expect((yield* read("done")).status).toMatchObject({ phase: "Failed", reason: "ExitCode", result })
      }))
  })
})
