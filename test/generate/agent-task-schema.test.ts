// The JSON Schema of AgentTasks, asked by a validator: it takes what the samples have, and nothing that an API server would drop or refuse.
import { describe, expect, it } from "@effect/vitest"
import { Ajv2020 } from "ajv/dist/2020.js"
import { readFileSync } from "node:fs"
import { parseAllDocuments } from "yaml"
import { agentTaskFile } from "../../src/generate/agent-task-schema.ts"

const isTask = new Ajv2020({ strict: false, validateFormats: false }).compile(JSON.parse(agentTaskFile().content))
const sample = (name: string): { readonly spec: object } =>
  parseAllDocuments(readFileSync(`kustomize/samples/${name}.yaml`, "utf8")).map((document) => document.toJS())
    .findLast(({ kind }) => kind === "AgentTask")

describe("the schema of AgentTasks", () => {
  it.each(["plan", "apply", "destroy", "failing", "cancelled"])("takes sample %s", (name) => {
    expect([isTask(sample(name)), isTask.errors]).toEqual([true, null])
  })

  const { spec, ...rest } = sample("plan")
  it.each<readonly [given: string, task: object]>([
    ["of another kind", { ...rest, kind: "AgentTusk", spec }],
    ["of another version", { ...rest, apiVersion: "scalr.io/v9", spec }],
    ["with an unknown key", { ...rest, spec: { ...spec, timeoutSecond: 5 } }],
    ["with an unknown option, without which everything would be destroyed", { ...rest, spec: { ...spec, options: { target: ["a.b"] } } }]
  ])("takes no task %s", (_given, task) => expect(isTask(task)).toBe(false))
})
