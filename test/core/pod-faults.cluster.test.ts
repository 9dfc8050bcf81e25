// What is told of values before is what a real API server says of the Job, and no more than that.
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { job } from "../../src/core/manifest/job.ts"
import { Kubernetes } from "../../src/kubernetes/client.ts"
import { jobs } from "../../src/kubernetes/kinds.ts"
import { TaskCluster, Tasks } from "../controller/task-cluster.ts"
import { configOf, taskOf } from "./configs.ts"
import { cases } from "./pod-faults.ts"

layer(TaskCluster, { excludeTestServices: true, timeout: "60 seconds" })("a Job", (it) => {
  /** Suspended, so that none of it runs. */
  const create = Effect.fnUntraced(function*(values: object, name: string) {
    const { namespace } = yield* Tasks
    const { metadata, spec } = job(taskOf({}, { name, namespace }), configOf(values), 0)
    const { ownerReferences: _, ...rest } = metadata ?? {}
    return yield* (yield* Kubernetes).create(jobs, { metadata: { ...rest, name: metadata?.name ?? name, namespace }, spec: { ...spec, suspend: true } })
  })

  it.effect.each(cases.map((_, index) => ({ ..._, index })))("is refused for $given", ({ index, late, right, wrong }) =>
    Effect.gen(function*() {
      yield* create(right, `right-${index}`)
      if (late !== true) expect((yield* Effect.flip(create(wrong, `wrong-${index}`)))._tag).toBe("Invalid")
    }))
})
