// The controller between a pool and an API server that both lose requests or answers: each run has one task, one Job and one end.
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { agentTasks } from "../../src/kubernetes/kinds.ts"
import { claim, finish, runController, TaskCluster, until, untilLaunched, untilStatus } from "../controller/task-cluster.ts"
import { directory, person, serve } from "../server/live-server.ts"
import { faultyApi } from "./faulty-api.ts"
import { faultProxy } from "./proxy.ts"
import type { Fault } from "./rule.ts"

layer(TaskCluster, { excludeTestServices: true, timeout: "5 minutes" })("the controller and its pool", (it) => {
  it.effect.each<{ fault: Fault }>([{ fault: { does: "dropBefore" } }, { fault: { does: "dropAfter" } }])(
    "F3 I3 R2 lose no run and double none when $fault meets each kind of word between them, and each write of its task",
    ({ fault }) =>
      Effect.gen(function*() {
        const made = yield* directory
        const url = yield* serve(made)
        const pool = yield* faultProxy({ upstream: { url } })
        const api = yield* faultyApi()
        yield* pool.rules(...["/acquire", "/acknowledge", "/wait", "/result"].map((path) => ({ match: { path }, times: 2, fault })))
        yield* api.rules({ match: { verb: "create", resource: agentTasks.plural }, times: 2, fault }, {
          match: { verb: "create", resource: "secrets" },
          times: 2,
          fault
        })
        const values = { agent: { url: pool.url, tokenExistingSecret: { name: "pool-token" } } }
        yield* runController({ values, poolTokenFile: join(made, "pool.token") }).pipe(Effect.provide(api.found))
        const people = person(url)
        const runs = yield* Effect.forEach(Array.from({ length: 5 }, (_, at) => `${fault.does}-${at}`), (name) => people.start(name))
        yield* Effect.forEach(runs, (run) =>
          untilLaunched(`${run}-plan`).pipe(
            Effect.andThen(claim(`${run}-plan`)),
            Effect.andThen(finish(`${run}-plan`, { outcome: "failed", reason: "ExitCode", exitCode: 1 }))
          ), { concurrency: "unbounded" })
        yield* Effect.forEach(runs, (run) => untilStatus(`${run}-plan`, ({ reportedAt }) => reportedAt !== undefined), {
          concurrency: "unbounded"
        })
        for (const run of runs) {
          yield* until("the run's end", people.view(run), ({ status }) => status === "errored")
        }
        const met = pool.seen.filter((_) => _.fault === fault.does).map(({ path }) => path)
        for (const path of ["/acquire", "/acknowledge", "/result"]) expect(met.filter((_) => _.includes(path)), path).not.toEqual([])
        expect(api.spent()).toBe(true)
        const created = (resource: string) =>
          api.seen.filter((_) => _.verb === "create" && _.resource === resource && _.code === 201).map(({ name }) => name).sort()
        expect(created(agentTasks.plural)).toEqual(runs.map((run) => `${run}-plan`).sort())
        expect(created("jobs")).toEqual(runs.map((run) => `agent-job-${run}-plan`).sort())
      }).pipe(Effect.scoped)
  )
})
