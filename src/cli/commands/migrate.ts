// `agent-job migrate`: turns a release of the Helm chart agent-job into an overlay with the same values, and tells how to hand over.
// Invariant: it only reads from the cluster; a secret that the release has in the clear is written to no file and shown nowhere.
// Used by agent-job.ts.
import { Effect } from "effect"
import { Command, Flag } from "effect/cli"
import { withCluster } from "../cluster/with-cluster.ts"
import { clusterFlags, namespaceFlag } from "../flags/settings.ts"
import { forPeople } from "../terminal/with-screen.ts"
import { baseReference, overlayFlags } from "../values/base-reference.ts"

const flags = {
  release: Flag.String("release").pipe(Flag.withMetavar("NAME"), Flag.withDescription("The Helm release.")),
  namespace: namespaceFlag.pipe(
    Flag.optional,
    Flag.withDescription("Its namespace; by default that of the context, as for helm.")
  ),
  image: Flag.String("image").pipe(
    Flag.withMetavar("NAME:TAG"),
    Flag.optional,
    Flag.withDescription("The image of controller and worker, as make image printed it; the chart's agent is another program.")
  ),
  runnerImage: Flag.String("runner-image").pipe(
    Flag.withMetavar("NAME:TAG"),
    Flag.optional,
    Flag.withDescription("The image of the runner, with /bin/sh and your engine.")
  ),
  url: Flag.String("url").pipe(
    Flag.withMetavar("URL"),
    Flag.optional,
    Flag.withDescription("The agent-job server that gives work from now on; by default agent.url of the release, or else that of the base.")
  ),
  ...overlayFlags,
  context: clusterFlags.context
}

export const migrate = Command.make(
  "migrate",
  flags,
  Effect.fn("migrate")(function*(given) {
    const base = yield* baseReference(given.base, given.out)
    return yield* withCluster(
      given,
      async () => (await import("../values/migrate-release.ts")).migrateRelease({ ...given, base }),
      forPeople
    )
  })
).pipe(
  Command.withShortDescription("Move a release of the Helm chart to an overlay, and say how to hand over."),
  Command.withDescription(
    "Move a release of the Helm chart to an overlay: write it, say what changes, and how to hand over without losing a queued run."
  ),
  Command.withExamples([{
    command:
      "agent-job migrate --release scalr-agent --namespace scalr --image registry.example.com/agent-job:0.1.0 --runner-image registry.example.com/agent-job-runner:0.1.0 --out overlays/scalr"
  }])
)
