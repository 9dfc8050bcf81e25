// How to log in to the API server from outside the cluster: by a context of a kubeconfig.
// The token of a file or of a login command is read again, and so are the files after a 401; no credential is ever part of an error.
// Used by credentials.ts.
import type { Cluster, Context } from "@kubernetes/client-node"
import { Config, Effect, Option, Predicate, Result, Schema } from "effect"
import { readFile } from "node:fs/promises"
import type { RequestOptions } from "node:https"
import { homedir } from "node:os"
import { delimiter, dirname, join, resolve } from "node:path"
import { codeOf, errorInWords } from "../schema/system-error.ts"
import { bearer, forAMinute } from "./credential-cache.ts"
import type { Credentials, Tls } from "./credentials.ts"
import { KubeconfigUnusable, NoCredentials } from "./errors.ts"
import { loginCommand, mayLack } from "./login-command.ts"

export interface KubeconfigOptions {
  /** One file; by default those of KUBECONFIG that exist or, if it is not set, ~/.kube/config. */
  readonly path?: string | undefined
  /** A context's name; by default the current context. It is never changed on disk. */
  readonly context?: string | undefined
}

/** Returns the files to read. `named` is true if the user named them, and false for the file where kubectl looks by default. */
const kubeconfigFiles = Effect.fnUntraced(function*(path: string | undefined) {
  if (path !== undefined) return { files: [path], named: true }
  const listed = yield* Config.String("KUBECONFIG").pipe(Effect.orElseSucceed(() => ""))
  const files = listed.split(delimiter).filter((file) => file !== "")
  if (files.length > 0) return { files, named: true }
  // A user without an account, as in a container, has no home; the runtimes of containers make it the root then.
  const home = yield* Effect.orElseSucceed(Effect.try({ try: homedir, catch: () => undefined }), () => "/")
  return { files: [join(home, ".kube", "config")], named: false }
})

/** The extension of a cluster that is told to login commands. */
const ofLoginCommands = "client.authentication.k8s.io/exec"

/** Standard keys that client-node does not read. */
const Standard = Schema.Struct({
  clusters: mayLack(Schema.Array(Schema.Struct({
    name: Schema.String,
    cluster: mayLack(Schema.Struct({
      extensions: mayLack(Schema.Array(Schema.Struct({ name: mayLack(Schema.String), extension: mayLack(Schema.Unknown) })))
    }))
  }))),
  users: mayLack(Schema.Array(Schema.Struct({
    name: Schema.String,
    user: mayLack(Schema.Struct({
      tokenFile: mayLack(Schema.String),
      "as-groups": mayLack(Schema.Array(Schema.String)),
      "as-uid": mayLack(Schema.String),
      "as-user-extra": mayLack(Schema.Record(Schema.String, Schema.Unknown))
    }))
  })))
})
const decodeStandard = Schema.decodeUnknownOption(Standard)

const standardOf = async (text: string): Promise<typeof Standard.Type> => {
  if (!/tokenFile|as-(?:groups|uid|user-extra)|client\.authentication\.k8s\.io\/exec/u.test(text)) return {}
  const { parse } = await import("yaml")
  return Option.getOrThrowWith(
    decodeStandard(parse(text, { merge: true })),
    () => new Error("its clusters or users are not of the form that kubectl knows")
  )
}

interface Source {
  readonly folder: string
  readonly standard: typeof Standard.Type
}

/** Returns the path of a user's token file, and the names of the keys that ask for more than `as`. */
const standardUser = ({ folder, standard }: Source, wanted: string) => {
  const { tokenFile, ...others } = standard.users?.find(({ name }) => name === wanted)?.user ?? {}
  return {
    tokenFile: tokenFile ? resolve(folder, tokenFile) : undefined,
    impersonating: Object.entries(others).flatMap(([key, value]) => Object.keys(value ?? {}).length > 0 ? [key] : [])
  }
}

const configForLogin = ({ clusters }: typeof Standard.Type, wanted: string): unknown =>
  clusters?.find(({ name }) => name === wanted)?.cluster?.extensions?.find(({ name }) => name === ofLoginCommands)?.extension

/** Returns the first line of the message. A YAML parser adds lines of the file below it, which may contain a credential. */
const problem = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? ""

/** Returns why a kubeconfig cannot be parsed, and where, without the text there that the parser quotes. */
const parseProblem = (error: unknown): string => problem(error).replace(/ ?(?:"|!<|: ).*(?= \(\d+:\d+\)$)/u, "")

/** The user of a context that names none, which is legal, but client-node takes the authority of a cluster only for somebody. */
const nobody = { name: "" }

/** Loads and merges the files that exist, as kubectl does: the first file that has an entry of a name wins. */
const load = Effect.fnUntraced(function*({ path, context }: KubeconfigOptions) {
  const { files: wanted, named } = yield* kubeconfigFiles(path)
  const texts = yield* Effect.forEach(
    wanted,
    (file) => Effect.option(Effect.tryPromise(async () => ({ file, text: await readFile(file, "utf8") })))
  )
  const found = texts.flatMap(Option.toArray)
  if (found.length === 0) {
    return yield* named
      ? new KubeconfigUnusable({
        problem: `No kubeconfig can be read at ${wanted.join(" or ")}`,
        next: "name one that is there with KUBECONFIG"
      })
      : new NoCredentials({
        problem: `There is no Kubernetes cluster to talk to: no kubeconfig can be read at ${wanted.join(" or ")}`,
        next: "set KUBECONFIG to one, or run this in a Pod"
      })
  }
  return yield* Effect.tryPromise({
    try: async () => {
      const { KubeConfig } = await import("@kubernetes/client-node")
      const config = new KubeConfig()
      config.users.push(nobody)
      const sources = new Map<string, Source>()
      const configs = new Map<string, unknown>()
      for (const { file, text: given } of found) {
        const text = /^\s*[^\s#]/mu.test(given) ? given : "{}" // comments alone are no entries, as for kubectl
        const next = new KubeConfig()
        next.loadFromString(text)
        const source = { folder: dirname(resolve(file)), standard: await standardOf(text) }
        next.makePathsAbsolute(source.folder)
        const clusters = next.clusters.filter(({ name }) => config.getCluster(name) === null)
        config.clusters.push(...clusters)
        clusters.forEach(({ name }) => configs.set(name, configForLogin(source.standard, name)))
        const users = next.users.filter(({ name }) => config.getUser(name) === null)
        config.users.push(...users)
        users.forEach(({ name }) => sources.set(name, source))
        const contexts = next.contexts.filter(({ name }) => config.getContextObject(name) === null)
        config.contexts.push(...contexts.map((context) => context.user ? context : { ...context, user: nobody.name }))
        config.currentContext ||= next.currentContext
      }
      config.setCurrentContext(context ?? config.currentContext)
      const user = config.getCurrentUser()
      const source = user && sources.get(user.name)
      if (!source) return { config, tokenFile: undefined, impersonating: [] }
      const standard = standardUser(source, user.name)
      if (user.exec) {
        const isKnown = [user.token, standard.tokenFile, user.certFile, user.certData].some(Boolean) // kubectl runs no login command then
        const cluster = config.getCurrentCluster()
        const place = { folder: source.folder, cluster, config: cluster && configs.get(cluster.name) }
        config.users.unshift({ ...user, exec: isKnown ? undefined : await loginCommand(user, place) }) // the first of a name is taken
      }
      return { config, ...standard }
    },
    catch: (error) =>
      new KubeconfigUnusable({
        problem: `Cannot understand the kubeconfig ${wanted.join(", ")}: ${parseProblem(error)}`,
        next: "check it with `kubectl config view`"
      })
  })
})

type Loaded = Effect.Success<ReturnType<typeof load>>
type Kubeconfig = Loaded["config"]

/** Reports whether a kubeconfig has a current context, or is one that cannot be understood, which whoever asks for a cluster has to know. */
export const choosesCluster = load({}).pipe(
  Effect.match({ onFailure: ({ _tag }) => _tag === "KubeconfigUnusable", onSuccess: ({ config }) => Boolean(config.currentContext) })
)

/** Returns why a login failed. What is said of an answer that is no ExecCredential leaves out the answer, which may hold a token. */
const loginProblem = (error: unknown, config: Kubeconfig): string => {
  const { authProvider } = config.getCurrentUser() ?? {}
  if (Predicate.hasProperty(error, "syscall") && Predicate.hasProperty(error, "path")) {
    if (!String(error.syscall).startsWith("spawn")) return `its file ${String(error.path)} cannot be read (${errorInWords(error)})`
    return `its login command ${String(error.path)} ${codeOf(error) === "ENOENT" ? "is not there" : "cannot be run"}`
  }
  if (error instanceof TypeError || error instanceof SyntaxError) {
    if (authProvider === undefined || authProvider === null) return "its login command printed no ExecCredential"
    const name = String(authProvider.name)
    if (error instanceof SyntaxError) return `the command of its auth-provider ${name} printed no JSON`
    return Predicate.hasProperty(authProvider.config, "id-token")
      ? `the token of its auth-provider ${name} has expired, and is not renewed here`
      : `its auth-provider ${name} has no token, and such a login is no longer supported`
  }
  return problem(error).trim() || "its login command failed and did not say why"
}

/** Runs the exec plugin if there is one; client-node caches its answer until that expires. */
const login = (config: Kubeconfig) =>
  Effect.tryPromise({
    try: async (): Promise<RequestOptions> => {
      const options: RequestOptions = {}
      await config.applyToHTTPSOptions(options)
      return options
    },
    catch: (error) =>
      new NoCredentials({
        problem: `Cannot log in with the context ${config.currentContext}: ${loginProblem(error, config)}`,
        next: "run the login command of your cluster's provider"
      })
  })

const headersOf = ({ headers }: RequestOptions): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(headers ?? {}).map(([name, value]) => [name.toLowerCase(), String(value).trim()]))

const tlsOf = ({ ca, cert, key, servername, rejectUnauthorized }: RequestOptions & { readonly servername?: string | undefined }): Tls =>
  Object.fromEntries(
    Object.entries({ ca, cert, key, servername, rejectUnauthorized }).filter(([, value]) => value !== undefined && value !== null)
  )

const unusable = (problem: string, next: string) => new KubeconfigUnusable({ problem, next })

/** Reports whether the cluster is asked over plain HTTP, where no credential is sent. */
const isPlain = ({ server }: Cluster): boolean => /^http:/iu.test(server)

/** Returns the current context and its cluster, or what is wrong with them. */
const contextOf = (
  { config, impersonating }: Loaded
): Result.Result<{ readonly context: Context; readonly cluster: Cluster }, KubeconfigUnusable> => {
  const { currentContext: name } = config
  const context = config.getContextObject(name)
  if (context === null) {
    const names = config.getContexts().map((_) => _.name)
    if (names.length === 0) return Result.fail(unusable("The kubeconfig has no contexts", "name one that has with KUBECONFIG"))
    const known = `(it has: ${names.join(", ")})`
    return Result.fail(
      name
        ? unusable(`The kubeconfig has no context ${name} ${known}`, "name one of them")
        : unusable(`The kubeconfig has no current context ${known}`, "name one of them, or run `kubectl config use-context`")
    )
  }
  const lacks = (what: string) =>
    Result.fail(unusable(`The context ${context.name} names the ${what}, which the kubeconfig does not have`, "correct that"))
  const cluster = config.getCluster(context.cluster)
  if (cluster === null) return lacks(`cluster ${context.cluster}`)
  if (!isPlain(cluster) && config.getUser(context.user) === null) return lacks(`user ${context.user}`)
  if (cluster.proxyUrl) {
    return Result.fail(
      unusable(`The cluster of context ${name} is behind proxy-url, which is not supported`, "use a context that reaches it directly")
    )
  }
  return impersonating.length > 0
    ? Result.fail(unusable(
      `The user of context ${name} has ${impersonating.join(" and ")}, which is not supported`,
      "use a context whose user impersonates by `as` alone, or not at all"
    ))
    : Result.succeed({ context, cluster })
}

/**
 * Returns the credentials of a kubeconfig context: token, token file, client certificate, or exec plugin (TLS material of a plugin is read
 * once). Over plain HTTP, such as to `kubectl proxy`, it sends no credential, just as kubectl: anyone on the way could read it.
 */
export const fromKubeconfig = Effect.fn("Credentials.fromKubeconfig")(function*(
  options: KubeconfigOptions = {}
): Effect.fn.Return<Credentials, NoCredentials | KubeconfigUnusable> {
  const first = yield* load(options)
  const { config } = first
  const { cluster, context } = yield* Effect.fromResult(contextOf(first))
  const at = { server: cluster.server.replace(/\/+$/u, ""), namespace: context.namespace ?? "default" }
  if (isPlain(cluster)) {
    const as = config.getCurrentUser()?.impersonateUser // no credential, and without it the rights would be all those of the proxy
    return { ...at, tls: {}, headers: Effect.succeed(as ? { "impersonate-user": as } : {}), refresh: Effect.void }
  }
  let current = config
  const loggedIn = Effect.suspend(() => Effect.map(login(current), headersOf))
  const [headers, forget] = yield* forAMinute(
    first.tokenFile === undefined
      ? loggedIn
      : Effect.zipWith(
        loggedIn, // with `as`
        bearer(first.tokenFile, `write a token there, or correct the tokenFile of user ${context.user} in the kubeconfig`),
        (others, token) => ({ ...others, ...token })
      )
  )
  const tls = tlsOf(yield* login(config))
  yield* headers
  return {
    ...at,
    tls,
    headers,
    // The files may hold new credentials by now. If they cannot be read, the old credentials stay.
    refresh: load(options).pipe(
      Effect.map((next) => {
        current = next.config
      }),
      Effect.ignore,
      Effect.andThen(forget)
    )
  }
})
