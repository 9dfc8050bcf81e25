// Counts of what an apply did, from the engine's events.
import { describe, expect, it } from "@effect/vitest"
import { appliedChanges } from "../../src/core/applied-changes.ts"

const event = (type: string, action: string) => JSON.stringify({ "@level": "info", type, hook: { resource: { addr: "a.b" }, action, id_key: "id", id_value: "1", elapsed_seconds: 0 } })

describe("appliedChanges", () => {
  it("are those that the engine is done with", () => {
    const events = [
      JSON.stringify({ "@level": "info", type: "version", tofu: "1.12.6" }),
      event("apply_start", "create"), event("apply_complete", "create"),
      event("apply_start", "update"), event("apply_complete", "update"),
      event("apply_complete", "delete"), event("apply_complete", "create"),
      event("apply_start", "create"), event("apply_errored", "create")
    ]
    expect(appliedChanges(events.join("\n"))).toEqual({ add: 2, change: 1, destroy: 1 })
  })
  it("pass over what is no event", () => {
    expect(appliedChanges(`apply_complete\n{"type":"apply_complete"}\n${event("apply_complete", "create").slice(0, -5)}`)).toEqual({ add: 0, change: 0, destroy: 0 })
  })
  it("are none of an apply that did nothing", () => expect(appliedChanges("")).toEqual({ add: 0, change: 0, destroy: 0 }))
})
