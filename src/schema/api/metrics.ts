// Every metric of the controller and the server, with the sentence that `# HELP` of /metrics and docs/metrics.md have.
// Invariant: each label has a closed set of values, and none is of a user, so that the number of series has a limit.
// Used by the modules where a metric changes, and by generate/metrics.
import { agentTaskResource } from "../names.ts"
import { type Phase, Stage } from "../task/agent-task.ts"
import { holdReasons } from "../task/reason.ts"
import { heardSeconds } from "./pool-api.ts"
import { RunStatus } from "./run.ts"

interface Metric {
  readonly type: "counter" | "gauge" | "histogram"
  /** What each label may be: these words, or what the sentence says. */
  readonly labels?: Readonly<Record<string, ReadonlyArray<string> | string>>
  readonly description: string
}

const stage = Stage.literals
const ends = ["Succeeded", "Failed", "Cancelled"] satisfies ReadonlyArray<Phase>
const situation = "a row of [decisions.md](decisions.md), or `its turn` where none fits and the task starts"

export const metrics = {
  agent_job_build_info: {
    type: "gauge",
    labels: { version: "that of the program" },
    description: "1 for the version of the program."
  },
  agent_job_leader: { type: "gauge", description: "1 while this replica leads." },
  agent_job_config_valid: {
    type: "gauge",
    description: "1 while the values files can be used; 0 while the controller goes on with those that it had before."
  },
  agent_job_watch_heard_timestamp_seconds: {
    type: "gauge",
    labels: { kind: [agentTaskResource.plural, "jobs", "pods"] },
    description: "When the API server last said something of a kind of objects, or else when this process began to watch it, in Unix time."
  },
  agent_job_pool_answered_timestamp_seconds: {
    type: "gauge",
    description:
      "When the pool last answered the leader that asked for work, or for cancellations alone while drained or full, or else its lead began, in Unix time."
  },
  agent_job_queue_depth: { type: "gauge", description: "Tasks that wait to be looked at." },
  agent_job_reconcile_total: {
    type: "counter",
    labels: { situation, stage, ends },
    description:
      "Decisions on a task, by its stage, the situation it was found in and, where the decision ended it, the phase that it ended in."
  },
  agent_job_reconcile_failed_total: {
    type: "counter",
    description: "Passes over a task that failed. Each is made again later; a conflict with another writer is no failure."
  },
  agent_job_draining: { type: "gauge", description: "1 while this replica leads a cluster that is drained." },
  agent_job_isolation_proven: {
    type: "gauge",
    description: "1 while this replica leads and the isolation of tasks is proven for its values, as agent-job doctor proves it."
  },
  agent_job_tasks_held_back: {
    type: "gauge",
    labels: { reason: holdReasons },
    description:
      "Tasks that wait while this replica leads and starts nothing new, by the reason: the cluster is drained (tasks of no pool alone), or without a proof that it isolates tasks."
  },
  agent_job_tasks_in_doubt: {
    type: "gauge",
    description: "Workspaces that wait for a person after an apply of no pool, while this replica leads, whose log names those applies."
  },
  agent_job_task_wait_seconds: {
    type: "histogram",
    labels: { stage },
    description:
      "How long tasks waited from their creation until the worker in their Pod took them, by their stage; without those that no worker took."
  },
  agent_job_task_run_seconds: {
    type: "histogram",
    labels: { stage, ends },
    description: "How long tasks ran from when their worker took them to their end, by their stage and the phase that they ended in."
  },
  agent_job_task_ended_timestamp_seconds: {
    type: "gauge",
    labels: { situation, stage, ends },
    description: "When a decision last ended a task, by the labels that the count of such decisions has, in Unix time."
  },
  agent_job_server_runs: { type: "gauge", labels: { status: RunStatus.literals }, description: "Runs by status." },
  agent_job_server_oldest_run_at_work_seconds: {
    type: "gauge",
    description: "How long ago the worker began that has been at work on a run for the longest; 0 if none is."
  },
  agent_job_server_stages: {
    type: "gauge",
    labels: { progress: ["waiting", "taken", "started", "silent"] },
    description:
      `Stages that are not over: waiting for an agent (of the plans of a workspace that hold nothing, ten at most), taken by one, started by their worker, or taken or started and silent, since the agent that has them was not heard in the last ${heardSeconds} seconds.`
  },
  agent_job_server_stages_unasked: {
    type: "gauge",
    description: `Stages that wait, while no agent that may take them was heard in the last ${heardSeconds} seconds.`
  },
  agent_job_server_stages_drained: { type: "gauge", description: "Stages that wait for agents that are drained, or with one." },
  agent_job_server_idle_pool_seconds: {
    type: "gauge",
    description:
      "For how long runs have waited for a pool of which none is known to be at work: of the pool of which that is longest; 0 if there is none."
  },
  agent_job_server_agents: {
    type: "gauge",
    description: `Agents that asked for work in the last ${heardSeconds} seconds, or said that they have as much as they take.`
  },
  agent_job_server_states_in_doubt: {
    type: "gauge",
    description: "States that wait for a person, and their workspaces with them."
  },
  agent_job_server_resident_bytes: { type: "gauge", description: "Memory that the process takes, which a cluster knows of every Pod too." },
  agent_job_server_takes_files: {
    type: "gauge",
    description:
      "1 while the data directory takes a file of the size of a state, which a quota may keep it from though there seems to be room."
  },
  agent_job_server_disk_free_bytes: { type: "gauge", description: "Room that is left for the data directory, if it has a limit." },
  agent_job_server_disk_free_files: {
    type: "gauge",
    description: "How many files its file system still has room for, if that has a limit."
  },
  agent_job_server_certificate_not_before_timestamp_seconds: {
    type: "gauge",
    description: "From when the certificate is valid that the server shows, in Unix time."
  },
  agent_job_server_certificate_not_after_timestamp_seconds: {
    type: "gauge",
    description: "Until when the certificate is valid that the server shows, in Unix time."
  }
} as const satisfies Readonly<Record<`agent_job_${string}`, Metric>>

export type MetricName = keyof typeof metrics
