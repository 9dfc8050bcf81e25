// The responses to a task that may not start yet: it is queued, with what or whom it waits for.
// Invariant: the status of a task that is queued has a reason, a place in the queue and one sentence.
// Used by core/reconcile/plan; controller/world/turns asks whether there is something else to say of a turn.
import type { WaitReason } from "../../schema/task/reason.ts"
import { type OtherHolder, waitsForLeft, waitsForPerson, waitsForStranger } from "../scheduling/workspace-lease.ts"
import { askAgainMillis, type Refusal, type Seen, type Turn, type Waiting, waitReasonOf, type WhyNot } from "../task/observed.ts"
import { later, lookAgainMillis, type Respond, type RespondTo, type Response, unchanged, underWay } from "./response.ts"

/** Why a task waits, behind which task, if behind one, and whether a person is needed. */
interface Why {
  readonly reason: WaitReason
  readonly blockedBy?: string
  readonly stalled?: boolean
}

/** Returns what a task says of what keeps its turn: one far behind in its workspace does not name the task that goes first. */
const toldOf = (why: WhyNot): Why => why.reason === "WorkspaceBusy" && !why.isNear ? { reason: why.reason } : why

const waitFor = (s: Seen, { blockedBy, reason, stalled = false }: Why, message: string, position = 1): Response => {
  const response = underWay(s, { phase: "Queued", reason, message, stalled })
  return { ...response, status: { ...response.status, queue: { position, reason, ...(blockedBy !== undefined && { blockedBy }) } } }
}

/** Returns the place in the queue in words. Behind the first, only a position that was rounded up is known. */
const place = (position: number): string => position === 1 ? "Number 1 in the queue" : `Among the first ${position} in the queue`

/** Returns the flags with which a command finds this installation; none where it takes this one without. `flag`: what names the namespace. */
const flagsFor = ({ policy: { installation: { name, namespace } } }: Seen, flag: string): string =>
  name === "agent-job" && namespace === "agent-job" ? "" : ` --name ${name} --${flag} ${namespace}`

const waitsFor = (s: Seen, { position, why }: Waiting): string => {
  const { policy: { limits }, task: { spec: { workspace } } } = s
  switch (why.reason) {
    case "IsolationUnproven":
      return `Nothing starts before the isolation of tasks is proven for the present values; run: agent-job doctor${
        flagsFor(s, "namespace")
      }`
    case "Draining":
      return `Nothing new starts while the cluster is draining; to end that: agent-job drain --undo${flagsFor(s, "controller-namespace")}`
    case "WorkspaceBusy":
      return why.isNear
        ? `Waiting for ${why.blockedBy}, which goes before it in workspace ${workspace}.`
        : `${place(position)}: other tasks go before it in workspace ${workspace}.`
    case "ConcurrencyLimit": {
      const reached = why.limit === "perWorkspace"
        ? `as many tasks of workspace ${workspace} are running as task.limits.perWorkspace allows (${limits.perWorkspace})`
        : `as many tasks are running as task.limits.total allows (${limits.total})`
      return `${place(position)}: ${reached}; wait, or raise it.`
    }
  }
}

export const queue: RespondTo<Waiting> = (s, turn) => waitFor(s, toldOf(turn.why), waitsFor(s, turn), turn.position)

/**
 * Reports whether a task says of two turns that the same keeps it, but for which limit is reached: that alone is not worth a write for
 * each of thousands.
 */
export const isKeptByTheSame = (a: Turn, b: Turn): boolean => {
  if (a._tag === "Admitted" || b._tag === "Admitted") return a._tag === b._tag
  const [before, after] = [toldOf(a.why), toldOf(b.why)]
  return before.reason === after.reason && before.blockedBy === after.blockedBy
}

/** Reports whether a task says the same of two turns, its place in the queue included. */
export const saysTheSame = (a: Turn, b: Turn): boolean =>
  isKeptByTheSame(a, b) && (a._tag === "Admitted" || b._tag === "Admitted" || a.position === b.position)

export const queueBehindHolder: RespondTo<OtherHolder> = (s, holder) => {
  const { workspace } = s.task.spec
  const reason = "WorkspaceBusy"
  const told = holder._tag === "Taken"
    ? waitFor(s, { reason, blockedBy: holder.by }, `Waiting for ${holder.by}, which holds workspace ${workspace}.`)
    : waitFor(s, { reason }, holder._tag === "Left" ? waitsForLeft(holder, workspace) : waitsForStranger(holder, workspace))
  return later(told, askAgainMillis)
}

/** No event of the Lease tells when this is over, but the deletion of that task does; the look from time to time is for a missed one. */
export const queueForPerson: RespondTo<{ readonly by: string }> = (s, { by }) =>
  later(waitFor(s, { reason: "StateRescuePending", blockedBy: by, stalled: true }, waitsForPerson(by, s.task)), askAgainMillis)

export const queueRefused: RespondTo<Refusal> = (s, refusal) =>
  later(waitFor(s, { reason: waitReasonOf(refusal) }, refusal.message), refusal.againInMillis)

/** Looks again at once, because the task's turn came too late for this pass to ask for its workspace or its source. */
export const lookAgain: Respond = (s) => later(unchanged(s), 0)

export const waitForSource: RespondTo<{ readonly message: string }> = (s, { message }) =>
  later(waitFor(s, { reason: "SourceNotReady" }, message), lookAgainMillis)
