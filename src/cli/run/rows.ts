// Runs, their stages, workspaces, pools, variables and AgentTasks as rows of tables.
// Pure: the time is an argument.
// Used by get and vars.
import { rescueAdvice } from "../../core/run/state-doubt.ts"
import { isOver } from "../../core/task/status.ts"
import type { AuditEntry } from "../../schema/api/audit.ts"
import type { PoolList, PoolView } from "../../schema/api/pools.ts"
import type { RunView, StageView } from "../../schema/api/run.ts"
import type { AgentTask } from "../../schema/task/agent-task.ts"
import type { WorkspaceRow, WorkspaceVariable } from "../server/server-answers.ts"
import { age, elapsed } from "../terminal/amounts.ts"
import { fit, table } from "../terminal/table.ts"
import { leftOver } from "./left-over.ts"
import { decisions, plannedNumbers, shortChanges, whyNotByItself } from "./summary.ts"

/** How many cells a variable's value may be wide. */
const widestValue = 60

/** Returns the reason of its last stage, or who stopped the run where that stage had ended well before. */
const endOf = ({ stages, status, stoppedBy }: RunView): string => {
  const last = stages.at(-1)
  const reason = last?.result?.reason ?? last?.reason
  if (reason !== undefined && (reason !== "Completed" || status === "applied")) return reason
  return stoppedBy === undefined ? "" : `by ${stoppedBy}`
}

/**
 * Returns why the run waits, or why it ended as it did, for one cell. If a state in doubt is the reason, or the run left one, this is the
 * command that settles it.
 */
const reasonOf = (run: RunView, widest: number): string => {
  const { failure, inDoubt, queue, status, workspace } = run
  if (status === "planned") return "waits for a decision"
  if (queue?.reason === "StateRescuePending" || inDoubt === true) return `agent-job state rescue ${workspace}`
  return fit(queue?.message ?? failure ?? endOf(run), widest)
}

/** Returns the runs. Their reasons are cut to `widest` cells, if they are to be cut. */
export const runTable = (runs: ReadonlyArray<RunView>, now: number, widest = Number.POSITIVE_INFINITY): ReadonlyArray<string> =>
  table(
    ["RUN", "WORKSPACE", "STATUS", "CHANGES", "AGE", "REASON"],
    runs.map((run) => [run.id, run.workspace, run.status, shortChanges(run.changes), age(run.createdAt, now), reasonOf(run, widest)])
  )

const lasted = ({ finishedAt, startedAt }: StageView, now: number): string =>
  startedAt === undefined ? "" : elapsed((finishedAt === undefined ? now : Date.parse(finishedAt)) - Date.parse(startedAt))

const waits = (run: RunView): ReadonlyArray<string> => {
  if (run.status === "planned") return [`Waits: ${whyNotByItself(run) ?? "for your decision:"}`, ...decisions(run)]
  return run.queue === undefined ? [] : [`Waits: ${run.queue.message}`]
}

/** What a stop came to, by the status of its run. */
const stopped: Readonly<Record<string, string>> = { discarded: "Discarded", canceled: "Cancelled" }

/** Returns one run: first its own lines, then its stages, then what they left behind. */
export const runDetails = (run: RunView, now: number): ReadonlyArray<string> => [
  `${run.id}   workspace ${run.workspace}   ${run.status}${run.cancelAsked && !run.final ? ", to be cancelled" : ""}   ${
    age(run.createdAt, now)
  } ago`,
  ...(run.changes === undefined ? [] : [`Changes: ${plannedNumbers(run.changes)}`]),
  ...(run.planSha256 === undefined ? [] : [`Seal: ${run.planSha256}`]),
  ...(run.approval === undefined ? [] : [`Approved: by ${run.approval.by}, ${age(run.approval.at, now)} ago`]),
  ...(run.stoppedBy === undefined ? [] : [`${stopped[run.status] ?? "Cancel asked"}: by ${run.stoppedBy}`]),
  ...(run.cancelAsked && !run.final
    ? [
      `Stops: once its state is safe. Only if its AgentTask is gone (see agent-job get tasks in the cluster of its controller), end it with: agent-job cancel ${run.id} --force`
    ]
    : []),
  ...waits(run),
  ...(run.failure === undefined ? [] : [`Failed: ${run.failure}`]),
  ...(run.inDoubt === true && run.failure?.includes(rescueAdvice(run.workspace)) !== true
    ? [`In doubt: what it left; ${rescueAdvice(run.workspace)}`]
    : []),
  ...(run.removedAt === undefined ? [] : [`Its archive and logs were removed ${age(run.removedAt, now)} ago, as it is old.`]),
  ...(run.stages.length === 0 ? [] : [
    "",
    ...table(
      ["STAGE", "STATUS", "CONTROLLER", "TOOK", "REASON"],
      run.stages.map((
        stage
      ) => [
        stage.attempt === 1 ? stage.stage : `${stage.stage} ${stage.attempt}`,
        stage.status,
        stage.agent ?? "",
        lasted(stage, now),
        stage.result?.reason ?? stage.reason ?? ""
      ])
    )
  ]),
  ...run.stages.flatMap(({ effects }) => effects === undefined ? [] : ["", ...leftOver(effects)])
]

/** Returns the audit trail: whose token was used when, and what was done with it. */
export const auditTable = (entries: ReadonlyArray<AuditEntry>): ReadonlyArray<string> =>
  table(
    ["SEQ", "AT", "WHO", "ACTION", "OBJECT", "REQUEST"],
    entries.map(({ action, at, kind, name, object, requestId, seq }) => [String(seq), at, `${kind} ${name}`, action, object, requestId])
  )

/** Returns the workspaces, each with the run that holds it and with the command that settles what is in doubt of its state. */
export const workspaceTable = (workspaces: ReadonlyArray<WorkspaceRow>, now: number): ReadonlyArray<string> =>
  table(
    ["WORKSPACE", "RUN", "AGE", "POOL", "IN DOUBT"],
    workspaces.map(({ createdAt, inDoubt, name, pool, run }) => [
      name,
      run ?? "",
      age(createdAt, now),
      pool ?? "",
      inDoubt === true ? `agent-job state rescue ${name}` : ""
    ])
  )

const noteOf = ({ isDefault, withoutToken }: PoolView): string =>
  [...(isDefault === true ? ["the default"] : []), ...(withoutToken === true ? ["no token has this name"] : [])].join("; ")

/** Returns the pools, each with the agents that asked for work lately and with what waits there; the last row is what any pool takes. */
export const poolTable = ({ anyPool, pools }: PoolList): ReadonlyArray<string> =>
  table(["POOL", "AGENTS", "WAITING", "WORKSPACES", "NOTE"], [
    ...pools.map((pool) => [pool.name, String(pool.agents), String(pool.waiting), String(pool.workspaces), noteOf(pool)]),
    ...(anyPool === undefined ? [] : [["(any)", "", String(anyPool.waiting), String(anyPool.workspaces), "bound to no pool"]])
  ])

/** Returns a value for one cell. A value with control characters, such as line breaks, is written as JSON, so that it takes one line. */
const valueCell = ({ value }: WorkspaceVariable): string =>
  value === null ? "(sensitive)" : fit(/^[^\p{Cc}]*$/u.test(value) ? value : JSON.stringify(value), widestValue)

/** What the TFE API's words for the kinds of variables mean. */
const kinds: Readonly<Record<string, string>> = { terraform: "input", env: "environment" }

export const variableTable = (variables: ReadonlyArray<WorkspaceVariable>): ReadonlyArray<string> =>
  table(
    ["NAME", "KIND", "VALUE"],
    variables.map((variable) => [variable.key, kinds[variable.category] ?? variable.category, valueCell(variable)])
  )

/** Returns AgentTasks with the columns that kubectl shows. */
export const taskTable = (tasks: ReadonlyArray<AgentTask>, now: number): ReadonlyArray<string> =>
  table(
    ["NAME", "WORKSPACE", "STAGE", "PHASE", "CHANGES", "REASON", "AGE"],
    tasks.map(({ metadata, spec, status }) => [
      metadata.name,
      spec.workspace,
      spec.stage,
      status.phase ?? "",
      status.changes ?? "",
      status.reason ?? "",
      age(metadata.creationTimestamp, now)
    ])
  )

/** Returns one AgentTask as `taskTable` does, and what it says of itself: what it waits for, what it does now, or how it ended. */
export const taskDetails = (task: AgentTask, now: number): ReadonlyArray<string> => {
  const { claim, message, phase } = task.status
  const label = isOver(phase) ? "Ended" : claim === undefined ? "Waits" : "Now"
  return [...taskTable([task], now), ...(message === undefined ? [] : ["", `${label}: ${message}`])]
}
