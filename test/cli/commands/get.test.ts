import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { directory, person, serve, server, userToken } from "../../server/live-server.ts"
import { ran } from "../typed.ts"

describe("agent-job get", () => {
  it.live("names the workspace that is not there, and how to list those that are", () =>
    Effect.gen(function*() {
      const url = yield* server
      const told = {
        code: 3,
        out: "",
        error: `error: There is no workspace nope on ${url}; \`agent-job get workspaces\` lists what there is.\n`
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
      const get = (...args: ReadonlyArray<string>) =>
        Effect.map(ran({ AGENT_JOB_URL: url, AGENT_JOB_TOKEN: userToken }, "get", "audit", ...args), ({ out }) => out.trimEnd().split("\n"))
      const numbers = (lines: ReadonlyArray<string>) => lines.slice(1).map((line) => Number.parseInt(line, 10)).filter(Number.isInteger)
      const all = yield* get()
      expect(numbers(all)).toEqual(Array.from({ length: 100 }, (_, n) => 151 - n))
      expect(all.at(-1)).toBe("Older entries: agent-job get audit --before 52")
      const older = yield* get("--before", "52")
      expect(numbers(older)).toEqual(Array.from({ length: 51 }, (_, n) => 51 - n))
      expect(older.at(-1)).toMatch(/^1 /u)
      expect(numbers(yield* get("demo"))).toEqual([151, ...Array.from({ length: 15 }, (_, n) => 141 - 10 * n)])
      yield* person(url).workspace("run-prod")
      expect(numbers(yield* get("--workspace", "run-prod"))).toEqual([152])
      expect(yield* get("run-prod")).toEqual([""])
      expect(yield* get("demo", "--before", "1")).toEqual(["There are no such entries."])
    })))
