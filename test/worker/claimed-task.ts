// An AgentTask in memory that a worker has claimed, and what that worker says in its status.
// Used by the tests of task status, state delivery and settlement.
import { Context, Effect, Layer } from "effect"
import { running } from "../../src/core/task/status.ts"
import { Uid } from "../../src/schema/names.ts"
import type { AgentTaskStatus, Claim } from "../../src/schema/task/agent-task.ts"
import { TaskStatus } from "../../src/worker/task/task-status.ts"
import { fakeKubernetes } from "./fake-kubernetes.ts"
import { podSettings } from "./pod-settings.ts"

export const claim: Claim = { podUid: Uid.make("pod-uid"), nonce: "nonce", epoch: 1, at: "2026-01-01T00:00:00Z" }
export const claimed: AgentTaskStatus = { ...running({ name: "demo-abcde", node: "node-1" }), startedAt: claim.at, claim }
const spec = { workspace: "demo", stage: "apply", source: { inline: {} } }

export const claimedTask = Effect.fnUntraced(function*(before: AgentTaskStatus = claimed) {
  const kubernetes = fakeKubernetes(spec, before)
  const context = yield* Layer.build(
    TaskStatus.layer(claim).pipe(Layer.provide(Layer.merge(kubernetes.layer, podSettings("/none", "/none"))))
  )
  return { kubernetes, status: () => kubernetes.task().status, taskStatus: Context.get(context, TaskStatus) }
})
