// `agent-job worker`, `install` and `probe`: what runs in the Pods of tasks and of the doctor, told everything by its environment.
// Used by the Pods that the controller and the doctor make; nobody types them.
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
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

const port = Flag.Int("listen").pipe(Flag.withMetavar("PORT"), Flag.optional, Flag.withDescription("Take connections there, instead of making some."))

export const probe = Command.make("probe", { port }, ({ port }) =>
  serve(lazily(async () => {
    const { listen, tryTargets } = await import("../worker/probe.ts")
    return Option.match(port, { onNone: () => tryTargets, onSome: listen })
  }))
).pipe(Command.withDescription("Try the connections that agent-job doctor asks about."))
