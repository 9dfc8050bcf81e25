// New values under a running controller, against a real API server: what it takes over, what it refuses, and when it ends.
import { expect, layer } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { jobs, leases } from "../../src/kubernetes/kinds.ts"
import type { KubernetesObject } from "../../src/kubernetes/object.ts"
import { WorkspaceName } from "../../src/schema/names.ts"
import { createTask, runController, TaskCluster, Tasks, until, untilStatus } from "./task-cluster.ts"

const workspace = (name: string) => ({ workspace: WorkspaceName.make(name) })
const isStarting = ({ phase }: { readonly phase?: string | undefined }): boolean => phase === "Starting"
const image = (tag: string) => ({ runner: { image: { tag } } })

const jobOf = Effect.fnUntraced(function*(task: string) {
  const { namespace } = yield* Tasks
  return yield* (yield* Kubernetes).get(jobs, { namespace, name: `agent-job-${task}` })
})
const hashOn = ({ metadata }: KubernetesObject) => metadata.annotations?.["scalr.io/config-hash"]

const metric = (port: number, name: string) =>
  Effect.promise(async () =>
    (await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()).split("\n").find((line) =>
      line.startsWith(`${name} `) || line.startsWith(`${name}{`)
    )?.split(" ").at(-1)
  )

layer(TaskCluster, { excludeTestServices: true, timeout: "5 minutes" })("new values", (it) => {
  it.effect("are in the next Job without a restart, and the tasks and Jobs say which they were built from", () =>
    Effect.gen(function*() {
      const { change, fiber } = yield* runController({ task: image("1") })
      yield* createTask("built-before", workspace("a"))
      const before = yield* untilStatus("built-before", isStarting)
      yield* change(image("2"))
      let tasks = 0
      const next = yield* until(
        "a Job with the new image",
        Effect.gen(function*() {
          const name = `built-after-${tasks++}`
          yield* createTask(name, workspace(name))
          const status = yield* untilStatus(name, isStarting)
          return { status, job: yield* jobOf(name) }
        }),
        ({ job }) => JSON.stringify(job["spec"]).includes("scalr/agent-runner:2")
      )
      expect(fiber.pollUnsafe()).toBeUndefined()
      expect(hashOn(next.job)).toBe(next.status.configHash)
      const first = yield* jobOf("built-before")
      expect(JSON.stringify(first["spec"])).toContain("scalr/agent-runner:1")
      expect([hashOn(first), before.configHash === next.status.configHash]).toEqual([before.configHash, false])
    }).pipe(Effect.scoped))

  it.effect("let tasks start that the old limits kept waiting", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      const kubernetes = yield* Kubernetes
      const { items } = yield* kubernetes.list(jobs, { namespace })
      const { change } = yield* runController({ task: { limits: { total: items.length + 1, perWorkspace: 1 } } })
      yield* createTask("in-front", workspace("limited"))
      yield* untilStatus("in-front", isStarting)
      yield* createTask("behind", workspace("limited"))
      yield* untilStatus("behind", ({ phase }) => phase === "Queued")
      yield* change({ limits: { total: 100, perWorkspace: 2 } })
      yield* untilStatus("behind", isStarting)
    }).pipe(Effect.scoped))

  it.effect("that are wrong change nothing, and the metrics say so until they are right", () =>
    Effect.gen(function*() {
      const { change, healthPort } = yield* runController()
      const valid = (value: string) => until("the metric", metric(healthPort, "agent_job_config_valid"), (_) => _ === value)
      yield* createTask("before-the-mistake", workspace("b"))
      yield* untilStatus("before-the-mistake", isStarting)
      yield* valid("1")
      yield* change({ limts: { total: 1 } })
      yield* valid("0")
      yield* createTask("during-the-mistake", workspace("c"))
      yield* untilStatus("during-the-mistake", isStarting)
      yield* change({})
      yield* valid("1")
    }).pipe(Effect.scoped))

  it.effect("that only a new process can have end it well, with the lead given back", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      const { change, fiber } = yield* runController({ identity: "outdated" })
      const holder = Effect.map(Effect.flatMap(Kubernetes, (_) => _.get(leases, { namespace, name: "agent-job-controller" })), (_) =>
        JSON.stringify(_["spec"]))
      yield* until(
        "the lead",
        Effect.orElseSucceed(holder, () =>
          ""),
        (_) => _.includes("\"outdated\"")
      )
      yield* change({ namespace: "elsewhere" })
      expect(Exit.isSuccess(yield* Fiber.await(fiber))).toBe(true)
      expect(yield* holder).not.toContain("outdated")
    }).pipe(Effect.scoped))
})
