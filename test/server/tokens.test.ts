import { describe, expect, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import { poolPath } from "../../src/schema/pool-api.ts"
import { runPath } from "../../src/schema/run.ts"
import { taskPath } from "../../src/schema/task-api.ts"
import { openApi } from "../../src/server/open-api.ts"
import { tokenOf } from "../../src/server/tokens.ts"
import { agent, ask, directory, person, planWith, poolToken, serve, userToken, worker } from "./live-server.ts"

const server = Effect.flatMap(directory, serve)

/** Every operation of the OpenAPI document, its parameters filled in. */
const operations = Object.entries((openApi() as { paths: Record<string, Record<string, unknown>> }).paths)
  .flatMap(([path, methods]) => Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path: path.replaceAll(/\{\w+\}/gu, "run-x") })))

describe("a token", () => {
  it.live("that is missing or of another kind gets the same 401 from every operation of our APIs", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).start("demo")
      const plan = yield* agent(url).take
      const good = (path: string) => path.startsWith("/api/pool") ? poolToken : path.startsWith("/api/task") ? plan.taskToken : userToken
      const bodies = new Set<string>()
      for (const { method, path } of operations) {
        for (const token of [undefined, "wrong", "ajt_wrong", userToken, poolToken, plan.taskToken]) {
          if (token === good(path)) continue
          const answer = yield* ask(url + path, token, method, method === "GET" ? undefined : {})
          expect([method, path, answer.status]).toEqual([method, path, 401])
          bodies.add(answer.text)
        }
      }
      expect(bodies.size).toBe(1)
    }))

  it.live("that is missing or of another kind gets the same 401 from the TFE API, before anything is looked up", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      const paths = ["/api/v2/ping", "/api/v2/organizations/default/workspaces/demo", "/api/v2/organizations/other/entitlement-set", `/api/v2/runs/${id}`, "/api/v2/runs/run-none"]
      const answers = yield* Effect.forEach(paths.flatMap((path) => [undefined, "wrong", poolToken].map((token) => ask(url + path, token))), (_) => _)
      expect(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
      expect(answers[0]).toMatchObject({ status: 401, json: { errors: [{ status: "401" }] } })
    }))

  it.live("of a stage is over with the stage's result", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).start("demo")
      const plan = yield* planWith(url)
      for (const path of [taskPath.assignment, taskPath.archive, taskPath.plan, taskPath.state]) expect((yield* worker(url, plan).as("GET", path)).status).toBe(401)
      expect((yield* worker(url, plan).log(0, "late")).status).toBe(401)
      expect((yield* worker(url, plan).lock("late")).status).toBe(401)
    }))

  it.live("does not tell what exists: unknown ids, paths and organizations give the same 404", () =>
    Effect.gen(function*() {
      const url = yield* server
      const own = yield* Effect.forEach([runPath.run("run-none"), "/api/state/v1/workspaces/none", "/nowhere"], (path) => ask(url + path, userToken))
      const tfe = yield* Effect.forEach(["/api/v2/runs/run-none", "/api/v2/organizations/other/entitlement-set", "/api/v2/no-such-thing", "/api/v2/workspaces/ws-none"], (path) => ask(url + path, userToken))
      const unknown = yield* agent(url).post(poolPath.acknowledge("run-none.plan.1"), { taskUid: "uid" })
      expect(new Set([...own, unknown].map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
      expect(new Set(tfe.map(({ status, text }) => `${status} ${text}`)).size).toBe(1)
      expect([own[0]?.status, tfe[0]?.status]).toEqual([404, 404])
    }))

  it.each([
    { given: undefined, expected: Option.none() },
    { given: "Bearer", expected: Option.none() },
    { given: "Bearer abc", expected: Option.some("abc") },
    { given: "bearer  abc ", expected: Option.some("abc") },
    { given: `Basic ${Buffer.from("me:a:b").toString("base64")}`, expected: Option.some("a:b") },
    { given: "Digest abc", expected: Option.none() }
  ])("is read from the header: $given", ({ expected, given }) => expect(tokenOf(given)).toEqual(expected))
})
