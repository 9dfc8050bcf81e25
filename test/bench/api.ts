// A client of the API server over HTTP/2, one connection for calls and one for watches; thin, so that it adds little to what is measured.
// Errors have the server's own text; a call that fails is not retried.
// Used by everything here that talks to a cluster.
import { readFileSync } from "node:fs"
import { connect } from "node:http2"
import { parse } from "yaml"

interface Kubeconfig {
  readonly clusters: readonly [{ readonly cluster: { readonly server: string; readonly "certificate-authority-data": string } }]
  readonly users: readonly [{ readonly user: { readonly "client-certificate-data": string; readonly "client-key-data": string } }]
}

/** The fields of an object that the measurements read. */
export interface Seen {
  readonly metadata: {
    readonly name: string
    readonly namespace: string
    readonly uid: string
    readonly resourceVersion: string
    readonly generation: number
    readonly creationTimestamp: string
    readonly labels?: Readonly<Record<string, string>>
  }
  readonly status?: {
    readonly phase?: string
    readonly message?: string
    readonly conditions?: ReadonlyArray<{ readonly type: string; readonly status: string }>
  }
}

export interface Api extends Disposable {
  /** Returns the response; fails with the response's text if the status is 400 or more. */
  readonly call: <A = Seen>(method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE", path: string, body?: object | string) => Promise<A>
  readonly text: (path: string) => Promise<string>
  /** Passes on every change from now on, until the API is disposed of; resolves once the server has begun to answer. */
  readonly watch: (path: string, changed: (type: string, object: Seen) => void) => Promise<void>
}

const windowBytes = 8 * 1024 * 1024

/** Opens connections by a kubeconfig as test/cluster writes it, with one context and a client certificate. */
export const openApi = (kubeconfig: string): Api => {
  const { clusters: [{ cluster }], users: [{ user }] }: Kubeconfig = parse(readFileSync(kubeconfig, "utf8"))
  const pem = (base64: string) => Buffer.from(base64, "base64")
  const connected = () => {
    const session = connect(cluster.server, {
      ca: pem(cluster["certificate-authority-data"]),
      cert: pem(user["client-certificate-data"]),
      key: pem(user["client-key-data"]),
      settings: { initialWindowSize: windowBytes }
    })
    session.on("connect", () => session.setLocalWindowSize(windowBytes))
    return session
  }
  const [session, watches] = [connected(), connected()]
  const text = (method: string, path: string, body?: object | string): Promise<string> =>
    new Promise((resolve, reject) => {
      const type = method === "PATCH" ? "application/merge-patch+json" : "application/json"
      const stream = session.request({ ":method": method, ":path": path, ...(body !== undefined && { "content-type": type }) })
      let status = 0
      let answer = ""
      stream.setEncoding("utf8").on("error", reject)
      stream.on("response", (headers) => (status = headers[":status"] ?? 0))
      stream.on("data", (part: string) => (answer += part))
      stream.on("end", () => status < 400 ? resolve(answer) : reject(new Error(`${method} ${path}: ${status} ${answer.slice(0, 500)}`)))
      stream.end(typeof body === "object" ? JSON.stringify(body) : body)
    })
  const watch: Api["watch"] = async (path, changed) => {
    let { metadata: { resourceVersion } }: Seen = JSON.parse(await text("GET", `${path}?limit=1`))
    let rest = ""
    const received = (part: string) => {
      const lines = (rest + part).split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) {
        const { object, type }: { readonly type: string; readonly object: Seen } = JSON.parse(line)
        if (type === "ERROR") throw new Error(`The watch of ${path} failed: ${line}`)
        resourceVersion = object.metadata.resourceVersion
        changed(type, object)
      }
    }
    const open = (): Promise<void> =>
      new Promise((resolve, reject) => {
        const stream = watches.request({ ":path": `${path}?watch=1&resourceVersion=${resourceVersion}` })
        stream.setEncoding("utf8").on("data", received).on("error", reject).on("response", () => resolve())
        stream.on("end", () => {
          if (!watches.destroyed) void open()
        }) // the server ends a watch whose reader is slow
      })
    await open()
  }
  return {
    call: async (method, path, body) => JSON.parse(await text(method, path, body)),
    text: (path) => text("GET", path),
    watch,
    [Symbol.dispose]: () => {
      session.destroy()
      watches.destroy()
    }
  }
}

export const tasksOf = (namespace: string) => `/apis/scalr.io/v1/namespaces/${namespace}/atasks`
export const jobsOf = (namespace: string) => `/apis/batch/v1/namespaces/${namespace}/jobs`
export const podsOf = (namespace: string) => `/api/v1/namespaces/${namespace}/pods`
