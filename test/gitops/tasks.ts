// AgentTasks in each phase as the controller and the worker leave them, written without either by the same functions of src/core.
// Used by the *.gitops.test.ts files and argo.long.test.ts beside it.
import { Effect } from "effect"
import { advance, claimed, finished } from "../../src/core/task/status.ts"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { agentTasks, decoding, jobs } from "../../src/kubernetes/kinds.ts"
import { Uid, WorkspaceName } from "../../src/schema/names.ts"
import { AgentTask, type AgentTaskStatus, type Phase, type Stage } from "../../src/schema/task/agent-task.ts"
import type { StageResult } from "../../src/schema/task/stage-result.ts"

const tasks = decoding(agentTasks, AgentTask)
export const taskNamespace = "agent-job-tasks"

const now = "2026-01-31T12:00:00Z"
const launch = { job: "job-1", pod: "pod-1", node: "node-1", configHash: "0" }

type Step = (status: AgentTaskStatus) => AgentTaskStatus

const waits = (phase: Phase, reason: "Accepted" | "WorkspaceBusy" | "JobCreated"): Step => (status) =>
  advance(status, { phase, reason, message: "It waits.", generation: 1, now })
const claim: Step = (status) => claimed(status, { podUid: Uid.make("pod-uid"), nonce: "nonce", epoch: 0, at: now }, launch, 1)
const lose: Step = (status) =>
  advance(status, { phase: "Running", reason: "NodeUnreachable", message: "Its node does not answer.", generation: 1, now, stalled: true })
const finish = (result: Omit<StageResult, "message" | "finishedAt">): Step => (status) =>
  finished(status, { ...result, message: "Done.", finishedAt: "2026-01-31T12:01:00Z" }, 1)
export const succeed = finish({ outcome: "succeeded", reason: "Completed", exitCode: 0 })

const running = [waits("Starting", "JobCreated"), claim]

/** The writes that bring a task into each of its phases. `none`: before a controller has seen the task. */
export const statuses = {
  none: [],
  Pending: [waits("Pending", "Accepted")],
  Queued: [waits("Queued", "WorkspaceBusy")],
  Starting: [waits("Starting", "JobCreated")],
  Running: running,
  unreachable: [...running, lose],
  Succeeded: [...running, succeed],
  Failed: [...running, finish({ outcome: "failed", reason: "ExitCode", exitCode: 1 })],
  Cancelled: [...running, finish({ outcome: "cancelled", reason: "Cancelled" })]
} satisfies Readonly<Record<string, ReadonlyArray<Step>>>

export const createTask = Effect.fnUntraced(function*(name: string, stage: Stage = "plan") {
  const spec = { workspace: WorkspaceName.make(name), stage, source: { inline: { "main.tf": "" } } }
  return yield* (yield* Kubernetes).create(tasks, { metadata: { name, namespace: taskNamespace }, spec })
})

export const task = Effect.fnUntraced(function*(name: string) {
  return yield* (yield* Kubernetes).get(tasks, { name, namespace: taskNamespace })
})

/** Makes the writes that a task's controller and worker would make, one request for each step. */
export const bring = Effect.fnUntraced(function*(name: string, ...steps: ReadonlyArray<Step>) {
  const kubernetes = yield* Kubernetes
  for (const step of steps) {
    const { metadata, spec, status } = yield* task(name)
    yield* kubernetes.updateStatus(tasks, { metadata, spec, status: step(status) })
  }
})

/** Makes a task look as if a worker ran it, in a Job that the task owns: such a task must not be interrupted. */
export const run = Effect.fnUntraced(function*(name: string) {
  const { metadata: { uid } } = yield* task(name)
  yield* bring(name, ...statuses.Running)
  yield* (yield* Kubernetes).create(jobs, {
    metadata: {
      name: `agent-job-${name}`,
      namespace: taskNamespace,
      ownerReferences: [{ apiVersion: "scalr.io/v1", kind: "AgentTask", name, uid, controller: true }]
    },
    spec: { template: { spec: { restartPolicy: "Never", containers: [{ name: "worker", image: "none" }] } } }
  })
})

/** Ends a task with success, as its worker would. */
export const end = (name: string) => bring(name, succeed)
