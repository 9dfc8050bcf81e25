import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { taskHeader, taskPath } from "../../src/schema/api/task-api.ts"
import {
  agent,
  archiveOf,
  ask,
  directory,
  person,
  type Resource,
  serve,
  sha256,
  succeeded,
  taskUid,
  withChanges,
  worker
} from "./live-server.ts"

const state = {
  version: 4,
  serial: 1,
  lineage: "l-1",
  outputs: { m: { value: 1, type: "number" }, secret: { value: "hidden", type: "string", sensitive: true } },
  resources: []
}

it.live("a run is planned, confirmed and applied, and its state and outputs are there", () =>
  Effect.gen(function*() {
    const url = yield* serve(yield* directory)
    const me = person(url)
    const archive = archiveOf({ "main.tf": "output \"m\" { value = 1 }" })
    const workspaceId = yield* me.workspace("demo", { "working-directory": "live" })
    yield* me.as("POST", `/api/v2/workspaces/${workspaceId}/vars`, {
      data: { attributes: { key: "region", value: "eu", category: "terraform" } }
    })
    yield* me.as("POST", `/api/v2/workspaces/${workspaceId}/vars`, {
      data: { attributes: { key: "token", value: "s3cret", sensitive: true, category: "env" } }
    })
    const version = yield* me.upload(workspaceId, archive)
    expect(version.status).toBe(204)
    const created = yield* me.run(
      workspaceId,
      { variables: [{ key: "who", value: "\"me\"", declared: true }], "target-addrs": ["a.b"] },
      version.id
    )
    expect(created.status).toBe(201)
    const id: string = created.json.data.id
    expect(id).toMatch(/^run-[a-z0-9]+$/u)
    expect(yield* me.view(id)).toMatchObject({ status: "pending", workspace: "demo", queue: { position: 1 } })

    const plan = yield* agent(url).take
    expect(plan).toMatchObject({
      id: `${id}.plan.1`,
      runId: id,
      stage: "plan",
      attempt: 1,
      workingDirectory: "live",
      archiveSha256: sha256(archive),
      options: { targets: ["a.b"] }
    })
    expect((yield* me.view(id)).status).toBe("planning")
    const planner = worker(url, plan)
    const details = yield* planner.as("GET", taskPath.assignment)
    expect(details.json.variables).toEqual([
      { name: "region", value: "eu", category: "terraform", hcl: false, sensitive: false },
      { name: "token", value: "s3cret", category: "env", hcl: false, sensitive: true },
      { name: "who", value: "\"me\"", category: "terraform", hcl: true, declared: true }
    ])
    const fetched = yield* Effect.promise(async () =>
      new Uint8Array(
        await (await fetch(url + taskPath.archive, {
          headers: { authorization: `Bearer ${plan.taskToken}`, [taskHeader.taskUid]: taskUid }
        })).arrayBuffer()
      )
    )
    expect(sha256(fetched)).toBe(sha256(archive))
    expect((yield* planner.log(0, "Plan: 1 to add\n")).json).toEqual({ offset: 15 })
    expect((yield* planner.savePlan("the plan")).status).toBe(204)
    expect((yield* planner.result(succeeded(withChanges))).status).toBe(204)

    const planned = yield* me.as("GET", `/api/v2/runs/${id}`)
    expect(planned.json.data.attributes).toMatchObject({
      status: "planned",
      "has-changes": true,
      actions: { "is-confirmable": true, "is-discardable": true, "is-cancelable": false }
    })
    const planDocument = (yield* me.as("GET", `/api/v2/plans/${planned.json.data.relationships.plan.data.id}`)).json.data
    expect(planDocument).toMatchObject({
      type: "plans",
      attributes: { "resource-additions": 1, "resource-imports": 0 }
    })
    expect((yield* ask(`${planDocument.attributes["log-read-url"]}?limit=65536&offset=0`, undefined)).text).toBe("\x02Plan: 1 to add\n\x03")

    expect((yield* me.act(id, "apply")).status).toBe(202)
    const apply = yield* agent(url).take
    expect(apply).toMatchObject({ id: `${id}.apply.1`, stage: "apply", planSha256: sha256("the plan") })
    const applier = worker(url, apply)
    expect((yield* applier.as("GET", taskPath.plan)).text).toBe("the plan")
    const { epoch } = (yield* applier.lock("lock-1")).json
    expect((yield* applier.pushState(state, "lock-1", epoch)).status).toBe(204)
    expect((yield* applier.unlock("lock-1")).status).toBe(200)
    yield* applier.log(0, "Apply complete!\n")
    expect((yield* applier.result(succeeded({ statePushed: true }))).status).toBe(204)

    expect(yield* me.view(id)).toMatchObject({ status: "applied", final: true, stages: [{ status: "finished" }, { status: "finished" }] })
    const applyLog =
      (yield* me.as("GET", `/api/v2/applies/${planned.json.data.relationships.apply.data.id}`)).json.data.attributes["log-read-url"]
    const lines = (yield* ask(applyLog, undefined)).text.split("\n")
    expect([lines[0]?.startsWith("\x02"), lines.slice(3)]).toEqual([true, ["Apply complete!", "\x03"]])
    const outputs = (yield* me.as("GET", `/api/v2/workspaces/${workspaceId}/current-state-version-outputs`)).json.data
    expect(outputs.map((_: Resource) => [_.attributes.name, _.attributes.value, _.attributes.sensitive])).toEqual([
      ["m", 1, false],
      ["secret", null, true]
    ])
    expect((yield* me.as("GET", `/api/v2/state-version-outputs/${outputs[1].id}`)).json.data.attributes.value).toBe("hidden")
    const version4 = (yield* me.as("GET", `/api/v2/workspaces/${workspaceId}/current-state-version`)).json.data
    expect((yield* me.as("GET", version4.attributes["hosted-state-download-url"])).json).toEqual(state)
  }).pipe(Effect.scoped))
