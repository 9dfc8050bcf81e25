// A stock tofu that has a token of some workspaces, before there is any run. The engine and the server are real; whole runs are in
// test/end-to-end/stock-client.node.test.ts.
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { tfePath } from "../../src/schema/api/tfe-api.ts"
import { run } from "../end-to-end/process.ts"
import { StockClient } from "../end-to-end/stock-client.ts"
import { temporaryFolder } from "../temporary-folder.ts"
import { person, server, teamToken } from "./live-server.ts"

it.live(
  "a stock client with a token of some workspaces makes and uses one of them, and is told which it may use",
  () =>
    Effect.gen(function*() {
      const url = yield* server
      const client = yield* Effect.acquireRelease(
        Effect.flatMap(temporaryFolder("client"), (folder) => Effect.promise(() => StockClient.of(folder, url, teamToken))),
        (started) => Effect.promise(() => started.end())
      )
      const init = (workspace: string) =>
        Effect.flatMap(temporaryFolder("configuration"), (folder) => {
          writeFileSync(join(folder, "cloud.tf"), client.cloud(workspace))
          return Effect.promise(() => run("tofu", [`-chdir=${folder}`, "init", "-no-color"], { env: client.env }))
        })
      const found = (workspace: string) =>
        Effect.map(person(url).as("GET", tfePath.workspace("default", workspace)), ({ status }) => status)

      const inside = yield* init("team-a-network")
      expect(inside.stdout).toContain("successfully initialized")
      expect([inside.code, yield* found("team-a-network")]).toEqual([0, 200])

      yield* person(url).workspace("team-b-network")
      for (const outside of ["team-b-network", "team-b-other"]) {
        const { code, stderr } = yield* init(outside)
        expect(code).toBe(1)
        expect(stderr.replace(/[\s│]+/gu, " ")).toContain("for the workspaces team-a-*,demo alone")
      }
      expect(yield* found("team-b-other")).toBe(404)
    })
)
