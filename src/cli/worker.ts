// `agent-job worker` and `agent-job install`: what runs in the Pod of a task, told everything by its environment.
// Used by the Jobs that the controller makes; nobody types them.
import { Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { lazily } from "./lazily.ts"
import { serve } from "./serve.ts"

export const worker = Command.make("worker", {}, () => 
  serve(lazily(async () => {
    const [{ worker }, { Kubernetes }, { inCluster }] = await Promise.all([import("../worker/worker.ts"), import("../kubernetes/client.ts"), import("../kubernetes/credentials.ts")])
    return Effect.provide(worker, Kubernetes.layer(inCluster()))
  }))
).pipe(
  Command.withDescription("Claim and run the task of this Pod.")
)

export const install = Command.make("install", { dataDir: Argument.Path("DIR").pipe(Argument.withDescription("The volume shared with the runner.")) }, ({ dataDir }) =>
  serve(lazily(async () => (await import("../worker/install.ts")).install(dataDir)))
).pipe(Command.withDescription("Put the runner's exec loop on the shared volume."))
