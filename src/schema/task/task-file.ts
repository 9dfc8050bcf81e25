// An AgentTask as people write it in a file: no identity yet, which only the API server gives.
// The spec is closed, so that a typing error is named. The metadata is open, because it is Kubernetes' own.
// Used by cli/commands/render.
import { Result, Schema } from "effect"
import { type Mistake, parse } from "../document/explain.ts"
import { agentTaskResource, ObjectName, Uid } from "../names.ts"
import { type AgentTask, AgentTaskSpec } from "./agent-task.ts"

const Metadata = Schema.StructWithRest(Schema.Struct({ name: ObjectName, namespace: Schema.optionalKey(ObjectName) }), [
  Schema.Record(Schema.String, Schema.Json)
])

const TaskFile = Schema.Struct({
  apiVersion: Schema.Literal(agentTaskResource.apiVersion),
  kind: Schema.Literal(agentTaskResource.kind),
  metadata: Metadata,
  spec: AgentTaskSpec,
  status: Schema.optionalKey(Schema.Json)
})

const decode = parse(TaskFile)

/**
 * Returns a function that decodes a task as the API server would store it, with a placeholder for its identity. It fails with every
 * mistake.
 */
export const parseTaskFile = (namespace: string) => (input: unknown): Result.Result<AgentTask, ReadonlyArray<Mistake>> =>
  Result.map(decode(input), ({ metadata, spec }) => ({
    metadata: {
      name: metadata.name,
      namespace: metadata.namespace ?? namespace,
      uid: Uid.make("00000000-0000-0000-0000-000000000000"),
      resourceVersion: "0",
      generation: 1,
      creationTimestamp: "1970-01-01T00:00:00Z"
    },
    spec,
    status: {}
  }))
