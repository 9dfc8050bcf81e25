// `agent-job worker` and `agent-job install`: what runs in the Pod of a task, told everything by its environment.
// Used by the Jobs that the controller makes; nobody types them.
import { Argument, Command } from "effect/cli"
import { lazily } from "./lazily.ts"
import { serve } from "./serve.ts"

export const worker = Command.make("worker", {}, () => serve(lazily(async () => (await import("../worker/worker.ts")).worker))).pipe(
  Command.withDescription("Claim and run the task of this Pod.")
)

export const install = Command.make("install", { dataDir: Argument.Path("DIR").pipe(Argument.withDescription("The volume shared with the runner.")) }, ({ dataDir }) =>
  serve(lazily(async () => (await import("../worker/install.ts")).install(dataDir)))
).pipe(Command.withDescription("Put the runner's exec loop on the shared volume."))
