// The claim and the result against a real API server, whose resource versions and validation rules decide.
import { describe, expect, layer } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Option, Result, Runtime, Schedule } from "effect"
import { randomBytes } from "node:crypto"
import { crd } from "../../../src/core/manifest/installation/crd.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { Unreachable } from "../../../src/kubernetes/errors.ts"
import { type Kind, namespaces } from "../../../src/kubernetes/kinds.ts"
import { fromKubeconfig } from "../../../src/kubernetes/kubeconfig.ts"
import type { AgentTask } from "../../../src/schema/task/agent-task.ts"
import type { StageResult } from "../../../src/schema/task/stage-result.ts"
import { claimTask } from "../../../src/worker/task/claim.ts"
import { report } from "../../../src/worker/task/report.ts"
import { taskKind } from "../../../src/worker/task/task-kind.ts"
import { neverStops } from "../never-stops.ts"
import { podSettings } from "../pod-settings.ts"

const definitions: Kind = {
  ...namespaces,
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  plural: "customresourcedefinitions"
}
const namespace = `test-worker-${randomBytes(4).toString("hex")}`

const cluster = Layer.effectDiscard(Effect.gen(function*() {
  const kubernetes = yield* Kubernetes
  yield* kubernetes.apply(definitions, crd())
  yield* Effect.acquireRelease(
    kubernetes.create(namespaces, { metadata: { name: namespace } }),
    () => Effect.ignore(kubernetes.delete(namespaces, { name: namespace }))
  )
  // Repeats the list until the API server serves the kind.
  yield* kubernetes.list(taskKind, { namespace }).pipe(Effect.retry({ times: 300, schedule: Schedule.spaced("100 millis") }))
})).pipe(Layer.provideMerge(Kubernetes.layer(fromKubeconfig())), Layer.orDie)

const settings = ({ metadata: { name, uid } }: AgentTask, pod: string) =>
  podSettings("/none", "/none", {
    AGENT_JOB_NAMESPACE: namespace,
    AGENT_JOB_TASK: name,
    AGENT_JOB_TASK_UID: uid,
    AGENT_JOB_POD_NAME: `${name}-${pod}`,
    AGENT_JOB_POD_UID: `uid-${pod}`,
    AGENT_JOB_TERMINATION_LOG: "/dev/null"
  })
const stop = neverStops()

const errorOf = <A, E>(exit: Exit.Exit<A, E>): E | undefined =>
  Exit.isFailure(exit) ? Option.getOrUndefined(Cause.findErrorOption(exit.cause)) : undefined

/** Runs `effect` with writes of a status that all happen; all of their answers arrive, every second one, or none. Reads are answered. */
const losing = <A, E, R>(answers: "all" | "some" | "none", effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function*() {
    const kubernetes = yield* Kubernetes
    let writes = 0
    const lost = () => answers === "none" || (answers === "some" && writes++ % 2 === 0)
    const updateStatus: Kubernetes["Service"]["updateStatus"] = (kind, object) =>
      Effect.flatMap(kubernetes.updateStatus(kind, object), (answer) =>
        lost()
          ? Effect.fail(
            new Unreachable({ verb: "update the status of", object: object.metadata.name ?? "", detail: "the answer was lost" })
          )
          : Effect.succeed(answer))
    return yield* Effect.provideService(effect, Kubernetes, Kubernetes.of({ ...kubernetes, updateStatus }))
  })

const claiming = (task: AgentTask, pod: string) => Effect.exit(Effect.provide(claimTask(), Layer.merge(settings(task, pod), stop)))

/** A task as the controller leaves it when its Job starts. */
const starting = Effect.fnUntraced(function*(name: string) {
  const kubernetes = yield* Kubernetes
  const made = yield* kubernetes.create(taskKind, {
    metadata: { name, namespace },
    spec: { workspace: "demo", stage: "plan", source: { inline: { "main.tf": "" } } }
  })
  return yield* kubernetes.updateStatus(taskKind, { ...made, status: { phase: "Starting", reason: "JobCreated", message: "Starts." } })
})
const read = (name: string) => Effect.flatMap(Kubernetes, (kubernetes) => kubernetes.get(taskKind, { namespace, name }))

layer(cluster, { timeout: 300_000, excludeTestServices: true })("the API server", (it) => {
  describe("and the claim", () => {
    it.effect("lets one of sixty-four that race have the task, whichever answers get lost on the way", () =>
      Effect.gen(function*() {
        for (const answers of ["all", "some", "none"] as const) {
          const name = `race-${answers}`
          const task = yield* starting(name)
          const exits = yield* losing(
            answers,
            Effect.all(Array.from({ length: 64 }, (_, at) => claiming(task, `p${at}`)), { concurrency: "unbounded" })
          )
          const winners = exits.flatMap((exit, at) => Exit.isSuccess(exit) ? [`uid-p${at}`] : [])
          expect([answers, winners.length]).toEqual([answers, 1])
          expect((yield* read(name)).status).toMatchObject({ phase: "Running", claim: { podUid: winners[0] }, pod: { node: "node-1" } })
          expect(exits.flatMap((exit) => errorOf(exit) ?? []).map((error) => [error._tag, Runtime.getErrorExitCode(error)])).toEqual(
            Array(63).fill(["ClaimLost", 75])
          )
        }
      }))

    it.effect(
      "lets either the claim or the cancel be first in three hundred races, never both and never neither",
      () =>
        Effect.gen(function*() {
          const kubernetes = yield* Kubernetes
          let delayMillis = 20 // longer while the cancel leads, so that each side is first in many races, however slow the machine is
          const race = Effect.fnUntraced(function*(round: number) {
            const name = `cancel-${round}`
            const task = yield* starting(name)
            const cancel = Effect.delay(
              kubernetes.update(taskKind, { ...task, spec: { ...task.spec, cancel: true } }),
              `${delayMillis} millis`
            ) // an update of the version that the claim updates too, so that etcd has to decide
            const [claimed, cancelled] = yield* Effect.all([claiming(task, "p"), Effect.result(cancel)], { concurrency: "unbounded" })
            const { spec, status } = yield* read(name)
            const first = Exit.isSuccess(claimed) ? "claim" : "cancel"
            expect([name, spec.cancel === true, status.claim !== undefined]).toEqual([name, first === "cancel", first === "claim"])
            if (first === "claim") expect(cancelled).toMatchObject({ failure: { _tag: "Conflict" } })
            else expect(errorOf(claimed)).toMatchObject({ _tag: "ClaimLost", why: "is cancelled" })
            delayMillis = Math.max(0, delayMillis + (first === "cancel" ? 5 : -5))
            return first
          })
          const won = yield* Effect.forEach(Array.from({ length: 300 }, (_, round) => round), race, { concurrency: 16 })
          for (const one of ["claim", "cancel"]) expect(won.filter((first) => first === one).length, one).toBeGreaterThanOrEqual(20)
        })
    )

    it.effect("is lost with exit code 75 by a container that the kubelet started twice in one Pod, one after the other or at once", () =>
      Effect.gen(function*() {
        const again = yield* starting("again")
        expect(Exit.isSuccess(yield* claiming(again, "p"))).toBe(true)
        const second = errorOf(yield* claiming(again, "p"))
        expect([second?._tag, second?.message, Runtime.getErrorExitCode(second)]).toEqual([
          "ClaimLost",
          expect.stringContaining("earlier start of this container"),
          75
        ])
        const atOnce = yield* starting("at-once")
        const both = yield* Effect.all([claiming(atOnce, "p"), claiming(atOnce, "p")], { concurrency: "unbounded" })
        expect(both.map((exit) => errorOf(exit)?._tag ?? "has it").sort()).toEqual(["ClaimLost", "has it"])
      }))
  })

  describe("and the result", () => {
    it.effect("takes it once, and then nothing more", () =>
      Effect.gen(function*() {
        const task = yield* starting("done")
        const { claim } = yield* Effect.fromResult(
          Exit.match(yield* claiming(task, "p"), { onFailure: Result.fail, onSuccess: Result.succeed })
        )
        const result: StageResult = {
          outcome: "failed",
          reason: "ExitCode",
          message: "tofu plan failed.",
          exitCode: 1,
          changes: { add: 1, change: 0, destroy: 2 },
          finishedAt: "2026-01-01T00:00:00Z"
        }
        const send = (_: StageResult) =>
          report(claim, _, { flushLog: () => Effect.void, tellPool: Option.none() }).pipe(
            Effect.provide(Layer.merge(settings(task, "p"), stop))
          )
        yield* send(result)
        yield* send({ ...result, outcome: "succeeded", reason: "Completed" })
        expect((yield* read("done")).status).toMatchObject({ phase: "Failed", reason: "ExitCode", result })
      }))
  })
})
