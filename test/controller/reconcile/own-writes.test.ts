// Whether the cache is behind, as the versions of a task show that our own writes replaced or met a conflict at.
import { describe, expect, it } from "@effect/vitest"
import { makeOwnWrites } from "../../../src/controller/reconcile/own-writes.ts"

describe("a cache", () => {
  it("is behind a write as long as it has the version that the write replaced, and never again", () => {
    const writes = makeOwnWrites()
    writes.replaced("tasks/task", "1")
    expect(["1", "1", "2", "1"].map((version) => writes.isBehind("tasks/task", version))).toEqual([true, true, false, false])
    expect(writes.isBehind("tasks/other", "1")).toBe(false)
  })

  it("is taken to be behind from the second conflict at one version on", () => {
    const writes = makeOwnWrites()
    expect(["1", "1", "2", "2"].map((version) => writes.metConflict("tasks/task", version))).toEqual([false, true, false, true])
  })

  it("is behind nothing of a task that is gone, whose name another may have", () => {
    const writes = makeOwnWrites()
    writes.replaced("tasks/task", "1")
    writes.metConflict("tasks/task", "1")
    writes.forget("tasks/task")
    expect([writes.isBehind("tasks/task", "1"), writes.metConflict("tasks/task", "1")]).toEqual([false, false])
  })
})
