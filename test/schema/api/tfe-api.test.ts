import { describe, expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { CreateRun, CreateVariable } from "../../../src/schema/api/tfe-api.ts"
import { targetLimits } from "../../../src/schema/task/agent-task.ts"
import { mostVariables, Variable } from "../../../src/schema/task/variable.ts"

const isTaskVariable = Schema.is(Variable)
const isVariable = Schema.is(CreateVariable)
const isRun = Schema.is(CreateRun)

const variable = (key: string, value: string) => ({ data: { attributes: { key, value } } })
const run = (attributes: object) => ({ data: { attributes, relationships: { workspace: { data: { id: "ws-1" } } } } })

describe("a variable of a request", () => {
  it.each([
    { given: "as long as it may be", name: "a".repeat(253), value: "b".repeat(65_536), fits: true },
    { given: "of as many characters of two code units each", name: "a", value: "🙂".repeat(65_536), fits: true },
    { given: "with one character more", name: "a", value: "b".repeat(65_537), fits: false },
    { given: "with a longer name", name: "a".repeat(254), value: "", fits: false },
    { given: "with a name that is none", name: "1a", value: "", fits: false }
  ])(
    "fits where the AgentTask's does: $given",
    ({ fits, name, value }) =>
      expect([isTaskVariable({ name, value }), isVariable(variable(name, value)), isRun(run({ variables: [{ key: name, value }] }))])
        .toEqual([fits, fits, fits])
  )
})

describe("a run", () => {
  const addresses = Array.from({ length: targetLimits.count }, (_, index) => `null_resource.a${index}`)
  const variables = Array.from({ length: mostVariables }, (_, index) => ({ key: `a${index}`, value: "1" }))

  it("may have as many variables and addresses as an AgentTask", () =>
    expect(isRun(run({ variables, "target-addrs": addresses, "replace-addrs": addresses }))).toBe(true))

  it.each([
    { more: { variables: [...variables, { key: "b", value: "1" }] } },
    { more: { "target-addrs": [...addresses, "null_resource.b"] } },
    { more: { "replace-addrs": ["a".repeat(targetLimits.length + 1)] } }
  ])("may have no more: $more", ({ more }) => expect(isRun(run(more))).toBe(false))
})
