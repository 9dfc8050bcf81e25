// `agent-job vars …`: lists and changes the variables that every run of a workspace gets: input variables, and environment variables.
// Invariant: a value is read from a file or standard input, never from the command line, where other users of the machine would see it.
// Used by agent-job.ts.
import { Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { errorInWords } from "../../schema/system-error.ts"
import { readInput, standardInput } from "../files/input.ts"
import { isVariableName, noVariableName } from "../flags/run-variables.ts"
import { inputFlag, serverFlags, toggle, workspaceArgument as workspace } from "../flags/settings.ts"
import { askServer } from "../server/with-server.ts"
import { outputFlag, print } from "../terminal/answer.ts"
import { BadInput, NothingThere } from "../terminal/failure.ts"
import { loading } from "../terminal/lazily.ts"

const variable = Argument.String("NAME").pipe(Argument.withDescription("The name of the variable."))
const envTo = (verb: string) =>
  toggle("env", `${verb} an environment variable of the stages, which providers read, instead of an input variable.`)

const categoryOf = (given: { readonly env: boolean }) => given.env ? "env" : "terraform"
const called = { env: "environment variable", terraform: "input variable" } as const

const list = Command.make(
  "list",
  { workspace, output: outputFlag, ...serverFlags },
  (given) =>
    askServer(
      given,
      Effect.fnUntraced(function*({ server }) {
        const { variableTable } = yield* loading(() => import("../run/rows.ts"))
        const { id } = yield* server.workspace(given.workspace)
        const variables = yield* server.variables(id)
        const lines = variables.length === 0
          ? [`No variables yet; set one with: agent-job vars set ${given.workspace} NAME`]
          : variableTable(variables)
        yield* print(given.output, { document: { workspace: given.workspace, variables }, lines })
      })
    )
).pipe(
  Command.withDescription("List the variables of a workspace; a sensitive value is never shown."),
  Command.withExamples([{ command: "agent-job vars list demo" }, { command: "agent-job vars list demo -o json" }])
)

/** Says why nothing can be set under this name, without the value that may stand in it. */
const notTheName = (given: string): string => {
  const at = given.indexOf("=")
  return at === -1
    ? noVariableName(given)
    : `"${
      given.slice(0, at)
    }=…" cannot be the name of a variable; give the name alone, and the value on standard input or with --from-file.`
}

interface ToSet {
  readonly workspace: string
  readonly variable: string
  readonly env: boolean
  readonly fromFile: Option.Option<string>
}

/** Reads the value from the file or standard input, without the one newline that editors and `echo` put at its end. */
const valueFor = Effect.fnUntraced(function*({ env, fromFile, variable: name, workspace }: ToSet) {
  const path = Option.getOrElse(fromFile, () => standardInput)
  if (path === standardInput && process.stdin.isTTY) {
    return yield* new BadInput({
      message: `The value of ${name} comes from standard input or a file: pipe it into this command, or name its file with --from-file.`
    })
  }
  const read = yield* Effect.tryPromise({
    try: () => readInput(path),
    catch: (cause) =>
      new BadInput({
        message: `The value of ${name} cannot be read from ${path === standardInput ? "standard input" : path} (${
          errorInWords(cause)
        }); name a file that you may read, or pipe the value into this command.`
      })
  })
  const text = yield* Effect.try({
    try: () => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(read),
    catch: () =>
      new BadInput({
        message: `The value of ${name} is not UTF-8, so nothing was set; give it as UTF-8, or in base64 where what reads it can take that.`
      })
  })
  const value = text.replace(/\r?\n$/u, "")
  return value === ""
    ? yield* new BadInput({
      message:
        `The value of ${name} is empty, so nothing was set; see what is piped into this command, or take the variable away with: agent-job vars delete ${workspace} ${name}${
          env ? " --env" : ""
        }`
    })
    : value
})

const set = Command.make(
  "set",
  {
    workspace,
    variable,
    env: envTo("Set"),
    sensitive: toggle("sensitive", "Never show it again, and keep it out of logs; one that is sensitive stays so."),
    hcl: toggle("hcl", "The value is an HCL expression, not a text."),
    fromFile: inputFlag("from-file").pipe(
      Flag.withMetavar("FILE"),
      Flag.optional,
      Flag.withDescription("Where the value is; by default standard input.")
    ),
    ...serverFlags
  },
  Effect.fn("vars set")(function*(given) {
    const name = given.variable
    const category = categoryOf(given)
    if (!isVariableName(name)) return yield* new BadInput({ message: notTheName(name) })
    if (given.env && given.hcl) return yield* new BadInput({ message: "An environment variable is a text; leave --hcl out." })
    const { environmentFault } = yield* loading(() => import("../../core/stage/environment-fault.ts"))
    const checked = (value: string) => {
      const fault = given.env ? environmentFault(name, value) : undefined
      return fault === undefined ? Effect.succeed(value) : Effect.fail(new BadInput({ message: `${fault}.` }))
    }
    yield* checked("") // the name alone, before a person types a value
    const value = yield* Effect.flatMap(valueFor(given), checked)
    yield* askServer(
      given,
      Effect.fnUntraced(function*({ screen, server }) {
        const { id } = yield* server.ensureWorkspace(given.workspace)
        const before = (yield* server.variables(id)).find((variable) => variable.key === name && variable.category === category)
        const sensitive = given.sensitive || before?.sensitive === true
        yield* server.setVariable(id, { key: name, value, category, hcl: given.hcl, sensitive })
        yield* screen.result(
          `Set the ${sensitive ? "sensitive " : ""}${called[category]} ${name} of ${given.workspace}; runs that begin from now on get it.`
        )
      })
    )
  })
).pipe(
  Command.withShortDescription("Set a variable of a workspace to what comes from standard input or a file."),
  Command.withDescription([
    "Set a variable of a workspace to what comes from standard input or a file, less one newline at its end; makes the workspace when it is missing.",
    "  A run's own --var wins over it. A plan that waits for its approval was made with the value before, so its apply is refused."
  ].join("\n")),
  Command.withExamples([
    { command: "printf %s \"$AWS_SECRET_ACCESS_KEY\" | agent-job vars set demo AWS_SECRET_ACCESS_KEY --env --sensitive" },
    { command: "agent-job vars set demo GOOGLE_CREDENTIALS --env --sensitive --from-file key.json" },
    { command: "echo eu-west-1 | agent-job vars set demo region" }
  ])
)

const remove = Command.make(
  "delete",
  { workspace, variable, env: envTo("Delete"), ...serverFlags },
  (given) => {
    let asked = false // to delete it, which may be done although no answer came
    return askServer(
      given,
      Effect.fnUntraced(function*({ screen, server }) {
        const category = categoryOf(given)
        const { id } = yield* server.workspace(given.workspace)
        const found = (yield* server.variables(id)).find((variable) => variable.key === given.variable && variable.category === category)
        if (found === undefined && !asked) {
          return yield* new NothingThere({
            message: `There is no ${
              called[category]
            } ${given.variable} in workspace ${given.workspace}; \`agent-job vars list ${given.workspace}\` lists what there is, and --env is for those of the environment.`
          })
        }
        asked = true
        if (found !== undefined) yield* server.deleteVariable(id, found.id)
        yield* screen.result(`Deleted the ${called[category]} ${given.variable} of ${given.workspace}.`)
      })
    )
  }
).pipe(
  Command.withDescription("Take a variable away from a workspace."),
  Command.withExamples([
    { command: "agent-job vars delete demo region" },
    { command: "agent-job vars delete demo AWS_SECRET_ACCESS_KEY --env" }
  ])
)

export const vars = Command.make("vars").pipe(
  Command.withDescription(
    "Set what every run of a workspace gets: input variables, and the credentials and other environment of its stages."
  ),
  Command.withSubcommands([list, set, remove])
)
