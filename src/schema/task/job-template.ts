// What a task may change in its own Job, and add to it: an allow-list, which typed code merges.
// Used by schema/task/agent-task.ts; merged by core/manifest/pod.ts and core/manifest/containers.ts.
import { Schema } from "effect"
import { ObjectName } from "../names.ts"
import { text } from "../text.ts"
import { longestMarkKey, textMap } from "./text-map.ts"

const quantities = Schema.optionalKey(
  textMap({ count: 8, key: longestMarkKey, value: 32 }).annotate({
    description: "In place of those of the values; a resource with a prefix must be among their task.allowedKeys."
  })
)
const marks = (description: string) =>
  Schema.optionalKey(textMap({ count: 32, key: longestMarkKey, value: 1024 }).annotate({ description }))

/** What a task may change in its own Job, and add to it: an allow-list, which typed code merges. */
export const JobTemplate = Schema.Struct({
  runner: Schema.optionalKey(
    Schema.Struct({
      image: Schema.optionalKey(text(512).annotate({ description: "In place of that of the values; it needs /bin/sh and the engine." })),
      resources: Schema.optionalKey(
        Schema.Struct({ limits: quantities, requests: quantities }).annotate({
          description: "What it asks of a node, and the most that it may use."
        })
      )
    }).annotate({ description: "The container that runs the engine." })
  ),
  nodeSelector: marks("Beside that of the values, which wins."),
  annotations: marks("Of the Pod, beside those of the values, which win; a key with a prefix must be among their task.allowedKeys."),
  labels: marks("Of Job and Pod, beside those of the values, which win; a key with a prefix must be among their task.allowedKeys."),
  volumeClaims: Schema.optionalKey(
    Schema.Array(
      Schema.Struct({
        claimName: ObjectName.annotate({ description: "In the namespace of the task." }),
        mountPath: text(512).check(Schema.isPattern(/^\/[^:]*$/u, { expected: "an absolute path" })).annotate({
          description: "Where the runner has it, as an absolute path."
        })
      })
    )
      .check(Schema.isMaxLength(4)).annotate({
        description: "PersistentVolumeClaims mounted in the runner, for example to hold a local state."
      })
  )
})
export type JobTemplate = typeof JobTemplate.Type
