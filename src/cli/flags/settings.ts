// The flags that several commands share, such as where the server and the cluster are.
// Invariant: none takes a token, which other users of the machine would see on the command line; one names a file that has it.
// Used by the commands that people type.
import { Option, Schema } from "effect"
import { Argument, type Command, Flag } from "effect/cli"
import { resolve } from "node:path"
import { InstallationName, installationNameLimit, WorkspaceName } from "../../schema/names.ts"
import { Namespace } from "../../schema/values/value.ts"
import { shownPath, standardInput } from "../files/input.ts"

export const toggle = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDefault(false), Flag.withoutNegation, Flag.withDescription(description))

const Given = Schema.String.check(Schema.isMinLength(1, { expected: "a path; an empty one would be the directory this runs in" }))

/** Returns a flag whose value is a path, made absolute. The flag does not check that the path can be read. */
export const pathFlag = (name: string) => Flag.String(name).pipe(Flag.withSchema(Given), Flag.map((given) => resolve(given)))

const inputPath = (given: string): string => {
  const path = given === "-" ? standardInput : resolve(given)
  return path === standardInput ? path : shownPath(path)
}

/** Returns a flag for a file to read, as people name it; `-` is standard input, as in kubectl and helm. */
export const inputFlag = (name: string) => Flag.String(name).pipe(Flag.withSchema(Given), Flag.map(inputPath))

/** Returns an argument of the same kind. */
export const inputArgument = (name: string) => Argument.String(name).pipe(Argument.withSchema(Given), Argument.map(inputPath))

/** Returns a flag for a whole number from 0 to `maximum`, which `expected` describes in the message about another value. */
export const numberFlag = (name: string, expected: string, maximum = 999_999_999_999_999) =>
  Flag.String(name).pipe(
    Flag.withMetavar("NUMBER"),
    Flag.filterMap(
      (given) => Option.filter(Option.some(Number(given)), (number) => /^\d+$/u.test(given) && number <= maximum),
      () => `it must be ${expected}`
    )
  )

/** Returns a flag for a port to listen on; 0 takes a free one. */
export const portFlag = (name: string) => numberFlag(name, "a port, 0 to 65535", 65_535).pipe(Flag.withMetavar("PORT"))

export const serverFlags = {
  url: Flag.String("url").pipe(
    Flag.withMetavar("URL"),
    Flag.optional,
    Flag.withDescription("The server; by default what AGENT_JOB_URL says.")
  ),
  tokenFile: pathFlag("token-file").pipe(
    Flag.withMetavar("FILE"),
    Flag.optional,
    Flag.withDescription("A file with the user token; by default AGENT_JOB_TOKEN is the token.")
  )
}
export type ServerFlags = Command.Command.Config.Infer<typeof serverFlags>

export const workspaceArgument = Argument.String("WORKSPACE").pipe(
  Argument.withSchema(WorkspaceName),
  Argument.withDescription("The name of the workspace.")
)

/** The flag for a workspace. What it is for is each command's own. */
export const workspaceFlag = Flag.String("workspace").pipe(
  Flag.withSchema(WorkspaceName),
  Flag.withAlias("w"),
  Flag.withMetavar("NAME"),
  Flag.optional
)

/** Returns a flag for the name of a namespace. */
const namespaceCalled = (name: string) => Flag.String(name).pipe(Flag.withSchema(Namespace), Flag.withMetavar("NAME"))

/** The flag for a namespace, as kubectl and helm have it. What it names, and whether it may be left out, is each command's own. */
export const namespaceFlag = namespaceCalled("namespace").pipe(Flag.withAlias("n"))

/** The namespace where the shipped values put AgentTasks. */
export const usualTaskNamespace = "agent-job-tasks"

export const clusterFlags = {
  context: Flag.String("context").pipe(
    Flag.withMetavar("NAME"),
    Flag.optional,
    Flag.withDescription("A context of the kubeconfig (KUBECONFIG); by default the current one.")
  ),
  namespace: namespaceFlag.pipe(
    Flag.withDefault(usualTaskNamespace),
    Flag.withDescription(`Where the AgentTasks are; ${usualTaskNamespace} by default.`)
  )
}
export type ClusterFlags = Command.Command.Config.Infer<typeof clusterFlags>

/** Flags that say which installation is meant. */
export const installationFlags = {
  name: Flag.String("name").pipe(
    Flag.withSchema(InstallationName),
    Flag.withMetavar("NAME"),
    Flag.withDefault("agent-job"),
    Flag.withDescription(`The name of the installation, at most ${installationNameLimit} characters; agent-job by default.`)
  ),
  namespace: namespaceFlag.pipe(
    Flag.withDefault("agent-job"),
    Flag.withDescription("Its namespace; agent-job by default.")
  )
}

/** The same where the AgentTasks of the installation are meant too. */
export const itsTasksFlags = {
  name: installationFlags.name,
  controllerNamespace: namespaceCalled("controller-namespace").pipe(
    Flag.withDefault("agent-job"),
    Flag.withDescription("Where the controller is; agent-job by default.")
  ),
  namespace: namespaceFlag.pipe(
    Flag.optional,
    Flag.withDescription("Where its AgentTasks are; by default where its values say. This does not choose the installation.")
  )
}
export type ItsTasksFlags = Command.Command.Config.Infer<typeof itsTasksFlags>

export const noColor = toggle("no-color", "No colours; NO_COLOR=1 does the same.")
