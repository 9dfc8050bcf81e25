import { describe, expect, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { parse } from "yaml"
import { Patience } from "../../../src/cli/server/patiently.ts"
import { ScriptedServer } from "../../kubernetes/scripted-server.ts"
import { directory, person, serve, server, userToken } from "../../server/live-server.ts"
import { run } from "../run-views.ts"
import { ran } from "../typed.ts"

describe("agent-job get", () => {
  it.live("names the workspace that is not there, and how to list those that are", () =>
    Effect.gen(function*() {
      const url = yield* server
      const told = {
        code: 3,
        out: "",
        error: `error: There is no workspace nope on ${url} for this token; \`agent-job get workspaces\` lists what there is.\n`
      }
      const environment = { AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }
      expect(yield* ran(environment, "get", "runs", "--workspace", "nope")).toEqual(told)
      expect(yield* ran(environment, "vars", "list", "nope")).toEqual(told)
      expect(yield* ran(environment, "state", "show", "nope")).toEqual(told)
    }))

  it.live("finds no workspace missing where only the address has a path too many", () =>
    Effect.gen(function*() {
      const url = yield* server
      const asks = [["get", "runs"], ["get", "workspaces"], ["vars", "list", "demo"], ["get", "audit"], ["cancel", "run-aaaaaaaaaaaaaaaa"]]
      for (const args of asks) {
        const { code, error } = yield* ran({ AGENT_JOB_URL: `${url}/api/v2/`, AGENT_JOB_TOKEN: userToken }, ...args)
        expect([args, code, error]).toEqual([
          args,
          4,
          `error: No usable answer from the agent-job server at ${url}/api/v2 (no agent-job API answers below /api/v2; without that path it is ${url}); check that it runs and that AGENT_JOB_URL or --url is right.\n`
        ])
      }
    }))
})

describe("agent-job get RUN", () => {
  it.live.each([
    { given: "waits for a server that is away", answer: { status: 503 }, code: 0, asks: 2 },
    { given: "ends at once where nothing answers, as at a wrong address", answer: "reset" as const, code: 4, asks: 1 }
  ])("$given", ({ answer, asks, code }) =>
    Effect.gen(function*() {
      const { server, url } = yield* ScriptedServer.make
      server.script.push(answer, { body: run({}) })
      const told = yield* ran({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }, "get", "run-a1").pipe(
        Effect.provideService(Patience, { every: Duration.millis(1), times: 2 })
      )
      expect([told.code, server.asked.length]).toEqual([code, asks])
    }))
})

describe("agent-job get runs", () => {
  it.live("shows the newest hundred and all that are not over, says that there are others, and shows those too", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const waiting = yield* Effect.scoped(Effect.flatMap(serve(made), (url) => person(url).start("demo")))
      const db = new DatabaseSync(join(made, "data", "agent-job.sqlite"))
      const columns = db.prepare("SELECT name FROM pragma_table_info('runs') WHERE name NOT IN ('id', 'seq', 'status')").all()
        .map(({ name }) => String(name)).join(", ")
      const insert = db.prepare(`INSERT INTO runs (id, seq, status, ${columns}) SELECT ?, ?, ?, ${columns} FROM runs WHERE seq = 1`)
      for (let seq = 2; seq < 305; seq++) insert.run(`run-a${seq}`, seq, seq < 203 && seq > 50 ? "planned" : "discarded")
      db.close()
      const url = yield* serve(made)
      const get = (...args: ReadonlyArray<string>) => ran({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }, "get", "runs", ...args)
      const ids = (out: string) => out.trimEnd().split("\n").slice(1).map((line) => line.split(" ")[0])
      const from = (newest: number, count: number) => Array.from({ length: count }, (_, n) => `run-a${newest - n}`)
      const all = yield* get()
      expect(ids(all.out)).toEqual([...from(304, 100), ...from(202, 152), waiting])
      expect(all.error).toBe("Older runs, also those that are over: agent-job get runs --before run-a205\n")
      const older = yield* get("--workspace", "demo", "--before", "run-a55")
      expect([ids(older.out), older.error]).toEqual([[...from(54, 53), waiting], ""])
      const next = yield* get("demo", "--before", "run-a205")
      expect(ids(next.out)).toEqual(from(204, 100))
      expect(next.error).toBe("Older runs: agent-job get runs demo --before run-a105\n")
      expect(JSON.parse((yield* get("-o", "json")).out)).toMatchObject({ older: "run-a205" })
      expect(yield* get("--before", "run-none")).toMatchObject({
        code: 3,
        error: `error: There is no run run-none on ${url} for this token; \`agent-job get runs\` lists what there is.\n`
      })
    }))
})

describe("agent-job get with a kind and a name", () =>
  it.live("shows the one that is named, as kubectl does", () =>
    Effect.gen(function*() {
      const url = yield* server
      const get = (...args: ReadonlyArray<string>) => ran({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }, "get", ...args)
      const id = yield* person(url).start("demo")
      const other = yield* person(url).start("other")
      expect(yield* get("run", id, "-o", "json")).toEqual(yield* get(id, "-o", "json")) // which has no ages
      const { out } = yield* get("runs", "demo")
      expect([out.includes(id), out.includes(other)]).toEqual([true, false])
      const { workspaces } = JSON.parse((yield* get("workspaces", "-o", "json")).out)
      expect(workspaces).toMatchObject([{ name: "demo", run: id }, { name: "other", run: other }])
      expect(JSON.parse((yield* get("workspace", "demo", "-o", "json")).out)).toEqual(workspaces[0])
      expect(parse((yield* get("workspaces", "demo", "-o", "yaml")).out)).toEqual(workspaces[0])
      expect((yield* get("workspace", "demo")).out).toMatch(/^WORKSPACE .*\ndemo +run-\S+ [^\n]*\n$/u)
      expect(yield* get("workspaces", "nope")).toEqual({
        code: 3,
        out: "",
        error: `error: There is no workspace nope on ${url} for this token; \`agent-job get workspaces\` lists what there is.\n`
      })
      expect((yield* get("audit", "nope")).error).toBe(
        `error: There is no workspace nope on ${url} for this token; \`agent-job get workspaces\` lists what there is.\n`
      )
    })))

describe("agent-job get audit", () =>
  it.live("shows a hundred entries with their numbers, of all or of one workspace, and the command for the older ones", () =>
    Effect.gen(function*() {
      const made = yield* directory
      yield* Effect.scoped(serve(made))
      const db = new DatabaseSync(join(made, "data", "agent-job.sqlite"))
      const insert = db.prepare(
        "INSERT INTO audit (at, kind, name, action, object, requestId) VALUES ('2026-01-31T12:00:00Z', 'user', 'Ada', 'PUT /api/state/v1/workspaces/:name', ?, 'req-1')"
      )
      for (let n = 0; n < 150; n++) insert.run(n % 10 === 0 ? "demo" : "other")
      db.close()
      const url = yield* serve(made)
      yield* person(url).workspace("demo")
      const asked = (...args: ReadonlyArray<string>) => ran({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }, "get", "audit", ...args)
      const get = (...args: ReadonlyArray<string>) => Effect.map(asked(...args), ({ out }) => out.trimEnd().split("\n"))
      const numbers = (lines: ReadonlyArray<string>) => lines.slice(1).map((line) => Number.parseInt(line, 10)).filter(Number.isInteger)
      const all = yield* get()
      expect(numbers(all)).toEqual(Array.from({ length: 100 }, (_, n) => 151 - n))
      expect(all).toHaveLength(101)
      expect((yield* asked()).error).toBe("Older entries: agent-job get audit --before 52\n")
      const older = yield* get("--before", "52")
      expect(numbers(older)).toEqual(Array.from({ length: 51 }, (_, n) => 51 - n))
      expect(older.at(-1)).toMatch(/^1 /u)
      expect(numbers(yield* get("demo"))).toEqual([151, ...Array.from({ length: 15 }, (_, n) => 141 - 10 * n)])
      yield* person(url).workspace("run-prod")
      expect(numbers(yield* get("--workspace", "run-prod"))).toEqual([152])
      expect(yield* get("run-prod")).toEqual([""])
      expect(yield* get("demo", "--before", "1")).toEqual(["There are no such entries."])
    })))
