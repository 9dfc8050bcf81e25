import { describe, expect, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { poolPath } from "../../../src/schema/api/pool-api.ts"
import { poolId } from "../../../src/schema/api/pools.ts"
import { tfePath } from "../../../src/schema/api/tfe-api.ts"
import { Sha256, WorkspaceName } from "../../../src/schema/names.ts"
import { Configurations } from "../../../src/server/run/configurations.ts"
import { mostAhead, RunQueue } from "../../../src/server/run/run-queue.ts"
import { Runs } from "../../../src/server/run/runs.ts"
import { Stages } from "../../../src/server/run/stages.ts"
import { Blobs } from "../../../src/server/store/blobs.ts"
import { Rescues } from "../../../src/server/workspace/rescues.ts"
import { Workspaces } from "../../../src/server/workspace/workspaces.ts"
import {
  agent,
  directory,
  evicted,
  failed,
  inStores,
  person,
  plainRun,
  serve,
  server,
  sha256,
  succeeded,
  withChanges,
  worker
} from "../live-server.ts"

const planOnly = { "plan-only": true }
const some = Array.from({ length: mostAhead }, (_, nth) => nth)

/** Starts as many plans of the workspace as may be ahead, and `more`; returns the ids of all. */
const plansOf = (url: string, workspace: string, more: number, attributes: object = planOnly) =>
  Effect.forEach(
    [...some, ...Array.from({ length: more }, () => 0)],
    (_, nth) => person(url).start(workspace, { ...attributes, message: `plan ${nth}` })
  )

/** Takes all that is offered, and returns the assignments. */
const takeAll = (url: string) =>
  Effect.tap(agent(url).acquire(0, 100), (all) => Effect.forEach(all, ({ id }) => agent(url).acknowledge(id)))
const runsTaken = (url: string) => Effect.map(takeAll(url), (all) => all.map(({ runId }) => runId))

/** A server with two pools, and what its agents and people do. */
const clients = Effect.gen(function*() {
  const made = yield* directory
  const tokens = { prod: "prod-token-0123456789", dev: "dev-token-0123456789" }
  writeFileSync(join(made, "pool.token"), `${tokens.prod} prod\n${tokens.dev} dev`)
  const url = yield* serve(made)
  const bind = (pool: string) =>
    Effect.flatMap(person(url).workspace("busy"), (id) =>
      person(url).as("PATCH", tfePath.workspaceById(id), {
        data: { type: "workspaces", attributes: { "execution-mode": "agent", "agent-pool-id": poolId(pool) } }
      }))
  return {
    url,
    bind,
    prod: (name: string) => agent(url, name, "uid-prod", tokens.prod),
    dev: (name: string) => agent(url, name, "uid-dev", tokens.dev)
  }
})
type Clients = Effect.Success<typeof clients>

/** Returns what a plan of the workspace is created with. */
const madeIn = Effect.fnUntraced(function*(workspace: string) {
  const { id: workspaceId } = yield* (yield* Workspaces).ensure(WorkspaceName.make(workspace))
  const { id: configurationVersionId } = yield* (yield* Configurations).create(workspaceId, false)
  const blobs = yield* Blobs
  const { sha256: archiveSha256 } = yield* Effect.scoped(Effect.tap(blobs.receive(Stream.empty, { limitBytes: 0 }), blobs.store))
  return { workspaceId, configurationVersionId, archiveSha256, ...plainRun }
})

describe("plans that hold nothing", () => {
  it.live("are offered up to ten of a workspace that have not begun, the oldest first, so that those of others are too", () =>
    Effect.gen(function*() {
      const url = yield* server
      const holder = yield* person(url).start("busy") // which is not one of the ten
      const plans = yield* plansOf(url, "busy", 3)
      const other = yield* person(url).start("other", { "auto-apply": true })
      const offered = yield* takeAll(url)
      expect(offered.map(({ runId }) => runId)).toEqual([holder, ...plans.slice(0, mostAhead), other])

      const [, first, second] = offered
      yield* worker(url, first!).log(0, "begins")
      yield* worker(url, second!).log(0, "begins")
      yield* worker(url, second!).log(6, "goes on")
      expect(yield* runsTaken(url)).toEqual(plans.slice(mostAhead, mostAhead + 2))
    }))

  it.live("that wait for their turn say for what, and where in the line", () =>
    Effect.gen(function*() {
      const url = yield* server
      const plans = yield* plansOf(url, "busy", 2)
      const [oldest, last] = [plans[0]!, plans.at(-1)!]
      expect((yield* person(url).view(last)).queue).toEqual({
        position: 2,
        blockedBy: oldest,
        message:
          `Plans of a workspace that hold nothing are offered 10 at a time; this one is offered in its turn. The oldest that it waits for is that of ${oldest}: No controller has asked for work in the last 90 seconds; check that one runs, is not drained, and has the right pool token.`
      })
      const positionOf = (id: string) =>
        Effect.map(person(url).as("GET", `${tfePath.runs}/${id}`), ({ json }) => json.data.attributes["position-in-queue"])
      const positions = Effect.all([positionOf(last), positionOf(plans[5]!)])
      expect(yield* positions).toEqual([1, 0])
      yield* takeAll(url)
      expect(yield* positions).toEqual([1, 0])
      yield* agent(url).wait(`${oldest}.plan.1`, "QuotaExceeded", "The namespace is full.")
      expect((yield* person(url).view(last)).queue).toMatchObject({
        reason: "QuotaExceeded",
        message: expect.stringMatching(/: The namespace is full\.$/u)
      })
    }))

  it.live("make room while their cluster is drained, so that agents of others have more to take", () =>
    Effect.gen(function*() {
      const url = yield* server
      const plans = yield* plansOf(url, "busy", 2)
      const [first, second] = yield* takeAll(url)
      yield* agent(url).wait(first!.id, "Draining", "The cluster is drained.")
      expect(yield* runsTaken(url)).toEqual([plans[mostAhead]])
      expect((yield* person(url).view(plans.at(-1)!)).queue).toMatchObject({ position: 1, blockedBy: plans[1] })
      yield* agent(url).wait(first!.id, "QuotaExceeded", "The namespace is full.")
      yield* worker(url, second!).log(0, "begins")
      expect(yield* runsTaken(url)).toEqual([])
    }))

  const silent = (minutes: number) => TestClock.adjust(`${minutes} minutes`)
  /** Lets an agent be heard after nine minutes, and six minutes more go by. */
  const andThen = (heard: Effect.Effect<unknown>) => Effect.andThen(silent(9), Effect.andThen(heard, silent(6)))
  for (
    const { given, happens, more } of [
      { given: "their agent is not heard for a while, as in an upgrade", happens: () => silent(9), more: 0 },
      {
        given: "their agent is gone, though another of its pool is there",
        happens: ({ prod }: Clients) => andThen(prod("agent-2").acquire()),
        more: 2
      },
      {
        given: "their agent is gone, though one of another pool has its name",
        happens: ({ dev }: Clients) => andThen(dev("agent-1").acquire()),
        more: 2
      },
      { given: "their agent asks again", happens: ({ prod }: Clients) => andThen(prod("agent-1").acquire()), more: 0 },
      {
        given: "their agent has as much as it takes",
        happens: ({ prod }: Clients) => andThen(prod("agent-1").cancellations(0, 0, "full")),
        more: 0
      },
      {
        given: "their workspace is bound to another pool",
        happens: ({ bind }: Clients) => Effect.andThen(bind("dev"), silent(5)),
        more: 2
      },
      {
        given: "their workspace is bound to the pool that has them",
        happens: ({ bind }: Clients) => Effect.andThen(bind("prod"), silent(5)),
        more: 0
      }
    ]
  ) {
    it.effect(`make ${more === 0 ? "no " : ""}room where ${given}`, () =>
      Effect.gen(function*() {
        const to = yield* clients
        const plans = yield* plansOf(to.url, "busy", 2)
        yield* Effect.forEach(yield* to.prod("agent-1").acquire(), ({ id }) => to.prod("agent-1").acknowledge(id))
        yield* happens(to)
        const others = [...yield* to.prod("agent-2").acquire(), ...yield* to.dev("agent-2").acquire()]
        expect(others.map(({ runId }) => runId)).toEqual(plans.slice(mostAhead, mostAhead + more))
      }))
  }

  for (const { refusals, more } of [{ refusals: 9, more: 0 }, { refusals: 10, more: 2 }]) {
    it.effect(`make ${more === 0 ? "no " : ""}room while agents refuse them, of which each was offered ${refusals} times`, () =>
      Effect.gen(function*() {
        const url = yield* server
        const plans = yield* plansOf(url, "busy", 2)
        const refusedAll = Effect.gen(function*() {
          yield* TestClock.adjust("31 seconds")
          const offers = yield* agent(url).acquire()
          const refused = { reason: "Refused", message: "The agent is too old." }
          yield* Effect.forEach(offers, ({ id }) => agent(url).post(poolPath.wait(id), refused))
          return offers.length
        })
        expect(yield* Effect.replicateEffect(refusedAll, refusals)).toEqual(Array.from({ length: refusals }, () => mostAhead))
        yield* TestClock.adjust("5 minutes")
        const next = yield* agent(url).acquire(0, 100)
        expect(next.map(({ runId }) => runId)).toEqual(plans.slice(0, mostAhead + more))
      }))
  }

  it.live("make room for the next also where they end without having begun", () =>
    Effect.gen(function*() {
      const url = yield* server
      const me = person(url)
      const plans = yield* plansOf(url, "busy", 3)
      const [first] = yield* takeAll(url)
      yield* me.act(plans[mostAhead]!, "cancel") // which was not offered
      expect(yield* runsTaken(url)).toEqual([])
      yield* agent(url).report(first!.id, failed("The image cannot be pulled."))
      expect(yield* runsTaken(url)).toEqual([plans[mostAhead + 1]])
      yield* me.act(plans[1]!, "cancel")
      expect(yield* runsTaken(url)).toEqual([])
    }))

  it.effect("stay ahead when their plan is made again, until that has begun", () =>
    Effect.gen(function*() {
      const url = yield* server
      const plans = yield* plansOf(url, "busy", 2)
      const [first, second] = yield* takeAll(url)
      yield* agent(url).report(first!.id, evicted)
      expect((yield* person(url).view(plans[0]!)).stages).toHaveLength(2)
      expect(yield* runsTaken(url)).toEqual([])
      yield* worker(url, second!).log(0, "begins")
      expect(yield* runsTaken(url)).toEqual([plans[mostAhead]])
      yield* TestClock.adjust("1 minute")
      const [again] = yield* takeAll(url)
      expect(again?.id).toBe(first!.id.replace(/1$/u, "2"))
      yield* worker(url, again!).log(0, "begins")
      expect(yield* runsTaken(url)).toEqual([plans.at(-1)])
    }))

  it.live("count as well that are saved, and none of these that waits for its approval", () =>
    Effect.gen(function*() {
      const url = yield* server
      const plans = yield* plansOf(url, "busy", 2, { "save-plan": true })
      const [first, second] = yield* takeAll(url)
      yield* worker(url, first!).savePlan("the plan")
      yield* worker(url, first!).result({ ...succeeded(withChanges), planDigest: Sha256.make(sha256("the plan")) })
      expect((yield* person(url).view(plans[0]!)).status).toBe("planned")
      yield* worker(url, second!).log(0, "begins")
      expect(yield* runsTaken(url)).toEqual(plans.slice(mostAhead))
    }))

  it.live("keep no import waiting, for which they may wait themselves", () =>
    inStores(Effect.gen(function*() {
      const [queue, rescues, runs, stages] = [yield* RunQueue, yield* Rescues, yield* Runs, yield* Stages]
      const made = yield* madeIn("busy")
      const { workspaceId } = made
      const lost = yield* runs.create(made)
      yield* rescues.open({ workspaceId, stageId: `${lost.id}.plan.1`, reason: "Lost", message: "lost" })
      const plans = yield* Effect.forEach([...some, 0], () => runs.create({ ...made, planOnly: true }))
      const rescueId = (yield* rescues.pending(workspaceId))[0]?.id ?? expect.fail("it is open")
      const started = yield* runs.create({ ...made, rescueId })
      expect(yield* stages.ofRun(plans.at(-1)!.id)).toEqual([])
      expect(yield* stages.ofRun(started.id)).toHaveLength(1)
      const last = yield* runs.create({ ...made, planOnly: true })
      expect((yield* queue.before([last]))(last)).toBe(1) // in whose line no import is
    })))

  it.live("are offered up to a hundred of a workspace, however many agents refuse, and then wait for the oldest of these", () =>
    inStores(Effect.gen(function*() {
      const [queue, runs, sql] = [yield* RunQueue, yield* Runs, yield* SqlClient.SqlClient]
      const made = yield* madeIn("busy")
      const plans = yield* Effect.replicateEffect(runs.create({ ...made, planOnly: true }), 102)
      const offered = Effect.map(sql`SELECT id FROM stages`, (found) => found.length)
      const refused = Effect.andThen(sql`UPDATE stages SET waitReason = 'Refused', offers = 10`, queue.advanceAll)
      const rounds = yield* Effect.replicateEffect(Effect.andThen(refused, offered), 11)
      expect(rounds).toEqual([20, 30, 40, 50, 60, 70, 80, 90, 100, 100, 100])
      expect(yield* queue.oldestAhead(made.workspaceId)).toBe(plans[0]?.id)
    })))

  it.live("make no room for having been offered often, while no agent refuses them", () =>
    inStores(Effect.gen(function*() {
      const [queue, runs, sql] = [yield* RunQueue, yield* Runs, yield* SqlClient.SqlClient]
      const made = yield* madeIn("busy")
      yield* Effect.replicateEffect(runs.create({ ...made, planOnly: true }), mostAhead + 2)
      for (const waitReason of [null, "QuotaExceeded"]) {
        yield* sql`UPDATE stages SET waitReason = ${waitReason}, offers = 100`
        yield* queue.advanceAll
        expect(yield* sql`SELECT id FROM stages`).toHaveLength(mostAhead)
      }
    })))

  it.live("make room in each workspace where they count no more", () =>
    inStores(Effect.gen(function*() {
      const [queue, runs, sql] = [yield* RunQueue, yield* Runs, yield* SqlClient.SqlClient]
      for (const workspace of ["busy", "other"]) {
        const made = yield* madeIn(workspace)
        yield* Effect.replicateEffect(runs.create({ ...made, planOnly: true }), mostAhead + 1)
      }
      yield* sql`UPDATE stages SET waitReason = 'Refused', offers = 10`
      yield* queue.advanceAll
      expect(yield* sql`SELECT id FROM stages`).toHaveLength(2 * (mostAhead + 1))
    })))

  it.live("have a place in the line that counts from the first of its workspace that is not offered, however many are, as by an older version", () =>
    inStores(Effect.gen(function*() {
      const [queue, runs, stages] = [yield* RunQueue, yield* Runs, yield* Stages]
      const [made, other] = [yield* madeIn("busy"), yield* madeIn("other")]
      const plans = yield* Effect.replicateEffect(
        Effect.andThen(runs.create({ ...other, planOnly: true }), runs.create({ ...made, planOnly: true })),
        mostAhead + 13
      )
      yield* Effect.forEach(plans.slice(mostAhead, mostAhead + 10), ({ id }) => stages.create(id, "plan"))
      const waiting = yield* Effect.replicateEffect(Effect.andThen(runs.create(other), runs.create(made)), 3) // behind the first of these, and beside the plans
      const before = yield* queue.before([...plans, ...waiting])
      expect(plans.map(before)).toEqual([...some, ...some].map(() => 0).concat([0, 1, 2]))
      expect(waiting.map(before)).toEqual([0, 0, 1])
    })))
})
