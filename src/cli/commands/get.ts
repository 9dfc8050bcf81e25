// `agent-job get [runs|workspaces|tasks|audit [NAME]|RUN|TASK]`: shows what runs, what waits and why, and who changed what.
// Used by agent-job.ts.
import { Clock, Effect, Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { WorkspaceName } from "../../schema/names.ts"
import { isRunId, isTaskName } from "../flags/run-or-task.ts"
import { type ClusterFlags, clusterFlags, numberFlag, type ServerFlags, serverFlags } from "../flags/settings.ts"
import { forPrograms, withServer } from "../server/with-server.ts"
import { type Answer, outputFlag, print } from "../terminal/answer.ts"
import { BadInput } from "../terminal/failure.ts"
import { lazily, loading } from "../terminal/lazily.ts"
import { widestProse } from "../terminal/table.ts"

const flags = {
  what: Argument.String("what").pipe(
    Argument.withDefault("runs"),
    Argument.withDescription(
      "runs or workspaces (of the server), tasks (AgentTasks of the cluster), audit (who changed what on the server), a run's id, or a task's name."
    )
  ),
  name: Argument.String("name").pipe(
    Argument.optional,
    Argument.withDescription("Of audit: the workspace or the run whose entries are shown; by default all are.")
  ),
  before: numberFlag("before", "the number of an entry, 1 or more", 1).pipe(
    Flag.withMetavar("SEQ"),
    Flag.optional,
    Flag.withDescription("Of audit: the entries before this one, by its number; a hundred are shown at once.")
  ),
  workspace: Flag.String("workspace").pipe(
    Flag.withAlias("w"),
    Flag.withMetavar("NAME"),
    Flag.optional,
    Flag.withDescription("Only runs of this workspace; of audit: the entries of this workspace, also where its name looks like a run's id.")
  ),
  output: outputFlag,
  ...serverFlags,
  ...clusterFlags
}

interface Given extends ServerFlags {
  readonly name: Option.Option<string>
  readonly before: Option.Option<number>
  readonly workspace: Option.Option<string>
}

/** Returns whose entries of the audit trail are meant. A name that looks like a run's id is one, unless a flag says otherwise. */
const aboutOf = ({ name, workspace }: Given) =>
  Option.match(name, {
    onNone: () => Option.match(workspace, { onNone: () => ({}), onSome: (workspace) => ({ workspace }) }),
    onSome: (name) => isRunId(name) ? { run: name } : { workspace: name }
  })

const fromServer = (given: Given, what: string) =>
  withServer(
    given,
    forPrograms,
    Effect.fnUntraced(function*({ server }) {
      const { auditLines, runDetails, runTable, workspaceTable } = yield* loading(() => import("../run/rows.ts"))
      if (what === "audit") {
        const trail = yield* server.audit(aboutOf(given), given.before)
        const asked = [
          ...Option.toArray(given.name),
          ...Option.match(given.workspace, { onNone: () => [], onSome: (_) => ["--workspace", _] })
        ]
        return { document: trail, lines: auditLines(trail, asked) } satisfies Answer
      }
      const now = yield* Clock.currentTimeMillis
      if (what === "workspaces") {
        const workspaces = yield* server.workspaces
        return {
          document: { workspaces },
          lines: workspaces.length === 0 ? ["No workspaces yet; the first run of one makes it."] : workspaceTable(workspaces, now)
        } satisfies Answer
      }
      if (isRunId(what)) {
        const run = yield* server.run(what)
        return { document: run, lines: runDetails(run, now) } satisfies Answer
      }
      const runs = yield* server.runs(given.workspace)
      return {
        document: { runs },
        lines: runs.length === 0 ? ["No runs yet; start one with: agent-job run DIR"] : runTable(runs, now, widestProse())
      } satisfies Answer
    })
  )

const fromCluster = (given: ClusterFlags, what: string) =>
  lazily(async () => {
    const [{ cluster }, { getTask, listTasks }, { taskTable }] = await Promise.all([
      import("../cluster/cluster.ts"),
      import("../cluster/tasks.ts"),
      import("../run/rows.ts")
    ])
    return Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      if (what !== "tasks") {
        const { object, task } = yield* getTask(given, what)
        return { document: object, lines: taskTable([task], now) } satisfies Answer
      }
      const { objects, tasks } = yield* listTasks(given)
      const lines = objects.length === 0
        ? [yield* lazily(async () => (await import("../cluster/no-tasks.ts")).noTasks(given.namespace))]
        : taskTable(tasks, now)
      return { document: { apiVersion: "v1", kind: "List", items: objects }, lines } satisfies Answer
    }).pipe(Effect.provide(cluster(given)))
  })

const isWorkspaceName = Schema.is(WorkspaceName)

const ofServer = ["runs", "workspaces", "audit"]

export const get = Command.make(
  "get",
  flags,
  Effect.fn("get")(function*(given) {
    const what = ["run", "workspace", "task"].includes(given.what) ? `${given.what}s` : given.what
    if (!ofServer.includes(what) && !isTaskName(what)) {
      return yield* new BadInput({
        message: `${JSON.stringify(what)} is neither "runs", "workspaces", "tasks", "audit", a run's id nor the name of an AgentTask.`
      })
    }
    if (what !== "runs" && what !== "audit" && Option.isSome(given.workspace)) {
      return yield* new BadInput({
        message: "--workspace works only with: agent-job get runs, and agent-job get audit"
      })
    }
    if (what !== "audit" && Option.isSome(given.name)) {
      return yield* new BadInput({ message: `A second name works only with: agent-job get audit ${given.name.value}` })
    }
    if (Option.isSome(given.name) && Option.isSome(given.workspace)) {
      return yield* new BadInput({ message: "Give the workspace either as a name or with --workspace, not both." })
    }
    if (what !== "audit" && Option.isSome(given.before)) {
      return yield* new BadInput({ message: "--before works only with: agent-job get audit" })
    }
    if (Option.isSome(given.name) && !isRunId(given.name.value) && !isWorkspaceName(given.name.value)) {
      return yield* new BadInput({
        message: `${
          JSON.stringify(given.name.value)
        } is neither the name of a workspace nor a run's id, of which agent-job get audit shows the entries.`
      })
    }
    const answer = yield* ofServer.includes(what) || isRunId(what) ? fromServer(given, what) : fromCluster(given, what)
    return yield* print(given.output, answer)
  })
).pipe(
  Command.withDescription("List runs, workspaces, AgentTasks or who changed what, or look at one: its status, its changes, why it waits."),
  Command.withExamples([
    { command: "agent-job get runs --workspace demo" },
    { command: "agent-job get run-k3v9x2 -o json" },
    { command: "agent-job get workspaces" },
    { command: "agent-job get audit demo --before 4711" },
    { command: "agent-job get tasks --namespace agent-job-tasks" }
  ])
)
