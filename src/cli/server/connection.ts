// Where the server is and how to log in: what the flags say, and the environment behind them.
// Invariant: a token comes from the environment or a file, never from the command line, where other users of the machine would see it.
// Used in cli/server, and by the commands bundle and server.
import { Config, Effect, FileSystem, Option, Redacted } from "effect"
import { firstToken } from "../../core/text/token-lines.ts"
import type { ServerFlags } from "../flags/settings.ts"
import { BadInput } from "../terminal/failure.ts"

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
 * Returns the address without blanks around it, as an .env file may have them, and without a slash at its end. Fails if it is unusable; the
 * message never repeats one that may have a password. A proxy may serve the server below a path.
 */
export const checkedUrl = (typed: string): Effect.Effect<string, BadInput> => {
  const given = typed.trim()
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
  if (token === undefined) {
    return yield* new BadInput({ message: `The token file ${path} has no token in clear; put the user token into it.` })
  }
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
  const token = Option.isSome(tokenFile) ? Option.some(yield* tokenOf(tokenFile.value)) : environment.token // an empty variable is none
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
