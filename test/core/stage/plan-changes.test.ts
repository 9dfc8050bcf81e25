// Counts of a saved plan's JSON, as the engine itself counts.
import { describe, expect, it } from "@effect/vitest"
import { Option } from "effect"
import { plannedChanges } from "../../../src/core/stage/plan-changes.ts"

const managed = (...actions: ReadonlyArray<string>) => ({ mode: "managed", change: { actions } })
const json = (plan: object) => JSON.stringify({ format_version: "1.2", ...plan })

describe("plannedChanges", () => {
  it.each([
    { given: "more values than the worker has memory for", before: "[", one: "{},", times: 1_000_000, after: "{}]" },
    { given: "more levels than are ever printed", before: "", one: `{"a":`, times: 501, after: `1${"}".repeat(501)}` }
  ])(
    "are none where there are $given",
    ({ after, before, one, times }) =>
      expect(plannedChanges(`{"applyable":true,"resource_changes":[],"more":${before}${one.repeat(times)}${after}}`, false)).toEqual(
        Option.none()
      )
  )

  it.each([
    { given: "nothing", plan: {}, counts: [0, 0, 0], hasChanges: false },
    {
      given: "resources to create, update and delete",
      plan: { resource_changes: [managed("create"), managed("update"), managed("delete"), managed("no-op")] },
      counts: [1, 1, 1],
      hasChanges: true
    },
    { given: "a replacement", plan: { resource_changes: [managed("delete", "create")] }, counts: [1, 0, 1], hasChanges: true },
    {
      given: "a data source that is read",
      plan: { resource_changes: [{ mode: "data", change: { actions: ["read"] } }] },
      counts: [0, 0, 0],
      hasChanges: false
    },
    {
      given: "an ephemeral resource that is opened",
      plan: { resource_changes: [{ mode: "ephemeral", change: { actions: ["open"] } }] },
      counts: [0, 0, 0],
      hasChanges: false
    },
    {
      given: "an output alone",
      plan: { output_changes: { a: { actions: ["create"] }, b: { actions: ["no-op"] } } },
      counts: [0, 0, 0],
      hasChanges: true
    },
    { given: "an output that stays", plan: { output_changes: { a: { actions: ["no-op"] } } }, counts: [0, 0, 0], hasChanges: false },
    {
      given: "resources that are forgotten, one for another",
      plan: { resource_changes: [managed("forget"), managed("forget", "create")] },
      counts: [1, 0, 0],
      besides: { forget: 2 },
      hasChanges: true
    },
    {
      given: "a resource that is only imported",
      plan: { resource_changes: [{ mode: "managed", change: { actions: ["no-op"], importing: { id: "i-1" } } }] },
      counts: [0, 0, 0],
      besides: { import: 1 },
      hasChanges: true
    },
    {
      given: "a resource that has only moved",
      plan: { resource_changes: [{ ...managed("no-op"), previous_address: "a.b" }] },
      counts: [0, 0, 0],
      hasChanges: true
    },
    {
      given: "a resource of which nobody says its mode",
      plan: { resource_changes: [{ change: { actions: ["create"] } }] },
      counts: [1, 0, 0],
      hasChanges: true
    },
    { given: "the engine's own word for it", plan: { applyable: true }, counts: [0, 0, 0], hasChanges: true }
  ])("of $given are $counts", ({ besides, counts: [add = 0, change = 0, destroy = 0], hasChanges, plan }) => {
    expect(plannedChanges(json(plan), false)).toEqual(
      Option.some({ changes: { add, change, destroy, ...besides }, creations: [], hasChanges })
    )
  })

  it("name what will be made, and what of it takes the place of something", () => {
    const at = (address: string, ...actions: ReadonlyArray<string>) => ({ address, ...managed(...actions) })
    const plan = json({
      resource_changes: [
        at("t.new", "create"),
        at("t.again", "delete", "create"),
        at("t.first", "create", "delete"),
        at("t.changed", "update"),
        { ...at("t.read", "read"), mode: "data" },
        at("t.forgotten", "forget", "create"),
        at("t.beside", "create"),
        { ...at("t.beside", "delete"), deposed: "1234" },
        at("t.vanished", "create")
      ],
      resource_drift: [at("t.vanished", "delete")]
    })
    expect(Option.map(plannedChanges(plan, false), (_) => _.creations)).toEqual(Option.some([
      { address: "t.new", replaces: false },
      { address: "t.again", replaces: true },
      { address: "t.first", replaces: true },
      { address: "t.forgotten", replaces: true },
      { address: "t.beside", replaces: true },
      { address: "t.vanished", replaces: true }
    ]))
  })

  it("count what drifted only when the plan is to take it over", () => {
    const plan = json({ resource_changes: [managed("no-op")], resource_drift: [{ change: { actions: ["update"] } }] })
    expect(Option.map(plannedChanges(plan, true), (_) => _.hasChanges)).toEqual(Option.some(true))
    expect(Option.map(plannedChanges(plan, false), (_) => _.hasChanges)).toEqual(Option.some(false))
  })

  it("count what drifted in a plan that only refreshes because TF_CLI_ARGS_plan says so, which names no resource that stays", () => {
    const plan = json({ resource_drift: [{ change: { actions: ["update"] } }] })
    expect(Option.map(plannedChanges(plan, false), (_) => _.hasChanges)).toEqual(Option.some(true))
  })

  it("see that a thing has moved in a plan that only refreshes, which OpenTofu tells among what drifted", () => {
    const moved = { resource_drift: [{ address: "a.c", previous_address: "a.b", change: { actions: ["no-op"] } }] }
    expect(Option.map(plannedChanges(json(moved), false), (_) => _.hasChanges)).toEqual(Option.some(true))
    const plan = json({ ...moved, resource_changes: [managed("no-op")] })
    expect(Option.map(plannedChanges(plan, true), (_) => _.hasChanges)).toEqual(Option.some(true))
    expect(Option.map(plannedChanges(plan, false), (_) => _.hasChanges)).toEqual(Option.some(false))
  })

  it.each([
    { given: "some variables", configuration: { root_module: { variables: { a: { default: 1 }, b: {} } } }, declares: ["a", "b"] },
    { given: "no variable", configuration: { root_module: {} }, declares: [] },
    { given: "what no engine tells", configuration: undefined, declares: undefined }
  ])(
    "come with the names that the configuration declares, of $given",
    ({ configuration, declares }) =>
      expect(Option.map(plannedChanges(json({ configuration }), false), (_) => _.declares)).toEqual(Option.some(declares))
  )

  it("are those of the JSON after what the engine or its wrapper prints before it", () => {
    const warning = "Warning: Unable to open CLI configuration file\n\nThe file {\"none\"} does not exist.\n"
    expect(Option.map(plannedChanges(warning + json({ resource_changes: [managed("create")] }), false), (_) => _.changes.add))
      .toEqual(Option.some(1))
  })

  it.each(["", "{", "[]", `{"resource_changes": 3}`])(
    "are unknown for %s",
    (text) => expect(plannedChanges(text, false)).toEqual(Option.none())
  )
})
