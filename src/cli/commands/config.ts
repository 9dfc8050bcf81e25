// `agent-job config …`: questions about values files, answered without a cluster.
// Used by agent-job.ts.
import { Command } from "effect/cli"
import { explain } from "./config-explain.ts"
import { validate } from "./config-validate.ts"

export const config = Command.make("config").pipe(
  Command.withDescription("Check values files, or say where a value comes from."),
  Command.withSubcommands([validate, explain])
)
