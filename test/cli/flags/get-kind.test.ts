// What is meant by the word after `agent-job get`, and which other arguments go with it.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { kindOf, type Narrowing, oneOf, refusalOf } from "../../../src/cli/flags/get-kind.ts"

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
  const [workspace, name, id] = [{ workspace: Option.some("demo") }, { name: Option.some("demo") }, { name: Option.some("run-a1") }]
  const [entry, before] = [{ before: Option.some(7) }, { before: Option.some("run-a2") }]
  const kinds = ["runs", "workspaces", "pools", "tasks", "audit", "run", "task", "workspace"] as const

  it.each([
    { given: {}, with: [...kinds] },
    { given: workspace, with: ["runs", "audit"] },
    { given: name, with: ["runs", "workspaces", "tasks", "audit"] },
    { given: id, with: ["runs", "workspaces", "tasks", "audit"] },
    { given: entry, with: ["audit"] },
    { given: before, with: ["runs"] },
    { given: { ...name, ...entry }, with: ["audit"] },
    { given: { ...name, ...before }, with: ["runs"] },
    { given: { ...id, ...before }, with: [] },
    { given: { ...name, ...workspace }, with: [] }
  ])(
    "goes with $with: $given",
    ({ given, with: taken }) => expect(kinds.filter((kind) => refusalOf(kind, { ...none, ...given }) === undefined)).toEqual(taken)
  )
})

it.each(
  [
    { kind: "runs", name: "run-a1", one: "run" },
    { kind: "runs", name: "demo", one: "runs" },
    { kind: "tasks", name: "a-task", one: "task" },
    { kind: "workspaces", name: "demo", one: "workspace" },
    { kind: "audit", name: "run-a1", one: "audit" }
  ] as const
)("$kind with the name $name means $one", ({ kind, name, one }) => expect(oneOf(kind, Option.some(name))).toBe(one))
