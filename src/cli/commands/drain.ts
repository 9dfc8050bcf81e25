// `agent-job drain`: lets nothing new start in a cluster, says what still runs, and with --wait waits until no apply or destroy runs.
// Used by agent-job.ts.
import { Effect } from "effect"
import { Command } from "effect/cli"
import { withCluster } from "../cluster/with-cluster.ts"
import { clusterFlags, itsTasksFlags, toggle } from "../flags/settings.ts"
import { outputFlag, print } from "../terminal/answer.ts"
import { BadInput } from "../terminal/failure.ts"

const flags = {
  wait: toggle("wait", "Wait until no apply or destroy runs any more."),
  undo: toggle("undo", "End it: what waits starts."),
  ...itsTasksFlags,
  output: outputFlag,
  context: clusterFlags.context
}

export const drain = Command.make(
  "drain",
  flags,
  Effect.fn("drain")(function*(given) {
    if (given.wait && given.undo) return yield* new BadInput({ message: "--wait and --undo exclude each other; give one of them." })
    const answer = yield* withCluster(given, async () => {
      const [{ contextFlag }, { drain, undo }] = await Promise.all([import("../cluster/cluster.ts"), import("../cluster/draining.ts")])
      const installation = { name: given.name, namespace: given.controllerNamespace }
      return given.undo ? undo(installation, given.namespace) : drain(installation, given.namespace, given.wait, contextFlag(given))
    })
    return yield* print(given.output, answer)
  })
).pipe(
  Command.withDescription("Let nothing new start in a cluster, before nodes or agent-job are upgraded; what runs goes on."),
  Command.withExamples([
    { command: "agent-job drain --wait", description: "Return once no apply or destroy runs" },
    { command: "agent-job drain --undo", description: "Start what waits" }
  ])
)
