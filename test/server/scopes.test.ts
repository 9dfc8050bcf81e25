// Which token opens which route: a table of all routes of the server, each of which is asked with every kind of token.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Role, roles } from "../../src/core/text/token-lines.ts"
import { taskHeader, taskPath } from "../../src/schema/api/task-api.ts"
import { openApi } from "../../src/server/routes/open-api.ts"
import {
  agent,
  ask,
  directory,
  person,
  planToken,
  planWith,
  poolToken,
  readToken,
  serve,
  taskUid,
  userToken,
  withoutRates
} from "./live-server.ts"
import { refusing, registered } from "./registered.ts"

/**
 * What opens a route: a role is the least that a user's token needs. `link` is a secret in the path instead of a token; without it, the answer
 * is 404, as for an unknown address.
 */
type Opens = "anybody" | Role | "pool" | "task" | "link"
const isRole = (opens: Opens | undefined): opens is Role => roles.some((role) => role === opens)

const table: Readonly<Record<string, Opens>> = {
  "GET /healthz": "anybody",
  "GET /readyz": "anybody",
  "GET /metrics": "anybody",
  "POST /api/pool/v1/acquire": "pool",
  "POST /api/pool/v1/cancellations": "pool",
  "POST /api/pool/v1/assignments/:id/acknowledge": "pool",
  "POST /api/pool/v1/assignments/:id/wait": "pool",
  "POST /api/pool/v1/assignments/:id/result": "pool",
  "GET /api/task/v1/assignment": "task",
  "GET /api/task/v1/archive": "task",
  "GET /api/task/v1/plan": "task",
  "PUT /api/task/v1/plan": "task",
  "POST /api/task/v1/log": "task",
  "POST /api/task/v1/effects": "task",
  "POST /api/task/v1/result": "task",
  "GET /api/task/v1/state": "task",
  "POST /api/task/v1/state": "task",
  "POST /api/task/v1/kept-state": "task",
  "POST /api/task/v1/state/lock": "task",
  "POST /api/task/v1/state/unlock": "task",
  "GET /api/state/v1/workspaces/:name": "everything",
  "GET /api/state/v1/workspaces/:name/outputs": "read",
  "POST /api/state/v1/workspaces/:name": "everything",
  "PUT /api/state/v1/workspaces/:name": "everything",
  "DELETE /api/state/v1/workspaces/:name": "everything",
  "GET /api/agent-job/v1/runs": "read",
  "GET /api/agent-job/v1/runs/:id": "read",
  "GET /api/agent-job/v1/pools": "read",
  "GET /api/agent-job/v1/audit": "read",
  "GET /api/agent-job/v1/runs/:id/audit": "read",
  "GET /api/agent-job/v1/workspaces/:name/audit": "read",
  "GET /api/agent-job/v1/workspaces/:name/state": "read",
  "GET /api/agent-job/v1/workspaces/:name/state/evidence/:id": "everything",
  "POST /api/agent-job/v1/workspaces/:name/state/evidence": "everything",
  "POST /api/agent-job/v1/workspaces/:name/state/push": "everything",
  "POST /api/agent-job/v1/workspaces/:name/state/rescue": "everything",
  "POST /api/agent-job/v1/workspaces/:name/state/import": "everything",
  "POST /api/agent-job/v1/workspaces/:name/state/unlock": "everything",
  "GET /.well-known/terraform.json": "anybody",
  "GET /api/v2/ping": "read",
  "GET /api/v2/account/details": "read",
  "GET /api/v2/organizations/:organization/entitlement-set": "read",
  "GET /api/v2/organizations/:organization/workspaces": "read",
  "POST /api/v2/organizations/:organization/workspaces": "everything",
  "GET /api/v2/organizations/:organization/workspaces/:name": "read",
  "GET /api/v2/workspaces/:id": "read",
  "PATCH /api/v2/organizations/:organization/workspaces/:name": "everything",
  "PATCH /api/v2/workspaces/:id": "everything",
  "GET /api/v2/workspaces/:id/vars": "read",
  "GET /api/v2/workspaces/:id/all-vars": "read",
  "POST /api/v2/workspaces/:id/vars": "everything",
  "GET /api/v2/workspaces/:id/vars/:variable": "read",
  "DELETE /api/v2/workspaces/:id/vars/:variable": "everything",
  "POST /api/v2/workspaces/:id/configuration-versions": "plan",
  "GET /api/v2/configuration-versions/:id": "read",
  "PUT /api/v2/uploads/:id/:secret": "link",
  "POST /api/v2/runs": "plan",
  "GET /api/v2/runs/:id": "read",
  "GET /api/v2/workspaces/:id/runs": "read",
  "GET /api/v2/organizations/:organization/runs/queue": "read",
  "GET /api/v2/organizations/:organization/capacity": "read",
  "GET /api/v2/runs/:id/run-events": "read",
  "POST /api/v2/runs/:id/actions/apply": "everything",
  "POST /api/v2/runs/:id/actions/discard": "plan",
  "POST /api/v2/runs/:id/actions/cancel": "plan",
  "POST /api/v2/runs/:id/actions/force-cancel": "everything",
  "GET /api/v2/plans/:id": "read",
  "GET /api/v2/applies/:id": "read",
  "GET /api/v2/logs/:id/:secret": "link",
  "GET /api/v2/workspaces/:id/current-state-version": "read",
  "GET /api/v2/workspaces/:id/current-state-version-outputs": "read",
  "GET /api/v2/state-version-outputs/:id": "read",
  "GET /api/v2/state-versions/:id": "read",
  "GET /api/v2/state-versions/:id/download": "everything",
  "GET /api/v2/organizations/:organization/projects": "read",
  "POST /api/v2/organizations/:organization/projects": "everything",
  "DELETE /api/v2/organizations/:organization/workspaces/:name": "everything",
  "POST /api/v2/organizations/:organization/workspaces/:name/actions/safe-delete": "everything",
  "DELETE /api/v2/workspaces/:id": "everything",
  "POST /api/v2/workspaces/:id/actions/safe-delete": "everything",
  "PATCH /api/v2/workspaces/:id/vars/:variable": "everything",
  "POST /api/v2/workspaces/:id/relationships/tags": "everything",
  "PATCH /api/v2/workspaces/:id/tag-bindings": "everything",
  "POST /api/v2/workspaces/:id/actions/lock": "everything",
  "POST /api/v2/workspaces/:id/actions/unlock": "everything",
  "POST /api/v2/workspaces/:id/actions/force-unlock": "everything",
  "GET /api/v2/organizations/:organization/agent-pools": "read",
  "POST /api/v2/organizations/:organization/agent-pools": "everything",
  "GET /api/v2/agent-pools/:id": "read",
  "PATCH /api/v2/agent-pools/:id": "everything",
  "DELETE /api/v2/agent-pools/:id": "everything",
  "POST /api/v2/queries": "everything",
  "POST /api/v2/workspaces/:id/state-versions": "everything"
}

const address = (row: string) => {
  const [method = "", path = ""] = row.split(" ")
  return { method: method === "*" ? "GET" : method, path: path.replaceAll(/:\w+|\*/gu, "run-x") }
}

const server = withoutRates(Effect.flatMap(directory, serve))

describe("the table of scopes", () => {
  it.effect("has a row for every route of the server, and no other", () =>
    Effect.gen(function*() {
      expect([...(yield* registered)].sort()).toEqual(Object.keys(table).sort())
    }))

  it.effect("has the token of every operation of the OpenAPI document, which has every route that a token or a link opens", () =>
    Effect.gen(function*() {
      const { paths } = openApi() as { readonly paths: Record<string, Record<string, { readonly security: ReadonlyArray<object> }>> }
      const told = Object.entries(paths).flatMap(([path, methods]) =>
        Object.entries(methods).map(([method, { security }]) => [
          `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/gu, ":$1")}`,
          Object.keys(security[0] ?? { link: [] })[0]
        ])
      )
      const refused = yield* refusing
      const served = Object.entries(table).filter(([row, opens]) => opens !== "anybody" && !refused.includes(row))
      expect(Object.fromEntries(told)).toEqual(Object.fromEntries(served.map(([row, opens]) => [row, isRole(opens) ? "user" : opens])))
    }))

  it.live("holds for every route and every kind of token, and all who are refused get the same answer", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).start("over")
      const over = yield* planWith(url)
      yield* person(url).start("demo")
      yield* person(url).start("other")
      const [stage, otherStage] = yield* agent(url).acquire()
      if (stage === undefined || otherStage === undefined) throw new Error("expected two assignments")
      const tokens: ReadonlyArray<readonly [string, Opens | undefined, string]> = [
        ["none", undefined, ""],
        ["no scheme", undefined, userToken],
        ["another scheme", undefined, `Digest ${userToken}`],
        ["an empty one", undefined, "Bearer "],
        ["one with a letter more", undefined, `Bearer ${userToken}x`],
        ["one with a letter less", undefined, `Bearer ${poolToken.slice(0, -1)}`],
        ["one in other letters", undefined, `Bearer ${userToken.toUpperCase()}`],
        ["an unknown task's", undefined, `Bearer ajt_${"a".repeat(43)}`],
        ["an ended stage's", undefined, `Bearer ${over.taskToken}`],
        ["a user's", "everything", `Bearer ${userToken}`],
        ["a user's as password", "everything", `Basic ${Buffer.from(`me:${userToken}`).toString("base64")}`],
        ["a planner's", "plan", `Bearer ${planToken}`],
        ["a reader's", "read", `Bearer ${readToken}`],
        ["a reader's as password", "read", `Basic ${Buffer.from(`me:${readToken}`).toString("base64")}`],
        ["a pool's", "pool", `Bearer ${poolToken}`],
        ["a stage's", "task", `Bearer ${stage.taskToken}`],
        ["another stage's", "task", `Bearer ${otherStage.taskToken}`]
      ]
      const wrong: Array<string> = []
      const refusals = new Set<string>()
      let cells = 0
      for (const [row, opens] of Object.entries(table)) {
        const { method, path } = address(row)
        for (const [given, kind, authorization] of tokens) {
          if (row === "POST /api/task/v1/result" && given === "an ended stage's") continue // it may report the same result again
          if (row === "POST /api/task/v1/effects" && given === "an ended stage's") continue // it is told that the stage is over
          const headers = {
            ...(authorization !== "" && { authorization }),
            [taskHeader.taskUid]: given === "an ended stage's" ? taskUid : given
          }
          const answer = yield* ask(url + path, undefined, method, method === "GET" ? undefined : {}, headers)
          const ofUser = isRole(opens) && isRole(kind)
          const may = opens === kind || ofUser || opens === "anybody" || opens === "link"
          cells++
          if ((answer.status === 403) !== (ofUser && roles.indexOf(kind) < roles.indexOf(opens))) {
            wrong.push(`${row} with ${given} token: ${answer.status}`)
          }
          if (may === (answer.status === 401)) wrong.push(`${row} with ${given} token: ${answer.status}`)
          if (opens === "link" && answer.status !== 404) wrong.push(`${row} without its secret: ${answer.status}`)
          if (answer.status === 401) {
            refusals.add(`${row.includes("/api/v2/") ? "tfe" : "own"} ${answer.headers.get("www-authenticate")} ${answer.text}`)
          }
        }
      }
      expect(wrong).toEqual([])
      expect(cells).toBeGreaterThan(1000)
      expect([...refusals].map((refusal) => refusal.split(" ")[0]).sort()).toEqual(["own", "tfe"])
    }))

  it.live("keeps each stage to its own: its token is given nothing of another one", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).start("demo")
      yield* person(url).start("other")
      const [one, two] = yield* agent(url).acquire()
      const asked = (token: string | undefined, path: string) =>
        ask(url + path, token, "GET", undefined, { [taskHeader.taskUid]: `task of ${token}` })
      const details = yield* Effect.forEach([one, two], (stage) => asked(stage?.taskToken, taskPath.assignment))
      expect(details.map(({ json }) => json.id)).toEqual([one?.id, two?.id])
      expect((yield* ask(`${url}/api/pool/v1/assignments/${two?.id}/result?taskUid=x`, one?.taskToken, "POST", {})).status).toBe(401)
      expect((yield* ask(`${url}/api/state/v1/workspaces/other`, one?.taskToken)).status).toBe(401)
    }))
})
