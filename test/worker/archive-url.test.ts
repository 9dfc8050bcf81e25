// Archives by URL: what is asked, what is never sent, and when it ends.
import { describe, expect, it } from "@effect/vitest"
import { Effect, type Scope } from "effect"
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { archiveUrl, fetchArchive } from "../../src/worker/archive-url.ts"
import { sha256 } from "./fake-task-api.ts"

const content = Buffer.from("an archive")

const serving = (answer: (request: IncomingMessage, response: ServerResponse) => void): Effect.Effect<{ readonly url: string; readonly file: string; readonly asked: Array<IncomingMessage> }, never, Scope.Scope> =>
  Effect.gen(function*() {
    const asked: Array<IncomingMessage> = []
    const server = createServer((request, response) => {
      asked.push(request)
      answer(request, response)
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () => Effect.sync(() => (server.close(), server.closeAllConnections()))
    )
    const directory = yield* Effect.acquireRelease(Effect.sync(() => mkdtempSync(join(tmpdir(), "agent-job-url-"))), (made) => Effect.sync(() => rmSync(made, { recursive: true })))
    return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, file: join(directory, "archive"), asked }
  })

describe("fetchArchive", () => {
  it.live("takes an archive whose digest is right, with no credential sent", () =>
    Effect.gen(function*() {
      const { asked, file, url } = yield* serving((_, response) => void response.end(content))
      yield* fetchArchive(`${url}/config.tar.gz?signature=s`, sha256(content), file)
      expect(readFileSync(file)).toEqual(content)
      expect(asked).toHaveLength(1)
      expect(Object.keys(asked[0]?.headers ?? {})).not.toEqual(expect.arrayContaining(["authorization"]))
      expect(Object.keys(asked[0]?.headers ?? {})).not.toEqual(expect.arrayContaining(["cookie"]))
    }))

  it.live("refuses another archive than the approved one", () =>
    Effect.gen(function*() {
      const { file, url } = yield* serving((_, response) => void response.end("another"))
      expect(yield* Effect.flip(fetchArchive(url, sha256(content), file))).toMatchObject({ reason: "DigestMismatch", message: expect.stringContaining(sha256(content)) })
    }))

  it.live("follows a few redirects", () =>
    Effect.gen(function*() {
      const { asked, file, url } = yield* serving(({ url: path }, response) => void (path === "/end" ? response.end(content) : response.writeHead(302, { location: path === "/" ? "/next" : "/end" }).end()))
      yield* fetchArchive(url, sha256(content), file)
      expect(asked.map((request) => request.url)).toEqual(["/", "/next", "/end"])
    }))

  it.live("does not follow redirects for ever", () =>
    Effect.gen(function*() {
      const { asked, file, url } = yield* serving((_, response) => void response.writeHead(302, { location: "/" }).end())
      expect(yield* Effect.flip(fetchArchive(url, sha256(content), file))).toMatchObject({ message: expect.stringContaining("redirects too often") })
      expect(asked).toHaveLength(4)
    }))

  it.live("does not follow a redirect to a file", () =>
    Effect.gen(function*() {
      const { file, url } = yield* serving((_, response) => void response.writeHead(302, { location: "file:///etc/passwd" }).end())
      expect(yield* Effect.flip(fetchArchive(url, sha256(content), file))).toMatchObject({ reason: "InvalidConfiguration" })
      expect(existsSync(file)).toBe(false)
    }))

  it.live("says what the server answered, without the URL's query", () =>
    Effect.gen(function*() {
      const { file, url } = yield* serving((_, response) => void response.writeHead(403).end("<html>"))
      const { message, reason } = yield* Effect.flip(fetchArchive(`${url}/config.tar.gz?signature=secret`, sha256(content), file))
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
      yield* fetchArchive(url, sha256(content), file)
      expect(readFileSync(file)).toEqual(content)
    }))

  it.live("ends what is too large", () =>
    Effect.gen(function*() {
      const { file, url } = yield* serving((_, response) => {
        const chunk = Buffer.alloc(4 * 1024 ** 2)
        const more = (): void => void response.write(chunk, (error) => error ?? more())
        more()
      })
      expect(yield* Effect.flip(fetchArchive(url, sha256(content), file))).toMatchObject({ reason: "InvalidArchive" })
    }))
})

describe("archiveUrl", () => {
  it.effect.each(["ftp://example.com/a", "file:///etc/passwd", "not a url", "", "javascript:1", "https://user:secret@example.com/a"])("refuses %s", (text) =>
    Effect.gen(function*() {
      const { message, reason } = yield* Effect.flip(archiveUrl(text))
      expect(reason).toBe("InvalidConfiguration")
      expect(message).not.toContain("secret@")
    }))
  it.effect("refuses to go from https to http", () =>
    Effect.gen(function*() {
      expect(yield* Effect.flip(archiveUrl("http://example.com/a", new URL("https://example.com")))).toMatchObject({ message: expect.stringContaining("from https to http") })
    }))
})
