// A namespace for AgentTasks on the API server that KUBECONFIG names, a controller that serves it, and functions that act as the worker.
// Jobs select a node that does not exist, so no Pod runs, whatever else the cluster can do.
// Used by the *.cluster.test.ts files of this folder.
import { Context, Effect, type Fiber, Layer, Option, Schedule, type Scope } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { controller } from "../../src/controller/lifecycle/controller.ts"
import { claimed, finished } from "../../src/core/task/status.ts"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { agentTasks, decoding, jobs, pods } from "../../src/kubernetes/kinds.ts"
import { fromKubeconfig } from "../../src/kubernetes/kubeconfig.ts"
import { Uid, WorkspaceName } from "../../src/schema/names.ts"
import { AgentTask, type AgentTaskSpec, type AgentTaskStatus } from "../../src/schema/task/agent-task.ts"
import type { StageResult } from "../../src/schema/task/stage-result.ts"
import { servedNamespace } from "../core/manifest/served-namespace.ts"
import { freePort } from "../free-port.ts"
import { temporaryFolder } from "../temporary-folder.ts"

const tasks = decoding(agentTasks, AgentTask)

export class Tasks extends Context.Service<Tasks, { readonly namespace: string }>()("test/Tasks") {}

/** Removes the finalizers of all tasks: tasks of a pool wait for a controller to report them, and no controller runs any more. */
const letGo = Effect.fnUntraced(function*(namespace: string) {
  const kubernetes = yield* Kubernetes
  const { items } = yield* kubernetes.list(agentTasks, { namespace })
  yield* Effect.forEach(
    items,
    (task) => Effect.ignore(kubernetes.update(agentTasks, { ...task, metadata: { ...task.metadata, finalizers: [] } })),
    { discard: true }
  )
})

export const TaskCluster = Layer.effect(Tasks, Effect.map(servedNamespace("test-tasks", letGo), (namespace) => ({ namespace }))).pipe(
  Layer.provideMerge(Kubernetes.layer(fromKubeconfig())),
  Layer.orDie
)

interface Running {
  readonly healthPort: number
  /** Writes the controller's values file anew, with only this part of `task` changed. */
  readonly change: (task: object) => Effect.Effect<void>
  readonly fiber: Fiber.Fiber<unknown, unknown>
}

/** Runs a controller until the scope ends. */
export const runController = Effect.fnUntraced(function*(
  options: { readonly values?: object; readonly identity?: string; readonly task?: object; readonly poolTokenFile?: string } = {}
): Effect.fn.Return<Running, never, Tasks | Scope.Scope> {
  const { namespace } = yield* Tasks
  const directory = yield* temporaryFolder("controller")
  const values = join(directory, "values.yaml")
  const write = (task?: object) =>
    writeFileSync(
      values,
      JSON.stringify({ ...options.values, task: { nodeSelector: { "test/nowhere": "true" }, ...options.task, ...task } })
    )
  write()
  const healthPort = yield* freePort
  const fiber = yield* controller({
    values,
    name: "agent-job",
    namespace,
    healthPort,
    identity: options.identity ?? "test",
    poolTokenFile: options.poolTokenFile ?? "/none"
  }).pipe(Effect.forkScoped)
  return { healthPort, change: (task) => Effect.sync(() => write(task)), fiber }
})

const plainSpec = (spec: Partial<AgentTaskSpec> = {}): AgentTaskSpec => ({
  workspace: WorkspaceName.make("demo"),
  stage: "plan",
  source: { inline: { "main.tf": "" } },
  ...spec
})

export const createTask = Effect.fnUntraced(function*(name: string, spec: Partial<AgentTaskSpec> = {}, metadata: object = {}) {
  const { namespace } = yield* Tasks
  return yield* (yield* Kubernetes).create(tasks, { metadata: { ...metadata, name, namespace }, spec: plainSpec(spec) })
})

const every = Schedule.spaced("50 millis")

/** Reads until the result is as wanted. Fails after five minutes with the last result. */
export const until = <A, E, R>(what: string, read: Effect.Effect<A, E, R>, wanted: (seen: A) => boolean): Effect.Effect<A, E, R> =>
  Effect.gen(function*() {
    let last: A | undefined
    return yield* Effect.map(read, (_) => (last = _)).pipe(
      Effect.repeat({ until: wanted, schedule: every }),
      Effect.timeoutOrElse({
        duration: "5 minutes",
        orElse: () => Effect.die(new Error(`${what} did not come about; last seen: ${JSON.stringify(last)}`))
      })
    )
  })

export const getTask = Effect.fnUntraced(function*(name: string) {
  const { namespace } = yield* Tasks
  return yield* (yield* Kubernetes).get(tasks, { name, namespace })
})

/** Retries a read while the object does not exist yet. */
/** Reads again until it is there. */
export const onceThere = <A, E extends { readonly _tag: string }, R>(read: Effect.Effect<A, E, R>) =>
  Effect.retry(read, { while: ({ _tag }) => _tag === "NotFound", schedule: every })

/** Reports whether a status has this phase, for `untilStatus`. */
export const isPhase = (phase: AgentTaskStatus["phase"]) => (status: AgentTaskStatus): boolean => status.phase === phase

export const untilStatus = (name: string, wanted: (status: AgentTaskStatus) => boolean) =>
  Effect.map(until(`the status of ${name}`, onceThere(getTask(name)), ({ status }) => wanted(status)), ({ status }) => status)

export const jobNames = Effect.gen(function*() {
  const { namespace } = yield* Tasks
  const { items } = yield* (yield* Kubernetes).list(jobs, { namespace })
  return items.map(({ metadata }) => metadata.name).sort()
})

/** Waits for the Job, because the status does not mention a start that goes well before its claim. */
export const untilLaunched = (name: string) => until(`the Job of ${name}`, jobNames, (names) => names.includes(`agent-job-${name}`))

/** Repeats a write, with the read before it, when another writer was faster, as a worker does. */
const readAgain = <A, E extends { readonly _tag: string }, R>(write: Effect.Effect<A, E, R>) =>
  Effect.retry(write, { while: ({ _tag }) => _tag === "Conflict", times: 10 })

/** Creates the Pod that the Job controller would make. Its node does not exist, because the Pod only has to be there. */
const makePod = Effect.fnUntraced(function*({ metadata: { name, namespace, uid } }: AgentTask) {
  const labels = { "app.kubernetes.io/managed-by": "agent-job", "app.kubernetes.io/component": "task", "scalr.io/task-uid": uid }
  return yield* (yield* Kubernetes).create(pods, {
    metadata: { name: `pod-of-${name}`, namespace, labels },
    spec: { nodeSelector: { "test/nowhere": "true" }, containers: [{ name: "worker", image: "none" }] }
  })
})

/** Claims the task as its worker would, from a new Pod. */
export const claim = Effect.fnUntraced(function*(name: string) {
  const { metadata } = yield* makePod(yield* getTask(name))
  return yield* claimBy(name, metadata.uid)
})

/** Claims the task from a Pod that exists already. */
export const claimBy = (name: string, podUid: string) => readAgain(claimAs(name, podUid))

/** Claims the task from a Pod that never existed. */
export const claimWithoutPod = (name: string) => claimBy(name, "nobody")

const claimAs = Effect.fnUntraced(function*(name: string, podUid: string) {
  const { metadata, spec, status } = yield* getTask(name)
  const at = new Date().toISOString()
  const next = claimed(status, { podUid: Uid.make(podUid), nonce: "nonce", epoch: 0, at }, {
    job: `agent-job-${name}`,
    configHash: "none",
    pod: `pod-of-${name}`,
    node: "node"
  }, metadata.generation)
  return yield* (yield* Kubernetes).updateStatus(tasks, { metadata, spec, status: next })
})

export const finish = (name: string, result: Partial<StageResult> = {}) => readAgain(finishOnce(name, result))
const finishOnce = Effect.fnUntraced(function*(name: string, result: Partial<StageResult>) {
  const { metadata, spec, status } = yield* getTask(name)
  const whole: StageResult = {
    outcome: "succeeded",
    reason: "Completed",
    message: "Done.",
    exitCode: 0,
    finishedAt: new Date().toISOString(),
    ...result
  }
  return yield* (yield* Kubernetes).updateStatus(tasks, { metadata, spec, status: finished(status, whole, metadata.generation, { spec }) })
})

export const found = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<boolean, never, R> =>
  Effect.map(Effect.option(effect), Option.isSome)
