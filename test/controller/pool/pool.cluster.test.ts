// The controller between a real server and a real API server: runs become tasks, their ends are reported, and nothing is lost on the way.
import { expect, layer } from "@effect/vitest"
import { Effect, Option, Scope } from "effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { agentTasks, secrets } from "../../../src/kubernetes/kinds.ts"
import { poolId } from "../../../src/schema/api/pools.ts"
import { taskPath } from "../../../src/schema/api/task-api.ts"
import { tfePath } from "../../../src/schema/api/tfe-api.ts"
import { Sha256 } from "../../../src/schema/names.ts"
import { directory, person, poolToken, serve, sha256, succeeded, withChanges, worker } from "../../server/live-server.ts"
import {
  claim,
  claimWithoutPod,
  createTask,
  finish,
  found,
  getTask,
  onceThere,
  runController,
  TaskCluster,
  Tasks,
  until,
  untilLaunched,
  untilStatus
} from "../task-cluster.ts"

const planDigest = Sha256.make(sha256("the plan"))

const serverWith = Effect.fnUntraced(function*(poolTokens: string) {
  const made = yield* directory
  writeFileSync(join(made, "pool.token"), poolTokens)
  const url = yield* serve(made)
  const values = { agent: { url, tokenExistingSecret: { name: "pool-token" } } }
  return { url, made, people: person(url), controller: runController({ values, poolTokenFile: join(made, "pool.token") }) }
})
const withServer = serverWith(poolToken)

const taskToken = Effect.fnUntraced(function*(task: string) {
  const { namespace } = yield* Tasks
  const read = (yield* Kubernetes).get(secrets, { name: `${task}-token`, namespace })
  const { data } = yield* until(`the token of ${task}`, onceThere(read), () => true) // the Job of a task may come before it
  const { token } = Object(data)
  return Buffer.from(String(token), "base64").toString()
})

layer(TaskCluster, { excludeTestServices: true, timeout: "5 minutes" })("the controller and a pool", (it) => {
  it.effect("makes a task with its token for each stage, and applies the plan that was approved", () =>
    Effect.gen(function*() {
      const { controller, people, url } = yield* withServer
      yield* controller
      const run = yield* people.start("whole")
      yield* untilLaunched(`${run}-plan`)
      const token = yield* taskToken(`${run}-plan`)
      const planner = worker(url, { taskToken: token }, (yield* getTask(`${run}-plan`)).metadata.uid)
      yield* planner.savePlan("the plan")
      yield* planner.result(succeeded({ ...withChanges, planDigest }))
      yield* until("the plan", people.view(run), ({ status }) => status === "planned")
      yield* people.act(run, "apply")
      yield* untilLaunched(`${run}-apply`)
      const { spec } = yield* getTask(`${run}-apply`)
      expect(spec).toMatchObject({ stage: "apply", plan: { sha256: planDigest }, pool: { runId: run, url } })
      expect(JSON.stringify(spec)).not.toContain(yield* taskToken(`${run}-apply`))
    }).pipe(Effect.scoped))

  it.effect("reports for a worker that could not, and tells the run why it waits before that", () =>
    Effect.gen(function*() {
      const { controller, people } = yield* withServer
      yield* controller
      const run = yield* people.start("lost")
      yield* untilLaunched(`${run}-plan`)
      yield* until("the word on its wait", people.view(run), (view) => JSON.stringify(view).includes("JobCreated"))
      yield* claimWithoutPod(`${run}-plan`) // the claim's Pod does not exist, so the task is lost at once
      expect(yield* untilStatus(`${run}-plan`, ({ reportedAt }) => reportedAt !== undefined)).toMatchObject({
        phase: "Failed",
        reason: "NodeLost"
      })
      expect(yield* people.view(run)).toMatchObject({ status: "pending", stages: [{ attempt: 1, reason: "NodeLost" }, { attempt: 2 }] })
      yield* untilLaunched(`${run}-plan-2`) // because a lost plan is planned again
    }).pipe(Effect.scoped))

  it.effect("cancels the task of a cancelled run, and the run of a deleted task", () =>
    Effect.gen(function*() {
      const { controller, people } = yield* withServer
      const { namespace } = yield* Tasks
      const kubernetes = yield* Kubernetes
      yield* controller
      const run = yield* people.start("cancelled")
      yield* untilLaunched(`${run}-plan`)
      yield* people.act(run, "cancel")
      yield* untilStatus(`${run}-plan`, ({ phase }) => phase === "Cancelled")
      yield* until("the run's end", people.view(run), ({ status }) => status === "canceled")
      const other = yield* people.start("deleted")
      yield* untilLaunched(`${other}-plan`)
      yield* kubernetes.delete(agentTasks, { name: `${other}-plan`, namespace })
      yield* until("the other run's end", people.view(other), ({ status }) => status === "canceled")
      yield* until("the object's end", found(kubernetes.get(agentTasks, { name: `${other}-plan`, namespace })), (there) => !there)
    }).pipe(Effect.scoped))

  it.effect("never adopts, cancels or gives its token to a stranger's task of the same name, and says so to the run", () =>
    Effect.gen(function*() {
      const { controller, people } = yield* withServer
      const { namespace } = yield* Tasks
      const run = yield* people.start("squatted")
      const before = yield* createTask(`${run}-plan`, { cancel: false })
      yield* controller
      yield* until("the run's end", people.view(run), ({ status }) => status === "errored")
      expect(JSON.stringify(yield* people.view(run))).toContain(`AgentTask ${run}-plan is there already`)
      expect(yield* found((yield* Kubernetes).get(secrets, { name: `${run}-plan-token`, namespace }))).toBe(false)
      expect((yield* getTask(`${run}-plan`)).spec).toEqual(before.spec)
    }).pipe(Effect.scoped))

  it.effect("never takes a stranger's Secret of the derived name for a token, nor changes it, and says so to the run", () =>
    Effect.gen(function*() {
      const { controller, people } = yield* withServer
      const { namespace } = yield* Tasks
      const kubernetes = yield* Kubernetes
      const run = yield* people.start("secretive")
      const place = { name: `${run}-plan-token`, namespace }
      const { data } = yield* kubernetes.create(secrets, { metadata: place, type: "Opaque", data: { other: "eA==" } })
      yield* controller
      yield* until("the run's end", people.view(run), ({ status }) => status === "errored")
      expect(JSON.stringify(yield* people.view(run))).toContain(`Secret ${place.name} is there already and not of its task`)
      expect((yield* kubernetes.get(secrets, place))["data"]).toEqual(data)
      yield* untilStatus(`${run}-plan`, ({ phase }) => phase === "Cancelled")
    }).pipe(Effect.scoped))

  it.effect("works for the pool that its token names alone, and ends there what it has begun when the workspace moves", () =>
    Effect.gen(function*() {
      const { controller, people, url } = yield* serverWith(`${poolToken} dev\nprod-token-0123456789 prod\n`)
      const { namespace } = yield* Tasks
      const kubernetes = yield* Kubernetes
      yield* controller
      const path = tfePath.workspaceById(yield* people.workspace("moved"))
      const bind = (pool: string) => people.as("PATCH", path, { data: { attributes: { "agent-pool-id": poolId(pool) } } })
      const untilProdIsMissed = (run: string) =>
        until("the word on its wait", people.view(run), ({ queue }) => queue?.message.startsWith("No agent of the pool prod") === true)
      yield* bind("prod")
      const run = yield* people.start("moved")
      yield* untilProdIsMissed(run)
      yield* bind("dev")
      yield* untilLaunched(`${run}-plan`)
      yield* until("the acknowledgement", people.view(run), ({ status }) => status === "planning") // until then the plan has not begun
      yield* bind("prod")
      const planner = worker(url, { taskToken: yield* taskToken(`${run}-plan`) }, (yield* getTask(`${run}-plan`)).metadata.uid)
      yield* planner.savePlan("the plan")
      yield* planner.result(succeeded({ ...withChanges, planDigest }))
      yield* until("the plan", people.view(run), ({ status }) => status === "planned")
      yield* people.act(run, "apply")
      yield* untilProdIsMissed(run)
      expect(yield* found(kubernetes.get(agentTasks, { name: `${run}-apply`, namespace }))).toBe(false)
    }).pipe(Effect.scoped))

  it.effect("loses no run when it stops between any two steps: what was not acknowledged comes again and finds its task", () =>
    Effect.gen(function*() {
      const { controller, people, url } = yield* withServer
      const [over, next] = [yield* people.start("restart"), yield* people.start("restart")]
      yield* Effect.scoped(controller.pipe(
        Effect.andThen(untilLaunched(`${over}-plan`)),
        Effect.andThen(claim(`${over}-plan`)),
        Effect.andThen(finish(`${over}-plan`, { outcome: "failed", reason: "ExitCode", exitCode: 1 }))
      ))
      const runs: Array<string> = [next] // offered once the end of the one before is known, which the controllers from here on find
      for (let round = 0; round < 20; round++) {
        const life = yield* Scope.make()
        yield* Scope.provide(controller, life)
        runs.push(yield* people.start(`restart-${round}`))
        yield* Scope.close(life, yield* Effect.exit(Effect.void)) // ends the controller at once, wherever it is
      }
      yield* controller
      for (const run of runs) {
        yield* untilLaunched(`${run}-plan`)
        const { metadata: { uid } } = yield* getTask(`${run}-plan`)
        const asked = Effect.flatMap(
          taskToken(`${run}-plan`),
          (token) => worker(url, { taskToken: token }, uid).as("GET", taskPath.assignment)
        )
        yield* until("the token that was offered last", Effect.option(asked), Option.exists(({ status }) => status === 200))
      }
    }).pipe(Effect.scoped))
})
