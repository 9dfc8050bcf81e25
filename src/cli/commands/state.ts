// `agent-job state …`: shows the state of a workspace, brings one, settles it when it is in doubt, and opens its lock.
// Used by agent-job.ts.
import { Effect } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { inputArgument, inputFlag, pathFlag, serverFlags, toggle, workspaceArgument as workspace } from "../flags/settings.ts"
import { outputFlag } from "../terminal/answer.ts"
import { lazily } from "../terminal/lazily.ts"

const common = { output: outputFlag, ...serverFlags }

/** The work of these commands, loaded when one runs. */
const work = () => import("../run/state-commands.ts")

const show = Command.make(
  "show",
  {
    workspace,
    evidence: Flag.String("evidence").pipe(
      Flag.withMetavar("EVIDENCE"),
      Flag.optional,
      Flag.withDescription("Print this refused state as it is, secrets included.")
    ),
    ...common
  },
  Effect.fn("state show")((given) => lazily(async () => (await work()).show(given)))
).pipe(
  Command.withDescription("Show what is stored, who has the lock, which states were refused, and what waits to be settled."),
  Command.withExamples([
    { command: "agent-job state show demo" },
    { command: "agent-job state show demo --evidence ev-k3v9x2 >refused.tfstate" }
  ])
)

const push = Command.make(
  "push",
  {
    workspace,
    file: inputArgument("FILE").pipe(
      Argument.withDescription("The file with the state, as `tofu state pull` writes it; - is standard input.")
    ),
    replace: Flag.String("replace").pipe(
      Flag.withMetavar("VERSION"),
      Flag.optional,
      Flag.withDescription("Put it in the place of this version, by the id that `state show` says, whatever lineage that has.")
    ),
    ...common
  },
  Effect.fn("state push")((given) => lazily(async () => (await work()).push(given)))
).pipe(
  Command.withDescription(
    "Store a state from elsewhere as the next version, while no run holds the workspace; it is made if it is not there."
  ),
  Command.withExamples([
    { command: "agent-job state push prod prod.tfstate" },
    { command: "tofu state pull | agent-job state push prod -" },
    { command: "agent-job state push prod prod.tfstate --replace sv-k3v9x2" }
  ])
)

const rescue = Command.make(
  "rescue",
  {
    workspace,
    use: Flag.String("use").pipe(
      Flag.withMetavar("EVIDENCE"),
      Flag.optional,
      Flag.withDescription("Make this refused state the next version.")
    ),
    keep: toggle("keep", "Go on with the stored state as it is."),
    seen: Flag.String("seen").pipe(
      Flag.withMetavar("IDS"),
      Flag.optional,
      Flag.withDescription(
        "With --use or --keep: settle only if nothing has changed since the `state rescue` that printed these ids: no new doubt, nothing more told of what was made, and no state stored or refused."
      )
    ),
    import: toggle("import", "Plan a run that imports what was made and is not in the state; you approve it like any other."),
    file: inputFlag("file").pipe(
      Flag.withMetavar("FILE"),
      Flag.optional,
      Flag.withDescription("Bring a state that was kept elsewhere as evidence; nothing is settled.")
    ),
    importBlocks: pathFlag("import-blocks").pipe(
      Flag.withMetavar("FILE"),
      Flag.optional,
      Flag.withDescription("Write import blocks for what was made and is not in the state; nothing is settled.")
    ),
    ...common
  },
  Effect.fn("state rescue")((given) => lazily(async () => (await work()).rescue(given)))
).pipe(
  Command.withDescription("Show what left the state in doubt, or settle it, so that the workspace goes on."),
  Command.withExamples([{ command: "agent-job state rescue demo" }, { command: "agent-job state rescue demo --use ev-k3v9x2" }, {
    command: "agent-job state rescue demo --import"
  }, { command: "agent-job state rescue demo --keep" }])
)

const unlock = Command.make(
  "unlock",
  {
    workspace,
    force: toggle("force", "Open the lock though its holder may still be at work."),
    lock: Flag.String("lock").pipe(
      Flag.withMetavar("LOCK"),
      Flag.optional,
      Flag.withDescription("Only this lock, by the id that `state show` says; without it, whichever there is now.")
    ),
    ...common
  },
  Effect.fn("state unlock")((given) => lazily(async () => (await work()).unlock(given)))
).pipe(
  Command.withDescription("Open the lock of a state by force: what its holder writes from then on is refused, and kept as evidence."),
  Command.withExamples([{ command: "agent-job state unlock demo --force --lock 6d1f0c3a-…" }])
)

export const state = Command.make("state").pipe(
  Command.withDescription("Look at the state of a workspace, bring one, settle it when it is in doubt, or open its lock."),
  Command.withSubcommands([show, push, rescue, unlock])
)
