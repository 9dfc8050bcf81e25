// What the end of a stage means: for the state, which may be in doubt; for the plan, which may be made again; for its run.
// Invariant: one transaction ends a stage, moves its run on, opens the rescue if the state is in doubt, and ends the token and the lock.
// Used by assignments (an agent's word), the task API (a journal that comes late) and the TFE routes (an end by force).
import { Clock, Context, Effect, Layer, Option } from "effect"
import { SqlClient } from "effect/sql"
import { planAgainAfterMillis } from "../../core/run/retries.ts"
import { runEnd } from "../../core/run/run-end.ts"
import { inWords, isFinal, RunEvent, wishes } from "../../core/run/run-machine.ts"
import { doubtOf, type HoldOnState, rescueAdvice, type StageEnd } from "../../core/run/state-doubt.ts"
import { leftOverMessage } from "../../core/state/left-over-message.ts"
import { needRescue } from "../../core/state/left-over.ts"
import { sentence } from "../../core/text/sentence.ts"
import type { JournalEntry } from "../../schema/api/effects.ts"
import { mutates } from "../../schema/task/agent-task.ts"
import type { ToldResult } from "../../schema/task/stage-result.ts"
import { conflict, Refused, type StoreFailure } from "../refused.ts"
import { Commits } from "../store/commits.ts"
import { instantAfter, now } from "../store/instants.ts"
import { Rescues } from "../workspace/rescues.ts"
import { StateLocks } from "../workspace/state-locks.ts"
import { Journals } from "./journals.ts"
import { LeftOvers } from "./left-overs.ts"
import { type Run, Runs } from "./runs.ts"
import { type StageRow, Stages, stepOf } from "./stages.ts"

export class StageEnds extends Context.Service<StageEnds, {
  /**
   * Ends a stage, in the transaction that has made sure that the stage has no result, or only one without the word of its task: stores the
   * result, opens a rescue where the state is in doubt, ends the stage's token and the lock it may hold, and moves its run on.
   */
  readonly conclude: (stage: StageRow, result: ToldResult) => Effect.Effect<void, StoreFailure>
  /**
   * Reports whether this result, with which the task of a stage comes after the stage has ended without it, leaves the state in doubt, as
   * where it ran before a restore. Nobody has been told of a doubt of such a stage.
   */
  readonly tellsOfDoubt: (stage: StageRow, result: ToldResult) => Effect.Effect<boolean, StoreFailure>
  /**
   * Ends, at a person's word, a run whose cancel was asked and never carried out, as when its AgentTask is gone: its stage ends as lost,
   * and what it may have changed is in doubt.
   * A worker that lives all the same stores nothing from then on: its states become evidence. Succeeds for a run that is over after its
   * cancel was asked. Fails with 409 `wrong-moment` if nobody has asked for a cancel, and with 404.
   */
  readonly forceCancel: (runId: string, by: string) => Effect.Effect<void, StoreFailure>
  /**
   * Stores what the worker heard of its engine, and returns the last stored number. If the stage is over by now, new entries may put the
   * state in doubt, even if an earlier doubt was settled. While the stage's rescue is open, which shows what is missing whenever somebody
   * looks, the state is read only for a last word: the state may be large, and the entries many. Otherwise it is also read for creations,
   * which may open a rescue, but at most once in `secondsBetweenLooks`; sooner fails with 503. Fails with 409 `journal-gap` if the entries
   * do not follow the stored ones, and with 422 if they do not follow each other.
   */
  readonly journal: (stageId: string, entries: ReadonlyArray<JournalEntry>) => Effect.Effect<number, StoreFailure>
}>()("agent-job/server/StageEnds") {
  static readonly layer = Layer.effect(StageEnds, Effect.suspend(() => make))
}

const secondsBetweenLooks = 5

/**
 * Spaces the looks at the state for the journals of stages that are over. Otherwise a worker that sends creations which the state has would
 * have it read with each of them.
 */
const makeLooks = () => {
  /** When the state was last read: seconds of the monotonic clock by stage, of the last few seconds only. */
  const looks = new Map<string, number>()
  /** Returns the time at which the state may be read for this stage; fails with 503 if it was read a moment ago. */
  const inTurn = Effect.fnUntraced(function*(id: string) {
    const at = Number(yield* Clock.monotonicTimeNanos) / 1e9
    for (const [stageId, looked] of looks) if (at - looked >= secondsBetweenLooks) looks.delete(stageId)
    if (looks.has(id)) {
      return yield* new Refused({
        status: 503,
        error: "busy",
        retryAfterSeconds: secondsBetweenLooks,
        message:
          `The state was held against the journal of ${id}, which is over, less than ${secondsBetweenLooks} s ago, so none of these entries was stored; send them again in ${secondsBetweenLooks} s.`
      })
    }
    return at
  })
  return { inTurn, looked: (id: string, at: number) => void looks.set(id, at) }
}

const make = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const commits = yield* Commits
  const journals = yield* Journals
  const leftOvers = yield* LeftOvers
  const locks = yield* StateLocks
  const looks = makeLooks()
  const rescues = yield* Rescues
  const runs = yield* Runs
  const stages = yield* Stages

  const standingOf = Effect.fnUntraced(function*({ id, runId }: StageRow, result: ToldResult) {
    return { ...(yield* locks.standing(id)), confirmedElsewhere: yield* leftOvers.isConfirmedElsewhere({ result, runId }) }
  })

  /** Opens a rescue when the end leaves the state in doubt; returns what the run's failure says of it, or "". */
  const openRescueIfInDoubt = Effect.fnUntraced(
    function*(
      ended: StageRow,
      { id, workspace, workspaceId }: Run,
      result: ToldResult,
      standing: HoldOnState & Pick<StageEnd, "confirmedElsewhere">
    ) {
      const { id: stageId, stage } = ended
      const unsaved = yield* leftOvers.store(ended, workspaceId, result)
      const because = doubtOf({ stage, result, unsavedEffects: unsaved !== undefined && needRescue(unsaved), ...standing })
      if (because === undefined) return ""
      const message = `The ${stage} of ${id} ended with ${result.reason}: ${because}`
      yield* rescues.open({
        workspaceId,
        stageId,
        reason: result.reason,
        message: unsaved === undefined ? message : `${message} (${leftOverMessage(unsaved).replace(/\.$/u, "")})`
      })
      return ` The state is in doubt; ${rescueAdvice(workspace)}`
    }
  )

  const append = Effect.fnUntraced(function*(id: string, entries: ReadonlyArray<JournalEntry>) {
    const { hasCreation, hasLastWord, number } = yield* journals.append(id, entries)
    const stage = yield* stages.get(id) // the stage may have ended while the entries were on the way
    if (stage.stage === "plan" || stage.result === null) return { number }
    const waits = (yield* rescues.ofStage(id))?.settledAt === null
    if (!hasLastWord && (waits || !hasCreation)) return { number } // the next plan finds what was changed or destroyed
    const lookedAt = hasLastWord ? undefined : yield* looks.inTurn(id)
    yield* openRescueIfInDoubt(stage, yield* runs.get(stage.runId), stage.result, yield* standingOf(stage, stage.result))
    return { number, lookedAt }
  })

  const journal = Effect.fn("StageEnds.journal")(function*(id: string, entries: ReadonlyArray<JournalEntry>) {
    const { lookedAt, number } = yield* sql.withTransaction(append(id, entries))
    if (lookedAt !== undefined) looks.looked(id, lookedAt) // only now: the worker sends entries that were not stored again at once
    return number
  })

  /** Makes the run pending again and creates its next attempt, unless somebody has asked to cancel the run. */
  const planAgain = Effect.fnUntraced(function*(stage: StageRow, { message, reason }: ToldResult, afterMillis: number) {
    const run = yield* runs.step(stage.runId, RunEvent.Disrupted())
    if (run.status !== "pending") return
    yield* runs.forgetPlan(run)
    yield* stages.createAgain(stage, {
      notBefore: yield* instantAfter(afterMillis),
      waitReason: reason,
      waitMessage: `${sentence(message)} It is planned again ${afterMillis / 1000} seconds later, as attempt ${stage.attempt + 1}.`
    })
  })

  /**
   * Settles the rescue of an import that succeeded, unless something is left that only a person can look for, or a refused state of the
   * stage may have more.
   */
  const settleImported = Effect.fnUntraced(function*({ id, workspaceId }: Run, rescueId: string) {
    const rescue = (yield* rescues.pending(workspaceId)).find((one) => one.id === rescueId)
    if (rescue === undefined) return
    const state = yield* leftOvers.stateNow(workspaceId)
    const left = (yield* leftOvers.of(state, [rescue])).get(rescue.stageId)
    const { refusedState } = yield* locks.standing(rescue.stageId)
    if (refusedState || (left !== undefined && needRescue(left))) return
    yield* leftOvers.storeSettled(state, [rescue])
    yield* rescues.settle(rescueId, id, "what was missing is imported")
  })

  const conclude = Effect.fnUntraced(function*(stage: StageRow, result: ToldResult, byForce = false) {
    const at = yield* now
    /** An agent that has no task of the stage ends it; the one that has it may be of another cluster, from before a restore. */
    const isUnheard = mutates(stage.stage) && stage.taskUid === null && stage.startedAt === null
    yield* sql`UPDATE stages SET ${
      sql.update({
        result: JSON.stringify(result),
        forced: byForce || isUnheard,
        endedAt: stage.endedAt ?? at,
        ...(stage.endedAt === null && { acknowledgedAt: stage.acknowledgedAt ?? at })
      })
    } WHERE id = ${stage.id}`
    const run = yield* runs.get(stage.runId)
    const standing = yield* standingOf(stage, result)
    // A stage that has no lock made nothing, seen or unseen, or ended in order, unless this database is a copy from before its lock.
    const madeNothing = mutates(stage.stage) && standing.lock === "none" && !standing.confirmedElsewhere && result.statePushed !== false
    if (madeNothing && !isUnheard) yield* journals.forgetPlanned(run.id)
    const doubted = madeNothing && isUnheard ? "" : yield* openRescueIfInDoubt(stage, run, result, standing)
    yield* locks.release(stage.id)
    yield* commits.news(`logs ${run.id}`)
    const again = planAgainAfterMillis(stage.stage, result, stage.attempt - 1)
    if (Option.isSome(again)) return yield* planAgain(stage, result, again.value)
    const toImport = run.rescueId === null || stage.stage !== "plan" ? 0 : (yield* runs.whole(run.id)).options.targets?.length ?? 0
    const { event, ...facts } = runEnd(stepOf(stage.stage), { ...run, toImport }, result, doubted)
    yield* runs.step(stage.runId, event, facts)
    if (stage.stage === "apply" && result.outcome === "succeeded" && run.rescueId !== null) yield* settleImported(run, run.rescueId)
  })

  const tellsOfDoubt = Effect.fnUntraced(function*(ended: StageRow, result: ToldResult) {
    if (!(yield* stages.isUnheard(ended.id))) return false
    return doubtOf({ stage: ended.stage, result, unsavedEffects: false, ...(yield* standingOf(ended, result)) }) !== undefined
  })

  const forceCancel = Effect.fn("StageEnds.forceCancel")(function*(runId: string, by: string) {
    const run = yield* runs.get(runId)
    if (run.cancelAsked && isFinal(run.status)) return
    const next = isFinal(run.status) ? "there is nothing to end." : `nobody has asked it to stop; ask first: agent-job cancel ${run.id}`
    if (!wishes(run).forceCancel) return yield* conflict("wrong-moment", `The run ${run.id} is ${inWords(run.status)}, and ${next}`)
    const stage = (yield* stages.ofRun(run.id)).find(({ endedAt }) => endedAt === null)
    if (stage === undefined) return yield* Effect.die(new Error(`the run ${run.id} is ${run.status} without a stage`))
    const message = `${by} ended it by force, since its cancel was not carried out; nobody knows whether it ran to its end.`
    yield* conclude(stage, { outcome: "failed", reason: "Lost", message, finishedAt: yield* now }, true)
  }, sql.withTransaction)

  return StageEnds.of({ conclude, tellsOfDoubt, forceCancel, journal })
})
