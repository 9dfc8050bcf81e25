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

it.live("a killed apply is imported by a run of its own, and nothing is made a second time", () =>
  Effect.gen(function*() {
    const url = yield* serve(yield* directory)
    const [me, ours] = [person(url), agent(url, "agent-1", taskUid)]
    const outside = join((yield* pod()).claim, "outside")
    const workspaceId = yield* me.workspace("demo")
    const started = (seconds: number) =>
      Effect.gen(function*() {
        yield* me.upload(workspaceId, tarGz({ "main.tf": configuration(outside, seconds) }))
        return String((yield* me.run(workspaceId)).json.data.id)
      })
    /** Runs the next stage to its end, which must be a success. */
    const next = Effect.scoped(Effect.gen(function*() {
      const { ended, log } = yield* stage(url, yield* ours.take)
      const status = yield* ended
      expect(status.reason, log()).toBe("Completed")
    }))
    const approved = (id: string) =>
      Effect.gen(function*() {
        yield* next
        expect((yield* me.act(id, "apply")).status).toBe(202)
      })

    const run = yield* started(60)
    yield* approved(run)
    const apply = yield* stage(url, yield* ours.take)
    yield* apply.logged("terraform_data.last: Provisioning")
    yield* apply.killEngine
    yield* apply.ended
    const made = readFileSync(outside, "utf8").trim().split("\n")
    expect((yield* me.view(run)).stages.at(-1)?.effects).toMatchObject({ unsavedCount: 2, unknown: [{ address: "terraform_data.last" }] })

    const { addresses, runId } = (yield* me.as("POST", "/api/agent-job/v1/workspaces/demo/state/import")).json
    expect([...addresses].sort()).toEqual([`terraform_data.made["a"]`, `terraform_data.made["b \\"c\\""]`])
    yield* approved(runId)
    yield* next
    expect((yield* me.view(runId)).status).toBe("applied")
    const state = decodeState((yield* me.as("GET", "/api/state/v1/workspaces/demo")).json)
    expect(state.resources.flatMap(({ instances }) => instances.map(({ attributes }) => attributes.id)).sort()).toEqual([...made].sort())

    expect((yield* me.settle("demo")).status).toBe(200) // still open because of terraform_data.last, whose end nobody saw
    const again = yield* started(0)
    yield* approved(again)
    yield* next
    expect((yield* me.view(again)).changes).toEqual({ add: 1, change: 0, destroy: 0 })
    expect(readFileSync(outside, "utf8").trim().split("\n")).toEqual(made)
  }))
