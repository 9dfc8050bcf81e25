// `agent-job approve RUN` and `agent-job discard RUN`: the decision over a plan that waits, made elsewhere than where it was planned.
// Used by agent-job.ts.
import { Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { BadInput } from "./failure.ts"
import { lazily } from "./lazily.ts"
import { isRunId } from "./run-or-task.ts"
import { connection, serverFlags } from "./settings.ts"

const flags = { run: Argument.String("RUN").pipe(Argument.withDescription("A run's id, such as run-k3v9x2.")), ...serverFlags }

const decide = (action: "apply" | "discard", told: (run: string) => string) => Effect.fn(action)(function*(given: Command.Command.Config.Infer<typeof flags>) {
  const { run } = given
  if (!isRunId(run)) return yield* new BadInput({ message: `${JSON.stringify(run)} is not the id of a run; \`agent-job get runs\` lists them.` })
  const server = yield* connection(given)
  return yield* lazily(async () => {
    const [{ Screen }, { ServerClient }] = await Promise.all([import("./screen.ts"), import("./server-client.ts")])
    return Effect.gen(function*() {
      yield* (yield* ServerClient).act(run, action)
      yield* (yield* Screen).line(told(run))
    }).pipe(Effect.provide(ServerClient.layer(server)), Effect.provide(Screen.layer({ colours: true, forProgram: false })))
  })
})

export const approve = Command.make("approve", flags, decide("apply", (run) => `${run} is approved and applies its plan; follow it with: agent-job logs -f ${run}`)).pipe(
  Command.withDescription("Apply the plan of a run that waits for a decision.")
)

export const discard = Command.make("discard", flags, decide("discard", (run) => `${run} is discarded; nothing was changed.`)).pipe(
  Command.withDescription("End a run that waits for a decision, without changing anything.")
)
