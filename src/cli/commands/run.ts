// `agent-job run DIR`: plans a directory on the server, asks, and applies that very plan.
// This file has the flags and what they may be; the work is in run-directory.ts.
// Used by agent-job.ts.
import { Effect, Option, Result, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { engineNames, WorkspaceName } from "../../schema/names.ts"
import { givenVariable } from "../flags/run-variables.ts"
import { noColor, serverFlags, toggle, workspaceFlag } from "../flags/settings.ts"
import { withServer } from "../server/with-server.ts"
import { BadInput } from "../terminal/failure.ts"
import { lazily, loading } from "../terminal/lazily.ts"

const flags = {
  directory: Argument.String("DIR").pipe(Argument.withDescription("The directory with the configuration.")),
  workspace: workspaceFlag.pipe(
    Flag.withDescription("Where state and variables are kept; made when it is missing. By default the directory's name.")
  ),
  autoApprove: toggle("auto-approve", "Apply without asking."),
  allowEmptyApply: toggle("allow-empty-apply", "Apply also a plan that changes nothing."),
  destroy: toggle("destroy", "Plan to destroy everything in the workspace."),
  planOnly: toggle("plan-only", "Only show what would change."),
  detailedExitcode: toggle("detailed-exitcode", "With --plan-only: exit with 7 if the plan has changes, and with 0 if it has none."),
  engine: Flag.Literals("engine", engineNames).pipe(
    Flag.withMetavar(engineNames.join("|")),
    Flag.optional,
    Flag.withDescription("The engine, and no other; by default tofu, or terraform where the runner's image has no tofu.")
  ),
  variables: Flag.String("var").pipe(
    Flag.withMetavar("key=value"),
    Flag.atLeast(0),
    Flag.withDescription("Set an input variable, once for each. A value that begins with [, { or \" is an HCL expression.")
  ),
  output: Flag.Literals("output", ["text", "json", "yaml"]).pipe(
    Flag.withAlias("o"),
    Flag.withMetavar("text|json|yaml"),
    Flag.withDefault("text"),
    Flag.withDescription("json, yaml: one document on stdout at the end, everything else on stderr; text by default.")
  ),
  noColor,
  ...serverFlags
}

const isName = Schema.is(WorkspaceName)

/** Returns the given name of the workspace, or else the name of the directory. */
const workspaceOf = Effect.fnUntraced(function*(given: Option.Option<WorkspaceName>, directory: string) {
  if (Option.isSome(given)) return given.value
  const { nameOfDirectory, rootOf } = yield* loading(() => import("../run/archive.ts"))
  yield* rootOf(directory)
  const name = nameOfDirectory(directory)
  if (isName(name)) return name
  return yield* new BadInput({
    message: `The name of the directory, ${JSON.stringify(name)}, cannot be the name of a workspace; give one with --workspace.`
  })
})

export const run = Command.make(
  "run",
  flags,
  Effect.fn("run")(function*(given) {
    const { allowEmptyApply, autoApprove, detailedExitcode, noColor, output, planOnly } = given
    const toApply = autoApprove ? "--auto-approve" : allowEmptyApply ? "--allow-empty-apply" : undefined
    if (planOnly && toApply !== undefined) {
      return yield* new BadInput({ message: `--plan-only and ${toApply} exclude each other; give one of them.` })
    }
    if (detailedExitcode && !planOnly) {
      return yield* new BadInput({ message: "--detailed-exitcode tells what a plan comes to; give --plan-only too." })
    }
    // Not by the flag itself, whose errors repeat what was given, and that may be a secret.
    const variables = yield* Effect.mapError(
      Effect.fromResult(Result.all(given.variables.map(givenVariable))),
      (message) => new BadInput({ message })
    )
    const workspace = yield* workspaceOf(given.workspace, given.directory)
    return yield* withServer(
      given,
      () => lazily(async () => (await import("../run/run-directory.ts")).runDirectory({ ...given, workspace, variables })),
      { colours: !noColor, forProgram: output !== "text" }
    )
  })
).pipe(
  Command.withShortDescription("Plan a directory, ask, and apply that very plan."),
  Command.withDescription([
    "Upload DIR to the server and plan it in a Pod of its own; show the log as it grows, and ask before applying that very plan, in another Pod.",
    "  Without a terminal it stops after the plan and says how to approve it, unless --auto-approve is given.",
    "  Ctrl-C cancels the run and waits until its state is safe; a second one leaves at once. At the question it leaves the run planned.",
    "  Not uploaded: what .terraformignore names, .git, and .terraform except .terraform/modules."
  ].join("\n")),
  Command.withExamples([
    { command: "agent-job run examples/quickstart --workspace demo", description: "Plan, ask, apply" },
    { command: "agent-job run . --plan-only", description: "Only look" },
    { command: "agent-job run . --plan-only --detailed-exitcode", description: "Look, and exit with 7 if something has changed" },
    { command: "agent-job run infra --workspace network --var 'zones=[\"a\",\"b\"]' --auto-approve", description: "In a pipeline" },
    { command: "agent-job run examples/quickstart --workspace demo --destroy", description: "Remove everything again" }
  ])
)
