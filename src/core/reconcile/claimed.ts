// The responses to a task that a worker has claimed: the worker runs it, and the controller says what keeps the worker, or how it ended.
// Invariant: nothing is made for it, its Job is deleted only once its worker has ended, and it succeeds only with the worker's own result.
// Used by core/reconcile/plan.
import { Option } from "effect"
import { mutates } from "../../schema/task/agent-task.ts"
import { doubts, isFailure } from "../../schema/task/reason.ts"
import type { StageResult } from "../../schema/task/stage-result.ts"
import type { PodSeen, Seen } from "../task/observed.ts"
import { finished, running } from "../task/status.ts"
import { type End, endOf } from "./pod-end.ts"
import {
  andThen,
  deleteJob,
  ended,
  later,
  noticesOfDeletion,
  noticesToPool,
  type Respond,
  type RespondTo,
  type Response,
  step,
  unchanged,
  underWay
} from "./response.ts"
import { jobGoesOn, unreadyPatienceMillis } from "./situation.ts"
import { startTrouble } from "./start-trouble.ts"

export const finishWithLastWords: RespondTo<StageResult> = (s, result) => {
  const { metadata, spec, status } = s.task
  return { ...unchanged(s), status: finished(status, result, metadata.generation, { spec }) }
}

/** Returns the end that the status says of a stage under way: its Job is deleted for it, and Pods that were deleted say less. */
const writtenEnd = ({ task: { status: { message = "", reason } } }: Seen): Option.Option<End> =>
  Option.map(Option.liftPredicate(reason, isFailure), (reason) => ({ reason, message }))

export const finishLost: Respond = (s) => {
  const { reason, message } = Option.getOrElse(writtenEnd(s), () => endOf(s.pod, s.job))
  const next = mutates(s.task.spec.stage) ? "Look at the state before the next run." : "Nothing was changed."
  return ended(s, "Failed", reason, andThen(message, next))
}

/**
 * How soon a task is looked at again that may not run any more, or whose state is not saved. Each look is counted, and the alerts
 * AgentJobNodeSilent and AgentJobStateUnsaved go by that count.
 */
const troubleAgainMillis = 120_000

const unsavedThere = " The newest state may not be saved: then nothing but the disk of that node has it, so keep that."
/** Reports whether the worker said last that the newest state is not saved; `stall`, which takes the place of that, says it on. */
const isUnsaved = ({ task: { status: { message = "", reason } } }: Seen): boolean =>
  reason === "StateUnsaved" || message.endsWith(unsavedThere)

export const stall: RespondTo<PodSeen> = (s, { node }) =>
  later(
    underWay(s, {
      phase: "Running",
      reason: "NodeUnreachable",
      message:
        `Node ${node} does not answer. The stage may still be running there, so the task keeps its place and its workspace until the node answers or is removed; repair the node, or delete its Node object if the machine is off.${
          isUnsaved(s) ? unsavedThere : ""
        }`,
      stalled: true
    }),
    troubleAgainMillis
  )

/**
 * Says first what the Pod itself says, as of an image that the runner lacks. Does not call the task stalled: where a kubelet's probe never
 * reaches a worker, as behind some meshes, its stage goes on all the same.
 */
export const doubt: RespondTo<PodSeen> = (s, pod) => {
  const { name, node } = pod
  const words =
    `Pod ${name} has not been ready for two minutes: node ${node} died, or a container is started again, or the kubelet's probe does not reach the worker. The stage may still be running there, so the task keeps its place and its workspace; check the node and the Pod, and delete the Node object only if the machine is off.`
  const message = Option.match(startTrouble(pod), { onNone: () => words, onSome: (told) => andThen(told.message, words) })
  return later(underWay(s, { phase: "Running", reason: "PodNotReady", message }), troubleAgainMillis)
}

/**
 * Ends a Pod whose worker is over and that another container keeps from its end. The pool hears it as a doubt, since the stage is not over
 * for it before its engine is.
 */
export const endPod: RespondTo<PodSeen> = (s, pod) => {
  const written = writtenEnd(s)
  const { message, reason } = Option.getOrElse(written, () => {
    const end = endOf(Option.some(pod), s.job)
    return {
      ...end,
      message: andThen(
        end.message,
        `Its Pod is kept by container ${
          pod.keptBy.join(" and container ")
        }, so its Job is to be deleted; if the Pod stays, see whether the Job has metadata.finalizers, and look at node ${pod.node}.`
      )
    }
  })
  const { actions } = Option.match(Option.filter(s.job, () => Option.isSome(written) && jobGoesOn(s)), {
    onNone: () => unchanged(s),
    onSome: (job) => deleteJob(s, job)
  })
  const status = step(s, { phase: "Running", reason, message })
  return later({
    ...unchanged(s, actions),
    status,
    notices: [...noticesToPool(s, { reason: "PodNotReady", message }), ...noticesOfDeletion(s)]
  }, troubleAgainMillis)
}

/** Looks again at a Pod that is not ready when that has lasted for long. */
const untilDoubt = (s: Seen, response: Response): Response =>
  Option.exists(s.pod, ({ unready }) => unready) ? later(response, unreadyPatienceMillis - s.unreadyMillis) : response

/** Reports whether the Pod's account was one of the tasks', and is none by these values: then its worker may not read its task any more. */
const isCutOff = ({ policy: { accounts } }: Seen, { account }: PodSeen): boolean => account !== "" && !accounts.includes(account)

export const showStopping: Respond = (s) => {
  const message = Option.match(Option.filter(s.pod, (pod) => isCutOff(s, pod)), {
    onNone: () => "A cancel was asked for; the engine is interrupted once and saves its state.",
    onSome: ({ account, name }) =>
      `A cancel was asked for, but the worker may not hear of it: its account ${account} is no account of tasks any more. Let the values name it again (task.identities, or the account of all tasks), or delete Pod ${name}, which interrupts the engine once too.`
  })
  return untilDoubt(s, underWay(s, { phase: "Running", reason: "Stopping", message }))
}

/**
 * Leaves the task to its worker. The pool is told that the worker runs, until it has heard that: it may have heard last that the Pod starts
 * or a doubt, and a worker that does not reach it says only in the status what it waits for.
 */
const leave: Respond = (s) => {
  const { message, pod, reason } = s.task.status
  if (pod === undefined) return unchanged(s)
  const runs = running(pod)
  return { ...unchanged(s), notices: noticesToPool(s, reason === "Claimed" ? { ...runs, message: message ?? runs.message } : runs) }
}

export const leaveUnsaved: Respond = (s) => later(leave(s), troubleAgainMillis)

/** Says again what the claim said, after a time in which it was doubted. */
export const showRunning: Respond = (s) => {
  const { pod, reason } = s.task.status
  return untilDoubt(s, reason !== undefined && doubts.includes(reason) && pod !== undefined ? underWay(s, running(pod)) : leave(s))
}
