// Many tasks through a controller that is killed again and again, with a part of all answers faulty: none is lost, doubled or stuck.
// SOAK_TASKS and SOAK_SEED choose another size and other faults. A soak of full size writes its figures, memory too, for the scorecard.
import { expect, layer } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { join } from "node:path"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { jobs, leases } from "../../src/kubernetes/kinds.ts"
import { statesPath } from "../../src/schema/api/state.ts"
import { TaskCluster, Tasks } from "../controller/task-cluster.ts"
import { writeReport } from "../scorecard/report.ts"
import { archiveOf, directory, person, serve, withoutRates } from "../server/live-server.ts"
import { controllerProgram } from "./controller-process.ts"
import { faultyApi } from "./faulty-api.ts"
import { podHands } from "./pod-hands.ts"
import { faultProxy } from "./proxy.ts"
import type { Asked, Fault, Rule } from "./rule.ts"
import { slope } from "./slope.ts"
import { appliesIn } from "./stage-hands.ts"

const tasks = Number(process.env.SOAK_TASKS ?? 5000)
const seed = Number(process.env.SOAK_SEED ?? 1)
const isFullSize = tasks >= 5000
const workspaces = Array.from({ length: 50 }, (_, at) => `soak-${at}`)
/** Every fourth run applies by itself, which is a second task, so that four runs are five tasks. */
const [runsInTurn, tasksInTurn] = [4, 5]
const killEverySeconds = 10
/** The second half comes in waves, with a rest after each. */
const waveSize = 125
/** In so many tasks the controller warms up: V8 compiles what runs often. */
const warmUpTasks = 1000
/** How long each half of the tasks may take to end, whatever happens to them. */
const patienceSeconds = 120 + tasks

const writes = ["create", "update", "patch", "delete"] as const
const part = (match: Rule["match"], share: number, fault: Fault): Rule => ({ match, share, times: Infinity, fault })
/** One single request in twenty meets a fault. Watches live long, so that one in three is cut. */
const apiFaults: ReadonlyArray<Rule> = [
  ...([
    { does: "dropBefore" },
    { does: "dropAfter" },
    { does: "status", code: 500 },
    { does: "status", code: 429, headers: { "retry-after": "1" } }
  ] as const)
    .map((fault) => part({ verb: [...writes, "get", "list"] }, 0.0125, fault)),
  part({ verb: "watch" }, 0.3, { does: "truncate", bytes: 200_000 }),
  part({ verb: "watch" }, 0.05, { does: "gone", as: "event" }),
  part({ verb: "watch" }, 0.05, { does: "status", code: 503 })
]
const poolFaults: ReadonlyArray<Rule> =
  ([{ does: "dropBefore" }, { does: "dropAfter" }, { does: "truncate", bytes: 5 }, { does: "status", code: 502 }] as const).map((fault) =>
    part({}, 0.0125, fault)
  )

const ended = ["planned_and_finished", "errored", "canceled", "discarded", "applied"]

interface Run {
  readonly id: string
  readonly applies: boolean
}
/** How many of them are there twice. */
const doubled = (all: ReadonlyArray<string>): number => all.length - new Set(all).size

layer(TaskCluster, { excludeTestServices: true, timeout: "5 minutes" })("a soak", (it) => {
  it.effect(
    `F2 F3 F4 F9 of ${tasks} tasks, one answer in twenty faulty and the controller killed whenever it has led for ${killEverySeconds} s, loses and doubles none`,
    () =>
      Effect.gen(function*() {
        const began = Date.now()
        const { namespace } = yield* Tasks
        const kubernetes = yield* Kubernetes
        const made = yield* directory
        const url = yield* withoutRates(serve(made)) // this test reads thousands of runs each second
        const api = yield* faultyApi({ seed, keepsBodies: false })
        const pool = yield* faultProxy({ upstream: { url }, seed, keepsBodies: false })
        const { claims, trouble } = yield* podHands({ client: api.client, pool: pool.url })
        const values = {
          agent: { url: pool.url, tokenExistingSecret: { name: "pool-token" } },
          task: {
            historyPerWorkspace: 5,
            nodeSelector: { "test/nowhere": "true" },
            job: { ttlSecondsAfterFinished: 5 },
            limits: { total: 100, perWorkspace: 100 }
          }
        }
        const program = yield* controllerProgram({ kubeconfig: api.kubeconfig, values, poolTokenFile: join(made, "pool.token") })
        yield* api.rules(...apiFaults)
        yield* pool.rules(...poolFaults)
        const me = person(url)
        const ids = yield* Effect.forEach(
          workspaces,
          (name) => Effect.tap(me.workspace(name), (id) => me.upload(id, archiveOf({ "main.tf": "" }))),
          { concurrency: 4 }
        )
        const half = Math.ceil(tasks / 2)
        const runs: Array<Run> = []
        const tasksOf = (some: ReadonlyArray<Run>) => some.length + some.filter(({ applies }) => applies).length
        /** Starts runs that have so many tasks, or one more. */
        const start = (count: number) =>
          Effect.forEach(
            Array.from({ length: Math.ceil(count * runsInTurn / tasksInTurn) }, (_, at) => at),
            (at) => {
              const applies = at % runsInTurn === runsInTurn - 1
              return Effect.map(
                me.run(ids[at % ids.length] ?? "", applies ? { "auto-apply": true } : { "plan-only": true }),
                ({ json }) => {
                  const run = { id: String(json.data.id), applies }
                  runs.push(run)
                  return run
                }
              )
            },
            { concurrency: 4 }
          )

        const states = new Map<string, string>()
        const isEnded = ({ id }: Run) => ended.includes(states.get(id) ?? "")
        const done = () => tasksOf(runs.filter(isEnded))
        const look = (some: ReadonlyArray<Run>) =>
          Effect.forEach(
            some.filter((run) => !isEnded(run)),
            ({ id }) => Effect.map(me.view(id), ({ status }) => states.set(id, status)),
            { concurrency: 8, discard: true }
          )
        const allEnd = (some: ReadonlyArray<Run>) =>
          look(some).pipe(
            Effect.repeat({
              until: () => some.every(isEnded),
              schedule: Schedule.spaced("1 second")
            }),
            Effect.timeoutOption(`${patienceSeconds} seconds`)
          )

        let kills = 0
        yield* program.start
        const kill = Effect.sync(() => {
          program.signal("SIGKILL")
          kills = program.leads()
        }).pipe(Effect.andThen(program.ended), Effect.andThen(program.start), Effect.uninterruptible)
        const killing = yield* Effect.suspend(() => Effect.repeat(Effect.sleep("100 millis"), { until: () => program.leads() > kills }))
          .pipe(
            Effect.andThen(Effect.sleep(`${killEverySeconds} seconds`)),
            Effect.andThen(kill),
            Effect.forever,
            Effect.forkChild
          )
        const first = yield* start(half)
        yield* allEnd(first)
        yield* Fiber.interrupt(killing)

        yield* Effect.repeat(Effect.sleep("100 millis"), { until: () => program.leads() > kills })
        // From here on, the number of finished tasks that are kept no longer grows. Memory is measured whenever everything is at rest. Each
        // open connection keeps a request in memory, and is closed when it was idle for five seconds: that is waited for, and since others may
        // just be in use, what lives is the least of several.
        const noJobs = Effect.map(kubernetes.list(jobs, { namespace }), ({ items }) => items.length).pipe(
          Effect.repeat({ until: (count) => count === 0, schedule: Schedule.spaced("1 second") }),
          Effect.timeoutOption("60 seconds")
        )
        const memory: Array<{ readonly tasks: number; readonly resident: number; readonly live: number }> = []
        const leastLive = Effect.map(
          Effect.forEach([6, 2, 2], (seconds) => Effect.delay(program.liveMebibytes, `${seconds} seconds`)),
          (live) => Math.min(...live)
        )
        const wave = Effect.fnUntraced(function*(count: number) {
          const started = yield* start(count)
          yield* allEnd(started)
          yield* noJobs
          const live = yield* leastLive
          memory.push({ tasks: done(), resident: program.residentMebibytes(), live })
        })
        const waves = Array.from(
          { length: Math.ceil((tasks - half) / waveSize) },
          (_, at) => Math.min(waveSize, tasks - half - at * waveSize)
        )
        yield* Effect.forEach(waves, wave, { discard: true })
        const seconds = (Date.now() - began) / 1000
        yield* api.rules()
        yield* pool.rules()
        const leftJobs = yield* noJobs
        const written = (yield* Effect.forEach(workspaces, (name) =>
          Effect.map(me.as("GET", `${statesPath}${name}`), ({ json }) => appliesIn(json)))).flat()

        const creations = api.seen.filter((_) =>
          _.verb === "create" && _.resource === "jobs" && _.code === 201
        ).map(({ name }) => name)
        const isFaulty = ({ fault }: { readonly fault: string }) => fault !== "pass"
        const unary = ({ verb }: Asked) => verb !== "watch"
        const share = (seen: ReadonlyArray<Asked & { readonly fault: string }>) => seen.filter(isFaulty).length / seen.length
        const warm = memory.filter((at) => at.tasks - half >= warmUpTasks)
        const perThousand = (of: "resident" | "live") => slope(warm.map((at) => [at.tasks / 1000, at[of]]))
        const [resident, live] = [perThousand("resident"), perThousand("live")]
        /** Whether it came to the end that it was started for; one that applied has left that in the state. */
        const isWell = ({ applies, id }: Run) =>
          applies ? states.get(id) === "applied" && written.includes(id) : states.get(id) === "planned_and_finished"
        const rounded = (value: number) => Number(value.toFixed(2))
        const figures = {
          tasks: tasksOf(runs),
          applied: written.length,
          kills,
          requests: api.seen.length + pool.seen.length,
          faultyPerThousand: Math.round(1000 * share([...api.seen.filter(unary), ...pool.seen])),
          watchesCut: api.seen.filter((_) => _.verb === "watch" && isFaulty(_)).length,
          lost: runs.filter((run) => isEnded(run) && !isWell(run)).length,
          stuck: runs.filter((run) => !isEnded(run)).length,
          doubled: doubled(creations) + doubled(claims) + doubled(written),
          jobsLeft: leftJobs._tag === "Some" ? 0 : 1,
          residentMebibytes: Math.round(Math.max(...memory.map(({ resident }) => resident))),
          residentSlope: rounded(resident.slope),
          residentSlopeError: rounded(resident.error),
          liveMebibytes: Number(memory.at(-1)?.live.toFixed(1)),
          liveSlope: rounded(live.slope),
          liveSlopeError: rounded(live.error),
          seconds: Math.round(seconds)
        }
        console.log(JSON.stringify({ ...figures, trouble: trouble.slice(0, 20) }, null, 2))
        if (isFullSize) writeReport("soak", { command: "make faults", seed, figures })
        expect({ lost: figures.lost, stuck: figures.stuck, doubled: figures.doubled, jobsLeft: figures.jobsLeft }).toEqual({
          lost: 0,
          stuck: 0,
          doubled: 0,
          jobsLeft: 0
        })
        expect(figures.faultyPerThousand).toBeGreaterThan(30)
        // A small soak may be over before the controller has led for long enough to be killed.
        if (isFullSize) {
          expect({ killed: figures.kills > 0, watchesCut: figures.watchesCut > 0 }).toEqual({ killed: true, watchesCut: true })
        }
        yield* kubernetes.get(leases, { namespace, name: "agent-job-controller" }) // there is still a leader's lease
      }).pipe(Effect.scoped),
    1000 * (600 + 2 * patienceSeconds)
  )
})
