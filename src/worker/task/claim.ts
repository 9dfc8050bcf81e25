// Claims the task for this process: one update of its status against the resourceVersion that was read, with a nonce made for this process.
// Invariant: nothing of the stage begins before the claim has succeeded, and a restarted container of the same Pod cannot claim again.
// Used by worker/stage/worker.ts, before anything of the stage.
import { Data, Effect, Option, Runtime } from "effect"
import { claimLostExitCode } from "../../core/task/places.ts"
import { claimed, isOfNewerVersion, isOver } from "../../core/task/status.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import { currentInstant } from "../../kubernetes/clock.ts"
import type { KubernetesError } from "../../kubernetes/errors.ts"
import { Uid } from "../../schema/names.ts"
import type { AgentTask, Claim } from "../../schema/task/agent-task.ts"
import { askAgain } from "../network/patience.ts"
import { Settings } from "../settings.ts"
import { Stop } from "./stop.ts"
import { taskKind, writeTaskStatus } from "./task-kind.ts"

/** Another process has the task, no process may claim it any more, or this Pod is being stopped. Exit code 75, which the Job ignores. */
export class ClaimLost extends Data.TaggedError("ClaimLost")<{ readonly task: string; readonly why: string }> {
  override readonly [Runtime.errorExitCode] = claimLostExitCode
  override get message() {
    return `AgentTask ${this.task} ${this.why}; this Pod runs nothing.`
  }
}

/** The process that wants the task. */
interface Claimant {
  readonly podUid: string
  readonly nonce: string
}

type Standing = Data.TaggedEnum<{
  /** No process has claimed the task, and this one may. */
  Free: {}
  /** This process has the task: an earlier write of it succeeded, but the answer was lost. */
  Mine: { readonly claim: Claim }
  Lost: { readonly why: string }
}>
const Standing = Data.taggedEnum<Standing>()

/** Returns whether the claimant may claim the task, has it already, or has lost it and why. */
const standing = ({ metadata, spec, status }: AgentTask, { nonce, podUid }: Claimant): Standing => {
  const { claim } = status
  if (claim?.podUid === podUid && claim.nonce === nonce) return Standing.Mine({ claim })
  if (claim?.podUid === podUid) return Standing.Lost({ why: "was taken by an earlier start of this container" })
  if (claim !== undefined) return Standing.Lost({ why: `is taken by the Pod with UID ${claim.podUid}` })
  if (isOver(status.phase)) return Standing.Lost({ why: `is over (${status.phase})` })
  if (isOfNewerVersion(status.phase)) return Standing.Lost({ why: `is in the phase ${status.phase} of a newer version` })
  if (spec.cancel === true) return Standing.Lost({ why: "is cancelled" })
  if (metadata.deletionTimestamp !== undefined) return Standing.Lost({ why: "is being deleted" })
  return Standing.Free()
}

/**
 * Reports whether the task is worth another look after this answer: the write may have come late or before the controller's own; or a
 * policy or webhook denies it, perhaps only while that is being rolled out.
 */
const mayChange = ({ _tag }: ClaimLost | KubernetesError): boolean =>
  _tag === "Conflict" || _tag === "Invalid" || _tag === "Unauthorized" || _tag === "Forbidden" || _tag === "Rejected"

/** Reports whether the API server gave no answer, so that the write may have succeeded. */
const isSilent = ({ _tag }: ClaimLost | KubernetesError): boolean => _tag === "Unreachable" || _tag === "TooManyRequests"

/** Claims the task; returns the claim, and the task as it is with the claim. */
export const claimTask = Effect.fn("Claim.take")(
  function*(): Effect.fn.Return<
    { readonly task: AgentTask; readonly claim: Claim },
    ClaimLost | KubernetesError,
    Kubernetes | Settings | Stop
  > {
    const kubernetes = yield* Kubernetes
    const stop = yield* Stop
    const { epoch, job, namespace, pod, task: name, taskUid } = yield* Settings
    const claimant: Claimant = { podUid: pod.uid, nonce: crypto.randomUUID() }
    const lost = (why: string) => new ClaimLost({ task: name, why })

    const unlessStopped = Effect.flatMap(
      stop.now,
      Option.match({ onNone: () => Effect.void, onSome: () => lost("has to wait for another Pod, because this one is leaving its node") })
    )
    /** Whether a write was sent: from then on this process may have the task, so it looks at the task before it gives up. */
    let hasWritten = false

    const attempt = Effect.gen(function*() {
      if (!hasWritten) yield* unlessStopped
      const task = yield* kubernetes.get(taskKind, { namespace, name }).pipe(
        Effect.catchTag("NotFound", () => Effect.fail(lost("does not exist any more")))
      )
      if (taskUid !== task.metadata.uid) return yield* lost("is not the one this Pod was made for")
      const stands = standing(task, claimant)
      if (stands._tag === "Lost") return yield* lost(stands.why)
      if (stands._tag === "Mine") return { task, claim: stands.claim }
      yield* unlessStopped
      hasWritten = true
      const claim: Claim = { podUid: Uid.make(pod.uid), nonce: claimant.nonce, epoch, at: yield* currentInstant }
      const { metadata, status } = task
      const taken = yield* writeTaskStatus(
        taskKind,
        task,
        claimed(status, claim, { job: job.name, configHash: job.configHash, pod: pod.name, node: pod.node }, metadata.generation)
      )
      return { task: taken, claim }
    })
    const denied = askAgain(attempt, {
      while: mayChange,
      first: "50 millis",
      spaced: "2 seconds",
      limit: "1 minute"
    })
    // An upgrade of the control plane may take longer. A late claim does no harm, because a task that is over by then refuses it.
    return yield* askAgain(denied, { while: isSilent, first: "50 millis", spaced: "2 seconds", limit: "3 minutes" })
  }
)
