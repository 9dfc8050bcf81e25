// The Grafana dashboard: which controllers lead, what waits and for how long, what the controller does, how the runs stand, and all versions.
// Invariant: it asks only for metrics that controller and server have; the data source is chosen in Grafana.
// Used by generate/components/monitoring and generate/metrics.
import { mark } from "../files/file.ts"

interface Panel {
  readonly title: string
  readonly description: string
  readonly type: "stat" | "timeseries"
  readonly expr: string
  /** The name of each series, from its labels. */
  readonly legend: string
  readonly unit?: "s"
}

const chosen = `cluster=~"$cluster",namespace=~"$namespace"`
/** Returns the total of all installations, each of which counts once, whatever replicas it has. */
const total = (series: string): string => `sum(max by (cluster, namespace) (${series}))`
/** Returns the time that nine of ten did not exceed, of those that a histogram has counted within the hour. */
const mostSeconds = (histogram: string, labels: string): string =>
  `histogram_quantile(0.9, sum by (le, ${labels}) (rate(${histogram}_bucket{${chosen}}[1h])))`

export const panels: ReadonlyArray<Panel> = [
  {
    type: "stat",
    title: "Controllers that lead",
    description: "One of each installation, always.",
    expr: `sum(agent_job_leader{${chosen}})`,
    legend: ""
  },
  {
    type: "stat",
    title: "Drained",
    description:
      "Controllers that start nothing new: agent-job drain --undo, with --name and --controller-namespace of the installation, ends that.",
    expr: total(`agent_job_draining{${chosen}}`),
    legend: ""
  },
  {
    type: "stat",
    title: "Agents",
    description: "They asked for work in the last 90 seconds, or have as much as they take; of the servers.",
    expr: total(`agent_job_server_agents{${chosen}}`),
    legend: ""
  },
  {
    type: "stat",
    title: "Tasks to be looked at",
    description: "The queues of the controllers; they stay near zero.",
    expr: total(`agent_job_queue_depth{${chosen}}`),
    legend: ""
  },
  {
    type: "stat",
    title: "Runs that wait",
    description: "They have not begun to plan, of the servers.",
    expr: total(`agent_job_server_runs{${chosen},status="pending"}`),
    legend: ""
  },
  {
    type: "stat",
    title: "Stages not started",
    description: "An agent has taken them, and they wait in its cluster.",
    expr: total(`agent_job_server_stages{${chosen},progress="taken"}`),
    legend: ""
  },
  {
    type: "stat",
    title: "Longest run at work",
    description: "Since its worker began, of the servers; one that hangs shows here.",
    expr: `max(agent_job_server_oldest_run_at_work_seconds{${chosen}})`,
    legend: "",
    unit: "s"
  },
  {
    type: "stat",
    title: "States in doubt",
    description: "They wait for a person: agent-job get workspaces names them, and without a pool the log of the controller that leads.",
    expr: `sum(max by (cluster, namespace, __name__) (agent_job_server_states_in_doubt{${chosen}} or agent_job_tasks_in_doubt{${chosen}}))`,
    legend: ""
  },
  {
    type: "timeseries",
    title: "What the controller is busy with",
    description: "Passes over tasks a second, by the situation each was found in; docs/decisions.md has the table.",
    expr: `sum by (situation) (rate(agent_job_reconcile_total{${chosen}}[5m]))`,
    legend: "{{situation}}"
  },
  {
    type: "timeseries",
    title: "Runs by status",
    description: "Of the servers.",
    expr: `sum by (status) (max by (cluster, namespace, status) (agent_job_server_runs{${chosen}}))`,
    legend: "{{status}}"
  },
  {
    type: "timeseries",
    title: "How long tasks wait",
    description: "From their creation until a worker takes them: nine of ten that began within the hour took no longer.",
    expr: mostSeconds("agent_job_task_wait_seconds", "stage"),
    legend: "{{stage}}",
    unit: "s"
  },
  {
    type: "timeseries",
    title: "How long tasks run",
    description: "From then to their end: nine of ten that ended within the hour took no longer.",
    expr: mostSeconds("agent_job_task_run_seconds", "stage, ends"),
    legend: "{{stage}} {{ends}}",
    unit: "s"
  },
  {
    type: "timeseries",
    title: "Controllers and servers by version",
    description: "More than one version lasts only as long as an upgrade.",
    expr: `count by (version) (agent_job_build_info{${chosen}})`,
    legend: "{{version}}"
  },
  {
    type: "timeseries",
    title: "Isolation of tasks is proven",
    description:
      "1 while there is a proof for the present values, 0 while there is none: agent-job doctor, with --name and --namespace of the installation, says what it lacks.",
    expr: `max by (cluster, namespace) (agent_job_isolation_proven{${chosen}})`,
    legend: "{{cluster}} {{namespace}}"
  }
]

const datasource = { type: "prometheus", uid: "${datasource}" }

const stats = panels.filter(({ type }) => type === "stat").length

/** Returns where a panel is: the small ones, which come first, are in a row, and the large ones below them in rows of two. */
const place = ({ type }: Panel, index: number) => {
  const large = index - stats
  return type === "stat" ? { h: 5, w: 3, x: index * 3, y: 0 } : { h: 10, w: 12, x: large % 2 * 12, y: 5 + Math.floor(large / 2) * 10 }
}

const panel = (of: Panel, index: number): object => ({
  id: index + 1,
  type: of.type,
  title: of.title,
  description: of.description,
  datasource,
  gridPos: place(of, index),
  ...(of.unit !== undefined && { fieldConfig: { defaults: { unit: of.unit }, overrides: [] } }),
  targets: [{ refId: "A", datasource, expr: of.expr, ...(of.legend !== "" && { legendFormat: of.legend }) }]
})

/** A controller and a server may be alone in their cluster or namespace. */
const either = "agent_job_leader|agent_job_server_agents"

const variables = [
  { name: "datasource", type: "datasource", query: "prometheus", label: "Data source" },
  {
    name: "cluster",
    type: "query",
    datasource,
    query: { query: `label_values({__name__=~"${either}"}, cluster)`, refId: "clusters" },
    refresh: 2,
    includeAll: true,
    allValue: ".*", // also metrics without this label
    multi: true,
    label: "Cluster"
  },
  {
    name: "namespace",
    type: "query",
    datasource,
    query: { query: `label_values({__name__=~"${either}",cluster=~"$cluster"}, namespace)`, refId: "namespaces" },
    refresh: 2,
    includeAll: true,
    multi: true,
    label: "Namespace"
  }
]

export const dashboard = (): object => ({
  description: `Controller and server of agent-job. ${mark}`,
  uid: "agent-job",
  title: "agent-job",
  tags: ["agent-job"],
  schemaVersion: 39,
  refresh: "30s",
  time: { from: "now-6h", to: "now" },
  templating: { list: variables },
  panels: panels.map(panel)
})
