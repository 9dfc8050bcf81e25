// The real controller is killed at every one of its writes, before and after it, and started again: the task ends as without a fault.
// A clean run counts the writes, so that new ones are covered without being listed here.
import { afterAll, expect, layer } from "@effect/vitest"
import { Cause, Effect, Equal, Exit, Fiber, Schedule } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { leaseName } from "../../src/core/scheduling/workspace-lease.ts"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import type { KubernetesError } from "../../src/kubernetes/errors.ts"
import { agentTasks, jobs, leases } from "../../src/kubernetes/kinds.ts"
import { WorkspaceName } from "../../src/schema/names.ts"
import {
  claim,
  createTask,
  finish,
  found,
  getTask,
  TaskCluster,
  Tasks,
  until,
  untilLaunched,
  untilStatus
} from "../controller/task-cluster.ts"
import { writeReport } from "../scorecard/report.ts"
import { directory, person, poolToken, serve } from "../server/live-server.ts"
import { controllerProgram } from "./controller-process.ts"
import { faultyApi } from "./faulty-api.ts"
import { faultProxy } from "./proxy.ts"
import type { Asked, Rule } from "./rule.ts"

/** A task's life, which is played under another name each time, and how it has to end. */
interface Script {
  readonly life: (name: string) => Effect.Effect<object, KubernetesError, Tasks | Kubernetes>
  readonly ends: object
}

const place = (name: string) => Effect.map(Tasks, ({ namespace }) => ({ name, namespace }))

const applied: Script = {
  life: Effect.fnUntraced(function*(name) {
    yield* createTask(name, { stage: "apply", workspace: WorkspaceName.make(name) })
    yield* untilLaunched(name)
    yield* claim(name)
    yield* finish(name)
    const { launches, phase, reason } = yield* untilStatus(name, (_) => _.phase === "Succeeded")
    const lease = yield* (yield* Kubernetes).get(leases, yield* place(leaseName(name)))
    return { launches, phase, reason, leaseTransitions: Object(lease["spec"]).leaseTransitions }
  }),
  ends: { launches: 1, phase: "Succeeded", reason: "Completed", leaseTransitions: 1 }
}

const cancelled: Script = {
  life: Effect.fnUntraced(function*(name) {
    const kubernetes = yield* Kubernetes
    const { metadata: { uid } } = yield* createTask(name)
    yield* untilLaunched(name)
    yield* untilStatus(name, (_) => _.phase === "Starting") // the controller writes this after three seconds
    yield* kubernetes.apply(agentTasks, { metadata: { ...yield* place(name), uid }, spec: { cancel: true } })
    const { phase, reason } = yield* untilStatus(name, (_) => _.phase === "Cancelled")
    const job = yield* place(`agent-job-${name}`)
    yield* until("the Job's end", found(kubernetes.get(jobs, job)), (there) => !there)
    return { phase, reason }
  }),
  ends: { phase: "Cancelled", reason: "Cancelled" }
}

const outcomes: Array<{ readonly name: string; readonly kills: number; readonly made: number; readonly end: unknown }> = []
let failures = 0
afterAll(() => {
  if (outcomes.length > 0) writeReport("crash-points", { command: "make faults", figures: { killed: outcomes.length, failed: failures } })
})

const writes = ["create", "update", "patch", "delete"]
/** Returns a filter for the controller's writes for a task. The renewals of its lead are left out, because they depend on time alone. */
const concerns = (name: string) => (asked: Asked): boolean => writes.includes(asked.verb) && `${asked.path} ${asked.name}`.includes(name)

layer(TaskCluster, { excludeTestServices: true, timeout: "5 minutes" })("a controller that is killed", (it) => {
  it.effect.each<{ what: string; script: Script }>([{ what: "applies", script: applied }, { what: "is cancelled", script: cancelled }])(
    "F9 at any of its writes, before or after it, leaves a task that $what with one Job and the same end",
    ({ script: { ends, life }, what }) =>
      Effect.gen(function*() {
        const api = yield* faultyApi()
        const program = yield* controllerProgram({ kubeconfig: api.kubeconfig })
        const base = what.replaceAll(" ", "-")
        const leads = until("the controller", Effect.sync(program.leads), (_) => _ > 0)
        yield* program.start
        yield* leads
        expect(yield* life(`${base}-clean`)).toEqual(ends)
        const clean = api.seen.filter(concerns(`${base}-clean`))
        expect(clean.length).toBeGreaterThan(1)
        for (let at = 0; at < clean.length; at++) {
          for (const does of ["dropBefore", "dropAfter"] as const) {
            const name = `${base}-${at}-${does === "dropBefore" ? "before" : "after"}`
            const { resource = "", subresource = "", verb = "other" } = clean[at] ?? {}
            const earlier = clean.slice(0, at).filter((_) =>
              _.verb === verb && _.resource === resource && _.subresource === subresource
            ).length
            const rule: Rule = { match: { verb, resource, subresource, path: `/${resource}` }, after: earlier, fault: { does } }
            let kills = 0
            api.onDrop = () => {
              kills++
              program.signal("SIGKILL")
            }
            if (!program.isRunning()) yield* program.start
            yield* leads
            yield* api.rules(rule)
            const again = yield* Effect.forkChild(
              Effect.repeat(Effect.suspend(() => program.isRunning() ? Effect.void : program.start), Schedule.spaced("100 millis"))
            )
            const end = yield* Effect.exit(life(name))
            yield* Fiber.interrupt(again)
            const made = api.seen.filter((_) =>
              _.verb === "create" && _.resource === "jobs" && _.name === `agent-job-${name}` && _.code === 201
            ).length
            outcomes.push({ name, kills, made, end: Exit.isSuccess(end) ? end.value : Cause.pretty(end.cause) })
          }
        }
        const failed = outcomes.filter(({ name }) => name.startsWith(base)).filter(({ end, kills, made }) =>
          kills !== 1 || made !== 1 || !Equal.equals(end, ends)
        )
        failures += failed.length
        expect(failed).toEqual([])
      }).pipe(Effect.scoped)
  )

  it.effect(
    "I3 F9 in a burst of 200 assignments loses none that it acknowledged, and makes one task of each",
    () =>
      Effect.gen(function*() {
        const made = yield* directory
        expect(readFileSync(join(made, "pool.token"), "utf8")).toBe(poolToken)
        const url = yield* serve(made)
        const pool = yield* faultProxy({ upstream: { url } })
        const api = yield* faultyApi()
        const values = {
          agent: { url: pool.url, tokenExistingSecret: { name: "pool-token" } },
          task: { nodeSelector: { "test/nowhere": "true" }, limits: { total: 200 } }
        }
        const program = yield* controllerProgram({ kubeconfig: api.kubeconfig, values, poolTokenFile: join(made, "pool.token") })
        const runs = yield* Effect.forEach(
          Array.from({ length: 200 }, (_, at) => `burst-${at}`),
          (name) => person(url).start(name, { "plan-only": true }),
          { concurrency: 8 }
        )
        const acknowledged = () =>
          pool.seen.flatMap(({ code, path }) =>
            /assignments\/([^/]+)\/acknowledge/u.exec(path)?.[1] !== undefined && code === 204
              ? [decodeURIComponent(/assignments\/([^/]+)/u.exec(path)?.[1] ?? "")]
              : []
          )
        for (const count of [1, 20, 60, 120, 170]) {
          yield* program.start
          yield* until(`${count} acknowledgements`, Effect.sync(acknowledged), (_) => new Set(_).size >= count)
          program.signal("SIGKILL")
          yield* program.ended
          const known = [...new Set(acknowledged())]
          yield* Effect.forEach(known, (id) => getTask(id.replace(/\.1$/u, "").replaceAll(".", "-")), { concurrency: 16 })
        }
        yield* program.start
        const { namespace } = yield* Tasks
        const tasks = Effect.flatMap(Kubernetes, (_) => _.list(agentTasks, { namespace })).pipe(
          Effect.map(({ items }) => items.map(({ metadata }) => metadata.name).filter((_) => _.startsWith("run-")))
        )
        const all = yield* until("all of them", tasks, ({ length }) => length >= 200) // a controller that was killed may not know that its acknowledgement arrived
        expect([...all].sort()).toEqual(runs.map((run) => `${run}-plan`).sort())
        yield* until(
          "all their Jobs",
          Effect.flatMap(Kubernetes, (_) => _.list(jobs, { namespace })),
          ({ items }) => items.filter(({ metadata }) => metadata.name.includes("-run-")).length === 200
        )
        const creations = api.seen.filter((_) => _.verb === "create" && _.resource === "jobs" && _.code === 201 && _.name.includes("-run-"))
        expect(new Set(creations.map(({ name }) => name)).size).toBe(creations.length)
      }).pipe(Effect.scoped)
  )
})
