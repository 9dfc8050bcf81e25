// `agent-job doctor`: examines an installation in its cluster, and its network by Pods that really try to connect.
// The exit code is 0 if no check failed, and 1 if one did. A warning or an unknown outcome is no failure.
// Used by agent-job.ts.
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { withCluster } from "../cluster/with-cluster.ts"
import { clusterFlags, installationFlags, toggle } from "../flags/settings.ts"
import { outputFlag, print } from "../terminal/answer.ts"
import { Failed } from "../terminal/failure.ts"
import { valuesFlag } from "../values/values-flag.ts"

const flags = {
  values: valuesFlag.pipe(Flag.withDescription("A values file, or a directory of them; without one, what the controller's ConfigMap has.")),
  ...installationFlags,
  noPods: toggle("no-pods", "Start no Pods, so that nothing is found out about the network."),
  output: outputFlag,
  context: clusterFlags.context
}

export const doctor = Command.make(
  "doctor",
  flags,
  Effect.fn("doctor")(function*(given) {
    const answer = yield* withCluster(given, async () => (await import("../doctor/examination.ts")).examine(given))
    yield* print(given.output, answer)
    const { checks } = answer.document
    const failed = checks.filter(({ outcome }) => outcome === "failed")
    if (failed.length > 0) {
      return yield* new Failed({
        message: `${failed.length} of ${checks.length} checks failed: ${failed.map(({ name }) => name).join(", ")}.`
      })
    }
  })
).pipe(
  Command.withDescription(
    "Examine an installation in its cluster: what is installed, who may do what, and what the network really enforces."
  ),
  Command.withExamples([
    { command: "agent-job doctor", description: "The installation in namespace agent-job" },
    { command: "agent-job doctor -f values.yaml -o json", description: "The one that these values describe, for programs" }
  ])
)
