// A secret that is easy to find goes into variables, a state, a run and a token; the test looks for it everywhere it must not be.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { taskPath } from "../../src/schema/api/task-api.ts"
import { sings, songsOf } from "../canary.ts"
import { agent, ask, directory, person, planWith, poolToken, succeeded, userToken, withChanges, worker } from "./live-server.ts"
import { ended, started } from "./process.ts"

const canary = "canary-4b1d-a-secret-that-sings"
const songs = songsOf(canary)

const gets = (run: string, workspace: string) => [
  "/metrics",
  "/readyz",
  "/api/agent-job/v1/audit",
  "/api/agent-job/v1/runs",
  `/api/agent-job/v1/runs/${run}`,
  `/api/v2/runs/${run}?include=workspace,plan,apply`,
  `/api/v2/workspaces/${workspace}`,
  `/api/v2/workspaces/${workspace}/vars`,
  `/api/v2/workspaces/${workspace}/runs`,
  `/api/v2/workspaces/${workspace}/current-state-version`,
  `/api/v2/workspaces/${workspace}/current-state-version-outputs`,
  "/api/v2/organizations/default/workspaces"
]

describe("a sensitive variable", () =>
  it.live("is in the database's table of variables and in what the stage's worker is given, and no token is anywhere", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const { child, url } = yield* started(made, undefined, "Debug")
      let printed = ""
      child.stdout?.on("data", (text) => (printed += String(text)))
      const me = person(url)
      const workspace = yield* me.workspace("demo")
      const told: Array<string> = []
      const keep = <A extends { readonly text: string; readonly headers: Headers }>(
        answer: A
      ) => (told.push(answer.text, JSON.stringify([...answer.headers])), answer)
      keep(
        yield* me.as("POST", `/api/v2/workspaces/${workspace}/vars`, {
          data: { attributes: { key: "password", value: canary, sensitive: true, description: "" } }
        })
      )
      keep(
        yield* me.as("POST", `/api/v2/workspaces/${workspace}/vars`, {
          data: { attributes: { key: `${canary} !`, value: canary, sensitive: true } }
        })
      ) // refused, because the key is not valid
      const run = yield* me.start("demo", { "auto-apply": true })
      const plan = yield* planWith(url)
      const apply = yield* agent(url).take
      const applier = worker(url, apply)
      expect(sings((yield* applier.as("GET", taskPath.assignment)).text, songs)).toContain(canary)
      const { epoch } = (yield* applier.lock("a")).json
      keep(
        yield* applier.pushState(
          { version: 4, serial: 1, lineage: "l", outputs: { password: { value: canary, type: "string", sensitive: true } } },
          "a",
          epoch
        )
      )
      keep(yield* applier.log(0, "password = ***\n"))
      keep(yield* applier.result(succeeded({ ...withChanges, statePushed: true })))
      keep(yield* ask(`${url}/api/v2/runs`, userToken, "POST", `{"data": {"attributes": {"message": ["${canary}"]}}}`))
      keep(yield* ask(`${url}/api/v2/runs/${canary}`, userToken))
      keep(yield* ask(`${url}/api/v2/ping`, canary))
      for (const path of gets(run, workspace)) keep(yield* ask(url + path, userToken))
      expect(told.filter((text) => sings(text, [...songs, plan.taskToken, apply.taskToken, poolToken, userToken]).length > 0)).toEqual([])

      expect(yield* Effect.promise(() => ended(child, "SIGTERM"))).toBe(0)
      expect(printed).toContain("a request was answered")
      expect(sings(printed, [...songs, plan.taskToken, apply.taskToken, poolToken, userToken])).toEqual([])
      const data = join(made, "data")
      const database = new DatabaseSync(join(data, "agent-job.sqlite"), { readOnly: true })
      const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").all().map(({ name }) => String(name))
      const found = (secrets: ReadonlyArray<string>) =>
        tables.filter((name) =>
          sings(
            JSON.stringify(
              database.prepare(`SELECT * FROM ${name}`).all(),
              (_, value) => value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : value
            ),
            secrets
          ).length > 0
        )
      expect([found(songs), found([plan.taskToken, apply.taskToken, poolToken, userToken])]).toEqual([["variables"], []])
      database.close()
      // The stored state has the secret, because the engine wrote it there; no other file has it.
      const blobs = readdirSync(join(data, "blobs")).filter((name) =>
        sings(readFileSync(join(data, "blobs", name), "latin1"), songs).length > 0
      )
      expect(blobs).toHaveLength(1)
    })))
