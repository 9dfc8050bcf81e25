// What is meant by the word after `agent-job get`, and which other arguments go with it.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { kindOf, type Narrowing, refusalOf } from "../../../src/cli/flags/get-kind.ts"

it.each([
  { what: "run", kind: "runs" },
  { what: "runs", kind: "runs" },
  { what: "workspace", kind: "workspaces" },
  { what: "pools", kind: "pools" },
  { what: "tasks", kind: "tasks" },
  { what: "audit", kind: "audit" },
  { what: "audits", kind: "task" },
  { what: "run-a1", kind: "run" },
  { what: "a-task", kind: "task" },
  { what: "Rubbish!", kind: undefined }
])("$what means $kind", ({ kind, what }) => expect(Option.getOrUndefined(kindOf(what))).toBe(kind))

describe("what narrows a list down", () => {
  const none: Narrowing = { workspace: Option.none(), name: Option.none(), before: Option.none() }
  const [workspace, name, before] = [{ workspace: Option.some("demo") }, { name: Option.some("demo") }, { before: Option.some(7) }]
  const kinds = ["runs", "workspaces", "pools", "tasks", "audit", "run", "task"] as const

  it.each([
    { given: {}, with: [...kinds] },
    { given: workspace, with: ["runs", "audit"] },
    { given: name, with: ["audit"] },
    { given: before, with: ["audit"] },
    { given: { ...name, ...before }, with: ["audit"] },
    { given: { ...name, ...workspace }, with: [] }
  ])(
    "goes with $with: $given",
    ({ given, with: taken }) => expect(kinds.filter((kind) => refusalOf(kind, { ...none, ...given }) === undefined)).toEqual(taken)
  )
})
