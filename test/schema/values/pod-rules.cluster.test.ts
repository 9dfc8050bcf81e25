// What we report of values in advance is what a real API server says of the Job, and no more than that.
import { expect, layer } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { job } from "../../../src/core/manifest/job.ts"
import { resolve } from "../../../src/core/resolve/resolve.ts"
import { Kubernetes } from "../../../src/kubernetes/client.ts"
import { jobs } from "../../../src/kubernetes/kinds.ts"
import { merge, type Tree } from "../../../src/schema/document/layers.ts"
import { Sections } from "../../../src/schema/values/value-sections.ts"
import { defaultValues } from "../../../src/schema/values/values.ts"
import { TaskCluster, Tasks } from "../../controller/task-cluster.ts"
import { taskOf } from "../../core/configs.ts"
import { cases } from "./pod-rules.ts"

layer(TaskCluster, { excludeTestServices: true, timeout: "5 minutes" })("a Job", (it) => {
  /** Creates the Job of these values, suspended so that none of it runs. */
  const create = Effect.fnUntraced(function*(file: object, name: string) {
    const { namespace } = yield* Tasks
    const values = Schema.decodeUnknownSync(Sections)(merge(defaultValues, file as Tree)) // checks each key only by itself
    const config = resolve(values, { name: "agent-job", namespace })
    const { metadata, spec } = job(taskOf({}, { name, namespace }), config, 0)
    const { ownerReferences: _, ...rest } = metadata ?? {}
    return yield* (yield* Kubernetes).create(jobs, {
      metadata: { ...rest, name: metadata?.name ?? name, namespace },
      spec: { ...spec, suspend: true }
    })
  })

  it.effect.each(cases.map((_, index) => ({ ..._, index })))(
    "is refused for $given",
    ({ alone, index, late, right, wrong }) =>
      Effect.gen(function*() {
        yield* create(right, `right-${index}`)
        if (late !== true && alone !== true) expect((yield* Effect.flip(create(wrong, `wrong-${index}`)))._tag).toBe("Invalid")
      })
  )
})
