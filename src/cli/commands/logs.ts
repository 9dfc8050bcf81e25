// `agent-job logs [RUN|TASK]`: prints the log of a run from the server, or of an AgentTask from its Pod.
// Used by agent-job.ts.
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { withCluster } from "../cluster/with-cluster.ts"
import { runOrTask } from "../flags/run-or-task.ts"
import { clusterFlags, noColor, serverFlags, toggle, workspaceFlag } from "../flags/settings.ts"
import { withServer } from "../server/with-server.ts"
import { BadInput } from "../terminal/failure.ts"
import { lazily } from "../terminal/lazily.ts"

const flags = {
  name: Argument.String("RUN|TASK").pipe(
    Argument.optional,
    Argument.withDescription("A run's id or the name of an AgentTask; by default the newest run.")
  ),
  workspace: workspaceFlag.pipe(
    Flag.withDescription("The newest run of this workspace.")
  ),
  stage: Flag.Literals("stage", ["plan", "apply"]).pipe(
    Flag.withMetavar("plan|apply"),
    Flag.optional,
    Flag.withDescription("Only this stage of the run; destroying is an apply.")
  ),
  follow: toggle("follow", "Stay until it ends.").pipe(Flag.withAlias("f")),
  noColor,
  ...serverFlags,
  ...clusterFlags
}

export const logs = Command.make(
  "logs",
  flags,
  Effect.fn("logs")(function*(given) {
    const { follow, name, noColor, stage, workspace } = given
    const shown = { colours: !noColor, forProgram: true, logIsResult: true }
    const kind = yield* runOrTask(given, Option.getOrUndefined(name))
    if (Option.isSome(name) && kind === "task") {
      const task = name.value
      if (Option.isSome(stage) || Option.isSome(workspace)) {
        return yield* new BadInput({ message: "--stage and --workspace are for runs; an AgentTask is one stage already." })
      }
      return yield* withCluster(given, async () => (await import("../cluster/tasks.ts")).showTaskLog(given, task, follow), shown)
    }
    if (Option.isSome(name) && Option.isSome(workspace)) {
      return yield* new BadInput({ message: "Give either a run or --workspace, which means the newest run of a workspace." })
    }
    return yield* withServer(
      given,
      () => lazily(async () => (await import("../run/run-log.ts")).showRunLog({ run: name, workspace, step: stage, follow })),
      shown
    )
  })
).pipe(
  Command.withDescription("Print the log of a run or an AgentTask, as it grows with -f."),
  Command.withExamples([
    { command: "agent-job logs --workspace demo", description: "The newest run of a workspace" },
    { command: "agent-job logs -f run-k3v9x2", description: "Watch it to its end" },
    { command: "agent-job logs run-k3v9x2-plan", description: "From the Pod of its AgentTask, without the server" }
  ])
)
