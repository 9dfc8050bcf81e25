// How long tasks wait and run, as histograms, from what the passes of one lead see of each task, one after the other.
// Invariant: a wait and a run are counted once, whoever wrote them. What begins or ends between two leads is not counted.
// Used by controller/reconcile/reconcile.
import { Effect, Metric } from "effect"
import { isOver } from "../../core/task/status.ts"
import { metrics } from "../../schema/api/metrics.ts"
import type { AgentTask } from "../../schema/task/agent-task.ts"

/** In seconds. A Pod starts within the first of them, and a stage may take up to a week. */
const boundaries = [5, 10, 30, 60, 120, 300, 600, 1800, 3600, 10_800, 43_200, 172_800, 604_800]

const waited = Metric.histogram("agent_job_task_wait_seconds", { ...metrics.agent_job_task_wait_seconds, boundaries })
const ran = Metric.histogram("agent_job_task_run_seconds", { ...metrics.agent_job_task_run_seconds, boundaries })

/** Returns the seconds between the two, which clocks that differ may have turned round. */
const secondsBetween = (from: string, to: string): number => {
  const seconds = (Date.parse(to) - Date.parse(from)) / 1000
  return seconds > 0 ? seconds : 0
}

interface Unfinished {
  readonly uid: string
  readonly isStarted: boolean
}

export interface TaskTimes {
  /** Counts what has become of the task since the last pass over it. */
  readonly saw: (key: string, task: AgentTask) => Effect.Effect<void>
  readonly forget: (key: string) => void
}

export const makeTaskTimes = (): TaskTimes => {
  const unfinished = new Map<string, Unfinished>()
  return {
    saw: (key, { metadata: { creationTimestamp, uid }, spec: { stage }, status: { finishedAt, phase, startedAt } }) =>
      Effect.suspend(() => {
        const before = unfinished.get(key)
        const endedAt = isOver(phase) ? finishedAt : undefined
        if (isOver(phase)) unfinished.delete(key)
        else unfinished.set(key, { uid, isStarted: startedAt !== undefined })
        if (before?.uid !== uid || startedAt === undefined) return Effect.void
        return Effect.andThen(
          before.isStarted
            ? Effect.void
            : Metric.update(Metric.withAttributes(waited, { stage }), secondsBetween(creationTimestamp, startedAt)),
          endedAt === undefined
            ? Effect.void
            : Metric.update(Metric.withAttributes(ran, { stage, ends: String(phase) }), secondsBetween(startedAt, endedAt))
        )
      }),
    forget: (key) => void unfinished.delete(key)
  }
}
