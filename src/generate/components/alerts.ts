// The alerts, as rules of Prometheus, from the metrics that the controller and the server really have.
// Invariant: each alert says in one sentence what is wrong and in another what to do, of one installation: a namespace of a cluster.
// Used by generate/components/monitoring.
import { rows } from "../../core/reconcile/plan.ts"
import type { Stage } from "../../schema/task/agent-task.ts"

export interface Alert {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: { readonly severity: "critical" | "warning" }
  readonly annotations: { readonly summary: string; readonly description: string }
}

const decisions = "agent_job_reconcile_total"

/**
 * Returns the counter of decisions on tasks in this situation, of these stages if any are named. Throws if there is no such situation, so
 * that a renamed row is noticed.
 */
const found = (situation: string, ...stages: ReadonlyArray<Stage>): string => {
  if (!rows.some((_) => _.situation === situation)) throw new Error(`no such situation: ${situation}`)
  return `${decisions}{situation="${situation}"${stages.length === 0 ? "" : `,stage=~"${stages.join("|")}"`}}`
}

/**
 * Returns an expression for the counters that rose within the window, including new ones: these begin with 1, which `increase` does not
 * see.
 */
const rose = (counter: string, window: string): string =>
  `sum by (cluster, namespace) (increase(${counter}[${window}]) > 0 or (${counter} unless ${counter} offset ${window})) > 0`

/** Returns an expression for the installations whose metric was there within the last day and is not any more. */
const vanished = (metric: string): string =>
  `count by (cluster, namespace) (last_over_time(${metric}[1d])) unless count by (cluster, namespace) (${metric})`

const alert = (
  severity: "critical" | "warning",
  name: string,
  expr: string,
  summary: string,
  description: string,
  lasting?: string
): Alert => ({
  alert: name,
  expr,
  ...(lasting !== undefined && { for: lasting }),
  labels: { severity },
  annotations: { summary, description }
})

const controller: ReadonlyArray<Alert> = [
  alert(
    "critical",
    "AgentJobNoController",
    `absent(agent_job_leader) or max by (cluster, namespace) (agent_job_leader) == 0 or (${vanished("agent_job_leader")})`,
    "No controller of agent-job leads.",
    "Nothing starts and no end is noticed; stages that run go on. See the Pods and the Lease agent-job-controller in its namespace.",
    "5m"
  ),
  alert(
    "critical",
    "AgentJobTwoLeaders",
    "sum by (cluster, namespace) (agent_job_leader) > 1",
    "More than one controller of agent-job believes that it leads.",
    "Claims keep each stage from running twice. Delete the Pod of the controller that does not hold the Lease agent-job-controller.",
    "2m"
  ),
  alert(
    "warning",
    "AgentJobValuesInvalid",
    "min by (cluster, namespace) (agent_job_config_valid) == 0",
    "The values in the ConfigMap agent-job-config cannot be used.",
    "The controller goes on with those that it had; its log says what is wrong, with file, line and column. A restart would not succeed.",
    "5m"
  ),
  alert(
    "warning",
    "AgentJobQueueGrows",
    "max by (cluster, namespace) (agent_job_queue_depth) > 100",
    "The controller of agent-job is behind with {{ $value }} tasks.",
    "See its CPU limit and how fast the API server answers it.",
    "10m"
  ),
  alert(
    "critical",
    "AgentJobWatchSilent",
    "time() - min by (cluster, namespace, kind) (agent_job_watch_heard_timestamp_seconds) > 660",
    "A controller of agent-job has heard nothing of {{ $labels.kind }} for eleven minutes.",
    "It does not see what becomes of them, and its Pod is not ready. Its log says why; if the API server answers others, delete that Pod."
  ),
  alert(
    "critical",
    "AgentJobPoolSilent",
    "time() - max by (cluster, namespace) (agent_job_pool_answered_timestamp_seconds and on (cluster, namespace, instance) agent_job_leader == 1) > 300",
    "The pool has not given the controller of agent-job work, or the answer that there is none, for five minutes.",
    "No run is taken, and perhaps none is cancelled. The log of the controller says why: its URL, its token, the server, the way there.",
    "1m"
  )
]

const tasks: ReadonlyArray<Alert> = [
  alert(
    "critical",
    "AgentJobStageLost",
    rose(found("claimed, and the worker is over without a result", "apply", "destroy"), "15m"),
    "An apply or destroy ended without a result, perhaps in the middle.",
    "`kubectl get atasks -A` shows it with its reason, `kubectl describe atask` its message; look at its state before you run the workspace again."
  ),
  alert(
    "warning",
    "AgentJobPlanLost",
    rose(found("claimed, and the worker is over without a result", "plan"), "15m"),
    "A plan ended without a result, and changed nothing.",
    "`kubectl get atasks -A` shows it with its reason: an eviction or a lost node, after which a run plans again, or too little memory."
  ),
  alert(
    "warning",
    "AgentJobNodeSilent",
    rose(found("claimed, and its node does not answer"), "10m"),
    "The node of a running stage does not answer.",
    "The stage may still be running, so it keeps its workspace until the node answers or is removed; repair the node, or delete its Node object if the machine is off.",
    "10m"
  ),
  alert(
    "warning",
    "AgentJobTasksDoNotStart",
    rose(`${decisions}{ends="Failed",situation!~"claimed, .*"}`, "15m"),
    "Tasks fail before they start.",
    "`kubectl get atasks -A` shows them; the message of each has what its Pod, the kubelet or the API server said last: an image, a quota, a policy."
  ),
  alert(
    "warning",
    "AgentJobJobsRefused",
    rose(found("the API server refused its Job for now"), "10m"),
    "The API server refuses Jobs, and their tasks are waiting.",
    "The message of the task has its answer: most often a quota or a webhook that does not answer.",
    "10m"
  )
]

const server: ReadonlyArray<Alert> = [
  alert(
    "critical",
    "AgentJobNoServer",
    vanished("agent_job_server_agents"),
    "The server of agent-job does not answer Prometheus, and was there within the last day.",
    "No run begins, and what runs cannot save its state there, for which its worker waits an hour. See the Pod of the server, its claim and its log.",
    "5m"
  ),
  alert(
    "critical",
    "AgentJobNobodyTakesWork",
    `max by (cluster, namespace) (agent_job_server_agents) == 0 and max by (cluster, namespace) (agent_job_server_runs{status=~"pending|confirmed"}) > 0 unless on (cluster, namespace) max by (cluster, namespace) (agent_job_draining) == 1`,
    "Runs are waiting, and no controller asks the server of agent-job for work.",
    "See the log of the controller: its URL, its token, the way to the server.",
    "5m"
  ),
  alert(
    "warning",
    "AgentJobRunsWait",
    `max by (cluster, namespace) (agent_job_server_runs{status="pending"}) > 0 and max by (cluster, namespace) (sum without (status) (agent_job_server_runs{status=~"planning|confirmed|applying"})) == 0`,
    "Runs are waiting while nothing is running: {{ $value }}.",
    "`agent-job get RUN` says what each is waiting for: a run that waits for approval holds its workspace.",
    "15m"
  ),
  alert(
    "warning",
    "AgentJobStateInDoubt",
    "max by (cluster, namespace) (agent_job_server_states_in_doubt) > 0",
    "States are in doubt, and nothing runs in their workspaces: {{ $value }}.",
    "`agent-job get workspaces` names the workspaces and `agent-job state rescue NAME` what to do. Until then the server removes no old runs and states of these workspaces.",
    "15m"
  ),
  alert(
    "critical",
    "AgentJobDiskFillsUp",
    "min by (cluster, namespace) (agent_job_server_disk_free_bytes) < 268435456",
    "The server of agent-job has less than 256 MiB left for archives, logs and states.",
    "With a full disk no state can be saved. Enlarge its claim, or keep less with --keep-days (docs/state.md).",
    "5m"
  )
]

export const groups: ReadonlyArray<{ readonly name: string; readonly rules: ReadonlyArray<Alert> }> = [
  { name: "agent-job-controller", rules: controller },
  { name: "agent-job-tasks", rules: tasks },
  { name: "agent-job-server", rules: server }
]
