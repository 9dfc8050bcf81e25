// What a command that asks the server does while that never answers, is away for now, or loses its answers.
import { expect, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { once } from "node:events"
import { writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { buffer } from "node:stream/consumers"
import { Patience } from "../../../src/cli/server/patiently.ts"
import { ScriptedServer } from "../../kubernetes/scripted-server.ts"
import { agent, directory, person, planWith, poolToken, serve, state, userToken, worker } from "../../server/live-server.ts"
import { lost } from "../../server/run/applying.ts"
import { agentJob } from "../program.ts"
import { ran } from "../typed.ts"

it.live("each command says for whose answer it waits", () =>
  Effect.gen(function*() {
    const { server, url } = yield* ScriptedServer.make
    server.otherwise = "silence"
    const commands = [["get", "runs"], ["logs", "run-a1"], ["cancel", "run-a1"], ["vars", "list", "demo"]]
    yield* Effect.forEach(
      commands,
      Effect.fnUntraced(function*(args) {
        const { until } = yield* agentJob(args, { AGENT_JOB_URL: url, AGENT_JOB_TOKEN: "t" })
        yield* until(`Waiting for an answer from the server at ${url}\n`)
      }),
      { concurrency: "unbounded" }
    )
  }).pipe(Effect.scoped))

/** A proxy before a server that carries out whatever is asked, and has 502 in the place of the first answer to each request. */
const losing = Effect.fnUntraced(function*(upstream: string) {
  const asked: Array<string> = []
  const proxy = createServer((request, response) => {
    const line = `${request.method} ${request.url}`
    const isLost = !asked.includes(line)
    asked.push(line)
    void buffer(request).then(async (body) => {
      const { authorization = "", "content-type": type = "" } = request.headers
      const headers = { authorization, "content-type": type }
      const init = { method: request.method ?? "", headers, ...(body.length > 0 && { body }) }
      const answer = await fetch(`${upstream}${request.url}`, init)
      const { status } = answer
      response.writeHead(isLost ? 502 : status, { "content-type": answer.headers.get("content-type") ?? "" })
      response.end(isLost ? "" : Buffer.from(await answer.arrayBuffer()))
    })
  })
  yield* Effect.acquireRelease(Effect.promise(() => once(proxy.listen(0, "127.0.0.1"), "listening")), () =>
    Effect.promise(async () => {
      proxy.closeAllConnections()
      await new Promise((resolve) => proxy.close(resolve))
    }))
  return { asked, url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` }
})

/** The command line for a server behind such a proxy. What it returns has the requests of that command too. */
const behindLosing = Effect.gen(function*() {
  const made = yield* directory
  writeFileSync(join(made, "pool.token"), `${poolToken} prod\n`)
  const upstream = yield* serve(made)
  const { asked, url } = yield* losing(upstream)
  const type = Effect.fnUntraced(function*(...args: ReadonlyArray<string>) {
    asked.length = 0
    const { code, error, out } = yield* ran({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }, ...args).pipe(
      Effect.provideService(Patience, { every: Duration.zero, times: 20 })
    )
    return { code, error, out, writes: asked.filter((line) => !line.startsWith("GET ")).map((line) => line.split(" ")[0]).join(" ") }
  })
  return { made, type, upstream }
})

it.effect("what may be done twice is asked for again of a server that is away for now, also where it was done and the answer lost", () =>
  Effect.gen(function*() {
    const { made, type, upstream } = yield* behindLosing
    const file = (name: string, text: string) => {
      writeFileSync(join(made, name), text)
      return join(made, name)
    }
    expect(yield* type("vars", "set", "demo", "region", "--from-file", file("region", "eu"))).toMatchObject({
      code: 0,
      out: "Set the input variable region of demo; runs that begin from now on get it.\n"
    })
    expect(yield* type("vars", "list", "demo")).toMatchObject({ code: 0, out: expect.stringMatching(/^region +input +eu$/mu) })
    expect(yield* type("vars", "delete", "demo", "region")).toEqual({
      code: 0,
      out: "Deleted the input variable region of demo.\n",
      error: "",
      writes: "DELETE"
    })
    expect(yield* type("vars", "delete", "demo", "region")).toMatchObject({
      code: 3,
      error: expect.stringContaining("There is no input variable region")
    })
    expect(yield* type("pool", "bind", "shop", "prod")).toMatchObject({ code: 0, writes: "POST PATCH PATCH" })
    expect(yield* type("pool", "unbind", "shop")).toMatchObject({ code: 0, writes: "PATCH PATCH" })
    const first = file("first", JSON.stringify(state(3)))
    expect(yield* type("state", "push", "demo", first)).toMatchObject({ code: 0, writes: "POST POST" })
    const { version } = yield* person(upstream).state("demo")
    const other = file("other", JSON.stringify(state(1, "other")))
    expect(yield* type("state", "push", "demo", other, "--replace", version.id)).toMatchObject({ code: 0, writes: "POST POST" })
    expect(yield* type("state", "show", "demo")).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^State: serial 1, .* lineage other /mu)
    })
    yield* person(upstream).as("LOCK", "/api/state/v1/workspaces/demo", { ID: "a" })
    expect(yield* type("state", "unlock", "demo", "--force")).toMatchObject({ code: 0, error: "", writes: "POST POST" })
  }))

it.live("a decision over a state that may have arrived is not sent again", () =>
  Effect.gen(function*() {
    const { made, type, upstream: url } = yield* behindLosing
    yield* person(url).start("demo", { "auto-apply": true })
    yield* planWith(url)
    const apply = yield* agent(url).take
    yield* worker(url, apply).lock("a")
    yield* agent(url).report(apply.id, lost)
    writeFileSync(join(made, "brought"), JSON.stringify(state(1)))
    expect(yield* type("state", "rescue", "demo", "--file", join(made, "brought"))).toMatchObject({ code: 0, writes: "POST POST" })
    expect((yield* person(url).state("demo")).evidence).toHaveLength(1)
    expect(yield* type("state", "rescue", "demo", "--import")).toMatchObject({ code: 4, writes: "POST" })
    expect(yield* type("state", "rescue", "demo", "--keep")).toMatchObject({ code: 4, out: "", writes: "POST" })
    expect((yield* person(url).state("demo")).pending).toEqual([])
  }))
