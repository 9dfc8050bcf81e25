// A drain on a real API server: the controller answers, no task starts, running tasks go on, and the end of the drain starts waiting ones.
import { expect, layer } from "@effect/vitest"
import { Effect, Option } from "effect"
import { join } from "node:path"
import { annotationsOf, leaderLease } from "../../../src/cli/cluster/leader-lease.ts"
import { drainAskedAt } from "../../../src/core/scheduling/draining.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { configMaps, jobs } from "../../../src/kubernetes/kinds.ts"
import { WorkspaceName } from "../../../src/schema/names.ts"
import { createTask, jobNames, runController, TaskCluster, Tasks, untilLaunched, untilStatus } from "../../controller/task-cluster.ts"
import { agent, directory, person, serve } from "../../server/live-server.ts"
import { agentJob, run } from "../program.ts"

const environment = { KUBECONFIG: process.env.KUBECONFIG ?? "" }
const drain = Effect.fnUntraced(function*(...flags: ReadonlyArray<string>) {
  const { namespace } = yield* Tasks
  return ["drain", "--controller-namespace", namespace, "--namespace", namespace, ...flags]
})
const metrics = (port: number) => Effect.promise(async () => (await fetch(`http://127.0.0.1:${port}/metrics`)).text())
const isDraining = {
  phase: "Queued",
  reason: "Draining",
  message: expect.stringMatching(/; to end that: agent-job drain --undo --name agent-job --controller-namespace \S+$/u)
}

layer(TaskCluster, { excludeTestServices: true, timeout: "5 minutes" })("agent-job drain", (it) => {
  it.effect("without a controller is exit code 3", () =>
    Effect.gen(function*() {
      const { code, error } = yield* run(yield* drain(), environment)
      expect([code, error]).toEqual([
        3,
        expect.stringContaining("so no controller ever ran there; say which is meant with --name and --controller-namespace.")
      ])
    }))

  it.effect("lets nothing begin, over a restart of the controller, until it is ended; what has begun goes on", () =>
    Effect.gen(function*() {
      const first = yield* Effect.scoped(Effect.gen(function*() {
        const { healthPort } = yield* runController()
        yield* createTask("before", { stage: "apply" })
        yield* untilLaunched("before")
        const { code, out } = yield* run(yield* drain(), environment)
        expect([code, out]).toEqual([
          0,
          expect.stringMatching(
            /^Draining agent-job in .* since .*: nothing new starts in .*\.\nStill running: 1 apply or destroy, 0 plans\.\n {2}before {3}demo {3}apply {3}\d+s\nTo end this: agent-job drain --undo --name agent-job --controller-namespace .*\n$/u
          )
        ])
        yield* createTask("during", { workspace: WorkspaceName.make("other") })
        expect(yield* untilStatus("during", ({ phase }) => phase === "Queued")).toMatchObject(isDraining)
        expect(yield* metrics(healthPort)).toMatch(/^agent_job_draining(?:\{.*\})? 1$/mu)
        return out.split("\n")[0]
      }))
      const { healthPort } = yield* runController()
      yield* createTask("after", { workspace: WorkspaceName.make("third") })
      expect(yield* untilStatus("after", ({ phase }) => phase === "Queued")).toMatchObject(isDraining)
      expect((yield* run(yield* drain("-o", "json"), environment)).out).toContain(first?.match(/since (.*):/u)?.[1] ?? "no time")
      expect(yield* jobNames).toEqual(["agent-job-before"])

      const { code, out } = yield* run(yield* drain("--undo"), environment)
      expect([code, out]).toEqual([0, expect.stringMatching(/^No longer draining agent-job in .*: waiting tasks start\.\n$/u)])
      yield* untilLaunched("during")
      yield* untilLaunched("after")
      expect(yield* metrics(healthPort)).toMatch(/^agent_job_draining(?:\{.*\})? 0$/mu)
    }).pipe(Effect.scoped))

  it.effect("--wait tells what it waits for, and returns when no apply or destroy runs", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      yield* runController()
      yield* createTask("changing", { stage: "destroy", workspace: WorkspaceName.make("changing") })
      yield* createTask("planning", { workspace: WorkspaceName.make("planning") })
      yield* untilLaunched("changing")
      yield* untilLaunched("planning")
      const waiting = yield* agentJob(yield* drain("--wait"), environment)
      yield* waiting.until(/Waiting for .*changing \(destroy, since /u)
      yield* Effect.forEach((yield* jobNames).filter((name) => !name.includes("planning")), (name) =>
        Effect.flatMap(Kubernetes, (kubernetes) => kubernetes.delete(jobs, { name, namespace })), { discard: true })
      const { code, out } = yield* waiting.ended
      expect(code).toBe(0)
      expect(out).toContain("Still running: 0 applies or destroys,")
      expect(out).toContain("An evicted plan of a run, or of a task that follows its source, is planned again.")
      yield* run(yield* drain("--undo"), environment)
    }).pipe(Effect.scoped))

  it.effect("--wait ends with exit code 1 as soon as somebody ends the drain, though an apply runs", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      yield* runController()
      yield* createTask("applying", { stage: "apply", workspace: WorkspaceName.make("applying") })
      yield* untilLaunched("applying")
      const waiting = yield* agentJob(yield* drain("--wait"), environment)
      yield* waiting.until(/Waiting for .*applying \(apply, since /u)
      expect((yield* run(yield* drain("--undo"), environment)).code).toBe(0)
      expect(yield* waiting.ended).toMatchObject({
        code: 1,
        out: "",
        error: expect.stringContaining(
          `error: Somebody has ended this drain of agent-job in ${namespace}, so tasks may have started since; find out why, and drain it again.\n`
        )
      })
    }).pipe(Effect.scoped))

  it.effect("looks for what runs where the installation's values say that tasks are", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      yield* runController()
      const kubernetes = yield* Kubernetes
      const config = { metadata: { name: "agent-job-config", namespace }, data: { "values.yaml": "task: { namespace: \"\" }" } }
      yield* Effect.acquireRelease(
        kubernetes.create(configMaps, config),
        () => Effect.ignore(kubernetes.delete(configMaps, config.metadata))
      )
      yield* createTask("beside", { stage: "apply", workspace: WorkspaceName.make("beside") })
      yield* untilLaunched("beside")
      const { code, out } = yield* run(["drain", "--controller-namespace", namespace], environment)
      expect([code, out]).toEqual([
        0,
        expect.stringMatching(new RegExp(`nothing new starts in ${namespace}\\.\n[^]* beside +beside +apply `, "u"))
      ])
      yield* run(yield* drain("--undo"), environment)
    }).pipe(Effect.scoped))

  it.effect("drains nothing where it cannot know where the tasks are, and --undo needs not know", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      yield* runController()
      const here = ["drain", "--controller-namespace", namespace]
      expect(yield* run(here, environment)).toMatchObject({
        code: 2,
        out: "",
        error:
          `error: There is no ConfigMap ${namespace}/agent-job-config; give --name and --controller-namespace of the installation, and --namespace too if it has no such ConfigMap that you may read.\n`
      })
      expect(yield* run([...here, "-n", "nowhere"], environment)).toMatchObject({
        code: 3,
        out: "",
        error:
          `error: There is no namespace nowhere, so no task of agent-job in ${namespace} runs there; give --name and --controller-namespace of the installation that is meant.\n`
      })
      expect(drainAskedAt(annotationsOf(yield* leaderLease({ name: "agent-job", namespace })))).toEqual(Option.none())
      expect(yield* run([...here, "--undo"], environment)).toMatchObject({ code: 0 })
    }).pipe(Effect.scoped))

  it.effect("leaves the work of a pool to others, also what is asked for just then", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const url = yield* serve(made)
      yield* runController({
        values: { agent: { url, tokenExistingSecret: { name: "pool-token" } } },
        poolTokenFile: join(made, "pool.token")
      })
      const taken = yield* person(url).start("taken")
      yield* untilLaunched(`${taken}-plan`) // the controller asks for more by now
      yield* run(yield* drain(), environment)
      const left = yield* person(url).start("left")
      expect((yield* agent(url, "another").acquire(5)).map(({ runId }) => runId)).toEqual([left])
      yield* run(yield* drain("--undo"), environment)
      const next = yield* person(url).start("next")
      yield* untilLaunched(`${next}-plan`)
    }).pipe(Effect.scoped))
})
