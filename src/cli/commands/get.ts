// `agent-job get [runs|workspaces|tasks|audit [NAME]|pools|RUN|TASK]`: shows what runs, what waits and why, and who changed what.
// Used by agent-job.ts.
import { Clock, Effect, Option, Predicate } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type { Kubernetes } from "../../kubernetes/client.ts"
import { withCluster } from "../cluster/with-cluster.ts"
import { type Kind, kindOf, type Narrowing, oneOf, refusalOf } from "../flags/get-kind.ts"
import { astray, isRunId } from "../flags/run-or-task.ts"
import { type ClusterFlags, clusterFlags, type ServerFlags, serverFlags, workspaceFlag } from "../flags/settings.ts"
import type { AuditOf } from "../server/audit-call.ts"
import { askServer, type WithServer } from "../server/with-server.ts"
import { type Answer, type Format, outputFlag, print } from "../terminal/answer.ts"
import { BadInput } from "../terminal/failure.ts"
import { lazily, loading } from "../terminal/lazily.ts"
import { widestProse } from "../terminal/table.ts"

const beforeOf = (given: string): Option.Option<number | string> =>
  isRunId(given) ? Option.some(given) : /^[1-9]\d{0,14}$/u.test(given) ? Option.some(Number(given)) : Option.none()

const flags = {
  what: Argument.String("WHAT").pipe(
    Argument.withDefault("runs"),
    Argument.withDescription(
      "runs, workspaces or pools (of the server), tasks (AgentTasks of the cluster), audit (who changed what on the server), a run's id, or a task's name."
    )
  ),
  name: Argument.String("NAME").pipe(
    Argument.optional,
    Argument.withDescription(
      "The workspace, run or task to show; with runs or audit, the workspace whose runs or entries to list, and with audit also the run."
    )
  ),
  before: Flag.String("before").pipe(
    Flag.filterMap(beforeOf, () => "it must be the number of an entry, 1 or more, or a run's id"),
    Flag.withMetavar("RUN|SEQ"),
    Flag.optional,
    Flag.withDescription(
      "Of runs: those before this one, by its id; of audit: the entries before this one, by its number. A hundred are shown."
    )
  ),
  workspace: workspaceFlag.pipe(
    Flag.withDescription("Only runs of this workspace; of audit: the entries of this workspace, also where its name looks like a run's id.")
  ),
  output: outputFlag,
  ...serverFlags,
  ...clusterFlags
}

type Given = ServerFlags & ClusterFlags & Narrowing & { readonly output: Format; readonly what: string }

/** Returns whose entries of the audit trail are meant. A name that looks like a run's id is one, unless a flag says otherwise. */
const aboutOf = ({ name, workspace }: Given): AuditOf => {
  if (Option.isSome(name) && isRunId(name.value)) return { _tag: "Run", id: name.value }
  return Option.match(Option.orElse(name, () => workspace), {
    onNone: () => ({ _tag: "All" }),
    onSome: (name) => ({ _tag: "Workspace", name })
  })
}

/** Returns the arguments that narrowed a list down, as they were typed. */
const narrowedBy = ({ name, workspace }: Given): ReadonlyArray<string> => [
  ...Option.toArray(name),
  ...Option.match(workspace, { onNone: () => [], onSome: (_) => ["--workspace", _] })
]

/** Says how to see what is older. Without `--before`, the open runs among that are shown already. */
const olderRuns = (given: Given, older: string): string =>
  `Older runs${Option.isNone(given.before) ? ", also those that are over" : ""}: ${
    ["agent-job get runs", ...narrowedBy(given)].join(" ")
  } --before ${older}`

const olderEntries = (given: Given, older: number): string =>
  `Older entries: ${["agent-job get audit", ...narrowedBy(given)].join(" ")} --before ${older}`

type Rows = typeof import("../run/rows.ts")
type Tasks = Pick<typeof import("../cluster/tasks.ts"), "getTask" | "listTasks">

/** Asks the server, and makes an answer of what it says. */
const fromServer = <E>(
  given: Given,
  ask: (server: WithServer["server"], rows: Rows, now: number) => Effect.Effect<Answer, E>
) =>
  askServer(
    given,
    Effect.fnUntraced(function*({ server }) {
      const rows = yield* loading(() => import("../run/rows.ts"))
      return yield* ask(server, rows, yield* Clock.currentTimeMillis) // ages count from the answer, not from before a wait
    })
  )

const fromCluster = <E>(
  given: Given,
  ask: (tasks: Tasks, rows: Rows, now: number) => Effect.Effect<Answer, E, Kubernetes>
) =>
  withCluster(given, async () => {
    const [tasks, rows] = await Promise.all([import("../cluster/tasks.ts"), import("../run/rows.ts")])
    return Effect.flatMap(Clock.currentTimeMillis, (now) => ask(tasks, rows, now))
  })

const answerFor = (kind: Kind, given: Given) => {
  const one = Option.getOrElse(given.name, () => given.what)
  switch (kind) {
    case "runs":
      return fromServer(
        given,
        (server, { runTable }, now) =>
          Effect.map(
            server.runs(Option.orElse(given.workspace, () => given.name), Option.filter(given.before, Predicate.isString)),
            (list) => ({
              document: list,
              lines: list.runs.length > 0 ? runTable(list.runs, now, widestProse()) : Option.isSome(given.before)
                ? ["There are no older runs."]
                : ["No runs yet; start one with: agent-job run DIR"],
              ...(list.older !== undefined && { note: olderRuns(given, list.older) })
            })
          )
      )
    case "run":
      return fromServer(
        given,
        (server, { runDetails }, now) => Effect.map(server.run(one), (run) => ({ document: run, lines: runDetails(run, now) }))
      )
    case "workspaces":
      return fromServer(given, (server, { workspaceTable }, now) =>
        Effect.map(server.workspaces, (workspaces) => ({
          document: { workspaces },
          lines: workspaces.length === 0 ? ["No workspaces yet; the first run of one makes it."] : workspaceTable(workspaces, now)
        })))
    case "workspace":
      return fromServer(given, (server, { workspaceTable }, now) =>
        Effect.gen(function*() {
          yield* server.workspace(one) // fails if there is none
          const workspaces = (yield* server.workspaces).filter(({ name }) => name === one)
          return { document: workspaces[0], lines: workspaceTable(workspaces, now) }
        }))
    case "pools":
      return fromServer(
        given,
        (server, { poolTable }) => Effect.map(server.pools, (list) => ({ document: list, lines: poolTable(list) }))
      )
    case "audit":
      return fromServer(
        given,
        (server, { auditTable }) =>
          Effect.map(server.audit(aboutOf(given), Option.filter(given.before, Predicate.isNumber)), (trail) => ({
            document: trail,
            lines: trail.entries.length === 0 ? ["There are no such entries."] : auditTable(trail.entries),
            ...(trail.older !== undefined && { note: olderEntries(given, trail.older) })
          }))
      )
    case "tasks":
      return fromCluster(given, ({ listTasks }, { taskTable }, now) =>
        Effect.gen(function*() {
          const { note, objects, tasks } = yield* listTasks(given)
          const lines = objects.length === 0
            ? [yield* lazily(async () => (await import("../cluster/no-tasks.ts")).noTasks(given))]
            : taskTable(tasks, now)
          return {
            document: { apiVersion: "v1", kind: "List", items: objects },
            lines,
            ...(note !== undefined && given.output === "table" && { note })
          }
        }))
    case "task":
      return fromCluster(
        given,
        ({ getTask }, { taskDetails }, now) =>
          Effect.map(getTask(given, one), ({ object, task }) => ({ document: object, lines: taskDetails(task, now) }))
      )
  }
}

export const get = Command.make(
  "get",
  flags,
  Effect.fn("get")(function*(given) {
    const kind = kindOf(given.what)
    if (Option.isNone(kind)) {
      return yield* new BadInput({
        message: `${
          JSON.stringify(given.what)
        } is neither "runs", "workspaces", "pools", "tasks", "audit", a run's id nor the name of an AgentTask.`
      })
    }
    const one = oneOf(kind.value, given.name)
    const refusal = refusalOf(kind.value, given) ?? astray(one === "tasks" || one === "task" ? "cluster" : "server", given)
    if (refusal !== undefined) return yield* new BadInput({ message: refusal })
    return yield* print(given.output, yield* answerFor(one, given))
  })
).pipe(
  Command.withDescription(
    "List runs, workspaces, pools, AgentTasks or who changed what, or look at one: its status, its changes, why it waits."
  ),
  Command.withExamples([
    { command: "agent-job get runs --workspace demo" },
    { command: "agent-job get run-k3v9x2 -o json" },
    { command: "agent-job get workspaces" },
    { command: "agent-job get pools" },
    { command: "agent-job get audit demo --before 4711" },
    { command: "agent-job get tasks" }
  ])
)
