// The responses to a task that a worker has claimed: the worker runs it, and the controller says what keeps the worker, or how it ended.
// Always holds: nothing is made or deleted for it, and it succeeds only with the worker's own result.
// Used by core/reconcile/plan.
import { Option } from "effect"
import { mutates } from "../../schema/task/agent-task.ts"
import type { StageResult } from "../../schema/task/stage-result.ts"
import type { PodSeen } from "../task/observed.ts"
import { finished, running } from "../task/status.ts"
import { endOf } from "./pod-trouble.ts"
import { andThen, ended, later, noticesToPool, type Respond, type RespondTo, type Response, unchanged, underWay } from "./response.ts"
import { type Situation, unreadyPatienceMillis } from "./situation.ts"

export const finishWithLastWords: RespondTo<StageResult> = (s, result) => {
  const { metadata, status } = s.observed.task
  return { ...unchanged(s), status: finished(status, result, metadata.generation, false) }
}

export const finishLost: Respond = (s) => {
  const { reason, message } = endOf(s.observed.pod, s.observed.job)
  const next = mutates(s.observed.task.spec.stage) ? "Look at the state before the next run." : "Nothing was changed."
  return ended(s, "Failed", reason, andThen(message, next))
}

/** How soon a task on a silent node is looked at again. Each look is counted, and the alert AgentJobNodeSilent goes by that count. */
const stalledAgainMillis = 120_000

const stalled: RespondTo<string> = (s, message) =>
  later(underWay(s, { phase: "Running", reason: "NodeUnreachable", message, stalled: true }), stalledAgainMillis)

export const stall: RespondTo<PodSeen> = (s, { node }) =>
  stalled(
    s,
    `Node ${node} does not answer. The stage may still be running there, so the task keeps its place and its workspace until the node answers or is removed; repair the node, or delete its Node object if the machine is off.`
  )

export const doubt: RespondTo<PodSeen> = (s, { name, node }) =>
  stalled(
    s,
    `Pod ${name} has not been ready for two minutes, as when node ${node} died. The stage may still be running there, so the task keeps its place and its workspace; check the node and the Pod's containers, and delete the Node object only if the machine is off.`
  )

/** Looks again at a Pod that is not ready when that has lasted for long. */
const untilDoubt = (s: Situation, response: Response): Response =>
  Option.exists(s.observed.pod, ({ unready }) => unready) ? later(response, unreadyPatienceMillis - s.observed.unreadyMillis) : response

export const showStopping: Respond = (s) =>
  untilDoubt(
    s,
    underWay(s, {
      phase: "Running",
      reason: "Stopping",
      message: "A cancel was asked for; the engine is interrupted once and saves its state."
    })
  )

/**
 * Leaves the task to its worker. A pool that last heard of a silent node, or may have heard of one, from another lead or though no answer
 * came, is told that the worker runs, until it has heard that.
 */
export const leave: Respond = (s) => {
  const { reportedWait, task: { status: { pod } } } = s.observed
  const mayBeTakenForSilent = !Option.exists(reportedWait, ({ reason }) => reason !== "NodeUnreachable")
  return { ...unchanged(s), notices: mayBeTakenForSilent && pod !== undefined ? noticesToPool(s, running(pod)) : [] }
}

/** Says again what the claim said, after a time in which the node did not answer. */
export const showRunning: Respond = (s) => {
  const { pod, reason } = s.observed.task.status
  return untilDoubt(s, reason === "NodeUnreachable" && pod !== undefined ? underWay(s, running(pod)) : leave(s))
}
