// What lists may cost: a page at most, and none of what is large in a row. What is large comes with the one thing that it belongs to.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { SqlClient, Statement } from "effect/sql"
import type { JournalEntry } from "../../src/schema/api/effects.ts"
import { runPath, type RunView } from "../../src/schema/api/run.ts"
import { taskPath } from "../../src/schema/api/task-api.ts"
import { WorkspaceName } from "../../src/schema/names.ts"
import { mostAhead } from "../../src/server/run/run-queue.ts"
import { Rescues } from "../../src/server/workspace/rescues.ts"
import { Variables } from "../../src/server/workspace/variables.ts"
import { Workspaces } from "../../src/server/workspace/workspaces.ts"
import { agent, applying, ask, directory, failed, inStores, person, type Resource, serve, server, userToken } from "./live-server.ts"

const queue = "/api/v2/organizations/default/runs/queue"

describe("the queue of runs", () => {
  it.live("comes in pages, and a run's place in it counts from the first", () =>
    Effect.gen(function*() {
      const me = person(yield* server)
      const workspaceId = yield* me.workspace("demo")
      yield* me.start("demo")
      const waiting = yield* Effect.replicateEffect(Effect.map(me.run(workspaceId), ({ json }) => String(json.data.id)), 3)
      const [first, ...later] = (yield* me.as("GET", `${queue}?page[size]=100`)).json.data.map(({ id }: Resource) => id)
      expect(later).toEqual(waiting)
      const page = (number: number) => Effect.map(me.as("GET", `${queue}?page[number]=${number}&page[size]=2`), ({ json }) => json)
      const places = ({ data }: { readonly data: ReadonlyArray<Resource> }) =>
        data.map(({ attributes, id }) => [id, attributes["position-in-queue"]])
      const one = yield* page(1)
      const two = yield* page(2)
      expect(places(one)).toEqual([[first, 0], [waiting[0], 1]])
      expect(one.meta.pagination).toMatchObject({ "current-page": 1, "next-page": 2, "total-pages": 2 })
      expect(places(two)).toEqual([[waiting[1], 2], [waiting[2], 3]])
      expect(two.meta.pagination).toMatchObject({ "current-page": 2, "next-page": null, "total-pages": 2 })
      expect((yield* me.as("GET", "/api/v2/organizations/default/capacity")).json.data.attributes).toEqual({ pending: 4, running: 0 })
    }))
})

/** A server of which `hear` is told each SQL statement. */
const overheard = (hear: (sql: string) => void) =>
  Effect.flatMap(directory, serve).pipe(
    Effect.provideService(Statement.CurrentTransformer, (statement) =>
      Effect.sync(() => {
        hear(statement.compile()[0])
        return statement
      }))
  )

describe("a list of runs that wait", () => {
  it.live("says of each what the run itself says, and looks up once what those of a line wait for", () =>
    Effect.gen(function*() {
      const said: Array<string> = []
      const url = yield* overheard((sql) => said.push(sql))
      const me = person(url)
      const starting = (count: number, workspace: string, attributes: object = {}) =>
        Effect.replicateEffect(me.start(workspace, { ...attributes }), count)
      const over = (yield* starting(1, "demo"))[0]!
      yield* starting(3, "demo")
      yield* me.act(over, "cancel")
      yield* starting(mostAhead + 3, "demo", { "plan-only": true })
      yield* starting(3, "other")
      said.length = 0
      const listed: ReadonlyArray<RunView> = (yield* me.as("GET", runPath.list)).json.runs
      const counts = (part: string) => said.filter((text) => text.includes(part)).length
      expect([counts(") AS older"), counts("AS counts"), listed.length]).toEqual([3, 1, 20])
      expect(listed.map(({ queue }) => queue?.position ?? 0).toSorted((a, b) => b - a).slice(0, 6)).toEqual([3, 2, 2, 2, 1, 1])
      for (const { id, queue } of listed) expect(queue).toEqual((yield* me.view(id)).queue)
      const workspaceId = yield* me.workspace("demo")
      const stock: ReadonlyArray<Resource> = (yield* me.as("GET", `/api/v2/workspaces/${workspaceId}/runs`)).json.data
      for (const { attributes, id } of stock) {
        expect(attributes["position-in-queue"]).toBe((yield* me.as("GET", `/api/v2/runs/${id}`)).json.data.attributes["position-in-queue"])
      }
    }))
})

describe("what a run was started with", () => {
  it.live("is read for that run alone, and by no list", () =>
    Effect.gen(function*() {
      const said = new Set<string>()
      const url = yield* overheard((sql) => said.add(sql))
      const me = person(url)
      const workspaceId = yield* me.workspace("demo")
      const started = { variables: [{ key: "large", value: "\"value\"" }], "target-addrs": ["null_resource.one"] }
      const id = yield* me.start("demo", started)
      said.clear()
      for (
        const path of [
          runPath.list,
          `${runPath.list}?workspace=demo`,
          queue,
          "/api/v2/organizations/default/capacity",
          "/api/v2/organizations/default/workspaces",
          `/api/v2/workspaces/${workspaceId}/runs`
        ]
      ) {
        expect((yield* ask(url + path, userToken)).status).toBe(200)
      }
      expect([...said].filter((text) => /runs\.\*|\b(?:variables|options)\b/u.test(text))).toEqual([])
      expect((yield* me.as("GET", `/api/v2/runs/${id}`)).json.data.attributes).toMatchObject(started)
    }))
})

describe("what a stage left behind", () => {
  it.live("is named with its run, and not in lists", () =>
    Effect.gen(function*() {
      const { applier, id, url } = yield* applying
      const left: JournalEntry = { number: 1, kind: "done", action: "create", address: "null_resource.one", idKey: "id", id: "1" }
      yield* applier.as("POST", taskPath.effects, { entries: [left, { number: 2, kind: "closed", action: "create", address: "" }] })
      yield* applier.result(failed())
      const { stages } = yield* person(url).view(id)
      expect(stages.at(-1)?.effects?.unsaved.map(({ address }) => address)).toEqual([left.address])
      const { json: { runs: [listed] } } = yield* person(url).as("GET", runPath.list)
      const { effects: _, ...shown } = stages.at(-1)!
      expect(listed.stages.at(-1)).toEqual(shown)
    }))
})

const variable = (workspaceId: string, key: string, value: string) => ({
  workspaceId,
  key,
  value,
  description: "",
  category: "terraform" as const,
  hcl: false,
  sensitive: false
})

/** Stores so many variables at once. */
const stored = (workspaceId: string, count: number) =>
  Effect.gen(function*() {
    const sql = yield* SqlClient.SqlClient
    const insert = (n: number) => sql`INSERT INTO variables ${sql.insert({ id: `var-${n}`, ...variable(workspaceId, `n${n}`, "1") })}`
    yield* sql.withTransaction(Effect.forEach(Array.from({ length: count }, (_, n) => n), insert, { discard: true }))
  })

describe("why a stage waits", () => {
  it.live("has limits, since each list says it of all that wait behind the stage, and a refusal names the word that is too long", () =>
    Effect.gen(function*() {
      const url = yield* server
      const [first] = yield* Effect.replicateEffect(person(url).start("demo", { "plan-only": true }), mostAhead + 2)
      const said = Effect.fnUntraced(function*(reason: string, message: string) {
        const { json, status } = yield* agent(url).wait(`${first}.plan.1`, reason, message)
        return status === 204 ? status : [status, json.message]
      })
      yield* agent(url).acquire(0, 1)
      yield* agent(url).acknowledge(`${first}.plan.1`)
      const longest = ["Q".repeat(64), "m".repeat(4096)] as const
      expect(yield* said(...longest)).toBe(204)
      const tooLong = (where: string, most: number) => [
        422,
        `The request is not as expected at ${where}: Expected a value with a length of at most ${most}.`
      ]
      expect(yield* said("Q".repeat(65), "It waits.")).toEqual(tooLong("reason", 64))
      expect(yield* said("QuotaExceeded", "m".repeat(4097))).toEqual(tooLong("message", 4096))
      const { runs }: { readonly runs: ReadonlyArray<RunView> } = (yield* person(url).as("GET", runPath.list)).json
      expect(runs.map(({ queue }) => queue?.reason).filter((reason) => reason === longest[0])).toHaveLength(3) // its own, and of those behind it
    }))
})

describe("a workspace", () => {
  it.live("has a limit to the name of its version, and the refusal says which", () =>
    Effect.gen(function*() {
      const me = person(yield* server)
      const id = yield* me.workspace("demo")
      const named = (version: string) =>
        me.as("PATCH", `/api/v2/workspaces/${id}`, { data: { attributes: { "terraform-version": version } } })
      expect((yield* named("1".repeat(64))).status).toBe(200)
      const { json, status } = yield* named("1".repeat(65))
      expect([status, json.errors[0].detail]).toEqual([
        422,
        "The request is not as expected at data.attributes.terraform-version: at most 64 characters are allowed."
      ])
    }))

  it.effect("has at most so many variables, with so many bytes together, and what is there can still be replaced and removed", () =>
    inStores(
      Effect.gen(function*() {
        const variables = yield* Variables
        const { id } = yield* (yield* Workspaces).ensure(WorkspaceName.make("demo"))
        const set = (key: string, value = "") => variables.set(variable(id, key, value))
        yield* stored(id, 499)
        yield* set("n499")
        const refused = yield* Effect.flip(set("one_more"))
        expect(refused).toMatchObject({ status: 422, error: "invalid" })
        expect(refused.message).toBe(
          "A workspace has at most 500 variables with 1048576 bytes of values and descriptions together, as JSON writes them, so this one was not stored; remove some that it no longer needs, or put large values into files of the configuration."
        )
        yield* set("n1", "another value")
        for (const { id: variableId } of yield* variables.list(id)) yield* variables.remove(id, variableId)
        const large = "x".repeat(64 * 1024)
        for (let n = 0; n < 16; n++) yield* set(`n${n}`, large)
        expect((yield* Effect.flip(set("one_more", "x"))).message).toBe(refused.message)
        expect((yield* variables.list(id)).map(({ key }) => key)).not.toContain("one_more")
        yield* set("n1", "x")
        expect((yield* Effect.flip(set("one_more", "\u0001".repeat(11_000)))).message).toBe(refused.message) // six bytes each in JSON
        yield* set("one_more", "x".repeat(65_000))
      })
    ))
})

describe("the rescues that were settled", () => {
  it.effect("are shown from the newest on, up to a limit, while all that wait are", () =>
    inStores(
      Effect.gen(function*() {
        const sql = yield* SqlClient.SqlClient
        const rescues = yield* Rescues
        const openedAt = "2026-01-31T12:00:00Z"
        yield* sql`PRAGMA foreign_keys = OFF`
        yield* Effect.forEach([openedAt, null, openedAt, openedAt, null], (settledAt, seq) =>
          sql`INSERT INTO rescues ${
            sql.insert({ id: `res-${seq}`, seq, workspaceId: "w", stageId: `${seq}`, reason: "Lost", message: "lost", openedAt, settledAt })
          }`)
        const ids = (found: ReadonlyArray<{ readonly id: string }>) =>
          found.map(({ id }) =>
            id
          )
        expect(ids(yield* rescues.settled("w", 2))).toEqual(["res-3", "res-2"])
        expect(ids(yield* rescues.pending("w"))).toEqual(["res-1", "res-4"])
      })
    ))
})
