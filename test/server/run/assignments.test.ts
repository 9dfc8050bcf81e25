import { describe, expect, it } from "@effect/vitest"
import { Context, Deferred, Effect, Fiber, Option, Stream } from "effect"
import { SqlClient, Statement } from "effect/sql"
import { TestClock } from "effect/testing"
import { cpSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { RunEvent } from "../../../src/core/run/run-machine.ts"
import { carriesOut, specOf } from "../../../src/core/task/intake.ts"
import { poolPath } from "../../../src/schema/api/pool-api.ts"
import { taskHeader, taskPath } from "../../../src/schema/api/task-api.ts"
import { type RunId, WorkspaceName } from "../../../src/schema/names.ts"
import { Agents } from "../../../src/server/run/agents.ts"
import { Assignments, Speaker } from "../../../src/server/run/assignments.ts"
import { Configurations } from "../../../src/server/run/configurations.ts"
import { Runs } from "../../../src/server/run/runs.ts"
import { Blobs } from "../../../src/server/store/blobs.ts"
import { Commits } from "../../../src/server/store/commits.ts"
import { Rescues } from "../../../src/server/workspace/rescues.ts"
import { Workspaces } from "../../../src/server/workspace/workspaces.ts"
import {
  agent,
  ask,
  cancelled,
  directory,
  evicted,
  failed,
  inStores,
  person,
  plainRun,
  planWith,
  serve,
  serveOpenly,
  server,
  succeeded,
  withChanges,
  worker
} from "../live-server.ts"

/** A run whose plan waits for an agent. */
interface Offering {
  readonly id: RunId
  readonly stageId: string
  readonly workspaceId: string
}
const offering = Effect.gen(function*() {
  const { id: workspaceId } = yield* Effect.flatMap(Workspaces, (workspaces) => workspaces.ensure(WorkspaceName.make("demo")))
  const version = yield* Effect.flatMap(Configurations, (configurations) => configurations.create(workspaceId, false))
  const { sha256: archiveSha256 } = yield* Effect.flatMap(
    Blobs,
    (blobs) => Effect.scoped(Effect.tap(blobs.receive(Stream.empty, { limitBytes: 0 }), blobs.store))
  )
  const runs = yield* Runs
  const { id } = yield* runs.create({ workspaceId, configurationVersionId: version.id, archiveSha256, ...plainRun })
  return { id, stageId: `${id}.plan.1`, workspaceId } satisfies Offering
})

describe("an assignment", () => {
  it.effect("is offered to another agent again when it was not acknowledged for 30 seconds", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      expect((yield* agent(url, "one").acquire()).map((_) => _.id)).toEqual([`${id}.plan.1`])
      expect(yield* agent(url, "two").acquire()).toEqual([])
      yield* TestClock.adjust("29 seconds")
      expect(yield* agent(url, "two").acquire()).toEqual([])
      yield* TestClock.adjust("1 second")
      const [again] = yield* agent(url, "two").acquire()
      expect(again?.id).toBe(`${id}.plan.1`)
      yield* agent(url, "two").acknowledge(`${id}.plan.1`)
      yield* TestClock.adjust("1 hour")
      expect(yield* agent(url, "one").acquire()).toEqual([])
    }))

  it.effect("is offered to the same agent again after 2 seconds, with the same token", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).start("demo")
      const [first] = yield* agent(url).acquire()
      expect(yield* agent(url).acquire()).toEqual([])
      yield* TestClock.adjust("2 seconds")
      const [second] = yield* agent(url).acquire()
      expect(second?.id).toBe(first?.id)
      expect(second?.taskToken).toBe(first?.taskToken)
      expect((yield* worker(url, second!).as("GET", taskPath.assignment)).status).toBe(200)
    }))

  it.effect("has the working directory that its workspace had when the run was started, at each offer", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const id = yield* me.workspace("demo", { "working-directory": "live" })
      const moveTo = (to: string) => me.as("PATCH", `/api/v2/workspaces/${id}`, { data: { attributes: { "working-directory": to } } })
      yield* me.start("demo")
      const [first] = yield* agent(url).acquire()
      expect((yield* moveTo("elsewhere")).status).toBe(200)
      yield* TestClock.adjust("2 seconds")
      const [second] = yield* agent(url).acquire()
      const { taskToken, ...again } = second ?? expect.fail("it is offered again")
      expect(first).toMatchObject({ ...again, workingDirectory: "live" })
      expect(carriesOut(specOf(first ?? expect.fail("it was offered"), url), second ?? expect.fail())).toBe(true)
      expect((yield* worker(url, { taskToken }).as("GET", taskPath.assignment)).json.workingDirectory).toBe("live")
    }))

  it.effect("is offered to an agent that cannot keep it twice as late each time, and never later than to another", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).start("demo")
      expect(yield* agent(url).acquire()).toHaveLength(1)
      for (const seconds of [2, 4, 8, 16, 30, 30]) {
        yield* TestClock.adjust(`${seconds - 1} seconds`)
        expect(yield* agent(url).acquire()).toEqual([])
        yield* TestClock.adjust("1 second")
        expect(yield* agent(url).acquire()).toHaveLength(1)
      }
    }))

  it.effect("waits no longer because the clock was set back: neither an offer nor the next attempt", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      yield* TestClock.adjust("1 hour")
      yield* agent(url, "one").acquire()
      yield* TestClock.setTime(0)
      expect((yield* agent(url, "two").acquire()).map((_) => _.id)).toEqual([`${id}.plan.1`])
      expect(yield* agent(url, "one").acquire()).toEqual([])
      yield* TestClock.adjust("1 hour")
      yield* agent(url, "two").report(`${id}.plan.1`, evicted)
      expect(yield* agent(url).acquire()).toEqual([])
      yield* TestClock.setTime(0)
      expect((yield* agent(url).acquire()).map((_) => _.id)).toEqual([`${id}.plan.2`])
    }))

  it.live("is offered again within a poll that waits that long, without any commit", () =>
    Effect.gen(function*() {
      const url = yield* server
      yield* person(url).start("demo")
      const [first] = yield* agent(url).acquire()
      expect((yield* agent(url).acquire(30)).map(({ id }) => id)).toEqual([first?.id])
    }))

  it.live("wakes a waiting agent with the commit that makes it", () =>
    Effect.gen(function*() {
      const url = yield* server
      const waiting = yield* Effect.forkChild(agent(url).acquire(60))
      const id = yield* person(url).start("demo")
      const [woken] = yield* Fiber.join(waiting)
      expect(woken?.id).toBe(`${id}.plan.1`)
    }))

  it.live("is empty when the wait is over", () =>
    Effect.gen(function*() {
      const url = yield* server
      expect(yield* agent(url).acquire(1)).toEqual([])
    }))

  it.live("takes acknowledgements and results again, but no other result", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo", { "plan-only": true })
      const plan = yield* agent(url).take
      expect((yield* agent(url).acknowledge(plan.id)).status).toBe(204)
      const result = succeeded(withChanges)
      expect((yield* worker(url, plan).result(result)).status).toBe(204)
      expect((yield* worker(url, plan).result(result)).status).toBe(204)
      expect((yield* agent(url).report(plan.id, { ...result, changes: { destroy: 0, add: 1, change: 0 } })).status).toBe(204)
      const other = yield* agent(url).report(plan.id, failed())
      expect([other.status, other.json]).toEqual([409, {
        error: "result-exists",
        message: `The stage ${plan.id} has another result already, which is kept; look at it with: agent-job get ${id}`
      }])
      expect((yield* agent(url).acknowledge(plan.id)).status).toBe(204)
      expect((yield* person(url).view(id)).status).toBe("planned_and_finished")
    }))

  it.live("counts as arrived once its token is used, though the acknowledgement was lost", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      const [plan] = yield* agent(url).acquire()
      yield* worker(url, plan!).as("GET", taskPath.assignment)
      expect((yield* person(url).view(id)).status).toBe("planning")
      expect(yield* agent(url).acquire()).toEqual([])
    }))

  it.live("says why it has not started, until it does", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      const plan = yield* agent(url).take
      yield* agent(url).wait(plan.id, "ConcurrencyLimit", "5 of 5 tasks run.")
      expect(yield* person(url).view(id)).toMatchObject({
        queue: { message: "5 of 5 tasks run." },
        stages: [{ reason: "ConcurrencyLimit", status: "offered" }]
      })
      yield* worker(url, plan).as("GET", taskPath.assignment)
      const view = yield* person(url).view(id)
      expect([view.queue, view.stages[0]?.status]).toEqual([undefined, "running"])
    }))

  it.live.each([
    { given: "it answers again", reason: "Claimed", message: "Running in Pod p on node n." },
    { given: "it stops", reason: "Stopping", message: "A cancel was asked for." }
  ])(
    "says while it runs that its node does not answer or its Pod is not ready, until its agent says that $given",
    ({ message, reason }) =>
      Effect.gen(function*() {
        const url = yield* server
        const id = yield* person(url).start("demo")
        const plan = yield* agent(url).take
        yield* worker(url, plan).as("GET", taskPath.assignment)
        const queueAfter = Effect.fnUntraced(function*(reason: string, message: string) {
          expect((yield* agent(url).wait(plan.id, reason, message)).status).toBe(204)
          const { queue, stages } = yield* person(url).view(id)
          return [queue, stages[0]?.status]
        })
        expect(yield* queueAfter("ConcurrencyLimit", "It came late.")).toEqual([undefined, "running"])
        for (
          const doubt of [
            { reason: "NodeUnreachable", message: "Node n does not answer." },
            { reason: "PodNotReady", message: "Pod p has not been ready for two minutes." }
          ]
        ) {
          expect(yield* queueAfter(doubt.reason, doubt.message)).toEqual([{ position: 1, ...doubt }, "running"])
          expect(yield* queueAfter(reason, message)).toEqual([undefined, "running"])
        }
      })
  )

  it.effect("says that its agent has it, and when that asks no more", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      yield* agent(url).take
      yield* TestClock.adjust("89 seconds")
      expect((yield* person(url).view(id)).queue?.message).toBe("Agent agent-1 has the stage and is about to start its Pod.")
      yield* TestClock.adjust("1 second")
      expect((yield* person(url).view(id)).queue?.message).toBe(
        `Agent agent-1 has the stage, but has not been heard since 1970-01-01T00:00:00.000Z, and no other of its pool is there; if this lasts, check that its controller runs and reaches the server. Only if its AgentTask is gone, as with its cluster, end the run with agent-job cancel ${id}, and then with --force.`
      )
      yield* agent(url).acquire()
      expect((yield* person(url).view(id)).queue?.message).toContain("is about to start its Pod")
    }))

  it.effect("says that its agent has it for as long as that says that it has enough, and that it was silent after that", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      yield* agent(url).take
      for (let told = 0; told < 3; told++) {
        yield* TestClock.adjust("1 minute")
        yield* agent(url).cancellations(0, 0, "full")
      }
      expect((yield* person(url).view(id)).queue?.message).toBe("Agent agent-1 has the stage and is about to start its Pod.")
      yield* TestClock.adjust("2 minutes")
      expect((yield* person(url).view(id)).queue?.message).toContain("since 1970-01-01T00:03:00.000Z, and no other")
    }))

  it.effect("does not take an agent as connected that last asked before the clock was put back", () =>
    Effect.gen(function*() {
      yield* TestClock.setTime(3600 * 1000)
      const url = yield* server
      const id = yield* person(url).start("demo")
      yield* agent(url).take
      yield* TestClock.setTime(3595 * 1000)
      expect((yield* person(url).view(id)).queue?.message).toContain("is about to start its Pod")
      yield* TestClock.setTime(0)
      expect((yield* person(url).view(id)).queue?.message).toBe(
        `Agent agent-1 has the stage, but has not been heard since before the server's clock was put back, and no other of its pool is there; if this lasts, check that its controller runs and reaches the server. Only if its AgentTask is gone, as with its cluster, end the run with agent-job cancel ${id}, and then with --force.`
      )
      expect((yield* ask(`${url}/metrics`, undefined)).text).toContain("agent_job_server_agents 0")
    }))

  it.effect("says that another agent asks, if one does: after a failover its task is there under another name", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      yield* agent(url, "old-pod").take
      yield* TestClock.adjust("2 minutes")
      yield* agent(url, "new-pod").acquire()
      const silence = "Agent old-pod has the stage, but has not been heard since 1970-01-01T00:00:00.000Z,"
      expect((yield* person(url).view(id)).queue?.message).toContain(
        `${silence} while another of its pool is there, which tells of the stage`
      )
      yield* TestClock.adjust("2 minutes")
      expect((yield* person(url).view(id)).queue?.message).toContain(`${silence} and no other of its pool is there`)
    }))

  it.live("is unknown when no run made it", () =>
    Effect.gen(function*() {
      const url = yield* server
      for (
        const answer of [
          yield* agent(url).acknowledge("run-x.plan.1"),
          yield* agent(url).report("run-x.plan.1", failed()),
          yield* agent(url).wait("run-x.plan.1", "a", "b")
        ]
      ) {
        expect(answer.status).toBe(404)
      }
    }))

  it.live.each<
    { readonly given: string; readonly meanwhile: (made: Offering) => Effect.Effect<unknown, unknown, Runs | Rescues | Workspaces> }
  >([
    { given: "it was withdrawn", meanwhile: ({ id }) => Effect.flatMap(Runs, (runs) => runs.step(id, RunEvent.Cancel())) },
    {
      given: "a rescue of its workspace was opened",
      meanwhile: ({ stageId, workspaceId }) =>
        Effect.flatMap(Rescues, (rescues) => rescues.open({ workspaceId, stageId, reason: "StateNotSaved", message: "in doubt" }))
    },
    {
      given: "its workspace was bound to another pool",
      meanwhile: ({ workspaceId }) => Effect.flatMap(Workspaces, (workspaces) => workspaces.update(workspaceId, { pool: "other" }))
    }
  ])("is not offered when $given while an agent was asking", ({ meanwhile }) =>
    Effect.gen(function*() {
      const { acquire } = yield* Assignments
      const changed = yield* Effect.cached(Effect.provide(meanwhile(yield* offering), yield* Effect.context<Runs | Rescues | Workspaces>()))
      /** What agent-1 is given when `meanwhile` happens after `acquire` has looked for open stages and before it makes the offer. */
      const asked = yield* Effect.provideService(
        acquire({ name: "agent-1", pool: "p" }, 0, 10),
        Statement.CurrentTransformer,
        (statement) =>
          Effect.as(statement.compile()[0].startsWith("UPDATE stages SET \"agent\"") ? Effect.orDie(changed) : Effect.void, statement)
      )
      expect(asked).toEqual([])
    }).pipe(inStores))

  it.live("is never given to two of many agents at once", () =>
    Effect.gen(function*() {
      const url = yield* server
      const workspaceIds = yield* Effect.forEach(["a", "b", "c", "d", "e", "f"], (name) => person(url).start(name))
      const given = yield* Effect.all(Array.from({ length: 12 }, (_, n) => agent(url, `agent-${n}`).acquire(0, 1)), {
        concurrency: "unbounded"
      })
      expect(given.flat().map((_) => _.runId).sort()).toEqual([...workspaceIds].sort())
    }))

  it.effect("is offered to one of two agents that both look for it before either has it", () =>
    Effect.gen(function*() {
      const { stageId } = yield* offering
      const [assignments, sql] = [yield* Assignments, yield* SqlClient.SqlClient]
      const ended = yield* Deferred.make<void>()
      const busy = yield* Effect.forkChild(sql.withTransaction(Deferred.await(ended)), { startImmediately: true })
      const agents = yield* Effect.forEach(["one", "two"], (name) =>
        Effect.forkChild(assignments.acquire({ name, pool: "pool" }, 0, 1), { startImmediately: true }))
      yield* Deferred.succeed(ended, undefined)
      yield* Fiber.join(busy)
      expect(
        (yield* Fiber.joinAll(agents)).flat().map(({ id }) =>
          id
        )
      ).toEqual([stageId])
    }).pipe(inStores))
})

describe("a stage that two agents were offered", () => {
  /** An apply that agent one was slow to acknowledge, so that agent two was offered it as well. */
  const offeredTwice = Effect.gen(function*() {
    const url = yield* server
    const run = yield* person(url).start("demo", { "auto-apply": true })
    yield* planWith(url)
    const one = agent(url, "one", "uid-of-one")
    const two = agent(url, "two", "uid-of-two")
    const [first] = yield* one.acquire()
    yield* TestClock.adjust("30 seconds")
    const [second] = yield* two.acquire()
    if (first === undefined || second === undefined) throw new Error("expected two offers")
    expect(second.id).toBe(first.id)
    return { url, run, id: first.id, one, two, first: worker(url, first, "uid-of-one"), second: worker(url, second, "uid-of-two") }
  })
  const taken = expect.objectContaining({
    status: 409,
    json: { error: "taken", message: expect.stringContaining("Another agent has the stage") }
  })

  it.effect("belongs to whose acknowledgement came first: the other can neither fetch, lock, wait nor end it", () =>
    Effect.gen(function*() {
      const { first, id, one, run, second, two, url } = yield* offeredTwice
      expect((yield* two.acknowledge(id)).status).toBe(204)
      expect(yield* one.acknowledge(id)).toEqual(taken)
      expect((yield* two.acknowledge(id)).status).toBe(204)
      for (const path of [taskPath.assignment, taskPath.archive, taskPath.plan, taskPath.state]) {
        expect(yield* first.as("GET", path)).toEqual(taken)
      }
      expect((yield* second.as("GET", taskPath.plan)).text).toBe("the plan")
      expect(yield* first.lock("one")).toEqual(taken)
      const { json: { epoch } } = yield* second.lock("two")
      expect(yield* first.log(0, "one")).toEqual(taken)
      expect(yield* one.wait(id, "ImagePull", "one waits")).toEqual(taken)
      expect(yield* first.result(failed())).toEqual(taken)
      expect(yield* one.report(id, failed())).toEqual(taken)
      expect(yield* one.reportTaskless(id, cancelled)).toEqual(taken)
      expect((yield* person(url).view(run)).status).toBe("applying")
      expect((yield* second.pushState({ version: 4, serial: 1, lineage: "a" }, "two", epoch)).status).toBe(204)
      expect((yield* second.result(succeeded())).status).toBe(204)
      expect((yield* two.report(id, succeeded())).status).toBe(204)
      expect(yield* one.report(id, failed())).toEqual(taken)
      expect((yield* person(url).view(run)).status).toBe("applied")
    }))

  it.effect("belongs to whose worker came first, where no acknowledgement arrived in time", () =>
    Effect.gen(function*() {
      const { first, id, one, second, two } = yield* offeredTwice
      expect((yield* first.as("GET", taskPath.assignment)).status).toBe(200)
      expect(yield* two.acknowledge(id)).toEqual(taken)
      expect(yield* second.as("GET", taskPath.assignment)).toEqual(taken)
      expect((yield* one.acknowledge(id)).status).toBe(204)
    }))

  it.effect("belongs to exactly one of two that acknowledge and start at the same moment", () =>
    Effect.gen(function*() {
      const { first, id, one, second, two } = yield* offeredTwice
      const answers = yield* Effect.all([
        one.acknowledge(id),
        first.as("GET", taskPath.assignment),
        second.as("GET", taskPath.assignment),
        two.acknowledge(id)
      ], { concurrency: "unbounded" })
      const [byOne, startedByOne, startedByTwo, byTwo] = answers.map(({ status }) => status < 300)
      expect([startedByOne, startedByTwo]).toEqual([byOne, byTwo])
      expect(byOne).not.toBe(byTwo)
    }))

  it.effect("is ended by an agent without a task only while it belongs to none", () =>
    Effect.gen(function*() {
      const { first, id, run, two, url } = yield* offeredTwice
      expect((yield* two.reportTaskless(id, cancelled)).status).toBe(204)
      expect((yield* two.reportTaskless(id, cancelled)).status).toBe(204)
      expect((yield* first.as("GET", taskPath.assignment)).status).toBe(401)
      expect((yield* person(url).view(run)).status).toBe("canceled")
    }))

  it.effect("is not begun by who does not say for which task", () =>
    Effect.gen(function*() {
      const { first, id, one, url } = yield* offeredTwice
      expect((yield* first.as("GET", taskPath.plan, undefined, { [taskHeader.taskUid]: "" })).status).toBe(422)
      expect((yield* one.post(poolPath.acknowledge(id), {})).status).toBe(422)
      expect((yield* person(url).view(id.split(".")[0] ?? "")).stages.at(-1)?.status).toBe("offered")
    }))
})

describe("an agent", () => {
  it.live("has a name of at most 253 characters, whether it asks for work or says why not", () =>
    Effect.gen(function*() {
      const url = yield* server
      const statusOf = (path: string, body: object) => Effect.map(agent(url).post(path, body), ({ status }) => status)
      for (const [length, status] of [[253, 200], [254, 422]] as const) {
        const name = "x".repeat(length)
        expect(yield* statusOf(poolPath.acquire, { agent: name, waitSeconds: 0, max: 1 })).toBe(status)
        expect(yield* statusOf(poolPath.cancellations, { after: 0, waitSeconds: 0, resting: { agent: name, because: "full" } })).toBe(
          status
        )
      }
    }))

  it.effect("is forgotten when a thousand others of its pool were heard since, unless it has a stage", () =>
    inStores(Effect.gen(function*() {
      const [agents, sql] = [yield* Agents, yield* SqlClient.SqlClient]
      const heard = Effect.fnUntraced(function*(name: string, pool: string) {
        yield* agents.heard(name, pool)
        yield* TestClock.adjust("1 second")
      })
      yield* offering
      yield* sql`UPDATE stages SET agent = 'with a stage'`
      yield* heard("other", "other")
      for (const name of ["with a stage", "gone", "back"]) yield* heard(name, "prod")
      for (let number = 0; number < 998; number++) yield* heard(`${number}`, "prod")
      yield* heard("back", "prod")
      const left = () => Effect.map(sql`SELECT name FROM agents WHERE length(name) > 3`, (rows) => rows.map(({ name }) => name).sort())
      expect(yield* left()).toEqual(["back", "gone", "other", "with a stage"])
      yield* heard("998", "prod")
      expect(yield* left()).toEqual(["back", "other", "with a stage"])
    })))

  it.effect("is forgotten when it has asked for no work for 30 days, unless it has a stage", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const served = <A, E>(during: (url: string) => Effect.Effect<A, E>) => Effect.scoped(Effect.flatMap(serve(made), during))
      yield* served((url) =>
        Effect.gen(function*() {
          yield* person(url).start("demo")
          yield* agent(url, "with a stage").take
          for (const name of ["gone", "back"]) yield* agent(url, name).acquire()
        })
      )
      yield* TestClock.adjust("20 days") // with no server, whose chores of each minute would take seconds
      yield* served((url) => agent(url, "back").acquire())
      yield* TestClock.adjust("20 days")
      yield* served(() => TestClock.adjust("1 minute"))
      using database = new DatabaseSync(join(made, "data", "agent-job.sqlite"), { readOnly: true })
      expect(database.prepare("SELECT name FROM agents ORDER BY name").all()).toEqual([{ name: "back" }, { name: "with a stage" }])
    }))
})

describe("the answer to an agent", () =>
  it.live("ends after 4 MiB of targets, which a hundred stages may have many times over; the others come next", () =>
    Effect.gen(function*() {
      const url = yield* server
      const longest = Array.from({ length: 64 }, (_, at) => `a.b${at}`.padEnd(512, "日"))
      for (const name of ["one", "two", "three"]) {
        for (const _ of Array(8).keys()) {
          yield* person(url).start(name, { "plan-only": true, "target-addrs": longest, "replace-addrs": longest })
        }
      }
      const [first, second] = [yield* agent(url).acquire(0, 100), yield* agent(url).acquire(0, 100)]
      expect([first.length, second.length]).toEqual([22, 2])
    })))

describe("the feed of cancellations", () => {
  it.live("answers a controller that says nothing of itself, as earlier ones do, and one that says what this server does not know", () =>
    Effect.gen(function*() {
      const url = yield* server
      for (const more of [{}, { restingSince: "noon" }, { resting: { agent: "agent-1", because: "Tired", since: "noon" } }]) {
        const { json, status } = yield* agent(url).post(poolPath.cancellations, { after: 0, waitSeconds: 0, ...more })
        expect([status, json]).toEqual([200, { ids: [], next: 0 }])
      }
    }))

  it.live("names what to cancel to an agent that is drained, though there is no room to note that it is there", () =>
    Effect.gen(function*() {
      const { context, url } = yield* Effect.flatMap(directory, (made) => serveOpenly(made))
      const id = yield* person(url).start("one")
      yield* agent(url).take
      yield* person(url).act(id, "cancel")
      const sql = Context.getUnsafe(context, SqlClient.SqlClient)
      yield* sql`CREATE TRIGGER full BEFORE INSERT ON agents BEGIN SELECT RAISE(ABORT, 'the disk is full'); END`
      expect((yield* agent(url).cancellations(0, 0, "drained")).ids).toEqual([`${id}.plan.1`])
    }))

  it.live("names what to cancel from a cursor on, wakes who waits, and forgets what has its result", () =>
    Effect.gen(function*() {
      const url = yield* server
      const one = yield* person(url).start("one")
      const two = yield* person(url).start("two")
      for (const { id } of yield* agent(url).acquire()) yield* agent(url).acknowledge(id)
      expect(yield* agent(url).cancellations()).toEqual({ ids: [], next: 0 })
      const waiting = yield* Effect.forkChild(agent(url).cancellations(0, 60))
      yield* person(url).act(one, "cancel")
      const first = yield* Fiber.join(waiting)
      expect(first.ids).toEqual([`${one}.plan.1`])
      yield* person(url).act(two, "cancel")
      expect((yield* agent(url).cancellations(first.next)).ids).toEqual([`${two}.plan.1`])
      expect((yield* agent(url).cancellations(0)).ids).toHaveLength(2)
      yield* agent(url).report(`${one}.plan.1`, cancelled)
      expect((yield* agent(url).cancellations(0)).ids).toEqual([`${two}.plan.1`])
    }))

  it.effect("names a thousand at a time", () =>
    Effect.gen(function*() {
      const [assignments, sql] = [yield* Assignments, yield* SqlClient.SqlClient]
      yield* offering
      const [stage] = yield* sql<{ readonly id: string; readonly seq: number }>`SELECT * FROM stages`
      yield* Effect.forEach(
        Array.from({ length: 1001 }, (_, at) => at + 1),
        (at) =>
          sql`INSERT INTO stages ${
            sql.insert({ ...stage, id: `${stage!.id}-${at}`, attempt: at + 1, seq: stage!.seq + at, cancelSeq: at })
          }`
      )
      const first = yield* assignments.cancellations(0, 0)
      expect([first.ids.length, first.next]).toEqual([1000, 1000])
      expect(yield* assignments.cancellations(first.next, 0)).toEqual({ ids: [`${stage!.id}-1001`], next: 1001 })
    }).pipe(inStores))

  it.live("moves the cursor past what no agent has to be told, so that no later look reads it again", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("one")
      const [plan] = yield* agent(url).acquire()
      yield* agent(url).acknowledge(plan!.id)
      yield* person(url).act(id, "cancel")
      const { next } = yield* agent(url).cancellations()
      yield* agent(url).report(plan!.id, cancelled)
      expect(yield* agent(url).cancellations(0)).toEqual({ ids: [], next })
      expect(next).toBeGreaterThan(0)
    }))

  it.effect("is not looked at again when a run ends that no agent has to be told of", () =>
    Effect.gen(function*() {
      const [assignments, commits, sql] = [yield* Assignments, yield* Commits, yield* SqlClient.SqlClient]
      const { stageId } = yield* offering
      yield* assignments.acquire({ name: "one", pool: "p" }, 0, 1)
      yield* assignments.acknowledge(stageId, Speaker.Agent({ pool: "p", taskUid: Option.some("uid") }))
      const looks: Array<string> = []
      let now = "at first"
      const look = Effect.sync(() => ({ found: looks.push(now) > 1 && now === "told" ? looks : undefined }))
      const waiting = yield* Effect.forkChild(commits.await("cancellations", 60, look))
      yield* Effect.repeat(Effect.yieldNow, { until: () => looks.length > 0 })
      now = "ended"
      yield* assignments.end(stageId, Speaker.Agent({ pool: "p", taskUid: Option.some("uid") }), succeeded({ hasChanges: false }))
      yield* Effect.repeat(Effect.yieldNow, { times: 10 })
      now = "told"
      yield* sql.withTransaction(commits.news("cancellations"))
      expect(yield* Fiber.join(waiting)).toEqual(["at first", "told"])
    }).pipe(inStores))

  it.live("begins anew for a cursor that a server before a restore has given", () =>
    Effect.gen(function*() {
      const url = yield* server
      const runs = yield* Effect.forEach(["one", "two"], (name) => person(url).start(name))
      for (const { id } of yield* agent(url).acquire()) yield* agent(url).acknowledge(id)
      expect(yield* agent(url).cancellations(1)).toEqual({ ids: [], next: 0 })
      yield* Effect.forEach(runs, (run) => person(url).act(run, "cancel"))
      const all = yield* agent(url).cancellations()
      expect(yield* agent(url).cancellations(all.next + 7)).toEqual({ ids: runs.map((run) => `${run}.plan.1`), next: all.next })
      expect(yield* agent(url).cancellations(all.next)).toEqual({ ids: [], next: all.next })
    }))

  it.live("goes on after a restore for the cursor that was given last before it, which the copy comes up to with its next number", () =>
    Effect.gen(function*() {
      const [original, copy] = [yield* directory, yield* directory]
      const before = yield* serve(original)
      const runs = yield* Effect.forEach(["one", "two", "three"], (name) => person(before).start(name))
      for (const { id } of yield* agent(before).acquire()) yield* agent(before).acknowledge(id)
      yield* person(before).act(runs[0]!, "cancel")
      cpSync(original, copy, { recursive: true })
      yield* person(before).act(runs[1]!, "cancel")
      const { next } = yield* agent(before).cancellations()
      const after = yield* serve(copy)
      yield* person(after).act(runs[2]!, "cancel")
      expect((yield* agent(after).cancellations(next)).ids).toEqual([`${runs[2]}.plan.1`])
    }))

  it.effect("numbers what is cancelled upwards, though the clock is set back", () =>
    Effect.gen(function*() {
      const url = yield* server
      const runs = yield* Effect.forEach(["one", "two"], (name) => person(url).start(name))
      for (const { id } of yield* agent(url).acquire()) yield* agent(url).acknowledge(id)
      yield* TestClock.adjust("1 hour")
      yield* person(url).act(runs[0]!, "cancel")
      const { next } = yield* agent(url).cancellations()
      expect(next).toBe(3_600_000)
      yield* TestClock.setTime(0)
      yield* person(url).act(runs[1]!, "cancel")
      expect(yield* agent(url).cancellations(next)).toEqual({ ids: [`${runs[1]}.plan.1`], next: next + 1 })
    }))

  it.live("names what ended by the word of an agent without a task, once another one's task is heard of, also to who is past its number", () =>
    Effect.gen(function*() {
      const url = yield* server
      const [one, two] = [agent(url, "one", "uid-of-one"), agent(url, "two", "uid-of-two")]
      const id = yield* person(url).start("demo")
      const [plan] = yield* one.acquire()
      yield* person(url).act(id, "cancel")
      const { next } = yield* two.cancellations()
      yield* one.reportTaskless(plan!.id, cancelled)
      expect((yield* two.cancellations()).ids).toEqual([])
      expect((yield* two.acknowledge(plan!.id)).status).toBe(204)
      const told = yield* two.cancellations(next)
      expect(told.ids).toEqual([plan!.id])
      expect((yield* two.acknowledge(plan!.id)).status).toBe(204)
      expect((yield* two.cancellations(told.next)).ids).toEqual([])
      expect((yield* person(url).view(id)).status).toBe("canceled")
    }))

  it.live("names once more what was withdrawn, when its task is heard of after an agent has looked for one, until that task has said its end", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      const [plan] = yield* agent(url).acquire()
      yield* person(url).act(id, "cancel")
      const { ids, next } = yield* agent(url).cancellations()
      expect(ids).toEqual([plan!.id])
      expect((yield* agent(url).acknowledge(plan!.id)).status).toBe(204)
      expect((yield* agent(url).reportTaskless(plan!.id, cancelled)).status).toBe(409)
      const told = yield* agent(url).cancellations(next)
      expect(told.ids).toEqual([plan!.id])
      expect((yield* agent(url).acknowledge(plan!.id)).status).toBe(204)
      expect((yield* agent(url).cancellations(told.next)).ids).toEqual([])
      yield* agent(url).report(plan!.id, cancelled)
      expect((yield* agent(url).cancellations()).ids).toEqual([])
    }))

  it.live("names an assignment that was withdrawn between offer and acknowledgement, whose token is over", () =>
    Effect.gen(function*() {
      const url = yield* server
      const id = yield* person(url).start("demo")
      const [plan] = yield* agent(url).acquire()
      yield* person(url).act(id, "cancel")
      expect((yield* person(url).view(id)).status).toBe("canceled")
      expect((yield* agent(url).acknowledge(plan!.id)).status).toBe(204)
      expect((yield* agent(url).cancellations()).ids).toEqual([plan!.id])
      expect((yield* worker(url, plan!).as("GET", taskPath.assignment)).status).toBe(401)
      expect((yield* agent(url).report(plan!.id, cancelled)).status).toBe(204)
      expect((yield* agent(url).cancellations()).ids).toEqual([])
      expect((yield* person(url).view(id)).status).toBe("canceled")
    }))
})
