// Reference documents and schemas made from the tables and schemas of the code: reasons, decisions, metrics, rights, AgentTask, the server's API.
// Called by generate/main.
import { grants } from "../core/manifest/installation/rbac.ts"
import { rows } from "../core/reconcile/plan.ts"
import { rows as doubts } from "../core/run/state-doubt.ts"
import { reasons } from "../schema/task/reason.ts"
import { openApi } from "../server/routes/open-api.ts"
import { agentTaskFile } from "./agent-task-schema.ts"
import { type GeneratedFile, jsonFile, markdownFile, table } from "./files/file.ts"
import { installationOf } from "./files/installation.ts"
import { metricsFile } from "./metrics.ts"

const reasonsFile = (): GeneratedFile =>
  markdownFile("docs/reasons.md", [
    "# Reasons",
    "",
    "Why a task waits, or why it ended as it did: `.status.reason`, the Reason column of `kubectl get atasks`, and the reason of events.",
    "",
    "    kubectl -n agent-job-tasks get atasks -o wide       # phase, reason, Pod, node, message",
    "    kubectl -n agent-job-tasks describe atask NAME      # the same of one, and what happened",
    "    agent-job logs NAME                                 # what the engine said",
    "    agent-job get RUN                                   # a run: what it waits for, stage by stage",
    "    agent-job doctor                                    # the installation",
    "",
    "`agent-job-tasks` is where the shipped values put tasks. With values of your own it is `task.namespace` or, without that, the namespace of the controller; `agent-job` finds them there with `--namespace`.",
    "",
    "A task that stays without any reason has an event if the controller can do nothing about it: see `describe`. Without one, it is in another namespace than that, of which no controller takes notice, or no controller leads: see `kubectl -n agent-job get pods,leases`, and `kubectl -n agent-job logs deployment/agent-job-controller`.",
    "",
    ...table(["Reason", "What it means, and what to do"], Object.entries(reasons).map(([reason, meaning]) => [`\`${reason}\``, meaning]))
  ])

const decisionsFile = (): GeneratedFile =>
  markdownFile("docs/decisions.md", [
    "# What the controller does next",
    "",
    "It looks at one AgentTask, its Job and its Pod, reads this table from the top, and does what the first row that fits says.",
    "If none fits, the task starts. What is marked with * ends a launch, deletes its Job or counts it, or makes another task: that is decided once more upon what the API server itself has of Job and Pods, or of",
    "the source and the newest attempt, since each watch may be behind, and tasks share what is read of a source.",
    "",
    ...table(
      ["When it is", "the controller will"],
      rows.map(({ means, recheck, situation }) => [`${situation}${recheck ? " *" : ""}`, means])
    ),
    "",
    "# When the end of a stage leaves the state in doubt",
    "",
    "The server reads this table from the top when a stage ends. If the first row that fits opens a rescue, the workspace waits for a person: [state.md](state.md).",
    "",
    ...table(
      ["When it is", "A rescue", "because"],
      doubts.map(({ because, opens, situation }) => [situation, opens ? "opens" : "no", because])
    )
  ])

const rbacFile = (): GeneratedFile =>
  markdownFile("docs/rbac.md", [
    "# Who may do what",
    "",
    "What the roles of an installation grant, each verb because some code uses it: a test compares this with the audit log of an API server. Nobody gets or lists Secrets, makes Pods,",
    "or runs commands in them; the server speaks to no Kubernetes at all, and the runner has no token. The namespaces are those of `kustomize/base`. What a role cannot say, such as",
    "\"its own task\" or \"the Secrets that it made\", the policies of the component `admission` do ([ADR 0015](adr/0015-let-the-api-server-hold-tasks-to-their-own-objects.md)).",
    "But who makes Jobs has what their Pods have: [what a token of the controller is good for](security.md#who-attacks).",
    "",
    ...table(
      ["Who", "In namespace", "May", "What", "Why"],
      grants(installationOf({})).flatMap(({ namespace, rights, to }) =>
        rights.map(({ apiGroup, names = [], resources, verbs, why }) => [
          to.map(({ name }) => `\`${name}\``).join(", "),
          `\`${namespace}\``,
          verbs.join(", "),
          `${resources.map((_) => `\`${_}\``).join(", ")}${apiGroup === "" ? "" : ` of ${apiGroup}`}${
            names.map((_) => `, only \`${_}\``).join("")
          }`,
          why
        ])
      )
    )
  ])

export const referenceFiles = (): ReadonlyArray<GeneratedFile> => [
  reasonsFile(),
  decisionsFile(),
  metricsFile(),
  rbacFile(),
  agentTaskFile(),
  jsonFile("schemas/server.openapi.json", openApi(), "x-comment") // OpenAPI allows no other key of ours at its root
]
