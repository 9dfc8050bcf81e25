// Where the server and the cluster are and how to log in: the flags that several commands share, and the environment behind them.
// Invariant: a token comes from the environment or a file, never from the command line, where other users of the machine would see it.
// Used by the commands that people type.
import { Config, Effect, FileSystem, Option, Redacted, Schema } from "effect"
import { Argument, Flag } from "effect/cli"
import { resolve } from "node:path"
import { firstToken } from "../../core/text/token-lines.ts"
import { InstallationName, installationNameLimit, WorkspaceName } from "../../schema/names.ts"
import { Namespace } from "../../schema/values/value.ts"
import { BadInput } from "../terminal/failure.ts"

export const toggle = (name: string, description: string) =>
  Flag.Boolean(name).pipe(Flag.withDefault(false), Flag.withoutNegation, Flag.withDescription(description))

const Given = Schema.String.check(Schema.isMinLength(1, { expected: "a path; an empty one would be the directory this runs in" }))

/** Returns a flag whose value is a path, made absolute. The flag does not check that the path can be read. */
export const pathFlag = (name: string) => Flag.String(name).pipe(Flag.withSchema(Given), Flag.map((given) => resolve(given)))

/** Returns a flag for a file to read; `-` is standard input, as in kubectl and helm. */
export const inputFlag = (name: string) =>
  Flag.String(name).pipe(Flag.withSchema(Given), Flag.map((given) => given === "-" ? "/dev/stdin" : resolve(given)))

/** Returns a flag for a whole number between two, which `expected` describes in the message about another value. */
export const numberFlag = (name: string, expected: string, minimum: number, maximum = 999_999_999_999_999) =>
  Flag.String(name).pipe(
    Flag.withMetavar("NUMBER"),
    Flag.filterMap(
      (given) => Option.filter(Option.some(Number(given)), (number) => /^\d+$/u.test(given) && number >= minimum && number <= maximum),
      () => `it must be ${expected}`
    )
  )

/** Returns a flag for a port to listen on; 0 takes a free one. */
export const portFlag = (name: string) => numberFlag(name, "a port, 0 to 65535", 0, 65_535).pipe(Flag.withMetavar("PORT"))

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

export const controllerNamespaceFlag = namespaceCalled("controller-namespace").pipe(
  Flag.withDefault("agent-job"),
  Flag.withDescription("Where the controller is; agent-job by default.")
)

/** The flag for the namespace of the AgentTasks of an installation that other flags name. */
export const itsTasksFlag = namespaceFlag.pipe(
  Flag.optional,
  Flag.withDescription("Where its AgentTasks are; by default where its values say. This does not choose the installation.")
)

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

export const noColor = toggle("no-color", "No colours; NO_COLOR=1 does the same.")

export interface ServerFlags {
  readonly url: Option.Option<string>
  readonly tokenFile: Option.Option<string>
}
export interface ClusterFlags {
  readonly context: Option.Option<string>
  readonly namespace: string
}

export interface Connection {
  /** The server's address, without a slash at its end. */
  readonly url: string
  readonly token: Option.Option<Redacted.Redacted>
}

const withQuery = new BadInput({
  message: "The address of the server has a \"?\" or \"#\" in it; leave that out, with all behind it: http://127.0.0.1:8080 is one."
})

const withPassword = new BadInput({
  message: "The address of the server has a user or a password in it; leave them out: a token is given by itself, as --help says."
})

/**
 * Returns the address without a slash at its end. Fails if it is unusable; the message never repeats one that may have a password. A proxy
 * may serve the server below a path.
 */
export const checkedUrl = (given: string): Effect.Effect<string, BadInput> => {
  const url = URL.canParse(given) ? new URL(given) : undefined
  const isAddress = url !== undefined && /^https?:$/u.test(url.protocol)
  if (isAddress ? url.username !== "" || url.password !== "" : given.includes("@")) return Effect.fail(withPassword)
  if (/[?#]/u.test(given)) return Effect.fail(withQuery)
  return isAddress
    ? Effect.succeed(given.replace(/\/+$/u, ""))
    : Effect.fail(
      new BadInput({ message: `${JSON.stringify(given)} is not the address of a server; write it like http://127.0.0.1:8080.` })
    )
}

const noServer = new BadInput({
  message: "No server is named; set AGENT_JOB_URL or --url, such as http://127.0.0.1:8080 (after `make run`: eval \"$(make -s env)\")."
})

/** Reports whether the token has a character that no HTTP header can carry, such as a line break. */
const isUnusable = (token: Redacted.Redacted) => /[^\t\u0020-\u007e\u0080-\u00ff]/u.test(Redacted.value(token))

const tokenOf = Effect.fnUntraced(function*(path: string) {
  const text = yield* Effect.mapError(
    FileSystem.FileSystem.use((files) => files.readFileString(path)),
    () => new BadInput({ message: `Cannot read the token file ${path}; check its name and that you may read it.` })
  )
  const token = firstToken(text)
  if (token === undefined) return yield* new BadInput({ message: `The token file ${path} is empty; put the user token into it.` })
  return Redacted.make(token)
})

/** Returns the server's address and the token. Fails if no server is named or one of the two is unusable. Does not ask the server yet. */
export const connection = Effect.fn("connection")(function*({ tokenFile, url }: ServerFlags) {
  const environment = yield* Config.all({
    url: Config.option(Config.String("AGENT_JOB_URL")),
    token: Config.option(Config.Redacted("AGENT_JOB_TOKEN"))
  })
  const given = Option.orElse(url, () => environment.url)
  if (Option.isNone(given)) return yield* noServer
  const token = Option.isSome(tokenFile)
    ? Option.some(yield* tokenOf(tokenFile.value))
    : Option.filter(environment.token, (token) => Redacted.value(token) !== "")
  if (Option.exists(token, isUnusable)) {
    const place = Option.match(tokenFile, { onNone: () => "AGENT_JOB_TOKEN", onSome: (path) => `The token file ${path}` })
    return yield* new BadInput({
      message: `${place} has a line break or another character that no token can have; let it have the token alone.`
    })
  }
  return { url: yield* checkedUrl(given.value), token } satisfies Connection
})

/** Returns the same where a server is named, and none where none is. */
export const connectionIfNamed = (given: ServerFlags) =>
  connection(given).pipe(Effect.asSome, Effect.catchIf((error) => error === noServer, () => Effect.succeedNone))
