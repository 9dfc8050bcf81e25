// Every route that writes: the change and its one entry in the audit trail are in the same transaction, and what is refused has none.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { auditPath } from "../../../src/schema/api/audit.ts"
import { poolPath } from "../../../src/schema/api/pool-api.ts"
import { runPath } from "../../../src/schema/api/run.ts"
import { statePath, statesPath } from "../../../src/schema/api/state.ts"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { tfePath } from "../../../src/schema/api/tfe-api.ts"
import { sealed } from "../../../src/worker/state/stranded-states.ts"
import { lost } from "../doubted-state.ts"
import {
  agent,
  type Answer,
  archiveOf,
  ask,
  directory,
  person,
  planWith,
  serve,
  state,
  userToken,
  withoutRates,
  worker
} from "../live-server.ts"
import { refusing, registered } from "../registered.ts"
import { diskWith } from "../room.ts"
import { entry } from "../run/applying.ts"
import { contentOf, inDatabase } from "../stored.ts"

/** One request for each route that writes, each on things of its own, so that none stands in the way of another. */
type Requests = Readonly<Record<string, (url: string) => Effect.Effect<Answer>>>

/** The routes that have no entry because they come all the time. */
const without = [
  "POST /api/pool/v1/cancellations",
  "POST /api/pool/v1/assignments/:id/wait",
  "POST /api/task/v1/log",
  "POST /api/task/v1/effects"
]

/** Makes what the requests are about. */
const scene = Effect.fnUntraced(function*(url: string) {
  const me = person(url)
  const pool = agent(url)
  const bytes = (serial: number) => Buffer.from(JSON.stringify(state(serial)))
  /** A stage that runs, with its worker: the plan of a new run in a workspace of its own, or its apply. */
  const planning = Effect.fnUntraced(function*(name: string) {
    const run = yield* me.start(name)
    const stage = yield* pool.take
    yield* worker(url, stage).log(0, "")
    return { run, stage }
  })
  const applying = Effect.fnUntraced(function*(name: string) {
    const run = yield* me.start(name, { "auto-apply": true })
    yield* planWith(url)
    const stage = yield* pool.take
    yield* worker(url, stage).log(0, "")
    return { run, stage }
  })
  const locked = Effect.fnUntraced(function*(name: string) {
    const { run, stage } = yield* applying(name)
    const { epoch } = (yield* worker(url, stage).lock("a")).json
    yield* worker(url, stage).pushState(state(1), "a", epoch)
    return { run, stage, epoch: Number(epoch) }
  })
  /** A stage that left its state in doubt, and the key of the states that it keeps. */
  const doubted = Effect.fnUntraced(function*(name: string) {
    const { run, stage } = yield* locked(name)
    const { keptStateKey } = (yield* worker(url, stage).as("GET", taskPath.assignment)).json
    yield* worker(url, stage).as("POST", taskPath.effects, { entries: [entry(1, "done", "time_sleep.a", "1")] })
    yield* pool.report(stage.id, lost)
    return { run, stage, key: Buffer.from(String(keptStateKey), "hex") }
  })
  const planned = Effect.fnUntraced(function*(name: string) {
    const run = yield* me.start(name)
    yield* planWith(url)
    return run
  })
  const lockedByMe = (name: string) => ask(`${url}${statesPath}${name}`, userToken, "PUT", { ID: "mine" })

  const toPlan = yield* planning("to-plan")
  const toTell = yield* planning("to-tell")
  const toCancel = yield* planning("to-cancel")
  const toForce = yield* planning("to-force")
  yield* me.act(toForce.run, "cancel")
  const toLock = yield* applying("to-lock")
  const toEnd = yield* applying("to-end")
  const toPush = yield* locked("to-push")
  const toRefuse = yield* locked("to-refuse")
  const toUnlock = yield* locked("to-unlock")
  yield* locked("to-open")
  const left = yield* doubted("left")
  yield* doubted("to-bring")
  yield* doubted("to-settle")
  yield* doubted("to-import")
  const toApply = yield* planned("to-apply")
  const toDiscard = yield* planned("to-discard")
  for (const name of ["mine-to-push", "mine-to-unlock"]) yield* lockedByMe(name)
  const workspaceId = yield* me.workspace("settings")
  const variable = (key: string) => ({ data: { type: "vars", attributes: { key, value: "v", category: "env" } } })
  const variableId = String((yield* me.as("POST", tfePath.variables(workspaceId), variable("OLD"))).json.data.id)
  const version = { data: { type: "configuration-versions", attributes: {} } }
  const upload = String((yield* me.as("POST", tfePath.configurationVersions(workspaceId), version)).json.data.attributes["upload-url"])
  yield* me.upload(workspaceId, archiveOf({ a: "b" }))
  yield* me.start("to-wait")
  const toWait = yield* pool.take
  yield* me.start("to-take")
  const toTake = (yield* pool.acquire())[0] ?? expect.fail("it is offered")
  yield* me.start("to-offer")

  const requests: Requests = {
    "POST /api/pool/v1/acquire": (url) => agent(url, "agent-2").post(poolPath.acquire, { agent: "agent-2", waitSeconds: 0, max: 1 }),
    "GET /api/task/v1/assignment": (url) => worker(url, toWait).as("GET", taskPath.assignment),
    "POST /api/pool/v1/assignments/:id/acknowledge": (url) => agent(url).acknowledge(toTake.id),
    "POST /api/pool/v1/assignments/:id/result": (url) => agent(url).report(toTell.stage.id, lost),
    "PUT /api/task/v1/plan": (url) => worker(url, toPlan.stage).savePlan("a plan"),
    "POST /api/task/v1/result": (url) => worker(url, toEnd.stage).result(lost),
    "POST /api/task/v1/state": (url) => worker(url, toPush.stage).pushState(state(2), "a", toPush.epoch),
    "POST /api/task/v1/state (refused)": (url) => worker(url, toRefuse.stage).pushState(state(2), "b", toRefuse.epoch),
    "POST /api/task/v1/kept-state": (url) =>
      worker(url, toPlan.stage).as("POST", taskPath.keptState, sealed(left.stage.id, left.key, bytes(7))),
    "POST /api/task/v1/state/lock": (url) => worker(url, toLock.stage).lock("b"),
    "POST /api/task/v1/state/unlock": (url) => worker(url, toUnlock.stage).unlock("a"),
    "POST /api/state/v1/workspaces/:name": (url) =>
      ask(`${url}${statesPath}mine-to-push?ID=mine`, userToken, "POST", JSON.stringify(state(1))),
    "PUT /api/state/v1/workspaces/:name": (url) => ask(`${url}${statesPath}mine-to-make`, userToken, "PUT", { ID: "mine" }),
    "DELETE /api/state/v1/workspaces/:name": (url) => ask(`${url}${statesPath}mine-to-unlock`, userToken, "DELETE", { ID: "mine" }),
    "POST /api/agent-job/v1/workspaces/:name/state/evidence": (url) => person(url).as("POST", statePath.bring("to-bring"), bytes(7)),
    "POST /api/agent-job/v1/workspaces/:name/state/push": (url) => person(url).as("POST", statePath.push("pushed"), bytes(1)),
    "POST /api/agent-job/v1/workspaces/:name/state/rescue": (url) => person(url).settle("to-settle"),
    "POST /api/agent-job/v1/workspaces/:name/state/import": (url) => person(url).as("POST", statePath.import("to-import")),
    "POST /api/agent-job/v1/workspaces/:name/state/unlock": (url) =>
      person(url).as("POST", statePath.unlock("to-open"), { by: "me", lock: "a" }),
    "POST /api/v2/organizations/:organization/workspaces": (url) =>
      person(url).as("POST", tfePath.workspaces("default"), { data: { type: "workspaces", attributes: { name: "new" } } }),
    "PATCH /api/v2/workspaces/:id": (url) =>
      person(url).as("PATCH", `/api/v2/workspaces/${workspaceId}`, { data: { attributes: { "auto-apply": true } } }),
    "PATCH /api/v2/organizations/:organization/workspaces/:name": (url) =>
      person(url).as("PATCH", tfePath.workspace("default", "settings"), { data: { attributes: { "auto-apply": false } } }),
    "POST /api/v2/workspaces/:id/vars": (url) => person(url).as("POST", tfePath.variables(workspaceId), variable("NEW")),
    "DELETE /api/v2/workspaces/:id/vars/:variable": (url) => person(url).as("DELETE", tfePath.variable(workspaceId, variableId)),
    "POST /api/v2/workspaces/:id/configuration-versions": (url) =>
      person(url).as("POST", tfePath.configurationVersions(workspaceId), version),
    "PUT /api/v2/uploads/:id/:secret": (url) => ask(url + new URL(upload).pathname, undefined, "PUT", archiveOf({ c: "d" })),
    "POST /api/v2/runs": (url) => person(url).run(workspaceId),
    "POST /api/v2/runs/:id/actions/apply": (url) => person(url).act(toApply, "apply"),
    "POST /api/v2/runs/:id/actions/discard": (url) => person(url).act(toDiscard, "discard"),
    "POST /api/v2/runs/:id/actions/cancel": (url) => person(url).act(toCancel.run, "cancel"),
    "POST /api/v2/runs/:id/actions/force-cancel": (url) => person(url).act(toForce.run, "force-cancel")
  }
  return requests
})

describe("each route that writes", () => {
  it.live("changes nothing if its entry cannot be stored, and otherwise has one entry, unless it is refused", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const requests = yield* Effect.scoped(Effect.flatMap(withoutRates(serve(made)), scene))
      const none = [...without, ...(yield* refusing)]
      const writes = (yield* registered).filter((route) => !/^(?:GET|\*) /u.test(route) && !none.includes(route))
      expect(writes.filter((route) => requests[route] === undefined)).toEqual([])

      const before = contentOf(made)
      inDatabase(made, (database) => database.exec("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END"))
      const refused = yield* Effect.scoped(
        Effect.flatMap(withoutRates(serve(made)), (url) => Effect.forEach(Object.values(requests), (request) => request(url)))
      ).pipe(Effect.provide(Logger.layer([])))
      expect(new Set(refused.map(({ status }) => status))).toEqual(new Set([503]))
      expect(contentOf(made)).toEqual(before)

      inDatabase(made, (database) => database.exec("DROP TRIGGER full"))
      const url = yield* withoutRates(serve(made))
      const trail = Effect.map(person(url).as("GET", auditPath.all), ({ json }) => json.entries)
      for (const [route, request] of Object.entries(requests)) {
        const [last] = yield* trail
        const { headers, status } = yield* request(url)
        const entries = (yield* trail).filter(({ seq }: { readonly seq: number }) => seq > last.seq)
        expect([route, status >= 200 && status < 300 || route.endsWith("(refused)")]).toEqual([route, true])
        expect(entries).toEqual([expect.objectContaining({ requestId: headers.get("x-request-id") })])
        expect(`${entries[0].action} `.startsWith(`${route.replace(" (refused)", "")} `)).toBe(true)
        const again = yield* request(url)
        if (again.status >= 400 && !route.endsWith("(refused)")) expect((yield* trail)[0]).toEqual(entries[0])
      }
      const imported = (yield* trail).find(({ action }: { readonly action: string }) => action.endsWith("/state/import"))
      const [name, run] = imported.object.split("/")
      expect([name, (yield* person(url).as("GET", runPath.run(run))).json.workspace]).toEqual(["to-import", "to-import"])
      for (const path of [auditPath.workspace(name), auditPath.run(run)]) {
        expect((yield* person(url).as("GET", path)).json.entries).toContainEqual(imported)
      }
    }))

  it.live(
    "is refused to people while the server keeps its room for what is at work, unless it settles or ends something, or saves the state of an engine",
    () =>
      Effect.gen(function*() {
        const made = yield* directory
        const url = yield* withoutRates(serve(made))
        const requests = yield* scene(url)
        yield* diskWith(1e8)
        const answers = yield* Effect.forEach(
          Object.entries(requests).filter(([route]) => !route.endsWith("(refused)")),
          ([route, request]) => Effect.map(request(url), ({ status, text }) => ({ route, status, text }))
        )
        const refused = answers.filter(({ status }) => status >= 300)
        expect(refused.map(({ route }) => route)).toEqual([
          "PUT /api/task/v1/plan",
          "PUT /api/state/v1/workspaces/:name",
          "POST /api/agent-job/v1/workspaces/:name/state/push",
          "POST /api/agent-job/v1/workspaces/:name/state/import",
          "POST /api/v2/organizations/:organization/workspaces",
          "PATCH /api/v2/workspaces/:id",
          "PATCH /api/v2/organizations/:organization/workspaces/:name",
          "POST /api/v2/workspaces/:id/vars",
          "POST /api/v2/workspaces/:id/configuration-versions",
          "PUT /api/v2/uploads/:id/:secret",
          "POST /api/v2/runs",
          "POST /api/v2/runs/:id/actions/apply"
        ])
        for (const { status, text } of refused) {
          expect([status, text]).toEqual([503, expect.stringContaining("too little room beside the 128 MiB")])
        }
      })
  )
})
