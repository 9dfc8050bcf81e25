// The controller's client of the pool: what a person reads when the server does not answer or refuses, and what counts as told.
import { expect, it } from "@effect/vitest"
import { Context, Effect, Layer, Option, Scope } from "effect"
import { writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { join } from "node:path"
import { askPool, Pool } from "../../src/controller/pool.ts"
import { directory, failed, person, poolToken, serve, succeeded } from "../server/live-server.ts"

const uid = "uid-of-task"
const ofTask = Option.some(uid)

const clientOf = (url: string, tokenFile: string) =>
  Effect.map(Layer.build(Pool.layer(url, tokenFile)), (built) => Context.get(built, Pool))
const setUp = Effect.gen(function*() {
  const made = yield* directory
  const url = yield* serve(made)
  return { made, url, people: person(url), pool: yield* clientOf(url, join(made, "pool.token")) }
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

it.live("does not take a result for told because something before the server knows no such page", () =>
  Effect.gen(function*() {
    const made = yield* directory
    const proxy = createServer((_, response) => response.writeHead(404).end("default backend - 404"))
    yield* Effect.acquireRelease(Effect.callback<void>((resume) => void proxy.listen(0, "127.0.0.1", () => resume(Effect.void))), () =>
      Effect.sync(() => proxy.close()))
    const address = proxy.address()
    const pool = yield* clientOf(`http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`, join(made, "pool.token"))
    expect(yield* Effect.flip(pool.report("run-a.apply.1", ofTask, failed()))).toMatchObject({
      _tag: "PoolRefused",
      message: expect.stringContaining("404: default backend")
    })
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
    const made = yield* directory
    writeFileSync(join(made, "pool.token"), poolToken)
    const server = createServer((_, response) =>
      response.writeHead(status).end(JSON.stringify({ error: "invalid", message: "The stage is none. Ask for another." }))
    )
    yield* Effect.acquireRelease(Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))), () =>
      Effect.sync(() => server.close()))
    const address = server.address()
    const url = `http://127.0.0.1:${typeof address === "object" ? address?.port : ""}`
    expect((yield* Effect.flip((yield* clientOf(url, join(made, "pool.token"))).acquire("agent", 0, 1))).message).toBe(message(url))
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
      message: `The pool at ${url} gave no usable answer (ECONNREFUSED); check agent.url, the server and the network between.`
    })
    const fileless = yield* clientOf(url, join(made, "none"))
    expect((yield* Effect.flip(fileless.acquire("agent", 0, 1))).message).toBe(
      `The pool at ${url} is not asked, because its token cannot be read from ${
        join(made, "none")
      } (ENOENT: no such file or directory); check the Secret that agent.tokenExistingSecret names and where it is mounted.`
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
