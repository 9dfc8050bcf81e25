// `agent-job server`: serves runs, workspaces, state and logs to people and to controllers, in one process with one database.
// Used by the server's StatefulSet, or by hand.
import { Config, Effect, Layer, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { resolve } from "node:path"
import { serverPort } from "../../core/task/places.ts"
import { keptByDefault } from "../../schema/api/keep.ts"
import { numberFlag, pathFlag, portFlag } from "../flags/settings.ts"
import { checkedUrl } from "../server/connection.ts"
import { BadInput } from "../terminal/failure.ts"
import { lazily } from "../terminal/lazily.ts"
import { serve } from "../terminal/serve.ts"

const file = (name: string, description: string) => pathFlag(name).pipe(Flag.withMetavar("FILE"), Flag.withDescription(description))

/** The variables that name the same files as the flags, for a layer of Kustomize, which can set them beside arguments of others. */
const variables = { certFile: "AGENT_JOB_TLS_CERT_FILE", keyFile: "AGENT_JOB_TLS_PRIVATE_KEY_FILE" } as const

const tlsFile = (name: string, of: keyof typeof variables, description: string) =>
  file(name, `${description} By default what ${variables[of]} says.`).pipe(Flag.optional)

const oneAlone = new BadInput({
  message:
    `Of --tls-cert-file (${variables.certFile}) and --tls-private-key-file (${variables.keyFile}) only one is given; give both, or neither for plain HTTP.`
})

/** Returns the files of the certificate and its key, or none if neither is named. */
const tlsFiles = Effect.fnUntraced(function*(flags: Readonly<Record<keyof typeof variables, Option.Option<string>>>) {
  const named = (of: keyof typeof variables) =>
    Effect.map(Config.withDefault(Config.String(variables[of]), ""), (path) => Option.getOrElse(flags[of], () => path && resolve(path)))
  const [certFile, keyFile] = [yield* named("certFile"), yield* named("keyFile")]
  if ((certFile === "") !== (keyFile === "")) return yield* oneAlone
  return certFile === "" ? {} : { tls: { certFile, keyFile } }
})

const keep = (what: keyof typeof keptByDefault, description: string) =>
  numberFlag(`keep-${what}`, "a whole number, 0 or more").pipe(
    Flag.withDefault(keptByDefault[what]),
    Flag.withDescription(`${description} ${keptByDefault[what]} by default.`)
  )

const Address = Schema.String.check(
  Schema.isMinLength(1, { expected: "an address of this machine; without the flag, the server listens at every one" })
)

const flags = {
  port: portFlag("port").pipe(Flag.withDefault(serverPort), Flag.withDescription(`Where to listen; ${serverPort} by default.`)),
  address: Flag.String("address").pipe(
    Flag.withSchema(Address),
    Flag.withMetavar("ADDRESS"),
    Flag.optional,
    Flag.withDescription("Address of this machine to listen at, such as 127.0.0.1; every one by default.")
  ),
  dataDir: pathFlag("data-dir").pipe(
    Flag.withMetavar("DIR"),
    Flag.withDescription("For the database and the archives; made when it is missing.")
  ),
  publicUrl: Flag.String("public-url").pipe(
    Flag.withMetavar("URL"),
    Flag.optional,
    Flag.withDescription("URL by which clients reach the server; by default the one in each request.")
  ),
  certFile: tlsFile(
    "tls-cert-file",
    "certFile",
    "Certificate of the server in PEM, with the rest of its chain, to speak HTTPS instead of HTTP; read again when it changes."
  ),
  keyFile: tlsFile("tls-private-key-file", "keyFile", "Its private key in PEM."),
  userTokenFile: file(
    "user-token-file",
    "Tokens of people, one a line, in clear or as sha256:HEX; what follows a token is a name, and at the end may be role=plan or role=read, and workspaces=NAME,BEGINNING*."
  ),
  poolTokenFile: file(
    "pool-token-file",
    "Tokens of controllers, one a line, in clear or as sha256:HEX; what follows a token is the name of its pool."
  ),
  defaultPool: Flag.String("default-pool").pipe(
    Flag.withMetavar("POOL"),
    Flag.optional,
    Flag.withDescription("The pool of the workspaces that are bound to none; by default any controller takes their stages.")
  ),
  days: keep(
    "days",
    "Remove archives, logs and states older than this many days, except those that --keep-runs and --keep-states keep; 0 keeps all."
  ),
  runs: keep("runs", "Always keep the archive and logs of this many runs per workspace; 0 keeps all."),
  states: keep("states", "Always keep this many states per workspace; 0 keeps all.")
}

export const server = Command.make(
  "server",
  flags,
  Effect.fn("server")(function*({ address, certFile, days, defaultPool, keyFile, publicUrl, runs, states, ...given }) {
    const tls = yield* tlsFiles({ certFile, keyFile })
    const at = Option.isSome(address) ? { address: address.value } : {}
    const url = Option.isSome(publicUrl) ? { publicUrl: yield* checkedUrl(publicUrl.value) } : {}
    const pool = Option.isSome(defaultPool) && defaultPool.value !== "" ? { defaultPool: defaultPool.value } : {}
    return yield* serve(lazily(async () => {
      const { Server } = await import("../../server/lifecycle/server.ts")
      return Layer.launch(Server({ ...given, ...at, ...tls, ...url, ...pool, keep: { days, runs, states } }))
    }))
  })
).pipe(Command.withDescription("Serve runs, logs and state to people and controllers."))
