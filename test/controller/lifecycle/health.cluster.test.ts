// The metrics of a controller that has led, taken work of a pool, and seen tasks begin and end, on a real API server.
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { join } from "node:path"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { agentTasks } from "../../../src/kubernetes/kinds.ts"
import { WorkspaceName } from "../../../src/schema/names.ts"
import { missingIn, strangeIn } from "../../schema/api/shown-metrics.ts"
import { directory, serve } from "../../server/live-server.ts"
import {
  claim,
  createTask,
  finish,
  isPhase,
  runController,
  TaskCluster,
  Tasks,
  until,
  untilLaunched,
  untilStatus
} from "../task-cluster.ts"

layer(TaskCluster, { excludeTestServices: true, timeout: "5 minutes" })("the metrics of a controller", (it) => {
  it.effect("are each of its table, with its sentence, its type and its labels", () =>
    Effect.gen(function*() {
      const made = yield* directory
      const { healthPort } = yield* runController({
        values: { agent: { url: yield* serve(made), tokenExistingSecret: { name: "pool-token" } } },
        poolTokenFile: join(made, "pool.token")
      })
      yield* createTask("whole")
      yield* createTask("cancelled", { stage: "apply", workspace: WorkspaceName.make("other") })
      yield* untilLaunched("whole")
      yield* claim("whole")
      yield* finish("whole")
      yield* untilLaunched("cancelled")
      const { namespace } = yield* Tasks
      yield* (yield* Kubernetes).patch(agentTasks, { name: "cancelled", namespace }, [{ op: "add", path: "/spec/cancel", value: true }])
      yield* untilStatus("cancelled", isPhase("Cancelled"))
      const read = Effect.promise(async () => (await fetch(`http://127.0.0.1:${healthPort}/metrics`)).text())
      const missing = Effect.map(read, (text) => missingIn(text).filter((name) => !name.startsWith("agent_job_server_")))
      yield* until("a metrics page that lacks nothing", missing, (names) => names.length === 0)
      expect(strangeIn(yield* read)).toEqual([])
    }).pipe(Effect.scoped))
})
