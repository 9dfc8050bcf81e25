// What a killed engine had made gets into the state, from the kill to the next plan, which makes nothing twice.
// The engine, the worker and the server are real; the API server is in memory.
import { expect, it } from "@effect/vitest"
import { Effect, Fiber, Schema } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { specOf } from "../../../src/core/task/intake.ts"
import type { Assignment } from "../../../src/schema/api/pool-api.ts"
import { fakeKubernetes } from "../../worker/fake-kubernetes.ts"
import { tarGz } from "../../worker/fake-task-api.ts"
import { pod } from "../../worker/pod.ts"
import { agent, directory, person, serve } from "../live-server.ts"

const taskUid = "task-uid" // that of the task in fake-kubernetes.ts

const State = Schema.Struct({
  resources: Schema.Array(Schema.Struct({ instances: Schema.Array(Schema.Struct({ attributes: Schema.Struct({ id: Schema.String }) })) }))
})
const decodeState = Schema.decodeUnknownSync(State)
const idsIn = (state: unknown): ReadonlyArray<string> =>
  decodeState(state).resources.flatMap(({ instances }) => instances.map(({ attributes }) => attributes.id)).sort()

/** A configuration whose first two resources write their ids to the file `outside`, and whose last one takes `seconds`. */
const configuration = (outside: string, seconds: number) => `
resource "terraform_data" "made" {
  for_each = toset(["a", "b \\"c\\""])
  provisioner "local-exec" {
    command = "echo \${self.id} >>${outside}"
  }
}
resource "terraform_data" "last" {
  depends_on = [terraform_data.made]
  provisioner "local-exec" {
    command = "sleep ${seconds}"
  }
}
`

/** Starts the stage of an assignment in a Pod of its own. */
const stage = Effect.fnUntraced(function*(url: string, assignment: Assignment) {
  const here = yield* pod()
  const file = join(here.privateDirectory, "token")
  writeFileSync(file, assignment.taskToken)
  const kubernetes = fakeKubernetes({ ...specOf(assignment, url) })
  const running = yield* Effect.forkChild(here.run(kubernetes, { AGENT_JOB_TOKEN_FILE: file, AGENT_JOB_GRACE_SECONDS: "60" }))
  return { ...here, ended: Effect.as(Fiber.join(running), kubernetes).pipe(Effect.map((_) => _.task().status)) }
})

/** A server with a workspace, and what happens to it. */
const scene = Effect.gen(function*() {
  const url = yield* serve(yield* directory)
  const [me, ours] = [person(url), agent(url, "agent-1", taskUid)]
  const outside = join((yield* pod()).claim, "outside")
  const workspaceId = yield* me.workspace("demo")
  const started = (seconds: number, attributes: Record<string, unknown> = {}) =>
    Effect.gen(function*() {
      yield* me.upload(workspaceId, tarGz({ "main.tf": configuration(outside, seconds) }))
      return String((yield* me.run(workspaceId, attributes)).json.data.id)
    })
  /** Runs the next stage to its end, which must be a success. */
  const next = Effect.gen(function*() {
    const { ended, log } = yield* stage(url, yield* ours.take)
    const status = yield* ended
    expect(status.reason, log()).toBe("Completed")
  }).pipe(Effect.scoped)
  const approved = (id: string) =>
    Effect.gen(function*() {
      yield* next
      expect((yield* me.act(id, "apply")).status).toBe(202)
    })
  /** Kills the engine of an apply once it has made the first two resources; returns the ids of all that was ever made. */
  const killed = Effect.gen(function*() {
    const apply = yield* stage(url, yield* ours.take)
    yield* apply.logged("terraform_data.last: Provisioning")
    yield* apply.killEngine
    yield* apply.ended
    return readFileSync(outside, "utf8").trim().split("\n")
  })
  const startImport = me.as("POST", "/api/agent-job/v1/workspaces/demo/state/import")
  return { me, started, next, approved, killed, startImport, outside, state: "/api/state/v1/workspaces/demo" }
})

it.live("a killed apply is imported by a run of its own, and nothing is made a second time", () =>
  Effect.gen(function*() {
    const { approved, killed, me, next, outside, started, startImport, state } = yield* scene
    const run = yield* started(60)
    yield* approved(run)
    const made = yield* killed
    expect((yield* me.view(run)).stages.at(-1)?.effects).toMatchObject({ unsavedCount: 2, unknown: [{ address: "terraform_data.last" }] })

    const { addresses, runId } = (yield* startImport).json
    expect([...addresses].sort()).toEqual([`terraform_data.made["a"]`, `terraform_data.made["b \\"c\\""]`])
    yield* approved(runId)
    yield* next
    expect((yield* me.view(runId)).status).toBe("applied")
    expect(idsIn((yield* me.as("GET", state)).json)).toEqual([...made].sort())

    expect((yield* me.settle("demo")).status).toBe(200) // still open because of terraform_data.last, whose end nobody saw
    const again = yield* started(0)
    yield* approved(again)
    yield* next
    expect((yield* me.view(again)).changes).toEqual({ add: 1, change: 0, destroy: 0 })
    expect(readFileSync(outside, "utf8").trim().split("\n")).toEqual(made)
  }))

it.live("a killed replacement is imported once its old object is out of the state, and nothing is made a second time", () =>
  Effect.gen(function*() {
    const { approved, killed, me, next, started, startImport, state } = yield* scene
    yield* approved(yield* started(0))
    yield* next
    const all = [`terraform_data.made["a"]`, `terraform_data.made["b \\"c\\""]`, "terraform_data.last"]
    yield* approved(yield* started(60, { "replace-addrs": all }))
    const made = yield* killed
    expect(made).toHaveLength(4)
    expect(yield* startImport).toMatchObject({ status: 409, json: { error: "nothing-to-import" } })

    const stored = (yield* me.as("GET", state)).json
    yield* me.as("PUT", state, { ID: "mine" }) // as `tofu state rm` does
    yield* me.as("POST", `${state}?ID=mine`, { ...stored, serial: stored.serial + 1, resources: [] })
    yield* me.as("DELETE", state, { ID: "mine" })
    yield* approved((yield* startImport).json.runId)
    yield* next
    expect(idsIn((yield* me.as("GET", state)).json)).toEqual(made.slice(2).sort())
  }))
