// The server over TLS with real certificates, whose files are replaced as the kubelet replaces those of a Secret.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, Logger } from "effect"
import { TestClock } from "effect/testing"
import { once } from "node:events"
import { rmSync } from "node:fs"
import { Agent, request } from "node:https"
import { connect, type Socket } from "node:net"
import { join } from "node:path"
import { TLSSocket } from "node:tls"
import { exitCodeOf } from "../../../src/cli/terminal/failure.ts"
import { runPath } from "../../../src/schema/api/run.ts"
import { Connections } from "../../../src/server/lifecycle/listen.ts"
import { Server } from "../../../src/server/lifecycle/server.ts"
import type { ServerOptions } from "../../../src/server/settings.ts"
import { authority, type Signed } from "../../http/certificates.ts"
import { loggerTo } from "../../logger.ts"
import { missingIn, strangeIn } from "../../schema/api/shown-metrics.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { directory, optionsIn, person, serve, serveWith, userToken } from "../live-server.ts"
import { mountedSecret } from "../mounted-secret.ts"

const ca = Effect.map(temporaryFolder("authority"), authority)

/** A mounted Secret with a pair. */
const mounted = (first: Signed) => {
  const contents = ({ cert, key }: Signed) => ({ "tls.crt": cert, "tls.key": key })
  return Effect.map(mountedSecret(contents(first)), ({ folder, put }) => ({
    put: (next: Signed) => put(contents(next)),
    tls: { certFile: join(folder, "tls.crt"), keyFile: join(folder, "tls.key") }
  }))
}

interface Asked {
  readonly path?: string
  readonly headers?: Record<string, string>
  /** Of an agent, the connection may be one that is open. */
  readonly agent?: Agent | false
}

/** Returns what is answered, and the common name of the certificate that was shown. */
const asked = (url: string, ca: string, { agent = false, headers = {}, path = "/healthz" }: Asked = {}) =>
  Effect.callback<{ readonly shown: string; readonly text: string }, Error>((resume) => {
    const authorization = `Bearer ${userToken}`
    const sent = request(url + path, { ca, agent, headers: { authorization, ...headers } }, (response) => {
      const { socket } = response
      const shown = socket instanceof TLSSocket ? String(socket.getPeerCertificate().subject.CN) : ""
      let text = ""
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk))
      response.on("end", () => resume(Effect.succeed({ shown, text })))
    })
    sent.on("error", (error) => resume(Effect.fail(error))).end()
  })

const isText = (said: unknown): said is string => typeof said === "string"

const listening = () => {
  const lines: Array<string> = []
  const logger = loggerTo(({ message }) => void lines.push(...[message].flat().filter(isText)))
  return { lines, logged: Effect.provide(Logger.layer([logger])) }
}

const starting = (tls: ServerOptions["tls"]) =>
  Effect.flatMap(directory, (made) =>
    Effect.map(
      Effect.flip(Effect.scoped(Layer.build(Server({ ...optionsIn(made), ...(tls !== undefined && { tls }) })))),
      (error) => [exitCodeOf(error), error.message]
    ))

describe("a server with a certificate", () => {
  it.live("speaks TLS on its port, and gives links of that kind, unless a proxy says that it was asked by another", () =>
    Effect.gen(function*() {
      const { cert, sign } = yield* ca
      const { tls } = yield* mounted(sign("first"))
      const made = yield* directory
      const id = yield* Effect.scoped(Effect.flatMap(serve(made), (url) => person(url).start("demo")))
      const { url } = yield* serveWith({ ...optionsIn(made), tls })
      expect(yield* asked(url, cert)).toEqual({ shown: "first", text: "ok\n" })
      const view = (headers: Record<string, string>) => asked(url, cert, { path: runPath.run(id), headers })
      expect((yield* view({})).text).toContain(`"logUrl":"${url}/`)
      expect((yield* view({ "x-forwarded-proto": "http" })).text).toContain(`"logUrl":"${url.replace("https", "http")}/`)
    }))

  it.effect("shows the next one to new connections once its files are there, and breaks none that is open", () =>
    Effect.gen(function*() {
      const { cert, sign } = yield* ca
      const { put, tls } = yield* mounted(sign("first"))
      const { lines, logged } = listening()
      const { url } = yield* logged(serveWith({ ...optionsIn(yield* directory), tls }))
      const agent = yield* Effect.acquireRelease(
        Effect.sync(() => new Agent({ keepAlive: true, maxSockets: 1 })),
        (agent) => Effect.sync(() => agent.destroy())
      )
      const shown = (agent?: Agent) => Effect.map(asked(url, cert, agent && { agent }), ({ shown }) => shown)
      expect(yield* shown(agent)).toBe("first")
      put(sign("second"))
      yield* TestClock.adjust("10 seconds")
      expect([yield* shown(), yield* shown(agent)]).toEqual(["second", "first"])
      yield* TestClock.adjust("1 hour")
      expect(lines).toEqual(["the server shows a new certificate"])
    }))

  it.effect("goes on with the former one while its files have no pair, and says so once", () =>
    Effect.gen(function*() {
      const { cert, sign } = yield* ca
      const [first, second] = [sign("first"), sign("second")]
      const { put, tls } = yield* mounted(first)
      const { lines, logged } = listening()
      const { url } = yield* logged(serveWith({ ...optionsIn(yield* directory), tls }))
      const after = (pair: Signed) =>
        Effect.suspend(() => {
          put(pair)
          return Effect.map(Effect.andThen(TestClock.adjust("1 minute"), asked(url, cert)), ({ shown }) => [shown, ...lines.splice(0)])
        })
      const former = "the server goes on showing its former certificate, since "
      expect(yield* after({ cert: second.cert, key: first.key })).toEqual([
        "first",
        `${former}the key in ${tls.keyFile} is not that of the certificate in ${tls.certFile}`
      ])
      const cut = after({ cert: second.cert.slice(0, 300), key: second.key })
      const saysCut = ["first", `${former}the certificate file ${tls.certFile} has no whole certificate in PEM`]
      expect(yield* cut).toEqual(saysCut)
      expect(yield* after(first)).toEqual(["first"])
      expect(yield* cut).toEqual(saysCut)
      expect(yield* after(second)).toEqual(["second", "the server shows a new certificate"])
      rmSync(tls.keyFile)
      expect(yield* after(second)).toEqual(["second", `${former}the key file ${tls.keyFile} cannot be read (it is not there)`])
    }))

  it.live("has each metric of its table, with its sentence, its type and its labels", () =>
    Effect.gen(function*() {
      const { cert, sign } = yield* ca
      const { tls } = yield* mounted(sign("first"))
      const { url } = yield* serveWith({ ...optionsIn(yield* directory), tls })
      const { text } = yield* asked(url, cert, { path: "/metrics" })
      expect(strangeIn(text)).toEqual([])
      const missing = missingIn(text).filter((name) => name.startsWith("agent_job_server_") || name === "agent_job_build_info")
      expect(missing.filter((name) => !name.includes("disk_free"))).toEqual([]) // not every disk has both limits
    }))

  it.effect("says until when that is valid which it shows, and nothing of the kind while it speaks HTTP", () =>
    Effect.gen(function*() {
      const { cert, sign } = yield* ca
      const { put, tls } = yield* mounted(sign("first"))
      const { url } = yield* serveWith({ ...optionsIn(yield* directory), tls })
      const days = Effect.map(asked(url, cert, { path: "/metrics" }), ({ text }) => {
        const [from = 0, until = 0] = [...text.matchAll(/^agent_job_server_certificate_\w+ (\d+)$/gmu)].map(([, seconds]) =>
          Number(seconds)
        )
        return (until - from) / 86_400
      })
      expect(yield* days).toBe(2)
      put(sign("second", undefined, 5))
      yield* TestClock.adjust("1 minute")
      expect(yield* days).toBe(5)
      const plain = yield* serve(yield* directory)
      expect(yield* Effect.promise(async () => (await fetch(`${plain}/metrics`)).text())).not.toContain("certificate")
    }))

  it.live("has the limits of every connection also before TLS is agreed upon, and closes one that speaks plain HTTP", () =>
    Effect.gen(function*() {
      const { cert, sign } = yield* ca
      const { tls } = yield* mounted(sign("first"))
      const { url } = yield* Effect.provideService(serveWith({ ...optionsIn(yield* directory), tls }), Connections, {
        atOnce: 8,
        ofOneAddress: 1
      })
      const open = Effect.acquireRelease(
        Effect.promise(async () => {
          const socket = connect(Number(new URL(url).port), "127.0.0.1")
          await once(socket, "connect")
          return socket
        }),
        (socket) => Effect.sync(() => socket.destroy())
      )
      const closed = (socket: Socket) => Effect.promise(() => once(socket.resume(), "close"))
      const first = yield* open
      yield* closed(yield* open)
      first.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
      yield* closed(first)
      expect((yield* asked(url, cert)).text).toBe("ok\n")
    }))
})

describe("a connection on which TLS is never agreed upon", () => {
  it.live("is closed after ten seconds, as one whose headers do not come", () =>
    Effect.gen(function*() {
      const { sign } = yield* ca
      const { tls } = yield* mounted(sign("first"))
      const { url } = yield* serveWith({ ...optionsIn(yield* directory), tls })
      yield* Effect.promise(() => once(connect(Number(new URL(url).port), "127.0.0.1").resume(), "close"))
    }))
})

describe("a server whose certificate cannot be used", () => {
  const broken = (change: (pair: Signed, other: Signed) => Signed) =>
    Effect.gen(function*() {
      const { sign } = yield* ca
      const { tls } = yield* mounted(change(sign("first"), sign("second")))
      return { tls, said: yield* starting(tls) }
    })
  const sentence = (what: string) => [
    2,
    `The server cannot speak TLS, since ${what}; put a certificate and its key there, as a Secret of type kubernetes.io/tls has them.`
  ]

  it.live("does not start: the pair is none", () =>
    Effect.gen(function*() {
      const { said, tls } = yield* broken(({ cert }, { key }) => ({ cert, key }))
      expect(said).toEqual(sentence(`the key in ${tls.keyFile} is not that of the certificate in ${tls.certFile}`))
    }))

  it.live("does not start: the key is cut short", () =>
    Effect.gen(function*() {
      const { said, tls } = yield* broken(({ cert, key }) => ({ cert, key: key.slice(0, 60) }))
      expect(said).toEqual(sentence(`the key file ${tls.keyFile} has no whole private key in PEM without a password`))
    }))

  it.live("does not start: a file is not there", () =>
    Effect.gen(function*() {
      const certFile = join(yield* temporaryFolder("tls"), "tls.crt")
      expect(yield* starting({ certFile, keyFile: certFile })).toEqual(
        sentence(`the certificate file ${certFile} cannot be read (it is not there)`)
      )
    }))
})
