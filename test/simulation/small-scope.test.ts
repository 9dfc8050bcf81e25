// The first steps of a small installation, in each order; `make soak SCHEDULES=0` goes further.
import { describe, expect, it } from "@effect/vitest"
import { explore, type Scope } from "./small-scope.ts"

describe("two controllers that both lead, with two tasks that change one workspace", () => {
  it.each<Scope & { readonly least: number }>([
    { from: "two tasks are new", steps: 6, failures: 0, least: 100 },
    { from: "two tasks are new", steps: 4, failures: 1, least: 100 },
    { from: "two Pods of a Job have started", steps: 4, failures: 0, least: 700 },
    { from: "two Pods of a Job have started", steps: 2, failures: 1, least: 50 },
    { from: "an engine is at work", steps: 2, failures: 0, least: 20 },
    { from: "an engine is at work", steps: 2, failures: 1, least: 100 },
    { from: "a task is over", steps: 2, failures: 0, least: 20 },
    { from: "a task is over", steps: 2, failures: 1, least: 50 }
  ])(
    "break no invariant in whatever order $steps things happen since $from, $failures of which fail",
    ({ least, ...scope }) => {
      const { states, violation } = explore(scope)
      expect(violation).toBeUndefined()
      expect(states).toBeGreaterThan(least) // so that what is judged is there
    }
  )
})
