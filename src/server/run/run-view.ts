// A run as our own JSON shows it, with what the TFE shapes lack: why it waits, behind whom, and what each stage came to.
// Used by the run routes; the shape is schema/api/run.
import { Array, Clock, Effect } from "effect"
import type { SqlError } from "effect/sql"
import { isFinal } from "../../core/run/run-machine.ts"
import { rescueAdvice } from "../../core/run/state-doubt.ts"
import { sentence } from "../../core/text/sentence.ts"
import { heardSeconds } from "../../schema/api/pool-api.ts"
import type { RunView, StageStatus, StageView } from "../../schema/api/run.ts"
import { mutates } from "../../schema/task/agent-task.ts"
import { logUrl } from "../access/links.ts"
import { Tokens } from "../access/tokens.ts"
import { Blobs } from "../store/blobs.ts"
import { instantOf, now } from "../store/instants.ts"
import { Rescues } from "../workspace/rescues.ts"
import { Workspaces } from "../workspace/workspaces.ts"
import { Agents } from "./agents.ts"
import { Pools } from "./pools.ts"
import { lineOf, mostAhead, queues, RunQueue } from "./run-queue.ts"
import { type Run, Runs } from "./runs.ts"
import { goneWait, type StageRow, Stages, stepOf, stepStatus } from "./stages.ts"

const statusOf = (stage: StageRow): StageStatus => {
  const status = stepStatus(stage)
  if (status === "pending") return stage.offeredAt === null ? "waiting" : "offered"
  return status === "running" && stage.startedAt === null ? "offered" : status
}

const stageView = (stage: StageRow, url: string): StageView => {
  const reason = stage.result?.reason ?? stage.waitReason
  const message = stage.result?.message ?? stage.waitMessage
  return {
    id: stage.id,
    stage: stage.stage,
    attempt: stage.attempt,
    status: statusOf(stage),
    ...(stage.agent !== null && { agent: stage.agent }),
    ...(reason !== null && { reason }),
    ...(message !== null && { message }),
    ...(stage.startedAt !== null && { startedAt: stage.startedAt }),
    ...(stage.endedAt !== null && { finishedAt: stage.endedAt }),
    logUrl: url,
    ...(stage.result !== null && { result: stage.result }),
    ...(stage.effects !== null && { effects: stage.effects })
  }
}

/** What a stage waits for, or why it stands still. */
type Wait = Pick<NonNullable<RunView["queue"]>, "reason" | "message">

/** Returns what its agent said that the stage waits for. */
const waitOf = ({ waitMessage, waitReason }: StageRow): Wait | undefined =>
  waitMessage === null ? undefined : { ...(waitReason !== null && { reason: waitReason }), message: waitMessage }

const endIt = ({ cancelAsked, id }: Run): string =>
  `Only if its AgentTask is gone, as with its cluster, end the run with agent-job cancel ${id}${
    cancelAsked ? "" : ", and then with"
  } --force.`

/** How long an agent has to stop a stage that has not begun, before its run says how to end it without one. */
const stopMillis = 5 * 60_000

/** A run to be shown, with its stage that is not over while it waits or works, or whether it waits for others to have one. */
interface Shown {
  readonly run: Run
  readonly rows: ReadonlyArray<StageRow>
  readonly open: StageRow | undefined
  readonly isInLine: boolean
}

const shownOf = (run: Run, rows: ReadonlyArray<StageRow>): Shown => {
  const rests = isFinal(run.status) || run.status === "planned"
  const open = rests ? undefined : rows.findLast(({ endedAt }) => endedAt === null)
  return { run, rows, open, isInLine: !rests && open === undefined }
}

export const makeRunViews = Effect.gen(function*() {
  const agents = yield* Agents
  const { spareRoom } = yield* Blobs
  const pools = yield* Pools
  const queue = yield* RunQueue
  const rescues = yield* Rescues
  const runs = yield* Runs
  const stages = yield* Stages
  const tokens = yield* Tokens
  const workspaces = yield* Workspaces

  /** Returns whether an agent takes what the run has offered, or is to offer, now or once there is room, and what that waits for. */
  const offerOf = Effect.fnUntraced(function*(run: Run) {
    const noRoom = yield* Effect.match(spareRoom, { onFailure: ({ message }) => message, onSuccess: () => undefined })
    if (noRoom !== undefined) return { hasTaker: false, message: `It is not offered to anybody. ${noRoom}` }
    const workspace = yield* workspaces.get(run.workspaceId)
    const pool = pools.of(workspace)
    if (pool !== null && !pools.hasToken(pool)) {
      const whose = workspace.pool === null ? "which is the server's default" : `to which the workspace ${run.workspace} is bound`
      return {
        hasTaker: false,
        message:
          `No token has the name of the pool ${pool}, ${whose}, so no agent may take this; name a token so in the pool token file, or bind the workspace to a pool that \`agent-job get pools\` lists: agent-job pool bind ${run.workspace} POOL`
      }
    }
    const { asking, drained, full } = (yield* agents.present)(pool)
    const ofPool = pool === null ? "" : ` of the pool ${pool}`
    if (asking > 0) return { hasTaker: true, message: `It is offered to the agents${ofPool} and waits for one to take it.` }
    if (full > 0) {
      return {
        hasTaker: true,
        message: `The controllers${ofPool} have as many tasks waiting as they take, and take it once enough of those have started.`
      }
    }
    if (drained > 0) {
      return {
        hasTaker: false,
        message:
          `The controllers${ofPool} take nothing, since their clusters are drained; \`agent-job drain --undo\` in one of them ends that, with --name and --controller-namespace of its installation.`
      }
    }
    return {
      hasTaker: false,
      message: pool === null
        ? `No controller has asked for work in the last ${heardSeconds} seconds; check that one runs, is not drained, and has the right pool token.`
        : `No agent of the pool ${pool} has asked for work in the last ${heardSeconds} seconds; check that a controller with a token of that name runs and is not drained. \`agent-job get pools\` shows who asks.`
    }
  })

  /**
   * Returns what a stage waits for that nobody has taken. What an agent said of it is over when none takes it; why it is made again is not,
   * but says all only until its time has come.
   */
  const untakenOf = Effect.fnUntraced(function*(run: Run, open: StageRow) {
    const told = waitOf(open)
    const { hasTaker, message } = yield* offerOf(run)
    if (told === undefined || (!hasTaker && open.offeredAt !== null)) return { message }
    const isDue = open.offeredAt === null && (open.notBefore === null || open.notBefore <= (yield* now))
    return hasTaker && !isDue ? told : { ...told, message: `${told.message} ${message}` }
  })

  /** Returns since when nothing is heard of the agent that has a stage, and what to do about that. */
  const silenceOf = Effect.fnUntraced(function*(run: Run, stage: StageRow) {
    const since = yield* pools.silentSince(stage)
    if (since === undefined) return undefined
    if (stage.agentPool !== null && !pools.hasToken(stage.agentPool)) {
      return `has not been heard since ${since}, and no token has the name of its pool ${stage.agentPool} any more; check that its controller runs and has a pool token of this server. ${
        endIt(run)
      }`
    }
    const another = (yield* pools.isHeard(stage))
      ? "while another of its pool is there, which tells of the stage if it has taken its place"
      : "and no other of its pool is there"
    return `has not been heard since ${since}, ${another}; if this lasts, check that its controller runs and reaches the server. ${
      endIt(run)
    }`
  })

  /** Returns since when a stage is to be stopped whose agent is there and has no task of it, or has had the time to stop it. */
  const unstoppedSince = Effect.fnUntraced(function*(run: Run, { agent, cancelSeq, startedAt, waitMessage }: StageRow) {
    if (!run.cancelAsked || cancelSeq === null) return undefined
    const isLate = startedAt === null && cancelSeq <= (yield* Clock.currentTimeMillis) - stopMillis
    const isGone = agent !== null && waitMessage === goneWait(agent).waitMessage
    return isLate || isGone ? instantOf(cancelSeq) : undefined
  })

  /** Returns what the agent that has a stage told of it, and what it does not: that it is silent since then, or cannot stop the stage. */
  const toldOf = Effect.fnUntraced(function*(run: Run, open: StageRow): Effect.fn.Return<Wait | undefined, SqlError.SqlError> {
    const told = waitOf(open)
    const silence = yield* silenceOf(run, open)
    if (silence !== undefined) {
      if (told !== undefined) return { ...told, message: `${sentence(told.message)} But agent ${open.agent} ${silence}` }
      const has = open.startedAt === null
        ? `Agent ${open.agent} has the stage, but`
        : `The stage may still be running, but agent ${open.agent}`
      return { message: `${has} ${silence}` }
    }
    const unstopped = yield* unstoppedSince(run, open)
    if (unstopped !== undefined) {
      const asked = `Agent ${open.agent} has not stopped the stage, as it was asked to at ${unstopped}. ${endIt(run)}`
      return { ...told, message: told === undefined ? asked : `${asked} ${told.message}` }
    }
    if (told !== undefined || open.startedAt !== null) return told
    return { message: `Agent ${open.agent} has the stage and ${run.cancelAsked ? "has not stopped it yet" : "is about to start its Pod"}.` }
  })

  /** Returns what the stage of a run waits for that is not over. */
  const openOf = Effect.fnUntraced(function*(run: Run, open: StageRow) {
    if (open.startedAt !== null) return yield* toldOf(run, open)
    const waits = run.rescueId === null && (open.acknowledgedAt === null || mutates(open.stage))
    const [rescue] = waits ? yield* rescues.pending(run.workspaceId) : []
    if (rescue !== undefined) {
      return { reason: "StateRescuePending", message: `${rescue.message}; ${rescueAdvice(run.workspace)}` }
    }
    if (open.acknowledgedAt === null) return yield* untakenOf(run, open)
    return yield* toldOf(run, open)
  })

  /** Returns what a run waits for that others wait for: the reason, and the end of a sentence about it. */
  const causeOf = Effect.fnUntraced(function*(run: Run) {
    const open = (yield* stages.listedOf(run.id)).findLast(({ endedAt }) => endedAt === null)
    const why = open === undefined ? undefined : yield* openOf(run, open)
    return { because: why === undefined ? "." : `: ${why.message}`, ...(why?.reason !== undefined && { reason: why.reason }) }
  })

  /** Returns what the plans of the workspace that hold nothing wait for before they are offered. */
  const aheadOf = Effect.fnUntraced(function*({ workspaceId }: Run) {
    const oldest = yield* queue.oldestAhead(workspaceId)
    const ahead = oldest === undefined ? undefined : yield* runs.find(oldest)
    if (ahead === undefined) return { message: "It waits for its turn in the workspace." }
    const { because, reason } = yield* causeOf(ahead)
    return {
      ...(reason !== undefined && { reason }),
      blockedBy: ahead.id,
      message:
        `Plans of a workspace that hold nothing are offered ${mostAhead} at a time; this one is offered in its turn. The oldest that it waits for is that of ${ahead.id}${because}`
    }
  })

  /** Returns what the runs of the workspace wait for that are to hold it. */
  const holderOf = Effect.fnUntraced(function*({ workspaceId }: Run) {
    const { currentRunId } = yield* workspaces.get(workspaceId)
    const holder = currentRunId === null ? undefined : yield* runs.find(currentRunId)
    if (holder === undefined) return { message: "It waits for its turn in the workspace." }
    return {
      blockedBy: holder.id,
      message: holder.status === "planned"
        ? `The run ${holder.id} holds the workspace and waits for somebody to apply or discard it.`
        : `The run ${holder.id} holds the workspace and is ${holder.status}${(yield* causeOf(holder)).because}`
    }
  })

  /**
   * Returns where in its line, and behind what, each of the runs waits that has no stage yet. What waits in one line, which may be thousands,
   * waits for the same, so that is looked up once.
   */
  const behindOf = Effect.fnUntraced(function*(shown: ReadonlyArray<Shown>) {
    const inLine = shown.flatMap(({ isInLine, run }) => isInLine ? [run] : [])
    const before = yield* queue.before(inLine)
    const lines = yield* Effect.forEach(Object.values(Array.groupBy(inLine, lineOf)), (line) =>
      Effect.map(
        queues(line[0]) ? holderOf(line[0]) : aheadOf(line[0]),
        (block) => line.map((run) => [run.id, { position: 1 + before(run), ...block }] as const)
      ))
    return new Map<string, RunView["queue"]>(lines.flat())
  })

  /** Returns the view of a run. `base` is the server's URL as the client knows it. */
  const viewOf = Effect.fnUntraced(function*({ open, rows, run }: Shown, behind: RunView["queue"], base: string) {
    const wait = open === undefined ? undefined : yield* openOf(run, open)
    const queue = open === undefined ? behind : wait && { position: 1, ...wait }
    const failure = run.status === "errored" ? run.failure ?? rows.at(-1)?.result?.message : undefined
    const unsettled = isFinal(run.status) ? yield* rescues.pending(run.workspaceId) : []
    const view: RunView = {
      id: run.id,
      workspace: run.workspace,
      status: run.status,
      final: isFinal(run.status),
      cancelAsked: run.cancelAsked,
      ...(run.message !== "" && { message: run.message }),
      ...(failure !== undefined && { failure }),
      ...(unsettled.some(({ stageId }) => rows.some(({ id }) => id === stageId)) && { inDoubt: true as const }),
      planOnly: run.planOnly,
      autoApply: run.autoApply,
      destroy: run.destroy,
      ...(run.engine !== null && { engine: run.engine }),
      archiveSha256: run.archiveSha256,
      ...(run.planSha256 !== null && { planSha256: run.planSha256 }),
      ...(run.approval !== null && { approval: run.approval }),
      ...(run.startedBy !== null && { startedBy: run.startedBy }),
      ...(run.stoppedBy !== null && { stoppedBy: run.stoppedBy }),
      ...(run.hasChanges !== null && { hasChanges: run.hasChanges }),
      ...(run.changes !== null && { changes: run.changes }),
      ...(queue !== undefined && { queue }),
      stages: rows.map((stage) => stageView(stage, logUrl(tokens, base, run.id, stepOf(stage.stage)))),
      createdAt: run.createdAt,
      ...(run.removedAt !== null && { removedAt: run.removedAt }),
      timestamps: run.timestamps
    }
    return view
  })

  return {
    view: Effect.fn("RunViews.view")(function*(run: Run, base: string) {
      const shown = shownOf(run, yield* stages.ofRun(run.id))
      return yield* viewOf(shown, (yield* behindOf([shown])).get(run.id), base)
    }),
    /** Returns the views of runs as lists have them, without what their stages left behind. */
    listed: Effect.fn("RunViews.listed")(function*(found: ReadonlyArray<Run>, base: string) {
      const shown = yield* Effect.forEach(found, (run) => Effect.map(stages.listedOf(run.id), (rows) => shownOf(run, rows)))
      const behind = yield* behindOf(shown)
      return yield* Effect.forEach(shown, (one) => viewOf(one, behind.get(one.run.id), base))
    })
  }
})
