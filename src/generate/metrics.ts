// docs/metrics.md: every metric with its type, its labels and what it means, and which alerts and panels of the dashboard read it.
// Called by generate/reference.
import { type MetricName, metrics } from "../schema/api/metrics.ts"
import { groups } from "./components/alerts.ts"
import { panels } from "./components/dashboard.ts"
import { type GeneratedFile, markdownFile, table } from "./files/file.ts"

const readers = [
  ...groups.flatMap(({ rules }) => rules).map(({ alert, expr }) => ({ name: `\`${alert}\``, expr })),
  ...panels.map(({ expr, title }) => ({ name: title, expr }))
]

const labelled = (labels: Readonly<Record<string, ReadonlyArray<string> | string>>): string =>
  Object.entries(labels)
    .map(([label, values]) => `\`${label}\`: ${typeof values === "string" ? values : values.map((value) => `\`${value}\``).join(", ")}`)
    .join("; ")

const rowsOf = (has: (name: string) => boolean) =>
  table(
    ["Metric", "Type", "Labels", "What it means", "Read by"],
    Object.entries(metrics).filter(([name]) => has(name)).map(([name, metric]) => [
      `\`${name}\``,
      metric.type,
      "labels" in metric ? labelled(metric.labels) : "",
      metric.description,
      readers.filter(({ expr }) => new RegExp(`\\b${name}(?:_bucket)?\\b`, "u").test(expr)).map((reader) => reader.name).join(", ")
    ])
  )

const build: MetricName = "agent_job_build_info"
const isServers = (name: string): boolean => name.startsWith("agent_job_server_")

export const metricsFile = (): GeneratedFile =>
  markdownFile("docs/metrics.md", [
    "# Metrics",
    "",
    "What `/metrics` says to Prometheus, without a token: of each controller at port 8081, and of the server at the port of its API, 8080. Workers have none; the controller tells of tasks.",
    "No label names a workspace, a run or a person, and each has only the values that are listed here, so the number of series has a limit.",
    "",
    "The last column has the alerts, and after them the panels of the dashboard, that read a metric. Both come with the [component `monitoring`](../kustomize/README.md#components). An alert says itself",
    "what to do, and so does [rules.yaml](../kustomize/components/monitoring/rules.yaml).",
    "",
    "## Of a controller",
    "",
    "A replica that does not lead has these too: some are 0, others as they were when its lead ended; before its first lead, some are not there. A decision that ended no task has no label `ends`.",
    "",
    ...rowsOf((name) => !isServers(name)),
    "",
    "## Of the server",
    "",
    "It counts anew every five seconds at most. Those of its certificate are there while it speaks HTTPS.",
    "",
    ...rowsOf((name) => name === build || isServers(name))
  ])
