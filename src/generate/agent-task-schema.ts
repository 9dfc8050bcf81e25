// An AgentTask as JSON Schema, for editors and for programs that write tasks. An unknown key is an error here: an API server may drop it.
// Called by generate/reference.
import { Record } from "effect"
import { agentTaskOpenApi } from "../core/manifest/installation/crd.ts"
import { agentTaskResource, schemaId } from "../schema/names.ts"
import type { Structural } from "../schema/task/structural.ts"
import { type GeneratedFile, jsonFile } from "./files/file.ts"

/** Returns the schema with every object closed that names its keys. */
const closed = (schema: Structural): object => {
  const { additionalProperties, items, properties } = schema
  return {
    ...schema,
    ...(properties !== undefined && { properties: Record.map(properties, closed), additionalProperties: false }),
    ...(items !== undefined && { items: closed(items) }),
    ...(additionalProperties !== undefined && { additionalProperties: closed(additionalProperties) })
  }
}

export const agentTaskFile = (): GeneratedFile => {
  const schema = agentTaskOpenApi()
  const { properties = {} } = schema
  const { apiVersion, kind } = agentTaskResource
  return jsonFile("schemas/agent-task.schema.json", {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    $id: schemaId("agent-task"),
    ...schema,
    properties: { ...properties, apiVersion: { const: apiVersion }, kind: { const: kind }, spec: closed(properties.spec ?? {}) }
  })
}
