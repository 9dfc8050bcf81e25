// The controller's client of the pool: what a person reads when the server does not answer or refuses, and what counts as told.
import { expect, it } from "@effect/vitest"
import { Context, Effect, Fiber, Latch, Layer, Option, Scope } from "effect"
import { TestClock } from "effect/testing"
import { subscribe, unsubscribe } from "node:diagnostics_channel"
import { writeFileSync } from "node:fs"
import { createServer, type RequestListener } from "node:http"
import { createServer as createSecure } from "node:https"
import { join } from "node:path"
import { askPool, isFinalRefusal, Pool, type PoolError } from "../../../src/controller/pool/pool.ts"
import { authority } from "../../http/certificates.ts"
import { endlessly } from "../../http/endless.ts"
import { listening } from "../../http/forward-proxy.ts"
import { directory, failed, person, poolToken, serve, sha256, succeeded } from "../../server/live-server.ts"

const uid = "uid-of-task"
const ofTask = Option.some(uid)

const clientOf = (url: string, tokenFile: string, agent = "agent") =>
  Effect.map(Layer.build(Pool.layer(url, tokenFile, agent)), (built) => Context.get(built, Pool))
const setUp = Effect.gen(function*() {
  const made = yield* directory
  const url = yield* serve(made)
  return { made, url, people: person(url), pool: yield* clientOf(url, join(made, "pool.token")) }
})

/** A client of a pool whose place something else has taken, which answers in this way. */
const answeredBy = (answer: RequestListener) =>
  Effect.gen(function*() {
    const made = yield* directory
    const url = `http://127.0.0.1:${yield* listening(createServer(answer))}`
    return { url, pool: yield* clientOf(url, join(made, "pool.token")) }
  })

it.live("takes work, says why it waits, and reports each stage once", () =>
  Effect.gen(function*() {
    const { people, pool } = yield* setUp
    const run = yield* people.start("demo")
    const [assignment] = yield* pool.acquire("agent", 5, 10)
    expect(assignment).toMatchObject({ id: `${run}.plan.1`, workspace: "demo", stage: "plan" })
    yield* pool.acknowledge(`${run}.plan.1`, uid)
    yield* pool.wait(`${run}.plan.1`, ofTask, "ImagePull", "Container runner cannot get its image yet: not found")
    expect(JSON.stringify(yield* people.view(run))).toContain("cannot get its image yet")
    yield* pool.report(`${run}.plan.1`, ofTask, failed())
    yield* pool.report(`${run}.plan.1`, ofTask, failed()) // as after an answer that was lost
    yield* pool.report(`${run}.plan.1`, ofTask, succeeded()) // another result was reported first
    expect((yield* people.view(run)).status).toBe("errored")
    yield* pool.report("run-unknown.plan.1", ofTask, failed()) // as to a server that was set up anew
  }).pipe(Effect.scoped))

const offered = (n: number) => ({
  id: `run-${n}.plan.1`,
  runId: `run-${n}`,
  workspace: "demo",
  stage: "plan",
  attempt: 1,
  archiveSha256: "b".repeat(64),
  taskToken: "t".repeat(47)
})

it.live("takes, from a pool that offers more stages than it asked for, as many as it asked for", () =>
  Effect.gen(function*() {
    const assignments = Array.from({ length: 3000 }, (_, n) => offered(n))
    const { pool } = yield* answeredBy((_, response) => void response.end(JSON.stringify({ assignments })))
    expect(yield* pool.acquire("agent", 0, 2)).toEqual(assignments.slice(0, 2))
  }).pipe(Effect.scoped))

it.live.each([
  { status: 200, detail: "it answers more than 8 MiB" },
  { status: 500, detail: "it answers 500, which is not the server's own" }
])("gives up an answer of $status without end, which would fill its memory", ({ detail, status }) =>
  Effect.gen(function*() {
    const { pool } = yield* answeredBy((_, response) => endlessly(response.writeHead(status)))
    expect(yield* Effect.flip(pool.acquire("agent", 20, 10))).toMatchObject({ _tag: "PoolUnreachable", detail })
  }).pipe(Effect.scoped))

it.live("gives up an answer of more values than its memory has room for", () =>
  Effect.gen(function*() {
    const { pool } = yield* answeredBy((_, response) => void response.end(JSON.stringify({ assignments: Array(60_000).fill([]) })))
    const detail = expect.stringMatching(/^it answers what this version of agent-job does not understand;/u)
    expect(yield* Effect.flip(pool.acquire("agent", 0, 2))).toMatchObject({ _tag: "PoolUnreachable", detail })
  }).pipe(Effect.scoped))

it.live("takes what it understands of an offer, and gives of the rest its name and the reason", () =>
  Effect.gen(function*() {
    const assignments = [{ ...offered(0), engine: { name: "terragrunt" } }, offered(1), { ...offered(2), taskToken: "t".repeat(1025) }]
    const { pool } = yield* answeredBy((_, response) => void response.end(JSON.stringify({ assignments })))
    expect(yield* pool.acquire("agent", 0, 10)).toEqual([
      expect.objectContaining({ _tag: "NotUnderstood", id: "run-0.plan.1", message: expect.stringContaining("terragrunt") }),
      offered(1),
      expect.objectContaining({ _tag: "NotUnderstood", id: "run-2.plan.1", message: expect.not.stringContaining("ttt") })
    ])
  }).pipe(Effect.scoped))

it.live("is refused a stage that another agent took, and counts what it has to say of it as told", () =>
  Effect.gen(function*() {
    const { people, pool } = yield* setUp
    const run = yield* people.start("demo")
    const id = `${run}.plan.1`
    yield* pool.acquire("agent", 5, 10)
    yield* pool.acknowledge(id, "uid-of-another")
    expect(yield* Effect.flip(pool.acknowledge(id, uid))).toMatchObject({
      _tag: "PoolRefused",
      code: "taken",
      message: expect.stringMatching(/refused a request with 409: Another agent has the stage[^{}"]*\.$/u)
    })
    expect(yield* Effect.flip(pool.wait(id, ofTask, "ImagePull", "It waits."))).toMatchObject({ code: "taken" })
    yield* pool.report(id, ofTask, failed())
    yield* pool.report(id, Option.none(), failed()) // as for a cancelled stage that has no task
    expect((yield* people.view(run)).status).toBe("planning")
    yield* pool.acknowledge(id, "uid-of-another") // the other agent repeats it, as after an answer that was lost
    yield* pool.report(id, Option.some("uid-of-another"), failed("It says how it was."))
    expect(yield* people.view(run)).toMatchObject({ status: "errored", failure: "It says how it was." })
  }).pipe(Effect.scoped))

it.live("says why no task came to be for a stage, until it is offered again", () =>
  Effect.gen(function*() {
    const { people, pool } = yield* setUp
    const run = yield* people.start("demo")
    yield* pool.acquire("agent", 5, 10)
    yield* pool.wait(`${run}.plan.1`, Option.none(), "Refused", "The quota is used up.")
    expect((yield* people.view(run)).queue).toEqual({ position: 1, reason: "Refused", message: "The quota is used up." })
    yield* pool.acquire("agent", 5, 10)
    expect((yield* people.view(run)).queue?.message).toContain("offered")
    yield* pool.acknowledge(`${run}.plan.1`, uid)
    expect(yield* Effect.flip(pool.wait(`${run}.plan.1`, Option.none(), "Refused", "The quota is used up."))).toMatchObject({
      code: "taken"
    })
  }).pipe(Effect.scoped))

it.live("names who speaks for a task, which has its stage from then on, and who has none of a stage that is to be cancelled", () =>
  Effect.gen(function*() {
    const { made, people, pool, url } = yield* setUp
    const before = yield* clientOf(url, join(made, "pool.token"), "agent-before")
    const run = yield* people.start("demo")
    const id = `${run}.plan.1`
    const named = Effect.map(people.view(run), ({ stages }) => stages.map(({ agent }) => agent))
    yield* pool.acquire("agent-that-was-slow", 5, 10)
    yield* before.acknowledge(id, uid)
    expect(yield* named).toEqual(["agent-before"])
    yield* pool.wait(id, ofTask, "ImagePull", "It waits.")
    expect(yield* named).toEqual(["agent"])
    yield* people.act(run, "cancel")
    yield* pool.report(id, Option.none(), failed())
    expect((yield* people.view(run)).queue).toMatchObject({
      reason: "Lost",
      message: expect.stringContaining("Agent agent has no AgentTask")
    })
  }).pipe(Effect.scoped))

it.live("reports for a stage that no task came to be for", () =>
  Effect.gen(function*() {
    const { people, pool } = yield* setUp
    const run = yield* people.start("demo")
    yield* pool.acquire("agent", 5, 10)
    yield* pool.report(`${run}.plan.1`, Option.none(), failed())
    expect((yield* people.view(run)).status).toBe("errored")
  }).pipe(Effect.scoped))

it.live("answers with nothing when there is no work, after the time it was given", () =>
  Effect.gen(function*() {
    const { pool } = yield* setUp
    expect(yield* pool.acquire("agent", 0, 1)).toEqual([])
    expect((yield* pool.cancellations(0, 0)).ids).toEqual([])
    expect((yield* pool.cancellations(0, 0, { agent: "agent", because: "full" })).ids).toEqual([])
  }).pipe(Effect.scoped))

it.live("names the Secret when the token is refused, and works once the file is right, without a restart", () =>
  Effect.gen(function*() {
    const { made, pool } = yield* setUp
    writeFileSync(join(made, "pool.token"), "some-other-token-0123")
    const error = yield* Effect.flip(pool.acquire("agent", 0, 1))
    expect(error.message).toMatch(
      /^The pool at http\S+ refuses the token; put a valid pool token into the Secret that agent\.tokenExistingSecret names\.$/u
    )
    expect(error.message).not.toContain("some-other")
    writeFileSync(join(made, "pool.token"), `${poolToken}\n`)
    yield* pool.acquire("agent", 0, 1)
  }).pipe(Effect.scoped))

it.live.each([
  {
    given: "a maintenance page",
    status: 200,
    body: "<html>Back soon</html>",
    says: "200, which is not the server's own: <html>Back soon</html>"
  },
  { given: "a success without a body", status: 202, body: "", says: "202, which is not the server's own" },
  { given: "no content", status: 204, body: "", says: "204, which is not the server's own" },
  { given: "a redirect", status: 308, body: "", says: "308, which is not the server's own" },
  { given: "a firewall that forbids", status: 403, body: "Forbidden", says: "403, which is not the server's own: Forbidden" },
  {
    given: "a mesh that wants a login",
    status: 401,
    body: "RBAC: access denied",
    says: "401, which is not the server's own: RBAC: access denied"
  },
  {
    given: "a proxy without such a page",
    status: 404,
    body: "default backend - 404\n",
    says: "404, which is not the server's own: default backend - 404"
  },
  {
    given: "a gateway without such a route",
    status: 404,
    body: `{"error":"Not Found","message":"No route."}`,
    says: `404, which is not the server's own: {"error":"Not Found","message":"No route."}`
  }
])("takes $given of something before the server for no answer, whatever was asked", ({ body, says, status }) =>
  Effect.gen(function*() {
    const { pool, url } = yield* answeredBy((_, response) => response.writeHead(status).end(body))
    const id = "run-a.apply.1"
    const told = [pool.acknowledge(id, uid), pool.report(id, ofTask, failed()), pool.wait(id, ofTask, "ImagePull", "It waits.")]
    const asked = [pool.acquire("agent", 0, 1), pool.cancellations(0, 0)]
    for (const request of [...(status === 204 ? [] : told), ...(status === 200 ? [] : asked)]) {
      const error = yield* Effect.flip(Effect.asVoid<unknown, PoolError, never>(request))
      expect([error._tag, error.message, isFinalRefusal(error)]).toEqual([
        "PoolUnreachable",
        `The pool at ${url} gave no usable answer (it answers ${says}); check agent.url, the server and the network between.`,
        false
      ])
    }
  }).pipe(Effect.scoped))

it.live("says how to trust the authority of the server's certificate", () =>
  Effect.gen(function*() {
    const made = yield* directory
    const port = yield* listening(createSecure(authority(made).sign("localhost")))
    const pool = yield* clientOf(`https://localhost:${port}`, join(made, "pool.token"))
    expect((yield* Effect.flip(pool.acquire("agent", 0, 1))).message).toBe(
      `The pool at https://localhost:${port} gave no usable answer (its certificate is from an authority that is not trusted here); put the certificate of that authority into global.tls.caBundle.`
    )
  }).pipe(Effect.scoped))

it.live.each(["<html>Back soon</html>", "{}"])("takes the answer %s for none when it asks for work", (body) =>
  Effect.gen(function*() {
    const { pool } = yield* answeredBy((_, response) => response.end(body))
    for (const request of [pool.acquire("agent", 0, 1), pool.cancellations(0, 0)]) {
      expect(yield* Effect.flip(Effect.asVoid<unknown, PoolError, never>(request))).toMatchObject({
        _tag: "PoolUnreachable",
        detail: "it answers what this version of agent-job does not understand; if it is the server, give both the same version"
      })
    }
  }).pipe(Effect.scoped))

it.effect.each([200, 404])("gives up on an answer with %i of which only the beginning arrives", (status) =>
  Effect.gen(function*() {
    const begun = yield* Latch.make()
    const headIsRead = () => Effect.runFork(begun.open)
    subscribe("undici:request:headers", headIsRead)
    yield* Effect.addFinalizer(() => Effect.sync(() => unsubscribe("undici:request:headers", headIsRead)))
    const { pool } = yield* answeredBy((_, response) => response.writeHead(status, { "content-length": 2 }).write("x"))
    const asked = yield* Effect.forkChild(Effect.flip(pool.acquire("agent", 5, 1)))
    yield* begun.await
    yield* TestClock.adjust("19 seconds")
    expect(asked.pollUnsafe()).toBeUndefined()
    yield* TestClock.adjust("1 second")
    expect(yield* Fiber.join(asked)).toMatchObject({ _tag: "PoolUnreachable", detail: "no whole answer in time" })
  }).pipe(Effect.scoped))

it.live.each([
  { status: 422, message: (url: string) => `The pool at ${url} refused a request with 422: The stage is none. Ask for another.` },
  {
    status: 503,
    message: (url: string) =>
      `The pool at ${url} gave no usable answer (503 The stage is none. Ask for another); check agent.url, the server and the network between.`
  }
])("says what the server says, in its own sentence and not as it is sent: $status", ({ message, status }) =>
  Effect.gen(function*() {
    const { pool, url } = yield* answeredBy((_, response) =>
      response.writeHead(status).end(JSON.stringify({ error: "invalid", message: "The stage is none. Ask for another." }))
    )
    expect((yield* Effect.flip(pool.acquire("agent", 0, 1))).message).toBe(message(url))
  }).pipe(Effect.scoped))

it.live("reads its file as the server does: the first token in clear, whatever names, comments, hashes and other tokens are there", () =>
  Effect.gen(function*() {
    const { made, pool } = yield* setUp
    const file = join(made, "pool.token")
    writeFileSync(
      file,
      `# of the first cluster\n\nsha256:${
        sha256(poolToken)
      } By its hash\n${poolToken} The first cluster\nanother-token-0123456789 The second\n`
    )
    expect(yield* pool.acquire("agent", 0, 1)).toEqual([])
    writeFileSync(file, "# none yet\n")
    expect((yield* Effect.flip(pool.acquire("agent", 0, 1))).message).toContain(
      `its token cannot be read from ${file} (it has none in clear); check the Secret`
    )
  }).pipe(Effect.scoped))

it.live("says where it looked when the server is away or the token's file is missing", () =>
  Effect.gen(function*() {
    const made = yield* directory
    const life = yield* Scope.make()
    const url = yield* Scope.provide(serve(made), life)
    yield* Scope.close(life, yield* Effect.exit(Effect.void))
    const away = yield* clientOf(url, join(made, "pool.token"))
    expect(yield* Effect.flip(away.acquire("agent", 0, 1))).toMatchObject({
      _tag: "PoolUnreachable",
      message: `The pool at ${url} gave no usable answer (connection refused); check agent.url, the server and the network between.`
    })
    const fileless = yield* clientOf(url, join(made, "none"))
    expect((yield* Effect.flip(fileless.acquire("agent", 0, 1))).message).toBe(
      `The pool at ${url} is not asked, because its token cannot be read from ${
        join(made, "none")
      } (no such file or directory); check the Secret that agent.tokenExistingSecret names and where it is mounted.`
    )
  }).pipe(Effect.scoped))

it.live("is asked once, for nothing, by whoever wants to know whether it would give work", () =>
  Effect.gen(function*() {
    const { made, people, pool, url } = yield* setUp
    const run = yield* people.start("demo")
    yield* askPool(url, join(made, "pool.token"))
    expect(yield* pool.acquire("agent", 0, 10)).toMatchObject([{ id: `${run}.plan.1` }])
    writeFileSync(join(made, "other.token"), "another")
    expect((yield* Effect.flip(askPool(url, join(made, "other.token")))).message).toContain("refuses the token")
    expect((yield* Effect.flip(askPool(`${url}/elsewhere`, join(made, "pool.token")))).message).toContain("refused a request with 404")
  }).pipe(Effect.scoped))
