// What a stage does between its claim and its result when no engine runs: a plan is stored; an apply takes it and writes a state, once.
// Invariant: the state of a workspace names each apply that wrote it, as a resource, so that one that is lost or doubled is seen.
// Used by pod-hands, through the worker's own requests; the soak reads the states with `appliesIn`.
import { Effect, Option, Schema } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import type { AgentTask } from "../../src/schema/task/agent-task.ts"
import type { StageResult } from "../../src/schema/task/stage-result.ts"
import { sha256, TaskApi } from "../../src/worker/network/task-api.ts"
import { state } from "../server/live-server.ts"

const State = Schema.Struct({
  serial: Schema.Int,
  lineage: Schema.String,
  resources: Schema.Array(Schema.Struct({ mode: Schema.String, type: Schema.String, name: Schema.String }))
})
const decodeState = Schema.decodeUnknownSync(State)

/** Returns the ids of the runs whose applies wrote the state, once for each of these; none if there is no state. */
export const appliesIn = (state: unknown): ReadonlyArray<string> =>
  Option.match(Schema.decodeUnknownOption(State)(state), {
    onNone: () => [],
    onSome: ({ resources }) => resources.map(({ name }) => name)
  })

const plan = Effect.fnUntraced(function*(name: string, file: string) {
  writeFileSync(file, `the plan of ${name}`)
  const planDigest = sha256(readFileSync(file))
  yield* (yield* TaskApi).storePlan(file, planDigest)
  return { hasChanges: true, planDigest }
})

const apply = Effect.fnUntraced(function*({ metadata: { name }, spec }: AgentTask, file: string) {
  const taskApi = yield* TaskApi
  const { patiently } = taskApi
  const info = { ID: name, Operation: "OperationTypeApply", Who: name }
  yield* taskApi.download("plan", file, spec.plan?.sha256 ?? "")
  const lock = yield* patiently(taskApi.lockState(info))
  const before = Option.match(yield* patiently(taskApi.state), {
    onNone: () => ({ serial: 0, lineage: spec.workspace, resources: [] }),
    onSome: (bytes) => decodeState(JSON.parse(new TextDecoder().decode(bytes)))
  })
  const resources = [...before.resources, { mode: "managed", type: "run", name: spec.pool?.runId ?? name }]
  const bytes = new TextEncoder().encode(JSON.stringify(state(before.serial + 1, before.lineage, { resources })))
  const stateDigest = sha256(bytes)
  yield* patiently(taskApi.pushState(bytes, stateDigest, lock))
  yield* patiently(taskApi.unlockState(info))
  return { statePushed: true, stateDigest }
})

/** Plays the stage of a task that is claimed; `file` is where its plan is put. Returns the result, which is a success. */
export const playStage = Effect.fnUntraced(function*(task: AgentTask, file: string) {
  const facts = task.spec.stage === "plan" ? yield* plan(task.metadata.name, file) : yield* apply(task, file)
  const result: StageResult = {
    outcome: "succeeded",
    reason: "Completed",
    message: "Done.",
    exitCode: 0,
    ...facts,
    finishedAt: new Date().toISOString()
  }
  return result
})
