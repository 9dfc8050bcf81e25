// Where isolation has to be proven, no task starts before the proof, and a proof counts only for the values that it was made for.
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { keepProof } from "../../src/cli/doctor/doctor-network.ts"
import { configOf } from "../core/configs.ts"
import { createTask, getTask, jobNames, runController, TaskCluster, Tasks, until, untilLaunched, untilStatus } from "./task-cluster.ts"

const waits = {
  phase: "Queued",
  reason: "IsolationUnproven",
  message: expect.stringMatching(/; run: agent-job doctor --name agent-job --namespace \S+$/u)
}

/** Limits so high that no task waits for one of them. */
const roomy = { total: 1000, perWorkspace: 1000 }

/** Creates tasks until one waits for a proof, and returns its name: the controller may take a moment to notice what changed. */
const untilHeldBack = (prefix: string) => {
  let made = 0
  const next = Effect.gen(function*() {
    const name = `${prefix}-${made++}`
    yield* createTask(name)
    const [{ status }] = yield* until(
      `what becomes of ${name}`,
      Effect.all([getTask(name), jobNames]),
      ([task, names]) => task.status.phase !== undefined || names.includes(`agent-job-${name}`)
    )
    return { name, status }
  })
  return Effect.map(until("a task that waits for a proof", next, ({ status }) => status.reason === waits.reason), ({ name }) => name)
}

layer(TaskCluster, { excludeTestServices: true, timeout: "5 minutes" })("a controller that wants isolation proven", (it) => {
  it.effect(
    "starts nothing before the proof, what waits after it, and nothing once other values make another one necessary",
    () =>
      Effect.gen(function*() {
        const { namespace } = yield* Tasks
        const config = (task: object = {}) => configOf({ restrictMetadataService: true, task: { limits: roomy, ...task } }, { namespace })
        const { change } = yield* runController({
          values: { restrictMetadataService: true },
          task: { requireProvenIsolation: true, limits: roomy }
        })
        yield* createTask("before")
        expect(yield* untilStatus("before", ({ phase }) => phase === "Queued")).toMatchObject(waits)
        expect(yield* jobNames).toEqual([])
        yield* keepProof(config(), true)
        yield* untilLaunched("before")
        yield* keepProof(config(), false)
        const between = yield* untilHeldBack("between")
        yield* keepProof(config(), true)
        yield* untilLaunched(between)
        yield* change({ requireProvenIsolation: true, networkPolicy: { denyPods: true } })
        const after = yield* untilHeldBack("after")
        yield* keepProof(config({ networkPolicy: { denyPods: true } }), true)
        yield* untilLaunched(after)
      }).pipe(Effect.scoped)
  )
})
