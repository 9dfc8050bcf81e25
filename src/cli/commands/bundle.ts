// `agent-job bundle FILE`: collects the logs of an installation, of its Pods and of those that are gone, in one archive.
// The exit code is 0 if the archive is written; what is missing in it is printed.
// Used by agent-job.ts.
import { Effect, Option } from "effect"
import { Argument, Command } from "effect/cli"
import { resolve } from "node:path"
import { withCluster } from "../cluster/with-cluster.ts"
import { clusterFlags, itsTasksFlags, serverFlags, toggle } from "../flags/settings.ts"
import { connectionIfNamed } from "../server/connection.ts"
import { forPeople } from "../terminal/with-screen.ts"

const flags = {
  file: Argument.String("FILE").pipe(
    Argument.map((given) => resolve(given)),
    Argument.withDescription("The archive to write, such as agent-job.tar.gz; only you may read it.")
  ),
  force: toggle("force", "Replace the file if it is there."),
  ...itsTasksFlags,
  ...serverFlags,
  context: clusterFlags.context
}

export const bundle = Command.make(
  "bundle",
  flags,
  Effect.fn("bundle")(function*(given) {
    const connection = yield* connectionIfNamed(given)
    return yield* withCluster(given, async () => {
      const [{ bundle }, { ServerClient }] = await Promise.all([import("../bundle/bundle.ts"), import("../server/server-client.ts")])
      return Option.match(connection, {
        onNone: () => bundle(given, Option.none()),
        onSome: (at) =>
          Effect.flatMap(ServerClient, (server) => bundle(given, Option.some(server))).pipe(Effect.provide(ServerClient.layer(at)))
      })
    }, forPeople)
  })
).pipe(
  Command.withShortDescription("Collect the logs of all Pods, and of those that are gone, in one archive."),
  Command.withDescription(
    "Collect in one archive the logs of all Pods, those of runs whose Pods are gone, and the objects beside them, with what may be secret masked."
  ),
  Command.withExamples([
    { command: "agent-job bundle agent-job.tar.gz", description: "With AGENT_JOB_URL also the logs that the server has" },
    { command: "agent-job bundle blue.tar.gz --name blue --controller-namespace scalr", description: "Another installation" }
  ])
)
