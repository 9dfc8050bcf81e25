// `agent-job pool …`: says whose controllers run a workspace: those of one pool, or whichever asks.
// Used by agent-job.ts.
import { Effect } from "effect"
import { Argument, Command } from "effect/cli"
import { serverFlags, workspaceArgument as workspace } from "../flags/settings.ts"
import { askServer } from "../server/with-server.ts"

const bind = Command.make(
  "bind",
  {
    workspace,
    pool: Argument.String("POOL").pipe(Argument.withDescription("The name of the pool, as agent-job get pools shows it.")),
    ...serverFlags
  },
  (given) =>
    askServer(
      given,
      Effect.fnUntraced(function*({ screen, server }) {
        const { created } = yield* server.bindPool(given.workspace, given.pool)
        yield* screen.result(
          created
            ? `Made the workspace ${given.workspace}, whose stages go to the pool ${given.pool}.`
            : `The stages of ${given.workspace} go to the pool ${given.pool} from now on; one that was taken stays where it is.`
        )
      })
    )
).pipe(
  Command.withShortDescription("Give the stages of a workspace to the controllers of one pool."),
  Command.withDescription([
    "Give the stages of a workspace to the controllers of one pool; makes the workspace when it is missing.",
    "  A stage that a controller has taken stays with it, and its result counts. A plan that waits for its approval is applied by the new pool."
  ].join("\n")),
  Command.withExamples([{ command: "agent-job pool bind demo prod" }])
)

const unbind = Command.make(
  "unbind",
  { workspace, ...serverFlags },
  (given) =>
    askServer(
      given,
      Effect.fnUntraced(function*({ screen, server }) {
        yield* server.unbindPool(given.workspace)
        yield* screen.result(`The workspace ${given.workspace} is bound to no pool; agent-job get pools shows who takes its stages.`)
      })
    )
).pipe(
  Command.withDescription("Give the stages of a workspace to the server's default pool, or to whichever controller asks if there is none."),
  Command.withExamples([{ command: "agent-job pool unbind demo" }])
)

export const pool = Command.make("pool").pipe(
  Command.withShortDescription("Say which pool runs a workspace."),
  Command.withDescription(
    "Say which pool runs a workspace: a pool is the controllers whose tokens have one name in the server's pool token file."
  ),
  Command.withSubcommands([bind, unbind])
)
