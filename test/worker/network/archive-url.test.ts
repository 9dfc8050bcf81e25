// Archives by URL: which requests the worker makes, what it never sends, and when it gives up.
import { describe, expect, it } from "@effect/vitest"
import { type Cause, Effect, Fiber, Logger, Queue, Random, type Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { existsSync, readFileSync, statSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import { type AddressInfo, connect } from "node:net"
import { join } from "node:path"
import { lookupBut } from "../../../src/http/connections.ts"
import { Sha256 } from "../../../src/schema/names.ts"
import { type Archive, archiveUrl, fetchArchive as fetch, Forbidden } from "../../../src/worker/network/archive-url.ts"
import { loggerTo } from "../../logger.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { sha256 } from "../fake-task-api.ts"

/** Fetches with no address forbidden, because the servers of this file are on loopback. */
const fetchArchive = (...given: Parameters<typeof fetch>) => Effect.provideService(fetch(...given), Forbidden, () => false)

const content = Buffer.from("an archive")
const wanted = (url: string): Archive => ({ url, sha256: Sha256.make(sha256(content)) })

const serving = (
  answer: (request: IncomingMessage, response: ServerResponse) => void
): Effect.Effect<{ readonly url: string; readonly file: string; readonly asked: Array<IncomingMessage> }, never, Scope.Scope> =>
  Effect.gen(function*() {
    const asked: Array<IncomingMessage> = []
    const server = createServer((request, response) => {
      asked.push(request)
      answer(request, response)
    })
    server.keepAliveTimeout = 0 // it closes none itself
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () => Effect.sync(() => (server.close(), server.closeAllConnections()))
    )
    const directory = yield* temporaryFolder("url")
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, file: join(directory, "archive"), asked }
  })

describe.concurrent("fetchArchive", () => {
  it.live("takes an archive whose digest is right, with no credential sent", () =>
    Effect.gen(function*() {
      const { asked, file, url } = yield* serving((_, response) => void response.end(content))
      yield* fetchArchive(wanted(`${url}/config.tar.gz?signature=s`), file)
      expect(readFileSync(file)).toEqual(content)
      expect(statSync(file).mode & 0o777).toBe(0o600)
      expect(asked).toHaveLength(1)
      expect(Object.keys(asked[0]?.headers ?? {})).not.toEqual(expect.arrayContaining(["authorization"]))
      expect(Object.keys(asked[0]?.headers ?? {})).not.toEqual(expect.arrayContaining(["cookie"]))
    }))

  it.live("refuses another archive than the approved one", () =>
    Effect.gen(function*() {
      const { file, url } = yield* serving((_, response) => void response.end("another"))
      expect(yield* Effect.flip(fetchArchive(wanted(url), file))).toMatchObject({
        reason: "DigestMismatch",
        message: expect.stringContaining(sha256(content))
      })
    }))

  it.live("follows a few redirects", () =>
    Effect.gen(function*() {
      const { asked, file, url } = yield* serving(({ url: path }, response) =>
        void (path === "/end" ? response.end(content) : response.writeHead(302, { location: path === "/" ? "/next" : "/end" }).end())
      )
      yield* fetchArchive(wanted(url), file)
      expect(asked.map((request) => request.url)).toEqual(["/", "/next", "/end"])
    }))

  it.live("does not follow redirects for ever", () =>
    Effect.gen(function*() {
      const { asked, file, url } = yield* serving((_, response) => void response.writeHead(302, { location: "/" }).end())
      expect(yield* Effect.flip(fetchArchive(wanted(url), file))).toMatchObject({
        message: expect.stringContaining("redirects too often")
      })
      expect(asked).toHaveLength(4)
    }))

  it.live("does not follow a redirect to a file", () =>
    Effect.gen(function*() {
      const { file, url } = yield* serving((_, response) => void response.writeHead(302, { location: "file:///etc/passwd" }).end())
      expect(yield* Effect.flip(fetchArchive(wanted(url), file))).toMatchObject({ reason: "InvalidConfiguration" })
      expect(existsSync(file)).toBe(false)
    }))

  it.live("says what the server answered, without the URL's query", () =>
    Effect.gen(function*() {
      const { file, url } = yield* serving((_, response) => void response.writeHead(403).end("<html>"))
      const { message, reason } = yield* Effect.flip(fetchArchive(wanted(`${url}/config.tar.gz?signature=secret`), file))
      expect(reason).toBe("InvalidConfiguration")
      expect(message).toMatch(/config\.tar\.gz \(it answers 403\)/u)
      expect(message).not.toContain("secret")
    }))

  it.live("asks again after a server error and a broken answer", () =>
    Effect.gen(function*() {
      let turn = 0
      const { file, url } = yield* serving((request, response) => {
        turn++
        if (turn === 1) return void response.writeHead(503).end()
        if (turn === 2) return void response.writeHead(200, { "content-length": "1000" }).write("part", () => request.socket.destroy())
        response.end(content)
      })
      yield* fetchArchive(wanted(url), file)
      expect(readFileSync(file)).toEqual(content)
    }))

  it.live("asks again after a server error whose body does not come, and says what the server answered in the end", () =>
    Effect.gen(function*() {
      const { asked, file, url } = yield* serving((_, response) =>
        response.writeHead(asked.length === 1 ? 503 : 403, { "content-length": "1000" }).flushHeaders()
      )
      expect((yield* Effect.flip(fetchArchive(wanted(url), file))).message).toContain("it answers 403")
      expect(asked).toHaveLength(2)
    }))

  it.live("says in the end why there was no answer", () =>
    Effect.gen(function*() {
      const { asked, file, url } = yield* serving((_, response) => void response.writeHead(503).end())
      expect(yield* Effect.flip(fetchArchive(wanted(url), file, "1 second"))).toMatchObject({
        reason: "SourceUnreachable",
        message: `The archive cannot be fetched from ${url}/ (it answers 503); check the URL of the source and the network.`
      })
      expect(asked.length).toBeGreaterThan(1)
    }))

  it.live("asks again for an artifact that Flux does not have, since a Flux that restarts loses its artifacts and makes them again", () =>
    Effect.gen(function*() {
      const { asked, file, url } = yield* serving((_, response) => void response.writeHead(asked.length < 3 ? 404 : 200).end(content))
      yield* fetchArchive({ ...wanted(url), revision: "main@sha1:a" }, file)
      expect(readFileSync(file)).toEqual(content)
    }))

  it.live("says in the end which revision Flux no longer has, and takes a 404 of anybody else for the last word", () =>
    Effect.gen(function*() {
      const { asked, file, url } = yield* serving((_, response) => void response.writeHead(404).end("404 page not found"))
      expect(yield* Effect.flip(fetchArchive({ ...wanted(url), revision: "main@sha1:a" }, file, "1 second"))).toMatchObject({
        reason: "SourceUnreachable",
        message:
          `Flux no longer has revision main@sha1:a (${url}/ answers 404); check that its source is ready, and if it is, run the task again for the present revision.`
      })
      const before = asked.length
      expect(before).toBeGreaterThan(1)
      expect(yield* Effect.flip(fetchArchive(wanted(url), file))).toMatchObject({ reason: "InvalidConfiguration" })
      expect(asked.length).toBe(before + 1)
    }))

  it.effect.each([
    { given: "an artifact of Flux", of: { revision: "main@sha1:a" }, status: 404, minutes: 3 },
    { given: "any other archive", of: {}, status: 503, minutes: 1 }
  ])("asks again for $minutes min, and logs each time why, for $given", ({ minutes, of, status }) =>
    Effect.gen(function*() {
      const { asked, file, url } = yield* serving((_, response) => void response.writeHead(status).end())
      const lines = yield* Queue.unbounded<{ readonly second: number; readonly said: unknown }, Cause.Done>()
      const logger = loggerTo(({ date, message }) => Queue.offerUnsafe(lines, { second: date.getTime() / 1000, said: message }))
      const fiber = yield* Effect.flip(fetchArchive({ ...wanted(url), ...of }, file)).pipe(
        Effect.provide(Logger.layer([logger])),
        Effect.provideService(Random.Random, { nextDoubleUnsafe: () => 0.5, nextIntUnsafe: () => 0 }), // a pause is as long as its schedule says
        Effect.ensuring(Queue.end(lines)),
        Effect.forkChild
      )
      const seconds: Array<number> = []
      yield* Stream.runForEach(Stream.fromQueue(lines), ({ said, second }) => {
        expect(said).toEqual([expect.stringContaining(`answers ${status}`)])
        seconds.push(second)
        return TestClock.adjust(`${Math.min(2 ** (seconds.length - 2), 30)} seconds`)
      })
      expect(yield* Fiber.join(fiber)).toMatchObject({ reason: "SourceUnreachable" })
      expect(seconds).toHaveLength(asked.length)
      expect(seconds.at(-2)).toBeLessThan(minutes * 60)
      expect(seconds.at(-1)).toBe(minutes * 60 + 1.5)
    }))

  it.live("ends what is too large", () =>
    Effect.gen(function*() {
      const { file, url } = yield* serving((_, response) => {
        const chunk = Buffer.alloc(4 * 1024 ** 2)
        const more = (): void => void response.write(chunk, (error) => error ?? more())
        more()
      })
      expect(yield* Effect.flip(fetchArchive(wanted(url), file))).toMatchObject({ reason: "InvalidArchive" })
    }))
})

describe("archiveUrl", () => {
  it.effect.each(["ftp://example.com/a", "file:///etc/passwd", "not a url", "", "javascript:1", "https://user:secret@example.com/a"])(
    "refuses %s",
    (text) =>
      Effect.gen(function*() {
        const { message, reason } = yield* Effect.flip(archiveUrl(text))
        expect(reason).toBe("InvalidConfiguration")
        expect(message).not.toContain("secret@")
      })
  )
  it.effect("refuses to go from https to http", () =>
    Effect.gen(function*() {
      expect(yield* Effect.flip(archiveUrl("http://example.com/a", new URL("https://example.com")))).toMatchObject({
        message: expect.stringContaining("from https to http")
      })
    }))
})

describe("a URL that leads to this machine or to the metadata of a cloud", () => {
  const metadata = [
    "169.254.169.254",
    "169.254.169.254.",
    "0251.0376.0251.0376",
    "0xa9.0xfe.0xa9.0xfe",
    "0xa9fea9fe",
    "2852039166",
    "025177524776",
    "169.254.43518",
    "169.16689662",
    "0xA9.254.0251.254",
    "%31%36%39.254.169.254",
    "①⑥⑨.②⑤④.①⑥⑨.②⑤④",
    "１６９.254.169.254",
    "169。254。169。254",
    "169．254．169．254",
    "169｡254｡169｡254",
    "[::ffff:169.254.169.254]",
    "[::ffff:a9fe:a9fe]",
    "[0:0:0:0:0:ffff:a9fe:a9fe]",
    "[::FFFF:169.254.169.254]",
    "[::169.254.169.254]",
    "[::ffff:0:169.254.169.254]",
    "[64:ff9b::169.254.169.254]",
    "[64:ff9b:1::a9fe:a9fe]",
    "[2002:a9fe:a9fe::1]",
    "[2001:0:1::1]",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "[fe80::a9fe:a9fe]",
    "[fe80::5efe:a9fe:a9fe]",
    "[2001:db8::200:5efe:a9fe:a9fe]",
    "169.254.170.2",
    "169.254.170.23",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192"
  ]
  const loopback = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "0177.0.0.1",
    "0x7f.1",
    "0x7f000001",
    "2130706433",
    "017700000001",
    "127.255.255.254",
    "0.0.0.0",
    "0",
    "0x0",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::7f00:1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "127。0。0。1",
    "①②⑦.0.0.1",
    "255.255.255.255",
    "224.0.0.1",
    "[ff02::1]"
  ]
  const hosts = [...metadata, ...loopback]

  it.effect.each(hosts.map((host) => ({ host })))(
    "is refused in the spelling $host, and after a redirect",
    ({ host }) =>
      Effect.gen(function*() {
        for (const url of [`http://${host}/latest/meta-data`, `https://${host}:8443/`]) {
          const { message, reason } = yield* Effect.flip(archiveUrl(url))
          expect([reason, message]).toEqual(["InvalidConfiguration", expect.stringMatching(/never asked|not an http or https URL/u)])
        }
        yield* Effect.flip(archiveUrl(`//${host}/`, new URL("https://example.com/")))
      })
  )

  it("is there in sixty spellings", () => expect(new Set(hosts).size).toBeGreaterThanOrEqual(60))

  it.effect.each([
    "http://user@169.254.169.254/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1#@example.com/",
    "http://127.0.0.1\\@example.com/",
    "http:/127.0.0.1/",
    "http:127.0.0.1",
    "\thttp://127.0.0.1/",
    "http://127.0.0.1:80\t80/",
    "http:\\\\127.0.0.1\\"
  ])(
    "is refused however the rest of it is written: %s",
    (text) => Effect.flip(archiveUrl(text))
  )

  it.effect.each(["http://localhost:1/", "http://LOCALHOST:1/", "http://lo\u00adcalhost:1/"])(
    "is refused by what its name resolves to: %s",
    (text) =>
      Effect.gen(function*() {
        const { message, reason } = yield* Effect.flip(fetch(wanted(text), "/nowhere"))
        expect([reason, message]).toEqual(["InvalidConfiguration", expect.stringContaining("never asked")])
      })
  )

  it.effect.each([
    "https://example.com/a",
    "http://10.96.0.17/gitrepository/a.tar.gz",
    "http://192.168.1.10:8080/a",
    "https://100.64.0.1/",
    "https://[fd12:3456::1]/a",
    "https://[2606:4700::1111]/",
    "https://[64:ff9b::808:808]/",
    "http://source-controller.flux-system.svc.cluster.local./a"
  ])(
    "is none of these, which are taken: %s",
    (text) => archiveUrl(text)
  )

  it.live("is refused when an open server redirects there, which is then not asked", () =>
    Effect.gen(function*() {
      const target = yield* serving((_, response) => void response.end(content))
      const open = yield* serving((_, response) =>
        void response.writeHead(302, { location: target.url.replace("127.0.0.1", "127.0.0.2") }).end()
      )
      const { message } = yield* Effect.flip(
        Effect.provideService(fetch(wanted(open.url), open.file), Forbidden, (address) => address === "127.0.0.2")
      )
      expect([message, open.asked.length, target.asked.length]).toEqual([expect.stringContaining("never asked"), 1, 0])
    }))

  it.live("cannot be put in after the check: the name is looked up once, and what was checked is connected to", () =>
    Effect.gen(function*() {
      const { url } = yield* serving((_, response) => void response.end(content))
      const told: Array<string> = []
      const rebinding = lookupBut((address) => address === "127.0.0.2", (_, __, answer) => {
        const address = told.length === 0 ? "127.0.0.1" : "127.0.0.2"
        told.push(address)
        answer(null, [{ address, family: 4 }])
      })
      const to = () =>
        Effect.callback<string>((resume) => {
          const socket = connect({ host: "rebinding.example", port: Number(new URL(url).port), lookup: rebinding })
          socket.once("connect", () => (resume(Effect.succeed(String(socket.remoteAddress))), socket.destroy()))
          socket.once("error", ({ message }) => resume(Effect.succeed(message)))
        })
      expect([yield* to(), told, yield* to(), told]).toEqual([
        "127.0.0.1",
        ["127.0.0.1", "127.0.0.2"],
        "it has an address that is never asked",
        ["127.0.0.1", "127.0.0.2"]
      ])
    }))

  it("is refused as soon as one of the addresses of a name is", () => {
    const answers: Array<unknown> = []
    lookupBut(
      (address) => address === "::1",
      (_, __, answer) => answer(null, [{ address: "203.0.113.1", family: 4 }, { address: "::1", family: 6 }])
    )("mixed.example", { all: true }, (error) => answers.push(error?.message))
    expect(answers).toEqual(["it has an address that is never asked"])
  })
})
