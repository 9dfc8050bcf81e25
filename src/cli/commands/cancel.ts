// `agent-job cancel RUN|TASK`: stops a run on the server or an AgentTask in the cluster, after its state is saved.
// With --force it ends a run whose AgentTask is gone.
// Used by agent-job.ts.
import { Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { withCluster } from "../cluster/with-cluster.ts"
import { runOrTask } from "../flags/run-or-task.ts"
import { clusterFlags, serverFlags, toggle } from "../flags/settings.ts"
import { sayingServer, withServer } from "../server/with-server.ts"
import { BadInput, Failed } from "../terminal/failure.ts"
import { loading } from "../terminal/lazily.ts"

const flags = {
  name: Argument.String("RUN|TASK").pipe(Argument.withDescription("A run's id, or the name of an AgentTask.")),
  force: toggle(
    "force",
    "End a run whose cancel cannot be carried out because its AgentTask is gone; its state is in doubt afterwards if it was applying."
  ),
  ...serverFlags,
  ...clusterFlags
}

const confirmation = (run: string, force: boolean) =>
  force
    ? `${run} is ended; see what is known of it with: agent-job get ${run}`
    : `${run} is asked to stop; see how it ends with: agent-job get ${run}`

export const cancel = Command.make(
  "cancel",
  flags,
  Effect.fn("cancel")(function*(given) {
    const { force, name } = given
    if ((yield* runOrTask(given, name)) === "run") {
      return yield* withServer(
        given,
        Effect.fnUntraced(function*({ screen, server }) {
          const [{ inWords }, { patiently }] = yield* loading(() =>
            Promise.all([import("../../core/run/run-machine.ts"), import("../server/patiently.ts")])
          )
          const saying = sayingServer(server)
          const { final, status } = yield* patiently(saying(server.run(name)))
          if (final && !force) return yield* new Failed({ message: `${name} is ${inWords(status)} already; there is nothing to cancel.` })
          yield* patiently(saying(server.act(name, force ? "force-cancel" : "cancel")))
          yield* screen.result(confirmation(name, force))
        })
      )
    }
    if (force) {
      return yield* new BadInput({
        message: `--force ends a run whose AgentTask is gone; ${name} is an AgentTask, which ends in order when it is cancelled.`
      })
    }
    return yield* withCluster(given, async () => (await import("../cluster/tasks.ts")).cancelTask(given, name))
  })
).pipe(
  Command.withDescription("Stop a run or an AgentTask; what it has done by then is saved in its state."),
  Command.withExamples([
    { command: "agent-job cancel run-k3v9x2" },
    { command: "agent-job cancel run-k3v9x2 --force" },
    { command: "agent-job cancel sample-plan", description: "An AgentTask" }
  ])
)
