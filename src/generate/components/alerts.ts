// The alerts, as rules of Prometheus, from the metrics that the controller and the server really have.
// Invariant: each alert says in one sentence what is wrong and in another what to do, of one installation: a namespace of a cluster.
// Used by generate/components/monitoring and generate/metrics.
import { rows } from "../../core/reconcile/plan.ts"
import type { Stage } from "../../schema/task/agent-task.ts"

export interface Alert {
  readonly alert: string
  readonly expr: string
  readonly for?: string
  readonly labels: { readonly severity: "critical" | "warning" }
  readonly annotations: { readonly summary: string; readonly description: string }
}

/** Returns the situation as a label. Throws if there is none of that name, so that a renamed row is noticed. */
const found = (situation: string): string => {
  if (!rows.some((_) => _.situation === situation)) throw new Error(`no such situation: ${situation}`)
  return `situation="${situation}"`
}

/**
 * Returns an expression for the tasks that failed within the last 15 minutes. It goes by the time of the end and not by a count, of which
 * a Prometheus that has just begun to look cannot tell when it rose.
 */
const failed = (labels: string): string =>
  `max by (cluster, namespace) (last_over_time(agent_job_task_ended_timestamp_seconds{ends="Failed",${labels}}[15m])) > time() - 900`
const lost = (...stages: ReadonlyArray<Stage>): string =>
  failed(`${found("claimed, and the worker is over without a result")},stage=~"${stages.join("|")}"`)

/**
 * Returns an expression for a situation that lasts, from the counts of the looks at it: the window is little longer than the time between
 * two. The first count is 1, which `increase` does not see.
 */
const lasts = (situation: string, window: string): string => {
  const looks = `agent_job_reconcile_total{${found(situation)}}`
  return `sum by (cluster, namespace) (increase(${looks}[${window}]) > 0 or (${looks} unless ${looks} offset ${window})) > 0`
}

/** Returns an expression for the installations whose metric was there within the last day and is not any more. */
const vanished = (metric: string): string =>
  `count by (cluster, namespace) (last_over_time(${metric}[1d])) unless count by (cluster, namespace) (${metric})`

interface Row {
  readonly name: string
  readonly severity: "critical" | "warning"
  readonly expr: string
  /** How long the expression holds before the alert fires; absent: at once. */
  readonly lasting?: string
  readonly summary: string
  readonly description: string
}

const alert = ({ description, expr, lasting, name, severity, summary }: Row): Alert => ({
  alert: name,
  expr,
  ...(lasting !== undefined && { for: lasting }),
  labels: { severity },
  annotations: { summary, description }
})

const controller: ReadonlyArray<Row> = [
  {
    name: "AgentJobNoController",
    severity: "critical",
    expr: `absent(agent_job_leader or agent_job_server_agents) or max by (cluster, namespace) (agent_job_leader) == 0 or (${
      vanished("agent_job_leader")
    })`,
    lasting: "5m",
    summary: "No controller of agent-job leads.",
    description:
      "Nothing starts and no end is noticed; stages that run go on. See in its namespace the Pods of its Deployment, and the Lease of the same name."
  },
  {
    name: "AgentJobTwoLeaders",
    severity: "critical",
    expr: "sum by (cluster, namespace) (agent_job_leader) > 1",
    lasting: "2m",
    summary: "More than one controller of agent-job believes that it leads.",
    description:
      "Claims keep each stage from running twice. Delete the Pod of the controller that does not hold the Lease of the same name as its Deployment."
  },
  {
    name: "AgentJobValuesInvalid",
    severity: "warning",
    expr: "min by (cluster, namespace) (agent_job_config_valid) == 0",
    lasting: "5m",
    summary: "The values of agent-job, in the ConfigMap of its controller, cannot be used.",
    description:
      "The controller goes on with those that it had; its log says what is wrong, with file, line and column. A restart would not succeed."
  },
  {
    name: "AgentJobQueueGrows",
    severity: "warning",
    expr: "max by (cluster, namespace) (agent_job_queue_depth) > 100",
    lasting: "10m",
    summary: "The controller of agent-job is behind with {{ $value }} tasks.",
    description: "See its CPU limit and how fast the API server answers it."
  },
  {
    name: "AgentJobPassesFail",
    severity: "warning",
    expr: "sum by (cluster, namespace) (increase(agent_job_reconcile_failed_total[5m])) > 2", // one task is tried about five times in that time
    lasting: "15m",
    summary: "The controller of agent-job fails again and again at what it has to do for some tasks.",
    description:
      "It goes on trying, and these tasks stay as they are. `work failed` in its log names them and says why, as do their events where the API server refuses something for good: a right that is missing (see `agent-job doctor`, with --name and --namespace of the installation), an answer of the API server, or a pool that takes no result."
  },
  {
    name: "AgentJobWatchSilent",
    severity: "critical",
    expr: "time() - min by (cluster, namespace, kind) (agent_job_watch_heard_timestamp_seconds) > 660",
    summary: "A controller of agent-job has heard nothing of {{ $labels.kind }} for eleven minutes.",
    description:
      "It does not see what becomes of them, and its Pod is not ready. Its log says why; if the API server answers others, delete that Pod."
  },
  {
    name: "AgentJobPoolSilent",
    severity: "critical",
    expr:
      "time() - max by (cluster, namespace) (agent_job_pool_answered_timestamp_seconds and on (cluster, namespace, instance) agent_job_leader == 1) > 300",
    lasting: "1m",
    summary: "The pool has not told the controller of agent-job for five minutes what is to be done, or that nothing is.",
    description:
      "No run is taken, and perhaps none is cancelled. The log of the controller says why: its URL, its token, the server, the way there."
  }
]

const tasks: ReadonlyArray<Row> = [
  {
    name: "AgentJobStageLost",
    severity: "critical",
    expr: lost("apply", "destroy"),
    summary: "An apply or destroy ended without a result, perhaps in the middle.",
    description:
      "`kubectl get atasks -A` shows it with its reason, `kubectl describe atask` its message; look at its state before you run the workspace again."
  },
  {
    name: "AgentJobPlanLost",
    severity: "warning",
    expr: lost("plan"),
    summary: "A plan ended without a result, and changed nothing.",
    description:
      "`kubectl get atasks -A` shows it with its reason: an eviction or a lost node, after which a run plans again, or too little memory."
  },
  {
    name: "AgentJobStateUnsaved",
    severity: "critical",
    expr: lasts("claimed, and its newest state is not saved", "5m"),
    lasting: "10m",
    summary:
      "A stage could not save its state, or what belongs to it, for ten minutes; the only copy of the newest state may be in the Pod of its worker.",
    description:
      "The worker waits for three days, and with its end this alert is over, whether the state is saved or in doubt then. `kubectl get atasks -A -o wide` names the task, with the reason StateUnsaved, and its Pod; the log of that says why, and whether a person has to save the state, and by which command (docs/state.md). Delete neither the Pod nor its node meanwhile."
  },
  {
    name: "AgentJobNodeSilent",
    severity: "warning",
    expr: [
      "claimed, and its node does not answer",
      "claimed, and its worker is over, but another container keeps its Pod",
      "claimed, and its Pod has not been ready for two minutes"
    ].map((situation) => lasts(situation, "5m")).join(" or "),
    lasting: "10m",
    summary: "The node of a running stage does not answer, or its Pod is not ready.",
    description:
      "The stage may still be running, so it keeps its workspace until the node answers or is removed; `kubectl get atasks -A -o wide` names the node. Repair it, or what keeps its kubelet's probe from the worker, or delete its Node object if the machine is off; where the task's message says that the newest state may not be saved, keep the disk of that node, which may have the only copy."
  },
  {
    name: "AgentJobTasksDoNotStart",
    severity: "warning",
    expr: failed(`situation!~"claimed, .*"`),
    summary: "Tasks fail before they start.",
    description:
      "`kubectl get atasks -A` shows them; the message of each has what its Pod, the kubelet or the API server said last: an image, a quota, a policy."
  },
  {
    name: "AgentJobJobsRefused",
    severity: "warning",
    expr: lasts("the API server refused its Job for now", "3m"),
    lasting: "10m",
    summary: "The API server refuses Jobs, and their tasks are waiting.",
    description:
      "`kubectl get atasks -A -o wide` shows them with its answer: most often a quota, a webhook that does not answer, or the Job of a former task of that name, which is still there."
  },
  {
    name: "AgentJobQuotaFull",
    severity: "warning",
    expr: lasts("its Job has waited for a quota or a webhook for a minute", "5m"),
    lasting: "10m",
    summary: "For ten minutes a quota has had no room for the Pods of tasks, or a webhook for these has not answered.",
    description:
      "`kubectl get atasks -A -o wide` shows them with the reason QuotaExceeded and the quota's words: raise the quota, or lower task.limits to what it has room for. With the reason Refused their message names the webhook: see why that does not answer."
  },
  {
    name: "AgentJobWorkspaceHeld",
    severity: "warning",
    expr: ["another task holds the workspace", "the last apply of its workspace left the state in doubt"].map((situation) =>
      lasts(situation, "3m")
    ).join(" or "),
    lasting: "30m",
    summary: "Tasks have waited for half an hour for a workspace that a former task, or one that does not run here, still holds.",
    description:
      "`kubectl get atasks -A -o wide` says which: most often a Pod that is left on a node which does not answer. Repair the node, or delete its Node object if the machine is off. With the reason StateRescuePending, a person has to look at what the last apply left, and delete its AgentTask (docs/state.md)."
  },
  {
    name: "AgentJobIsolationUnproven",
    severity: "warning",
    expr: `max by (cluster, namespace) (agent_job_tasks_held_back{reason="IsolationUnproven"}) > 0`,
    lasting: "15m",
    summary: "Tasks have waited for 15 minutes for a proof that their cluster isolates them.",
    description:
      "`agent-job doctor` in that cluster, with --name and --namespace of the installation, proves it, or says what is missing: a policy, or a network that enforces it. Each change of the values that a proof is for needs a new one."
  },
  {
    name: "AgentJobResultUnreported",
    severity: "warning",
    expr: lasts("over for a minute, and the pool still does not know", "3m"),
    lasting: "15m",
    summary:
      "A task of a pool has been over for 15 minutes, and its server does not know: for the server its run goes on, and keeps its workspace.",
    description:
      "`kubectl describe atask`, or the log of the controller, says why. If the values have another `agent.url` than when the task was made, or none, set that one again; if the server does not answer, or refuses the report, see its log and the token of the controller. Only if nobody asks for the run any more, delete the task, remove its finalizer scalr.io/report, and end the run with `agent-job cancel RUN`, and then with `--force` (docs/state.md)."
  }
]

const validFrom = "agent_job_server_certificate_not_before_timestamp_seconds"
const validUntil = "agent_job_server_certificate_not_after_timestamp_seconds"

const server: ReadonlyArray<Row> = [
  {
    name: "AgentJobNoServer",
    severity: "critical",
    expr: vanished("agent_job_server_agents"),
    lasting: "5m",
    summary: "The server of agent-job does not answer Prometheus, and was there within the last day.",
    description:
      "No run begins, and what runs cannot save its state there, for which its worker waits three days. See the Pod of the server, its claim and its log."
  },
  {
    name: "AgentJobNobodyTakesWork",
    severity: "critical",
    expr: "max by (cluster, namespace) (agent_job_server_stages_unasked) > 0",
    lasting: "5m",
    summary: "Runs are waiting, and no controller that may take them asks the server of agent-job for work.",
    description: "See the log of the controller: its URL, its token, the way to the server. `agent-job get pools` shows whose stages wait."
  },
  {
    name: "AgentJobRunsWait",
    severity: "warning",
    expr: "max by (cluster, namespace) (agent_job_server_idle_pool_seconds) >= 900",
    summary: "Runs have waited for 15 minutes for a pool of which none is known to be at work.",
    description:
      "`agent-job get runs` lists the runs, `agent-job get RUN` says what one is waiting for, and `agent-job get pools` whose stages nobody has taken: the cluster that took a stage may be drained, full, or without a proof that it isolates tasks; and a run that waits for approval holds its workspace."
  },
  {
    name: "AgentJobStagesSilent",
    severity: "warning",
    expr: `max by (cluster, namespace) (agent_job_server_stages{progress="silent"}) > 0`,
    lasting: "10m",
    summary: "Stages were taken or have begun, and the controller that has them has not been heard for ten minutes.",
    description:
      "They may still be running, or begin, and hold their workspaces. `agent-job get runs` lists the runs, and `agent-job get RUN` names the controller of one and says since when it is silent: see its log. If its cluster is gone, end the runs with `agent-job cancel RUN`, and then with `--force` (docs/state.md)."
  },
  {
    name: "AgentJobDrainForgotten",
    severity: "warning",
    expr: `max by (cluster, namespace) (agent_job_server_stages_drained or agent_job_tasks_held_back{reason="Draining"}) > 0`,
    lasting: "3h",
    summary: "Work has been waiting for three hours for a cluster that is drained.",
    description:
      "`agent-job get runs` lists the runs, and `agent-job get RUN` says which controllers one is waiting for; AgentTasks of no pool wait in their own cluster. `agent-job drain --undo` there, with --name and --controller-namespace of the installation, starts it; if the cluster is to stay drained, cancel its runs and bind the workspaces to another pool."
  },
  {
    name: "AgentJobStateInDoubt",
    severity: "warning",
    expr:
      "sum by (cluster, namespace) (max by (cluster, namespace, __name__) (agent_job_server_states_in_doubt or agent_job_tasks_in_doubt)) > 0",
    lasting: "15m",
    summary: "States are in doubt, and their workspaces wait for a person: {{ $value }}.",
    description:
      "Of a server: `agent-job get workspaces` names the workspaces and `agent-job state rescue NAME` what to do; until then it removes no old states of these. Of tasks without a pool: the log of the controller that leads names the applies; look for what each made, bring its state up to date, and delete it (docs/state.md)."
  },
  {
    name: "AgentJobDiskFillsUp",
    severity: "critical",
    expr:
      "min by (cluster, namespace) (agent_job_server_disk_free_bytes) < 268435456 or min by (cluster, namespace) (agent_job_server_disk_free_files) < 2000 or min by (cluster, namespace) (agent_job_server_takes_files) == 0",
    lasting: "5m",
    summary:
      "The server of agent-job has less than 256 MiB or room for fewer than 2,000 files left for archives, logs and states, or its disk takes none any more.",
    description:
      "With less than 128 MiB, or room for fewer than 1,000 files, the server begins nothing, and with a full disk no state can be saved. Enlarge its claim, or keep less with --keep-days (docs/state.md). If there is room, a quota may be full that the file system does not show, or the log of the server says what else is wrong."
  },
  {
    name: "AgentJobCertificateEnds",
    severity: "warning",
    expr: `min by (cluster, namespace) (${validUntil} - time() < 604800 and ${validUntil} - time() < 0.2 * (${validUntil} - ${validFrom}))`,
    lasting: "15m",
    summary: "The certificate of agent-job's server ends soon, and the server shows no newer one.",
    description:
      "Once it has ended, no controller, worker or person trusts the server: no run begins, and what runs cannot save its state there. Renew the certificate in its Secret, or see why cert-manager did not; if the server takes none of what is there, its log says why."
  }
]

export const groups: ReadonlyArray<{ readonly name: string; readonly rules: ReadonlyArray<Alert> }> = [
  { name: "agent-job-controller", rules: controller.map(alert) },
  { name: "agent-job-tasks", rules: tasks.map(alert) },
  { name: "agent-job-server", rules: server.map(alert) }
]
