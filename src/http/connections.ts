// Clients for this program's own requests: they use the proxy and the roots of trust that the environment names, and a client certificate for our server.
// Invariant: requests to loopback and to the whole names of a cluster never use a proxy, a proxy never sees the client certificate, and nothing speaks HTTP/2 (see kubernetes/client).
// Used by controller/pool/pool, worker/network/task-api, worker/network/archive-url and cli/server/server-client; the Kubernetes API is always asked directly.
import { Dispatcher, layerUndiciNoDispatcher } from "@effect/platform-node/NodeHttpClient"
import type * as Undici from "@effect/platform-node/Undici"
import { Config, Data, Effect, Equal, Layer } from "effect"
import type { HttpClient } from "effect/http"
import { lookup, type LookupAddress, type LookupOptions } from "node:dns"
import { readFileSync } from "node:fs"
import type { LookupFunction } from "node:net"
import { join } from "node:path"
import { createSecureContext, getCACertificates, type SecureContextOptions } from "node:tls"
import { holdsCertificate } from "../schema/kubernetes/pem.ts"
import { whyUnreadable } from "../schema/system-error.ts"
import { chosenProxy } from "./chosen-proxy.ts"

export interface ConnectionOptions {
  /** The maximum number of connections to one server. */
  readonly connections: number
  /** Resolves the names of servers that are reached without a proxy. Default: Node's own lookup. */
  readonly lookup?: LookupFunction
}

/** What new connections are opened with, in PEM. An empty text stands for what there is not. */
interface Certificates {
  /** The client certificate and its private key. */
  readonly cert: string
  readonly key: string
  /** Roots to trust beside those of Node. */
  readonly roots: string
}

/** The environment names a proxy by something that is no URL. The message leaves the value out, since it may contain a password. */
export class ProxyUnusable extends Data.TaggedError("ProxyUnusable")<{ readonly variable: string }> {
  override get message() {
    return this.sayingTo("correct it in global.proxy, or in what global.extraEnv and global.extraEnvFrom name")
  }
  /** Returns the message with another remedy, for a reader who does not correct it in an installation's values. */
  sayingTo(remedy: string) {
    return `The proxy in ${this.variable} (or ${this.variable.toLowerCase()}) cannot be used, since it is no URL such as http://proxy.example.com:3128; ${remedy}, and write a % of its password as %25.`
  }
}

class CertificateUnusable extends Data.TaggedError("CertificateUnusable")<{ readonly directory: string; readonly why: string }> {
  override get message() {
    return `The client certificate in ${this.directory} cannot be used (${this.why}); put tls.crt and tls.key there, or unset AGENT_JOB_CLIENT_CERTIFICATE_DIR.`
  }
}

/** Reads a variable, empty if it is not set. */
const textOf = (name: string) => Config.withDefault(Config.String(name), "")

/**
 * How long a proxy may take to open a tunnel, in milliseconds. A request that is given up does not end its wait for the tunnel, which keeps
 * one of the connections.
 */
const tunnelTimeout = 25_000

/** This machine, and names of a cluster, which no proxy knows: our tokens never go that way. */
const direct = ["localhost", "127.0.0.1", "::1", ".svc", ".cluster.local"]

/** Reads a variable, empty if it is not set. Its lower-case name takes precedence, as in other programs. */
const variable = (name: string) => Config.String(name.toLowerCase()).pipe(Config.orElse(() => textOf(name)))

const proxies = Config.all({ httpProxy: variable("HTTP_PROXY"), httpsProxy: variable("HTTPS_PROXY"), noProxy: variable("NO_PROXY") }).pipe(
  Config.map(({ noProxy, ...rest }) => ({ ...rest, noProxy: [noProxy, ...direct].join(",") }))
)

/** Returns the proxy that requests to a URL go through, if the environment names one for it. */
export const proxyTo = (url: string) => Effect.map(Effect.orDie(proxies), (settings) => chosenProxy(settings, url))

/** Where the files of the certificates are. An empty path stands for a file that nobody names. */
interface Places {
  /** Holds tls.crt and tls.key. */
  readonly directory: string
  readonly bundle: string
}

/** Returns no roots if the file cannot be read or has no whole certificate, since Node goes on without them too. */
const readRoots = (file: string): string | undefined => {
  try {
    const text = readFileSync(file, "utf8")
    return holdsCertificate(text) ? text : undefined
  } catch {
    return undefined
  }
}

const read = ({ bundle, directory }: Places, before: Certificates): Certificates => ({
  cert: directory === "" ? "" : readFileSync(join(directory, "tls.crt"), "utf8"),
  key: directory === "" ? "" : readFileSync(join(directory, "tls.key"), "utf8"),
  roots: bundle === "" ? "" : readRoots(bundle) ?? before.roots
})

const none: Certificates = { cert: "", key: "", roots: "" }

type Open = (certificates: Certificates) => Undici.Dispatcher

/**
 * Reads the certificates anew for each request, because the kubelet replaces their files, and Node itself reads the roots only when it
 * starts. Connections that were opened with older certificates close when their requests end.
 */
const renewing = (open: Open, close: (dispatcher: Undici.Dispatcher) => void, places: Places): Undici.Dispatcher => {
  let held = { certificates: none, dispatcher: open(none) }
  const plain = held.dispatcher
  const current = (): Undici.Dispatcher => {
    const certificates = read(places, held.certificates)
    if (!Equal.equals(held.certificates, certificates)) {
      const before = held.dispatcher
      held = { certificates, dispatcher: open(certificates) }
      if (before !== plain) close(before)
    }
    return held.dispatcher
  }
  return plain.compose(() => (options, handler) => current().dispatch(options, handler))
}

/** Returns the roots that Node trusts, but for those of the bundle that it read when it started. */
const otherRoots = (): ReadonlyArray<string> => {
  const extra = new Set(getCACertificates("extra"))
  return getCACertificates().filter((root) => !extra.has(root))
}

/** Options of TLS, to the server and to a proxy. They share contexts, because it takes long to read all roots for each connection. */
const tlsOf = ({ cert, key, roots }: Certificates) => {
  const trust: SecureContextOptions = roots === "" ? {} : { ca: [...otherRoots(), roots] }
  const proxy = roots === "" ? undefined : { secureContext: createSecureContext(trust) }
  return { proxy, server: cert === "" ? proxy : { secureContext: createSecureContext({ ...trust, cert, key }) } }
}

/** The error message of a request to a server that has a forbidden address. */
export const forbiddenAddress = "it has an address that is never asked"

type Resolve = (
  name: string,
  options: LookupOptions & { readonly all: true },
  answer: (error: Error | null, addresses: ReadonlyArray<LookupAddress>) => void
) => void

/**
 * Returns a lookup that fails if any address of the name is forbidden. It resolves the name once, so the checked addresses are those that
 * are connected to.
 */
export const lookupBut =
  (isForbidden: (address: string) => boolean, resolve: Resolve = lookup): LookupFunction => (name, options, answer) =>
    resolve(name, { ...options, all: true }, (error, addresses) => {
      const [first] = addresses ?? []
      if (error !== null || first === undefined) return answer(error ?? new Error("there is no host of that name"), "")
      if (addresses.some(({ address }) => isForbidden(address))) return answer(new Error(forbiddenAddress), "")
      return options.all === true ? answer(null, [...addresses]) : answer(null, first.address, first.family)
    })

const dispatcher = ({ connections, lookup }: ConnectionOptions, certificates: Config.Config<string>) =>
  Effect.gen(function*() {
    const settings = yield* Effect.orDie(proxies)
    const places = yield* Effect.orDie(Config.all({ directory: certificates, bundle: textOf("NODE_EXTRA_CA_CERTS") }))
    const { default: { EnvHttpProxyAgent, Pool, ProxyAgent } } = yield* Effect.promise(() => import("@effect/platform-node/Undici")) // undici, by the only name that works in a bundle too
    for (const [variable, url] of [["HTTP_PROXY", settings.httpProxy], ["HTTPS_PROXY", settings.httpsProxy]] as const) {
      if (url !== "") yield* Effect.try({ try: () => new ProxyAgent(url), catch: () => new ProxyUnusable({ variable }) }) // connects to nothing yet
    }
    const opened = new Set<Undici.Dispatcher>()
    const open: Open = (certificates) => {
      const { proxy, server } = tlsOf(certificates)
      const made = new EnvHttpProxyAgent({
        connections,
        ...settings,
        clientFactory: (url, options) => new Pool(url, { ...options, headersTimeout: tunnelTimeout }),
        allowH2: false,
        connect: { ...server, ...(lookup !== undefined && { lookup }) },
        ...(server !== undefined && { requestTls: server }),
        ...(proxy !== undefined && { proxyTls: proxy })
      })
      opened.add(made)
      return made
    }
    const close = (dispatcher: Undici.Dispatcher): void => void dispatcher.close().then(() => opened.delete(dispatcher)) // each holds roots in memory, and a program outlives many certificates
    yield* Effect.addFinalizer(() => Effect.promise(() => Promise.all([...opened].map((_) => _.destroy()))))
    return renewing(open, close, places)
  })

const connections = (options: ConnectionOptions, certificates: Config.Config<string>): Layer.Layer<HttpClient.HttpClient, ProxyUnusable> =>
  Layer.fresh(Layer.provide(layerUndiciNoDispatcher, Layer.effect(Dispatcher, dispatcher(options, certificates))))

/** A client for any server. It never presents a certificate. */
export const toAnybody = (options: ConnectionOptions) => connections(options, Config.succeed(""))

/** The directory with tls.crt and tls.key, the client certificate for our server. */
const clientCertificate = textOf("AGENT_JOB_CLIENT_CERTIFICATE_DIR")

/** A client for our server, or what is before it, which may ask for a client certificate. */
export const toServer = (options: ConnectionOptions) => connections(options, clientCertificate)

/** Fails, for a person who waits, where each request would fail because the client certificate cannot be used. */
export const usableCertificate = Effect.flatMap(Effect.orDie(clientCertificate), (directory) =>
  Effect.try({
    try: () => createSecureContext(read({ directory, bundle: "" }, none)),
    catch: (cause) => new CertificateUnusable({ directory, why: whyUnreadable(cause) })
  }))
