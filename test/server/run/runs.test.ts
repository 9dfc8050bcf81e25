import { describe, expect, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { RunEvent } from "../../../src/core/run/run-machine.ts"
import { auditPath } from "../../../src/schema/api/audit.ts"
import { runPath } from "../../../src/schema/api/run.ts"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { tfePath } from "../../../src/schema/api/tfe-api.ts"
import { WorkspaceName } from "../../../src/schema/names.ts"
import { Configurations } from "../../../src/server/run/configurations.ts"
import { Runs } from "../../../src/server/run/runs.ts"
import { Workspaces } from "../../../src/server/workspace/workspaces.ts"
import {
  agent,
  applying,
  archiveOf,
  ask,
  cancelled,
  directory,
  failed,
  inStores,
  person,
  plainRun,
  planWith,
  type Resource,
  serve,
  server,
  sha256,
  succeeded,
  userToken,
  withChanges,
  worker
} from "../live-server.ts"

describe("a second run of a workspace", () => {
  it.live("waits behind the one that holds it, says so, and starts when that is over", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const first = yield* me.start("demo")
      const second = yield* me.start("demo")
      const third = yield* me.start("demo")
      expect((yield* me.view(second)).queue).toEqual({
        position: 1,
        blockedBy: first,
        message: expect.stringContaining(`The run ${first} holds the workspace and is pending: No controller has asked for work`)
      })
      yield* planWith(url)
      expect(yield* agent(url).acquire()).toEqual([])
      expect((yield* me.view(second)).queue).toEqual({
        position: 1,
        blockedBy: first,
        message: `The run ${first} holds the workspace and waits for somebody to apply or discard it.`
      })
      expect((yield* me.view(third)).queue).toMatchObject({ position: 2, blockedBy: first })
      const workspace = (yield* me.as("GET", "/api/v2/organizations/default/workspaces/demo")).json.data
      expect([workspace.attributes.locked, workspace.relationships["current-run"].data.id]).toEqual([true, first])
      expect(
        (yield* me.as("GET", "/api/v2/organizations/default/runs/queue")).json.data.map((
          _: Resource
        ) => [_.id, _.attributes["position-in-queue"]])
      ).toEqual([[second, 0], [third, 1]])
      yield* me.act(first, "discard")
      expect((yield* agent(url).take).runId).toBe(second)
    }))

  it.live("has as many before it, for stock clients, as it waits for: those of its workspace alone, and none where it only plans", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      yield* me.start("other")
      const runs = [
        yield* me.start("demo"),
        yield* me.start("demo"),
        yield* me.start("demo"),
        yield* me.start("demo", { "plan-only": true })
      ]
      const positionOf = ({ attributes }: Resource) => attributes["position-in-queue"]
      const page = (yield* me.as("GET", `/api/v2/workspaces/${yield* me.workspace("demo")}/runs`)).json.data
      expect(page.map((_: Resource) => [_.id, positionOf(_)]).reverse()).toEqual([[runs[0], 0], [runs[1], 0], [runs[2], 1], [runs[3], 0]])
      expect(positionOf((yield* me.as("GET", `/api/v2/runs/${runs[2]}`)).json.data)).toBe(1)
      yield* agent(url).acquire()
      yield* me.act(runs[0]!, "cancel")
      expect(positionOf((yield* me.as("GET", `/api/v2/runs/${runs[2]}`)).json.data)).toBe(0)
    }))

  it.live("waits not when it only plans, and two workspaces never wait for each other", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const runs = [yield* me.start("demo"), yield* me.start("demo", { "plan-only": true }), yield* me.start("other")]
      expect((yield* agent(url).acquire()).map((_) => _.runId)).toEqual(runs)
    }))

  it.live("goes on waiting when a waiting one before it is cancelled", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const [first, second, third] = [yield* me.start("demo"), yield* me.start("demo"), yield* me.start("demo")]
      yield* agent(url).take
      yield* me.act(second, "cancel")
      expect((yield* me.view(third)).queue).toMatchObject({ position: 1, blockedBy: first })
      expect(yield* agent(url).acquire()).toEqual([])
    }))

  it.live("gives its turn on after a failure", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const first = yield* me.start("demo")
      const second = yield* me.start("demo")
      const plan = yield* agent(url).take
      yield* agent(url).report(plan.id, failed("The provider could not be installed."))
      expect(yield* me.view(first)).toMatchObject({ status: "errored", failure: "The provider could not be installed." })
      expect((yield* agent(url).take).runId).toBe(second)
    }))
})

describe("a run that is asked for again with the same configuration", () => {
  /** Starts a run, or gets the one that is meant, each time it is run; all of one configuration version. */
  const asking = Effect.gen(function*() {
    const runs = yield* Runs
    const { id: workspaceId } = yield* (yield* Workspaces).ensure(WorkspaceName.make("demo"))
    const configurations = yield* Configurations
    const { id: configurationVersionId } = yield* configurations.create(workspaceId, false)
    yield* configurations.upload(configurationVersionId, Stream.succeed(archiveOf({ "main.tf": "" })))
    const archiveSha256 = (yield* configurations.get(configurationVersionId)).sha256 ?? expect.fail("it was uploaded")
    const wanted = { ...plainRun, workspaceId, configurationVersionId, archiveSha256, autoApply: true, startedBy: "Ada" }
    const other = (more: object = {}) => runs.create({ ...wanted, ...more })
    return { runs, ask: Effect.map(runs.create({ ...wanted, once: true }), ({ id }) => id), other }
  })
  const planned = RunEvent.Planned({ hasChanges: true })

  it.effect("is the same for as long as clients repeat a request, and then another one", () =>
    inStores(Effect.gen(function*() {
      const { ask } = yield* asking
      const first = yield* ask
      yield* TestClock.adjust("10 minutes")
      expect(yield* ask).toBe(first)
      yield* TestClock.adjust("1 second")
      expect(yield* ask).not.toBe(first)
    })))

  it.effect("is another one after the clock was put back by more than that", () =>
    inStores(Effect.gen(function*() {
      yield* TestClock.setTime(3_600_000)
      const { ask } = yield* asking
      const first = yield* ask
      yield* TestClock.setTime(3_000_000)
      expect(yield* ask).toBe(first)
      yield* TestClock.setTime(2_999_999)
      expect(yield* ask).not.toBe(first)
    })))

  it.effect.each<{ readonly how: string; readonly events: ReadonlyArray<RunEvent>; readonly isSame: boolean }>([
    { how: "is planned", events: [planned], isSame: true },
    { how: "is applied", events: [planned, RunEvent.Applied()], isSame: true },
    { how: "has failed", events: [RunEvent.Failed({ step: "plan" })], isSame: false },
    { how: "was cancelled", events: [RunEvent.Cancel()], isSame: false },
    { how: "found nothing to change", events: [RunEvent.Planned({ hasChanges: false })], isSame: false }
  ])("is the same where it $how: $isSame", ({ events, isSame }) =>
    inStores(Effect.gen(function*() {
      const { ask, runs } = yield* asking
      const first = yield* ask
      for (const event of events) yield* runs.step(first, event)
      expect((yield* ask) === first).toBe(isSame)
    })))

  it.effect("is the same until a later one begins to change something", () =>
    inStores(Effect.gen(function*() {
      const { ask, other, runs } = yield* asking
      const sql = yield* SqlClient.SqlClient
      const first = yield* ask
      const later = yield* other()
      for (const event of [planned, RunEvent.Applied()]) yield* runs.step(first, event)
      yield* runs.step(later.id, planned)
      expect(yield* ask).toBe(first)
      yield* sql`UPDATE stages SET startedAt = ${later.createdAt} WHERE runId = ${later.id} AND stage = 'apply'`
      expect(yield* ask).not.toBe(first)
    })))

  it.effect("is another one where it cannot be a repeated request", () =>
    inStores(Effect.gen(function*() {
      const { ask, other } = yield* asking
      const first = yield* ask
      expect((yield* other()).id).not.toBe(first)
    })))

  it.effect("is looked for among the twenty newest of its configuration version, of which there may be thousands", () =>
    inStores(Effect.gen(function*() {
      const { ask, other } = yield* asking
      const first = yield* ask
      yield* Effect.replicateEffect(other({ message: "another" }), 19)
      expect(yield* ask).toBe(first)
      yield* other({ message: "another" })
      expect(yield* ask).not.toBe(first)
    })))
})

describe("a run that waits for an agent", () =>
  it.live("says whether there is one", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      expect((yield* person(url).view(id)).queue?.message).toContain("No controller has asked for work in the last 90 seconds")
      yield* agent(url).acquire()
      expect((yield* person(url).view(id)).queue?.message).toContain("offered")
    })))

describe("a cancel", () => {
  it.effect("ends a pending run, and nobody gets it", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      expect((yield* person(url).act(id, "cancel")).status).toBe(202)
      expect((yield* person(url).act(id, "cancel")).status).toBe(202)
      expect(yield* person(url).view(id)).toMatchObject({ status: "canceled", final: true })
      expect(yield* agent(url).acquire()).toEqual([])
      yield* TestClock.adjust("1 second") // until then, stock clients may still be reading its log
      const plan = (yield* person(url).as("GET", `/api/v2/plans/plan-${id.slice(4)}`)).json.data
      expect(plan.attributes.status).toBe("canceled")
    }))

  it.live("of a planning run waits for the agent, and a plan that succeeds all the same is not applied", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo", { "auto-apply": true })
      const plan = yield* agent(url).take
      yield* person(url).act(id, "cancel")
      expect(yield* person(url).view(id)).toMatchObject({ status: "planning", cancelAsked: true })
      expect((yield* agent(url).cancellations()).ids).toEqual([plan.id])
      yield* worker(url, plan).savePlan("the plan")
      yield* worker(url, plan).result(succeeded(withChanges))
      expect((yield* person(url).view(id)).status).toBe("canceled")
      expect(yield* agent(url).acquire()).toEqual([])
    }))

  it.live("of a planned run discards it, also a second time: at its prompt, a stock client takes canceled for an approval", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      yield* planWith(url)
      for (const _ of ["once", "twice"]) {
        expect((yield* person(url).act(id, "cancel")).status).toBe(202)
        expect((yield* person(url).view(id)).status).toBe("discarded")
      }
      const late = yield* person(url).act(id, "apply")
      expect([late.status, late.json.errors[0].detail]).toEqual([
        409,
        `The run ${id} is discarded and cannot be applied; start another with: agent-job run DIR`
      ])
    }))

  it.live("of a confirmed run that no agent has is final, and its offer's token cannot apply", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo", { "auto-apply": true })
      yield* planWith(url)
      const [apply] = yield* agent(url).acquire()
      yield* person(url).act(id, "cancel")
      expect((yield* person(url).view(id)).status).toBe("canceled")
      expect((yield* worker(url, apply!).as("GET", taskPath.plan)).status).toBe(401)
    }))

  it.live("of an applying run keeps the state that the agent still pushes", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const id = yield* me.start("demo", { "auto-apply": true })
      yield* planWith(url)
      const apply = yield* agent(url).take
      const applier = worker(url, apply)
      const { epoch } = (yield* applier.lock("a")).json
      yield* me.act(id, "cancel")
      expect((yield* agent(url).cancellations()).ids).toEqual([apply.id])
      expect((yield* applier.pushState({ version: 4, serial: 1, lineage: "l" }, "a", epoch)).status).toBe(204)
      yield* applier.result({ ...cancelled, statePushed: true })
      expect((yield* me.view(id)).status).toBe("canceled")
      expect((yield* me.as("GET", "/api/state/v1/workspaces/demo")).json.serial).toBe(1)
    }))
})

describe("a run", () => {
  it.live("ends with its plan when nothing changes, and its apply is unreachable", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      yield* planWith(url, "the plan", succeeded({ hasChanges: false, changes: { add: 0, change: 0, destroy: 0 } }))
      expect((yield* person(url).view(id)).status).toBe("planned_and_finished")
      expect((yield* person(url).as("GET", `/api/v2/applies/apply-${id.slice(4)}`)).json.data.attributes.status).toBe("unreachable")
    }))

  it.live("whose empty plan may be applied waits for its approval, also after a restart, and applies that plan", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const id = yield* Effect.scoped(Effect.gen(function*() {
        const url = yield* serve(made)
        const id = yield* person(url).start("demo", { "allow-empty-apply": true })
        yield* planWith(url, "the plan", succeeded({ hasChanges: false }))
        return id
      }))
      const url = yield* serve(made)
      const me = person(url)
      expect((yield* me.as("GET", `/api/v2/runs/${id}`)).json.data.attributes).toMatchObject({
        status: "planned",
        "allow-empty-apply": true,
        "has-changes": false,
        actions: { "is-confirmable": true }
      })
      expect((yield* me.act(id, "apply")).status).toBe(202)
      const apply = yield* agent(url).take
      expect(apply).toMatchObject({ runId: id, stage: "apply", planSha256: sha256("the plan") })
      yield* worker(url, apply).result(succeeded())
      expect((yield* me.view(id)).status).toBe("applied")
    }))

  it.live("applies its empty plan by itself where it is to apply, and may apply such a plan", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo", { "allow-empty-apply": true, "auto-apply": true })
      yield* planWith(url, "the plan", succeeded({ hasChanges: false }))
      expect(yield* agent(url).take).toMatchObject({ runId: id, stage: "apply" })
    }))

  it.live("is approved by its seal, and by no other", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const id = yield* me.start("demo")
      yield* planWith(url)
      const approve = (body: unknown) => me.as("POST", `/api/v2/runs/${id}/actions/apply`, body)
      const other = yield* approve({ seal: sha256("another plan") })
      expect([other.status, other.json.errors[0]]).toEqual([409, {
        status: "409",
        title: "other seal",
        detail: `The run ${id} has the plan with the seal ${sha256("the plan")}, which is not the one that was approved; look at it again.`
      }])
      expect((yield* approve({ seal: "0123456789ab" })).status).toBe(422)
      expect(yield* me.view(id)).toMatchObject({ status: "planned", planSha256: sha256("the plan") })
      expect((yield* approve({ comment: "as stock clients say", seal: sha256("the plan") })).status).toBe(202)
      expect((yield* me.view(id)).approval).toEqual({
        by: expect.stringMatching(/^[0-9a-f]{8}$/u),
        seal: sha256("the plan"),
        at: expect.stringMatching(/Z$/u)
      })
      expect((yield* approve({ seal: sha256("another plan") })).status).toBe(409)
      expect((yield* approve({ seal: sha256("the plan") })).status).toBe(202)
    }))

  it.live("says who cancelled or discarded it, and not who repeats that", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const grace = "another-token-0123456789"
      writeFileSync(join(made, "user.token"), `${userToken} Ada\n${grace} Grace\n`)
      const url = yield* serve(made)
      const me = person(url)
      const act = (token: string, id: string, action: "cancel" | "discard") => ask(url + tfePath.action(id, action), token, "POST", {})
      const working = yield* me.start("one")
      yield* agent(url).take
      const waiting = yield* me.start("two")
      expect((yield* me.view(waiting)).stoppedBy).toBeUndefined()
      expect((yield* act(grace, working, "cancel")).status).toBe(202)
      expect((yield* act(userToken, working, "cancel")).status).toBe(202)
      expect((yield* act(userToken, waiting, "discard")).status).toBe(202)
      expect(yield* me.view(working)).toMatchObject({ status: "planning", cancelAsked: true, stoppedBy: "Grace" })
      expect(yield* me.view(waiting)).toMatchObject({ status: "discarded", stoppedBy: "Ada" })
    }))

  it.live.each([
    { given: "nobody, with auto-apply", settings: { "auto-apply": true }, body: undefined, by: "auto-apply" },
    { given: "a client that says nothing", settings: {}, body: "", by: expect.stringMatching(/^[0-9a-f]{8}$/u) },
    { given: "a client that says null", settings: {}, body: { seal: null }, by: expect.stringMatching(/^[0-9a-f]{8}$/u) }
  ])("says who approved it: $given", ({ body, by, settings }) =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo", settings)
      yield* planWith(url)
      if (body !== undefined) expect((yield* person(url).as("POST", `/api/v2/runs/${id}/actions/apply`, body)).status).toBe(202)
      expect(yield* person(url).view(id)).toMatchObject({ status: "confirmed", approval: { by, seal: sha256("the plan") } })
    }))

  it.live("takes repeated confirmations as one", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      yield* planWith(url)
      const answers = yield* Effect.all([1, 2, 3].map(() => person(url).act(id, "apply")), { concurrency: "unbounded" })
      expect(answers.map(({ status }) => status)).toEqual([202, 202, 202])
      expect(yield* agent(url).acquire()).toHaveLength(1)
    }))

  it.live("is refused without an uploaded archive of its own workspace", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const [demo, other] = [yield* me.workspace("demo"), yield* me.workspace("other")]
      expect((yield* me.run(demo)).status).toBe(422)
      const { id } = yield* me.upload(other, archiveOf({ "main.tf": "" }))
      expect((yield* me.run(demo, {}, id)).status).toBe(422)
      expect((yield* me.run(demo, {}, "cv-none")).status).toBe(404)
      expect((yield* me.run("ws-none", {}, id)).status).toBe(404)
      const bad = yield* me.run(other, { variables: [{ key: "a b", value: "\"s3cret\"" }] }, id)
      expect([bad.status, bad.json.errors[0].detail]).toEqual([422, expect.stringContaining("data.attributes.variables.0.key")])
      expect(bad.text).not.toContain("a b")
    }))

  it.live("has what it was asked for in its document, and unknown includes are ignored", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const id = yield* me.start("demo", { "is-destroy": true, refresh: false, "replace-addrs": ["a.b"], message: "why" })
      const { data, included } = (yield* me.as("GET", `/api/v2/runs/${id}?include=workspace,plan,task_stages,unheard_of`)).json
      expect(data.attributes).toMatchObject({
        "is-destroy": true,
        refresh: false,
        "replace-addrs": ["a.b"],
        message: "why",
        actions: { "is-cancelable": true, "is-confirmable": false }
      })
      expect(included.map((_: Resource) => _.type)).toEqual(["workspaces", "plans"])
      expect(data.attributes["created-at"]).toMatch(/Z$/u)
      expect((yield* me.as("GET", `/api/v2/runs/${id}/run-events`)).json.data).toEqual([])
    }))

  it.live("is listed newest first, page by page", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const ids = [yield* me.start("demo"), yield* me.start("demo"), yield* me.start("demo")]
      const workspaceId = yield* me.workspace("demo")
      const page = (n: number) =>
        Effect.map(
          me.as("GET", `/api/v2/workspaces/${workspaceId}/runs?page[number]=${n}&page[size]=2`),
          ({ json }) => [json.data.map((_: Resource) => _.id), json.meta.pagination["next-page"]]
        )
      expect(yield* page(1)).toEqual([[ids[2], ids[1]], 2])
      expect(yield* page(2)).toEqual([[ids[0]], null])
      expect((yield* me.as("GET", "/api/agent-job/v1/runs?workspace=demo")).json.runs.map((_: Resource) => _.id)).toEqual(
        [...ids].reverse()
      )
      expect((yield* me.as("GET", "/api/agent-job/v1/runs?workspace=none")).status).toBe(404)
    }))

  it.live("is in our own list of what is older than another, and in that of what is open: it is not over, or its state is in doubt", () =>
    Effect.gen(function*() {
      const { applier, id: doubted, url } = yield* applying
      const me = person(url)
      yield* applier.lock("a")
      yield* applier.result({ ...failed("Lost"), statePushed: false })
      const over = yield* me.start("other")
      yield* me.act(over, "discard")
      const [waits, last, newest] = [yield* me.start("third"), yield* me.start("demo"), yield* me.start("demo")]
      yield* me.act(newest, "discard")
      const listed = (query: string) =>
        Effect.map(me.as("GET", `${runPath.list}?${query}`), ({ json, status }) => [
          status,
          json.runs?.map(({ id }: Resource) => id),
          json.older
        ])
      expect(yield* listed("page[size]=2")).toEqual([200, [newest, last], last])
      expect(yield* listed(`page[size]=2&before=${last}`)).toEqual([200, [waits, over], over])
      expect(yield* listed(`page[size]=2&before=${over}`)).toEqual([200, [doubted], undefined])
      expect(yield* listed(`before=${last}&open=true`)).toEqual([200, [waits, doubted], undefined])
      expect(yield* listed("open=true&page[size]=1")).toEqual([200, [last], last])
      expect(yield* listed(`workspace=demo&open=true&before=${last}`)).toEqual([200, [doubted], undefined])
      expect(yield* listed(`workspace=demo&before=${newest}&page[size]=1`)).toEqual([200, [last], last])
      yield* me.settle("demo")
      expect(yield* listed("workspace=demo&open=true")).toEqual([200, [last], undefined])
      expect(yield* listed("before=run-none")).toEqual([404, undefined, undefined])
      expect(yield* listed("open=false")).toEqual([422, undefined, undefined])
    }))

  it.live.each(["filter[status]=planned", "filter%5Boperation%5D=plan_only", "search[basic]=mine", "page[number]=1&sort=created-at"])(
    "is in no list that was to have only some of them: %s",
    (query) =>
      Effect.gen(function*() {
        const me = person(yield* server)
        yield* me.start("demo")
        const workspaceId = yield* me.workspace("demo")
        const parameter = [...new URLSearchParams(query).keys()].at(-1)
        for (const list of [`/api/v2/workspaces/${workspaceId}/runs`, "/api/v2/organizations/default/runs/queue"]) {
          const { json, status } = yield* me.as("GET", `${list}?${query}`)
          expect([status, json.errors[0].detail], list).toEqual([
            422,
            `This server chooses no runs by ${parameter}, so its list would have others too; leave it out.`
          ])
          expect((yield* me.as("GET", `${list}?page[number]=1&page[size]=20&include=workspace&fields[runs]=status`)).status, list).toBe(200)
        }
      })
  )

  it.live("is in our own lists as these say, which pass over no parameter: it would have chosen others", () =>
    Effect.gen(function*() {
      const me = person(yield* server)
      const id = yield* me.start("demo")
      const told = (path: string) => Effect.map(me.as("GET", path), ({ json, status }) => [status, json.message])
      expect(yield* told(`${runPath.list}?page[size]=1&workspaces=none`)).toEqual([
        422,
        "The parameter workspaces is none of this list (workspace, before, open, page[size]), which would have others too; leave it out."
      ])
      for (const path of [auditPath.all, auditPath.workspace("demo"), auditPath.run(id)]) {
        expect(yield* told(`${path}?since=1`), path).toEqual([
          422,
          "The parameter since is none of this list (before), which would have others too; leave it out."
        ])
        expect((yield* me.as("GET", `${path}?before=9`)).status, path).toBe(200)
      }
      expect((yield* me.as("GET", `${runPath.list}?workspace=demo&page[size]=1`)).json.runs).toHaveLength(1)
    }))
})
