// Which agents a stage goes to: those of its workspace's pool, until a task has it; from then on the task alone counts.
import { describe, expect, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { auditPath } from "../../../src/schema/api/audit.ts"
import { poolId, poolsPath } from "../../../src/schema/api/pools.ts"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { tfePath } from "../../../src/schema/api/tfe-api.ts"
import { agent, ask, cancelled, directory, evicted, failed, person, serve, sha256, succeeded, withChanges, worker } from "../live-server.ts"
import { inDatabase } from "../stored.ts"

const [prodToken, devToken] = ["prod-token-0123456789", "dev-token-0123456789"]
const bothPools = `${prodToken} prod\n${devToken}   dev\n`

/** A directory whose pool token file has these lines. */
const directoryWith = (lines: string) => Effect.tap(directory, (made) => Effect.sync(() => writeFileSync(join(made, "pool.token"), lines)))

const clients = (url: string) => ({
  me: person(url),
  prod: agent(url, "agent-prod", "uid-prod", prodToken),
  dev: agent(url, "agent-dev", "uid-dev", devToken)
})
const workspaceBody = (attributes: object) => ({ data: { type: "workspaces", attributes } })
const to = (pool: string) => ({ "execution-mode": "agent", "agent-pool-id": poolId(pool) })

/** Makes the workspace `demo` if need be, and binds it to the pool; to none if that is null. */
const bind = Effect.fnUntraced(function*(url: string, pool: string | null) {
  const me = person(url)
  const id = yield* me.workspace("demo")
  return yield* me.as("PATCH", tfePath.workspaceById(id), workspaceBody(pool === null ? { "execution-mode": "remote" } : to(pool)))
})

const serverOf = (pool: string | null, lines = bothPools) =>
  Effect.gen(function*() {
    const made = yield* directoryWith(lines)
    const url = yield* serve(made)
    yield* bind(url, pool)
    return { made, url, ...clients(url) }
  })

/** Serves the directory for as long as the effect runs; another one may serve it afterwards. */
const during = <A, E, R>(made: string, use: (url: string) => Effect.Effect<A, E, R>, defaultPool?: string) =>
  Effect.gen(function*() {
    const life = yield* Scope.make()
    const result = yield* Effect.exit(Effect.flatMap(Scope.provide(serve(made, undefined, defaultPool), life), use))
    yield* Scope.close(life, Exit.void)
    return yield* result
  })

const ids = (stages: ReadonlyArray<{ readonly id: string }>) => stages.map(({ id }) => id)
const taken = expect.objectContaining({ status: 409, json: expect.objectContaining({ error: "taken" }) })
const waitOf = (url: string, run: string) => Effect.map(person(url).view(run), ({ queue }) => queue?.message)
/** Returns how many stages wait for a pool that does not ask, as the alert sees it. */
const unasked = (url: string) => measured(url, "stages_unasked")
/** Returns how many stages wait for agents that are drained. */
const drained = (url: string) => measured(url, "stages_drained")
const measured = (url: string, name: string) =>
  Effect.map(
    ask(`${url}/metrics`, undefined),
    ({ text }) => new RegExp(`^agent_job_server_${RegExp.escape(name)} (\\d+)$`, "mu").exec(text)?.[1]
  )

describe("a stage of a workspace", () => {
  it.effect("that is bound to a pool is offered to the agents of that pool alone", () =>
    Effect.gen(function*() {
      const { dev, me, prod } = yield* serverOf("prod")
      const run = yield* me.start("demo")
      expect(yield* dev.acquire()).toEqual([])
      expect(ids(yield* prod.acquire())).toEqual([`${run}.plan.1`])
      yield* TestClock.adjust("1 minute")
      expect(yield* dev.acquire()).toEqual([])
    }))

  it.live("that is bound to none is offered to whoever asks", () =>
    Effect.gen(function*() {
      const { dev, me } = yield* serverOf(null)
      const run = yield* me.start("demo")
      expect(ids(yield* dev.acquire())).toEqual([`${run}.plan.1`])
    }))

  it.live("that is bound to none goes to the default pool, if there is one, also what waits already", () =>
    Effect.gen(function*() {
      const made = yield* directoryWith(bothPools)
      const run = yield* during(made, (url) => person(url).start("demo"))
      yield* during(made, (url) =>
        Effect.gen(function*() {
          const { dev, me, prod } = clients(url)
          expect(yield* dev.acquire()).toEqual([])
          expect(ids(yield* prod.acquire())).toEqual([`${run}.plan.1`])
          expect((yield* me.as("GET", tfePath.workspace("default", "demo"))).json.data.attributes["execution-mode"]).toBe("remote")
        }), "prod")
    }))

  it.live("is offered to an agent that waits as soon as the workspace is bound to its pool", () =>
    Effect.gen(function*() {
      const { me, prod, url } = yield* serverOf("dev")
      const run = yield* me.start("demo")
      const waiting = yield* Effect.forkChild(prod.acquire(60))
      yield* Effect.repeat(waitOf(url, run), { until: (message) => message?.includes("pool dev") === true })
      yield* bind(url, "prod")
      expect(ids(yield* Fiber.join(waiting))).toEqual([`${run}.plan.1`])
    }))

  it.live("is offered at once to an agent that waits, though one of another pool that waits looked first", () =>
    Effect.gen(function*() {
      const { dev, me, prod } = yield* serverOf("dev")
      const isThere = (pool: string) =>
        Effect.repeat(me.as("GET", poolsPath), {
          until: ({ json }) => json.pools.some((one: { name: string; agents: number }) => one.name === pool && one.agents === 1) === true
        })
      yield* Effect.forkChild(prod.acquire(60))
      yield* isThere("prod")
      const offered = yield* Effect.forkChild(dev.acquire(60))
      yield* isThere("dev")
      const run = yield* me.start("demo")
      expect(ids(yield* Effect.timeout(Fiber.join(offered), "30 seconds"))).toEqual([`${run}.plan.1`])
    }))

  it.effect("that is moved while it is offered cannot be taken by the pool that it left, and is taken once by the other", () =>
    Effect.gen(function*() {
      const { dev, me, prod, url } = yield* serverOf("dev")
      const run = yield* me.start("demo")
      const id = `${run}.plan.1`
      const [offered] = yield* dev.acquire()
      yield* bind(url, "prod")
      expect(yield* dev.acknowledge(id)).toEqual(taken)
      expect(yield* dev.wait(id, "ImagePull", "dev waits")).toEqual(taken)
      expect(yield* dev.report(id, failed())).toEqual(taken)
      expect(yield* dev.reportTaskless(id, cancelled)).toEqual(taken)
      expect(yield* worker(url, offered!, "uid-dev").as("GET", taskPath.assignment)).toEqual(taken)
      yield* TestClock.adjust("30 seconds")
      expect(yield* dev.acquire()).toEqual([])
      const [again] = yield* prod.acquire()
      expect(again?.id).toBe(id)
      expect((yield* prod.acknowledge(id)).status).toBe(204)
      expect(yield* worker(url, offered!, "uid-dev").as("GET", taskPath.assignment)).toEqual(taken)
      expect((yield* worker(url, again!, "uid-prod").as("GET", taskPath.assignment)).status).toBe(200)
    }))

  it.effect("that is moved while it is offered, and cancelled, ends, whichever pool hears of it", () =>
    Effect.gen(function*() {
      const { dev, me, prod, url } = yield* serverOf("dev")
      const run = yield* me.start("demo")
      const id = `${run}.plan.1`
      yield* dev.acquire()
      yield* bind(url, "prod")
      yield* me.act(run, "cancel")
      for (const each of [dev, prod]) expect((yield* each.cancellations()).ids).toEqual([id])
      expect(yield* dev.reportTaskless(id, cancelled)).toEqual(taken)
      expect((yield* prod.reportTaskless(id, cancelled)).status).toBe(204)
      expect((yield* me.view(run)).status).toBe("canceled")
      expect((yield* prod.cancellations()).ids).toEqual([])
    }))

  it.effect("that is cancelled is not said to have no task by an agent of another pool that has the name of its own", () =>
    Effect.gen(function*() {
      const { me, prod, url } = yield* serverOf("prod")
      const namesake = agent(url, "agent-prod", "uid-dev", devToken)
      const run = yield* me.start("demo")
      const id = `${run}.plan.1`
      yield* prod.take
      yield* me.act(run, "cancel")
      const before = (yield* me.view(run)).queue
      expect(yield* namesake.reportTaskless(id, cancelled)).toEqual(taken)
      expect((yield* me.view(run)).queue).toEqual(before)
      expect(yield* prod.reportTaskless(id, cancelled)).toEqual(taken)
      expect((yield* me.view(run)).queue).not.toEqual(before)
    }))

  it.effect("that a task has is its own, wherever the workspace is moved; the next stage goes to the new pool", () =>
    Effect.gen(function*() {
      const { dev, me, prod, url } = yield* serverOf("dev")
      const run = yield* me.start("demo", { "auto-apply": true })
      const id = `${run}.plan.1`
      const [plan] = yield* dev.acquire()
      yield* dev.acknowledge(id)
      yield* bind(url, "prod")
      expect((yield* dev.acknowledge(id)).status).toBe(204)
      expect((yield* dev.wait(id, "ImagePull", "dev waits")).status).toBe(204)
      expect((yield* me.view(run)).queue?.message).toBe("dev waits")
      expect(yield* prod.reportTaskless(id, cancelled)).toEqual(taken)
      const planner = worker(url, plan!, "uid-dev")
      expect((yield* planner.savePlan("the plan")).status).toBe(204)
      expect((yield* planner.result(succeeded({ ...withChanges, planDigest: sha256("the plan") as never }))).status).toBe(204)
      expect((yield* dev.report(id, succeeded({ ...withChanges, planDigest: sha256("the plan") as never }))).status).toBe(204)
      yield* TestClock.adjust("1 minute")
      expect(yield* dev.acquire()).toEqual([])
      const [apply] = yield* prod.acquire()
      expect(apply?.id).toBe(`${run}.apply.1`)
      yield* prod.acknowledge(apply!.id)
      yield* bind(url, "dev")
      yield* me.act(run, "cancel")
      expect((yield* prod.cancellations()).ids).toContain(apply!.id)
      expect((yield* prod.report(apply!.id, cancelled)).status).toBe(204)
      expect((yield* me.view(run)).status).toBe("canceled")
    }))
})

describe("the token of an offer", () => {
  it.live("opens nothing once a task of another pool has the stage, though its UID is known", () =>
    Effect.gen(function*() {
      const { dev, me, prod, url } = yield* serverOf(null)
      yield* me.start("demo")
      const [offered] = yield* dev.acquire()
      yield* bind(url, "prod")
      expect((yield* prod.acknowledge(offered!.id)).status).toBe(204)
      const stolen = worker(url, offered!, "uid-prod")
      for (const _ of ["before it has begun", "again"]) expect((yield* stolen.as("GET", taskPath.assignment)).status).toBe(401)
      expect((yield* stolen.as("POST", taskPath.effects, { entries: [{ number: 1, kind: "full" }] })).status).toBe(401)
      expect((yield* stolen.result(failed())).status).toBe(401)
      expect((yield* prod.report(offered!.id, failed())).status).toBe(204)
    }))

  it.effect("may be renewed by the stage's own task, to which it was offered before its pool got another name", () =>
    Effect.gen(function*() {
      const made = yield* directoryWith(`${prodToken}\n`)
      const first = yield* during(made, (url) => Effect.andThen(person(url).start("demo"), clients(url).prod.acquire()))
      writeFileSync(join(made, "pool.token"), `${devToken}\n`)
      yield* during(made, (url) =>
        Effect.gen(function*() {
          yield* TestClock.adjust("2 seconds")
          const renewed = agent(url, "agent-prod", "uid-prod", devToken)
          const again = yield* renewed.acquire()
          expect(ids(again)).toEqual(ids(first))
          expect((yield* renewed.acknowledge(again[0]!.id)).status).toBe(204)
          const answers = yield* Effect.forEach([...first, ...again], (of) => worker(url, of, "uid-prod").as("GET", taskPath.assignment))
          expect(answers.map(({ status }) => status)).toEqual([401, 200])
        }))
    }))

  it.effect("opens no stage that no task has once the pool's token to which it was offered was replaced, until the next offer", () =>
    Effect.gen(function*() {
      const made = yield* directoryWith(`${prodToken} prod\n`)
      const [taken, left] = yield* during(made, (url) =>
        Effect.gen(function*() {
          yield* Effect.forEach(["taken", "left"], (name) => person(url).start(name))
          const { prod } = clients(url)
          const offered = yield* prod.acquire()
          yield* prod.acknowledge(offered[0]!.id)
          return offered
        }))
      writeFileSync(join(made, "pool.token"), `${devToken} prod\n`)
      yield* during(made, (url) =>
        Effect.gen(function*() {
          const opened = (of: typeof left, path: string = taskPath.assignment) =>
            Effect.map(worker(url, of!, "uid-prod").as("GET", path), ({ status }) => status)
          for (const path of [taskPath.assignment, taskPath.archive, taskPath.state]) expect(yield* opened(left, path)).toBe(401)
          expect((yield* person(url).view(left!.runId)).stages[0]?.status).toBe("offered")
          expect(yield* opened(taken)).toBe(200)
          yield* TestClock.adjust("30 seconds")
          const [again] = yield* agent(url, "agent-prod", "uid-prod", devToken).acquire()
          expect([again?.id, yield* opened(again)]).toEqual([left!.id, 200])
        }))
    }))

  it.live("opens its stage for the task that has it, also once the workspace is bound to another pool", () =>
    Effect.gen(function*() {
      const { dev, me, url } = yield* serverOf(null)
      yield* me.start("demo")
      const plan = yield* dev.take
      yield* bind(url, "prod")
      expect((yield* worker(url, plan, "uid-dev").as("GET", taskPath.assignment)).status).toBe(200)
    }))
})

describe("an agent", () => {
  it.effect("is there for its own pool, whatever another pool calls its agents", () =>
    Effect.gen(function*() {
      const { me, prod, url } = yield* serverOf("prod")
      yield* prod.acquire()
      const run = yield* me.start("demo")
      const impostor = agent(url, "agent-prod", "uid-dev", devToken)
      yield* impostor.acquire()
      expect([yield* waitOf(url, run), yield* unasked(url)]).toEqual([
        "It is offered to the agents of the pool prod and waits for one to take it.",
        "0"
      ])
      yield* prod.take
      yield* TestClock.adjust("2 minutes")
      yield* impostor.acquire()
      expect(yield* waitOf(url, run)).toMatch(
        /^Agent agent-prod has the stage, but has not been heard since .*, and no other of its pool is there; if this lasts, /u
      )
    }))
})

describe("a pool", () => {
  it.live("has all the tokens of its name, so that one is rotated by having both for a while", () =>
    Effect.gen(function*() {
      const made = yield* directoryWith(`${prodToken} prod\nnext-token-0123456789 prod\n${devToken} dev\n`)
      const run = yield* during(made, (url) =>
        Effect.gen(function*() {
          yield* bind(url, "prod")
          const run = yield* person(url).start("demo")
          expect(ids(yield* agent(url, "old", "uid", prodToken).acquire())).toEqual([`${run}.plan.1`])
          expect((yield* agent(url, "new", "uid", "next-token-0123456789").acknowledge(`${run}.plan.1`)).status).toBe(204)
          return run
        }))
      writeFileSync(join(made, "pool.token"), `next-token-0123456789 prod\n${devToken} dev\n`)
      yield* during(made, (url) =>
        Effect.gen(function*() {
          expect((yield* agent(url, "new", "uid", "next-token-0123456789").report(`${run}.plan.1`, failed())).status).toBe(204)
          expect((yield* person(url).view(run)).status).toBe("errored")
        }))
    }))

  it.live("whose token was renamed while a stage ran has its result, and what comes next waits and says why", () =>
    Effect.gen(function*() {
      const made = yield* directoryWith(bothPools)
      const { plan, run } = yield* during(made, (url) =>
        Effect.gen(function*() {
          const { me, prod } = clients(url)
          yield* bind(url, "prod")
          const run = yield* me.start("demo", { "auto-apply": true })
          const [plan] = yield* prod.acquire()
          yield* prod.acknowledge(plan!.id)
          yield* worker(url, plan!, "uid-prod").savePlan("the plan")
          return { plan: plan!, run }
        }))
      writeFileSync(join(made, "pool.token"), `${prodToken} production\n${devToken} dev\n`)
      inDatabase(made, (database) => database.exec("DELETE FROM agents")) // as if prod had not been heard for long
      yield* during(made, (url) =>
        Effect.gen(function*() {
          const { dev, me, prod } = clients(url)
          expect((yield* prod.acknowledge(plan.id)).status).toBe(204)
          yield* prod.acquire()
          expect(yield* measured(url, "stages{progress=\"started\"}")).toBe("1") // and not silent
          const result = succeeded({ ...withChanges, planDigest: sha256("the plan") as never })
          expect((yield* worker(url, plan, "uid-prod").result(result)).status).toBe(204)
          expect((yield* prod.report(plan.id, result)).status).toBe(204)
          for (const each of [prod, dev]) expect(yield* each.acquire()).toEqual([])
          expect(yield* waitOf(url, run)).toBe(
            "No token has the name of the pool prod, to which the workspace demo is bound, so no agent may take this; name a token so in the pool token file, or bind the workspace to a pool that `agent-job get pools` lists: agent-job pool bind demo POOL"
          )
          expect((yield* me.as("GET", poolsPath)).json.pools).toMatchObject([
            { name: "dev", waiting: 0 },
            { name: "prod", agents: 0, waiting: 1, workspaces: 1, withoutToken: true },
            { name: "production", agents: 1, waiting: 0, workspaces: 0 }
          ])
          yield* bind(url, "production")
          expect(ids(yield* prod.acquire())).toEqual([`${run}.apply.1`])
        }))
    }))

  it.effect("whose token is gone is silent about what it has begun, and keeps no other from being idle, whoever is heard", () =>
    Effect.gen(function*() {
      const made = yield* directoryWith(bothPools)
      const run = yield* during(made, (url) =>
        Effect.gen(function*() {
          const { me, prod } = clients(url)
          yield* bind(url, "prod")
          const run = yield* me.start("demo")
          yield* worker(url, yield* prod.take, "uid-prod").as("GET", taskPath.assignment)
          return run
        }))
      writeFileSync(join(made, "pool.token"), `${devToken} dev\n`)
      yield* during(made, (url) =>
        Effect.gen(function*() {
          const { dev, me } = clients(url)
          yield* me.start("other")
          yield* TestClock.adjust("2 minutes")
          const later = Effect.andThen(dev.cancellations(0, 0, "full"), TestClock.adjust("1 minute"))
          yield* later
          expect(yield* waitOf(url, run)).toMatch(
            /^The stage may still be running, but agent agent-prod has not been heard since 1970-01-01T00:00:00\.000Z, and no token has the name of its pool prod any more; check that its controller runs and has a pool token of this server\. Only if /u
          )
          expect([yield* measured(url, "stages{progress=\"silent\"}"), yield* measured(url, "idle_pool_seconds")]).toEqual(["1", "0"])
          yield* later
          expect(yield* measured(url, "idle_pool_seconds")).toBe("60")
        }))
    }))

  it.effect("of which no agent asks is named by the run that waits for one, whoever else asks", () =>
    Effect.gen(function*() {
      const { dev, me, prod, url } = yield* serverOf("prod")
      const run = yield* me.start("demo")
      yield* dev.acquire()
      expect(yield* waitOf(url, run)).toBe(
        "No agent of the pool prod has asked for work in the last 90 seconds; check that a controller with a token of that name runs and is not drained. `agent-job get pools` shows who asks."
      )
      yield* prod.acquire()
      expect(yield* waitOf(url, run)).toBe("It is offered to the agents of the pool prod and waits for one to take it.")
      yield* prod.acknowledge(`${run}.plan.1`)
      yield* TestClock.adjust("2 minutes")
      yield* dev.acquire()
      expect(yield* waitOf(url, run)).toContain("has not been heard since 1970-01-01T00:00:00.000Z, and no other of its pool is there")
      yield* agent(url, "agent-prod-2", "uid-prod", prodToken).acquire()
      expect(yield* waitOf(url, run)).toContain("while another of its pool is there")
    }))

  it.effect("of which no agent is heard is silent about what it has begun, whoever else is heard", () =>
    Effect.gen(function*() {
      const { dev, me, prod, url } = yield* serverOf("prod")
      const run = yield* me.start("demo")
      const plan = yield* prod.take
      yield* worker(url, plan, "uid-prod").as("GET", taskPath.assignment)
      yield* TestClock.adjust("2 minutes")
      yield* dev.acquire()
      expect(yield* waitOf(url, run)).toContain("The stage may still be running, but agent agent-prod has not been heard since")
      expect(yield* measured(url, "stages{progress=\"silent\"}")).toBe("1")
    }))

  it.effect("of which no agent is heard is silent about what it has taken, too", () =>
    Effect.gen(function*() {
      const { dev, me, prod, url } = yield* serverOf("prod")
      yield* me.start("demo")
      yield* prod.take
      yield* TestClock.adjust("89 seconds")
      yield* dev.acquire()
      expect([yield* measured(url, "stages{progress=\"taken\"}"), yield* measured(url, "stages{progress=\"silent\"}")]).toEqual(["1", "0"])
      yield* TestClock.adjust("6 seconds")
      expect([yield* measured(url, "stages{progress=\"taken\"}"), yield* measured(url, "stages{progress=\"silent\"}")]).toEqual(["0", "1"])
    }))

  it.effect("of which nothing is at work is counted as idle from when a run waits for it, whoever else is at work", () =>
    Effect.gen(function*() {
      const { dev, me, prod, url } = yield* serverOf("prod")
      const idleSeconds = measured(url, "idle_pool_seconds")
      const other = yield* me.workspace("other")
      yield* me.as("PATCH", tfePath.workspaceById(other), workspaceBody(to("dev")))
      expect(yield* idleSeconds).toBe("0")
      yield* me.start("other")
      const plan = yield* dev.take
      yield* worker(url, plan, "uid-dev").as("GET", taskPath.assignment)
      yield* TestClock.adjust("1 minute")
      expect(yield* idleSeconds).toBe("0")
      yield* me.start("demo")
      const others = yield* prod.take // which waits in its cluster
      const later = Effect.andThen(TestClock.adjust("1 minute"), idleSeconds)
      const heard = Effect.andThen(Effect.all([dev.cancellations(0, 0, "full"), prod.cancellations(0, 0, "drained")]), later)
      for (let minute = 0; minute <= 4; minute++) expect(yield* heard).toBe(String(minute * 60))
      yield* worker(url, others, "uid-prod").as("GET", taskPath.assignment)
      const next = yield* me.start("demo")
      expect([yield* heard, yield* heard]).toEqual(["0", "0"])
      expect([yield* later, yield* later]).toEqual(["0", "60"]) // since nobody is heard who says that anything is at work
      yield* Effect.all([dev.report(plan.id, failed()), prod.report(others.id, failed())])
      expect(yield* heard).toBe("120")
      yield* me.act(next, "cancel")
      expect([yield* heard, yield* heard]).toEqual(["0", "0"])
      yield* me.start("unbound")
      expect([yield* heard, yield* heard]).toEqual(["0", "60"])
    }))

  it.effect("of which no agent asks is what a run waits for, whatever an agent of the pool before said, or the end of an attempt", () =>
    Effect.gen(function*() {
      const { dev, me, prod, url } = yield* serverOf("dev")
      const run = yield* me.start("demo")
      const [first] = yield* dev.acquire()
      yield* dev.wait(first!.id, "Refused", "dev has no room")
      expect(yield* waitOf(url, run)).toBe("dev has no room")
      expect(yield* unasked(url)).toBe("0")
      yield* bind(url, "prod")
      expect(yield* waitOf(url, run)).toContain("No agent of the pool prod has asked for work")
      yield* TestClock.adjust("30 seconds")
      yield* prod.acquire()
      yield* prod.acknowledge(first!.id)
      yield* prod.report(first!.id, evicted)
      expect(yield* waitOf(url, run)).toMatch(/as attempt 2\.$/u)
      yield* TestClock.adjust("2 minutes")
      expect(yield* waitOf(url, run)).toMatch(/^The Pod had to leave .+ as attempt 2\. No agent of the pool prod has asked for work/u)
      yield* dev.acquire()
      expect(yield* unasked(url)).toBe("1")
    }))

  it.effect("whose agent asks for no work is there as long as it says why: it has enough, or is drained", () =>
    Effect.gen(function*() {
      const { dev, me, prod, url } = yield* serverOf("prod")
      const run = yield* me.start("demo")
      yield* dev.acquire()
      const agents = Effect.map(me.as("GET", poolsPath), ({ json }) =>
        json.pools.find(({ name }: { readonly name: string }) => name === "prod").agents)
      yield* prod.cancellations(0, 0, "full")
      expect(yield* waitOf(url, run)).toBe(
        "The controllers of the pool prod have as many tasks waiting as they take, and take it once enough of those have started."
      )
      expect([yield* agents, yield* unasked(url), yield* drained(url)]).toEqual([1, "0", "0"])
      yield* TestClock.adjust("2 minutes")
      expect(yield* waitOf(url, run)).toContain("No agent of the pool prod has asked for work")
      expect([yield* agents, yield* unasked(url), yield* drained(url)]).toEqual([0, "1", "0"])
      yield* prod.cancellations(0, 0, "drained")
      expect(yield* waitOf(url, run)).toBe(
        "The controllers of the pool prod take nothing, since their clusters are drained; `agent-job drain --undo` in one of them ends that, with --name and --controller-namespace of its installation."
      )
      yield* TestClock.adjust("6 seconds") // the metrics are counted now and then
      expect([yield* agents, yield* unasked(url), yield* drained(url)]).toEqual([0, "0", "1"])
      yield* prod.cancellations(0, 0, "full") // of another controller, in the place of the first
      yield* prod.cancellations(0, 0, "a word of a later version")
      expect(yield* agents).toBe(1)
      yield* prod.acquire()
      expect(yield* waitOf(url, run)).toBe("It is offered to the agents of the pool prod and waits for one to take it.")
    }))

  it.effect("of which one agent is drained and another is not has somebody that takes its stages", () =>
    Effect.gen(function*() {
      const { me, prod, url } = yield* serverOf("prod")
      const run = yield* me.start("demo")
      yield* prod.cancellations(0, 0, "drained")
      yield* agent(url, "agent-prod-2", "uid-prod-2", prodToken).cancellations(0, 0, "full")
      expect(yield* waitOf(url, run)).toContain("have as many tasks waiting as they take")
      expect([yield* unasked(url), yield* drained(url)]).toEqual(["0", "0"])
    }))

  it.effect("that a stage needs not be of counts as nobody once no agent at all is heard", () =>
    Effect.gen(function*() {
      const { dev, me, url } = yield* serverOf(null)
      yield* me.start("demo")
      expect([yield* unasked(url), yield* drained(url)]).toEqual(["1", "0"])
      yield* TestClock.adjust("6 seconds")
      yield* dev.cancellations(0, 0, "drained")
      expect([yield* unasked(url), yield* drained(url)]).toEqual(["0", "1"])
    }))

  it.live("is listed with who asks, what waits and what is bound to it, and so is what any pool takes", () =>
    Effect.gen(function*() {
      const made = yield* directoryWith(`${bothPools}unnamed-token-0123456789\n`)
      const url = yield* serve(made)
      const { dev, me } = clients(url)
      yield* bind(url, "prod")
      yield* me.start("demo")
      yield* me.start("other")
      yield* dev.take
      yield* me.act(yield* me.start("third"), "cancel")
      yield* me.start("third")
      const unnamed = sha256("unnamed-token-0123456789").slice(0, 8)
      const { anyPool, pools } = (yield* me.as("GET", poolsPath)).json
      expect(anyPool).toEqual({ waiting: 1, workspaces: 2 })
      expect(pools).toEqual([
        { id: `apool-${unnamed}`, name: unnamed, agents: 0, waiting: 0, workspaces: 0 },
        { id: "apool-dev", name: "dev", agents: 1, waiting: 0, workspaces: 0 },
        { id: "apool-prod", name: "prod", agents: 0, waiting: 1, workspaces: 1 }
      ])
    }))
})

describe("a workspace", () => {
  it.live("is bound when it is made or changed, shows it as stock clients read it, and is let go", () =>
    Effect.gen(function*() {
      const { dev, me, url } = yield* serverOf(null)
      const made = yield* me.as("POST", tfePath.workspaces("default"), workspaceBody({ name: "shop", ...to("dev") }))
      expect(made.status).toBe(201)
      expect(made.json.data.attributes).toMatchObject(to("dev"))
      expect(made.json.data.relationships["agent-pool"]).toEqual({ data: { type: "agent-pools", id: "apool-dev" } })
      const path = tfePath.workspaceById(made.json.data.id)
      const overwrites = { "setting-overwrites": { "execution-mode": true, "agent-pool": true } }
      expect((yield* me.as("PATCH", path, workspaceBody({ ...to("prod"), ...overwrites }))).json.data.attributes).toMatchObject(to("prod"))
      expect((yield* me.as("PATCH", path, workspaceBody({ "auto-apply": true }))).json.data.attributes).toMatchObject(to("prod"))
      const alone = workspaceBody({ "execution-mode": "remote", "auto-apply": false })
      const { attributes, relationships } = (yield* me.as("PATCH", path, alone)).json.data
      expect([attributes["execution-mode"], attributes["agent-pool-id"], relationships["agent-pool"].data]).toEqual(["remote", null, null])
      yield* dev.acquire()
      const listed = (yield* me.as("GET", `${tfePath.agentPools("default")}?q=de`)).json
      expect(listed.data).toMatchObject([{ id: "apool-dev", type: "agent-pools", attributes: { name: "dev", "agent-count": 1 } }])
      expect((yield* me.as("GET", tfePath.agentPool("apool-prod"))).json.data.attributes).toMatchObject({ name: "prod", "agent-count": 0 })
      expect((yield* me.as("GET", tfePath.agentPool("apool-nope"))).status).toBe(404)
      expect((yield* me.as("POST", tfePath.agentPools("default"), {})).status).toBe(422)
      const { entries } = (yield* person(url).as("GET", auditPath.workspace("shop"))).json
      expect(entries.map(({ action }: { readonly action: string }) => action)).toEqual([
        "PATCH /api/v2/workspaces/:id (no pool, no auto-apply)",
        "PATCH /api/v2/workspaces/:id (auto-apply)",
        "PATCH /api/v2/workspaces/:id (pool prod)",
        "POST /api/v2/organizations/:organization/workspaces (pool dev)"
      ])
    }))

  it.live.each([
    {
      attributes: to("stage"),
      sentence: "There is no pool \"stage\": no token has that name. The pools of this server are: prod, dev."
    },
    {
      attributes: { "agent-pool-id": "nonsense" },
      sentence: "There is no pool \"nonsense\": no token has that name. The pools of this server are: prod, dev."
    },
    {
      attributes: { "execution-mode": "agent" },
      sentence:
        "The execution-mode \"agent\" needs an agent-pool-id; /api/v2/organizations/default/agent-pools lists the pools that there are."
    },
    {
      attributes: { ...to("dev"), "execution-mode": "remote" },
      sentence: "A workspace with an agent-pool-id has the execution-mode \"agent\"; leave one of them out."
    },
    {
      attributes: { "setting-overwrites": { "execution-mode": false, "agent-pool": false } },
      sentence: "This server does not keep setting-overwrites of a workspace, so it would have no effect; leave it out."
    }
  ])("is neither made nor changed with $attributes", ({ attributes, sentence }) =>
    Effect.gen(function*() {
      const { me, url } = yield* serverOf(null)
      const made = yield* me.as("POST", tfePath.workspaces("default"), workspaceBody({ name: "shop", ...attributes }))
      expect([made.status, made.json.errors[0].detail]).toEqual([422, sentence])
      expect((yield* me.as("GET", tfePath.workspace("default", "shop"))).status).toBe(404)
      const path = tfePath.workspaceById(yield* person(url).workspace("demo"))
      const changed = yield* me.as("PATCH", path, workspaceBody(attributes))
      expect([changed.status, changed.json.errors[0].detail]).toEqual([422, sentence])
    }))

  it.live("may be changed otherwise, with its pool named again, though no token has the name of that any more", () =>
    Effect.gen(function*() {
      const made = yield* directoryWith(bothPools)
      yield* during(made, (url) => bind(url, "prod"))
      writeFileSync(join(made, "pool.token"), `${devToken} dev\n`)
      const answer = yield* during(
        made,
        (url) =>
          Effect.flatMap(
            person(url).workspace("demo"),
            (id) => person(url).as("PATCH", tfePath.workspaceById(id), workspaceBody({ "auto-apply": true, ...to("prod") }))
          )
      )
      expect([answer.status, answer.json.data.attributes["auto-apply"]]).toEqual([200, true])
    }))

  it.live("from before the server knew pools has none, and a stage that was offered then is taken with the token of that offer", () =>
    Effect.gen(function*() {
      const made = yield* directoryWith(bothPools)
      const plan = yield* during(made, (url) =>
        Effect.gen(function*() {
          yield* person(url).start("demo")
          const [offered] = yield* clients(url).dev.acquire()
          return offered!
        }))
      inDatabase(
        made,
        (database) => database.exec("UPDATE taskTokens SET pool = NULL, offeredTo = NULL; UPDATE stages SET agentPool = NULL")
      )
      yield* during(made, (url) =>
        Effect.gen(function*() {
          expect((yield* worker(url, plan, "uid-dev").as("GET", taskPath.archive)).status).toBe(200)
          expect((yield* clients(url).dev.report(plan.id, failed())).status).toBe(204)
          const run = yield* person(url).start("demo")
          expect(ids(yield* clients(url).prod.acquire())).toEqual([`${run}.plan.1`])
        }))
    }))
})
