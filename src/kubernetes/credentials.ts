// Where the API server is and how to log in to it: from inside a Pod, or from a kubeconfig.
// A token and a Pod's authority are read again at least every minute, and at once after a 401; no credential is ever part of an error.
// Given to client.ts by the controller, the worker and the command line.
import { Cache, Config, Effect, Exit, Option, Predicate, Schema } from "effect"
import { readFile } from "node:fs/promises"
import type { RequestOptions } from "node:https"
import { homedir } from "node:os"
import { delimiter, dirname, join, resolve } from "node:path"
import { holdsCertificate } from "../schema/kubernetes/pem.ts"
import { monotonicMillis } from "./clock.ts"
import { KubeconfigUnusable, NoCredentials } from "./errors.ts"

/** TLS material for every connection; PEM, not base64. */
export interface Tls {
  readonly ca?: string | Buffer
  readonly cert?: string | Buffer
  readonly key?: string | Buffer
  readonly servername?: string
  readonly rejectUnauthorized?: boolean
}

export interface Credentials {
  /** Base URL, such as https://10.0.0.1:443. */
  readonly server: string
  /** The namespace to use when nothing else says one. */
  readonly namespace: string
  /**
   * To be read for each new connection: in a Pod, `ca` follows its file whenever `headers` are read anew. Those of a kubeconfig are read
   * once: a client certificate that rotates needs a new process.
   */
  readonly tls: Tls
  /** The headers to send now; cheap, since they are cached for up to a minute. */
  readonly headers: Effect.Effect<Readonly<Record<string, string>>, NoCredentials>
  /** Forgets the cached headers, and reads a kubeconfig again. Called after a 401. */
  readonly refresh: Effect.Effect<void>
}

const mounted = "/var/run/secrets/kubernetes.io/serviceaccount"

/** Returns the first line of the message. A YAML parser adds lines of the file below it, which may contain a credential. */
const problem = (error: unknown): string => (error instanceof Error ? error.message : String(error)).split("\n")[0] ?? ""

const read = (path: string, next: string) =>
  Effect.tryPromise({
    try: () => readFile(path, "utf8"),
    catch: (error) => new NoCredentials({ problem: `Cannot read ${path}: ${problem(error)}`, next })
  })

const minuteMillis = 60_000

/** Caches a success for a minute and a failure not at all; the second effect forgets it at once. */
const forAMinute = Effect.fnUntraced(function*(headers: Credentials["headers"]) {
  const cache = yield* Cache.makeWith(() => headers, { capacity: 1, timeToLive: (exit) => Exit.isSuccess(exit) ? "Infinity" : 0 })
  let since = yield* monotonicMillis // its age is told by this clock, since nobody sets it
  const cached = Effect.gen(function*() {
    const now = yield* monotonicMillis
    if (now - since >= minuteMillis) {
      since = now // at once, so that those who come while it is read wait for that
      yield* Cache.invalidateAll(cache)
    }
    return yield* Cache.get(cache, "headers")
  })
  return [cached, Cache.invalidateAll(cache)] as const
})

/** The kubelet replaces the token file well before the token expires. */
const bearer = (path: string) =>
  read(path, "mount a service account token there").pipe(Effect.map((token) => ({ authorization: `Bearer ${token.trim()}` })))

/**
 * Returns the credentials of the Pod that this runs in. `directory` holds `ca.crt`, `token` and, optionally, `namespace`; by default it is
 * where the kubelet mounts the service account, and a projected volume may be anywhere else. Reads KUBERNETES_SERVICE_HOST and
 * KUBERNETES_SERVICE_PORT.
 */
export const inCluster = Effect.fn("Credentials.inCluster")(function*(
  options: { readonly directory?: string | undefined } = {}
): Effect.fn.Return<Credentials, NoCredentials> {
  const directory = options.directory ?? mounted
  const { host, port } = yield* Config.all({
    host: Config.String("KUBERNETES_SERVICE_HOST"),
    port: Config.String("KUBERNETES_SERVICE_PORT")
  }).pipe(
    Effect.mapError(() =>
      new NoCredentials({
        problem: "KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not both set",
        next: "run this in a Pod, or give a kubeconfig"
      })
    )
  )
  const authorityFile = join(directory, "ca.crt")
  const authority = Effect.filterOrFail(
    read(authorityFile, "mount a service account there"),
    holdsCertificate, // an empty `ca` would have Node trust its public roots for the API server
    () =>
      new NoCredentials({ problem: `Cannot use ${authorityFile}: it holds no whole certificate`, next: "mount a service account there" })
  )
  let ca = yield* authority
  /** Reads the authority again, since the cluster may get a new one. If the file has no whole certificate, the old one stays. */
  const renewAuthority = Effect.ignore(Effect.map(authority, (text) => {
    ca = text
  }))
  const namespace = yield* read(join(directory, "namespace"), "").pipe(Effect.orElseSucceed(() => "default"))
  const [headers, refresh] = yield* forAMinute(Effect.tap(bearer(join(directory, "token")), () => renewAuthority))
  yield* headers
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
    namespace: namespace.trim(),
    tls: {
      get ca() {
        return ca
      }
    },
    headers,
    refresh
  }
})

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

const Users = Schema.Struct({
  users: Schema.Array(
    Schema.Struct({ name: Schema.String, user: Schema.NullOr(Schema.Struct({ tokenFile: Schema.optionalKey(Schema.String) })) })
  )
})
const decodeUsers = Schema.decodeUnknownOption(Users)

/** Returns the standard `tokenFile` of a user, which client-node does not read. */
const tokenFileOf = async (text: string, wanted: string): Promise<string | undefined> => {
  if (!text.includes("tokenFile")) return undefined
  const { parse } = await import("yaml")
  const users = Option.match(decodeUsers(parse(text)), { onNone: () => [], onSome: (document) => document.users })
  return users.find(({ name }) => name === wanted)?.user?.tokenFile
}

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
      for (const { file, text } of found) {
        const next = new KubeConfig()
        next.loadFromString(text)
        next.makePathsAbsolute(dirname(resolve(file)))
        config.clusters.push(...next.clusters.filter(({ name }) => config.getCluster(name) === null))
        config.users.push(...next.users.filter(({ name }) => config.getUser(name) === null))
        const contexts = next.contexts.filter(({ name }) => config.getContextObject(name) === null)
        config.contexts.push(...contexts.map((context) => context.user ? context : { ...context, user: nobody.name }))
        config.currentContext ||= next.currentContext
      }
      config.setCurrentContext(context ?? config.currentContext)
      const user = config.getCurrentUser()?.name
      for (const { file, text } of user === undefined ? [] : found) {
        const tokenFile = await tokenFileOf(text, user ?? "")
        if (tokenFile !== undefined) return { config, tokenFile: resolve(dirname(file), tokenFile) }
      }
      return { config, tokenFile: undefined }
    },
    catch: (error) =>
      new KubeconfigUnusable({
        problem: `Cannot understand the kubeconfig ${wanted.join(", ")}: ${problem(error)}`,
        next: "check it with `kubectl config view`"
      })
  })
})

type Kubeconfig = Effect.Success<ReturnType<typeof load>>["config"]

/** Returns why a login failed. What is said of an answer that is no ExecCredential leaves out the answer, which may hold a token. */
const loginProblem = (error: unknown, config: Kubeconfig): string => {
  const { authProvider } = config.getCurrentUser() ?? {}
  if (Predicate.hasProperty(error, "syscall") && String(error.syscall).startsWith("spawn") && Predicate.hasProperty(error, "path")) {
    const missing = Predicate.hasProperty(error, "code") && error.code === "ENOENT"
    return `its login command ${String(error.path)} ${missing ? "is not there" : "cannot be run"}`
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

/**
 * Returns the credentials of a kubeconfig context: token, token file, client certificate, or exec plugin (TLS material of a plugin is read
 * once). Over plain HTTP, such as to `kubectl proxy`, it sends no credential, just as kubectl: anyone on the way could read it.
 */
export const fromKubeconfig = Effect.fn("Credentials.fromKubeconfig")(function*(
  options: KubeconfigOptions = {}
): Effect.fn.Return<Credentials, NoCredentials | KubeconfigUnusable> {
  const first = yield* load(options)
  const { config } = first
  const cluster = config.getCurrentCluster()
  const context = config.getContextObject(config.currentContext)
  const known = config.getContexts().map(({ name }) => name).join(", ") || "none"
  const isPlain = /^http:/iu.test(cluster?.server ?? "")
  const missing = context === null
    ? undefined
    : cluster === null
    ? `cluster ${context.cluster}`
    : !isPlain && config.getUser(context.user) === null
    ? `user ${context.user}`
    : undefined
  if (context !== null && missing !== undefined) {
    return yield* new KubeconfigUnusable({
      problem: `The context ${context.name} names the ${missing}, which the kubeconfig does not have`,
      next: "correct that"
    })
  }
  if (cluster === null) {
    return yield* new KubeconfigUnusable(
      config.currentContext
        ? { problem: `The kubeconfig has no context ${config.currentContext} (it has: ${known})`, next: "name one of them" }
        : {
          problem: `The kubeconfig has no current context (it has: ${known})`,
          next: "name one of them, or run `kubectl config use-context`"
        }
    )
  }
  if (cluster.proxyUrl) {
    return yield* new KubeconfigUnusable({
      problem: `The cluster of context ${config.currentContext} is behind proxy-url, which is not supported`,
      next: "use a context that reaches it directly"
    })
  }
  const at = {
    server: cluster.server.replace(/\/+$/u, ""),
    namespace: context?.namespace ?? "default"
  }
  if (isPlain) return { ...at, tls: {}, headers: Effect.succeed({}), refresh: Effect.void }
  let current = config
  const [headers, forget] = yield* forAMinute(
    first.tokenFile === undefined ? Effect.suspend(() => Effect.map(login(current), headersOf)) : bearer(first.tokenFile)
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

/** Returns in-cluster credentials when this runs in a Pod and no kubeconfig or context is asked for; else the kubeconfig's. */
export const discover = Effect.fn("Credentials.discover")(function*(
  options: KubeconfigOptions & { readonly directory?: string | undefined } = {}
): Effect.fn.Return<Credentials, NoCredentials | KubeconfigUnusable> {
  const inPod = yield* Config.String("KUBERNETES_SERVICE_HOST").pipe(Effect.option)
  const asked = options.path !== undefined || options.context !== undefined ||
    Option.isSome(yield* Config.String("KUBECONFIG").pipe(Effect.option))
  return yield* Option.isSome(inPod) && !asked ? inCluster(options) : fromKubeconfig(options)
})
