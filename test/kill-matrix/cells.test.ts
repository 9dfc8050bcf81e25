// Checks that the kill matrix says of every cell how it has to end, or why there is none.
import { describe, expect, it } from "@effect/vitest"
import { away, cells, decided, expectedOf, impossibleCells, inTurn, mayMeet, moments, type Seen, targets } from "./cells.ts"

const nothingSeen: Seen = { met: "target", allMade: false, whole: false, planned: false }
const find = (target: string, moment: string) => cells.find((cell) => cell.target === target && cell.moment === moment)
const expected = (target: string, moment: string, seen: Partial<Seen> = {}) => {
  const cell = find(target, moment)
  return cell === undefined ? undefined : expectedOf(cell, { ...nothingSeen, ...seen })
}

describe("the kill matrix", () => {
  it("has each target at each moment once, as a cell or with the reason why it cannot be", () => {
    const all = [...cells, ...impossibleCells].map(({ moment, target }) => `${target} × ${moment}`)
    expect(all.toSorted()).toEqual(targets.flatMap((target) => moments.map((moment) => `${target} × ${moment}`)).toSorted())
  })

  it("runs each cell once, and five others at least between two outages of one part", () => {
    expect(new Set(inTurn)).toEqual(new Set(cells))
    const turnsOf = (target: string) => inTurn.flatMap((cell, turn) => cell.target === target ? [turn] : [])
    const between = away.flatMap((target) =>
      turnsOf(target).flatMap((turn, index, all) => index === 0 ? [] : [turn - (all[index - 1] ?? 0) - 1])
    )
    expect(Math.min(...between)).toBeGreaterThanOrEqual(5)
  })

  it("leaves to timing only what it says what decides", () =>
    expect(decided.map(({ moment, target }) => `${target} × ${moment}`)).toEqual([
      "worker out of memory × plan saved",
      "exec loop × planning",
      "Pod deleted × state pushed",
      "Pod deleted by force × state pushed",
      "Job deleted × state pushed",
      "AgentTask deleted × plan saved",
      "AgentTask deleted × state pushed",
      "network of the Pod × applying"
    ]))

  it.each(
    [
      ["exec loop", "planning", { met: "command" }, "in order"],
      ["exec loop", "planning", {}, "applied"],
      ["Job deleted", "state pushed", { whole: true }, "applied"],
      ["Pod deleted by force", "state pushed", {}, "in order"],
      ["worker out of memory", "plan saved", { planned: true }, "applied"],
      ["AgentTask deleted", "plan saved", { planned: true }, "applied"],
      ["AgentTask deleted", "plan saved", {}, "in order"],
      ["network of the Pod", "applying", { allMade: true }, "applied"],
      ["network of the Pod", "applying", {}, "in order"]
    ] as const
  )("%s × %s with %j is %s", (target, moment, seen, outcome) => expect(expected(target, moment, seen)).toBe(outcome))

  it.each(["worker", "worker out of memory", "exec loop", "engine", "runner out of memory"])(
    "%s, dead while the engine makes something, is named, whatever else is seen",
    (target) => {
      const everything: Seen = { met: "command", allMade: true, whole: true, planned: true }
      for (const moment of ["applying", "state pushed"]) {
        expect([expected(target, moment), expected(target, moment, everything)]).toEqual(["named", "named"])
      }
    }
  )

  it.each(["network of the Pod", "exec loop", "worker out of memory"])("%s is hit after the engine's end too", (target) => {
    const after = target === "worker out of memory" ? "in order" : "applied" // a plan is not made again when its memory was too small
    expect(["plan saved", "reporting"].map((moment) => expected(target, moment))).toEqual([after, "applied"])
  })

  it("meets its target with each blow, but for the evictions that the budget of an apply refuses", () => {
    const others = cells.filter((cell) => mayMeet(cell).join() !== "target")
    expect(others.map((cell) => [`${cell.target} × ${cell.moment}`, mayMeet(cell)])).toEqual([
      ...["planning", "plan saved", "applying", "state pushed", "reporting"].map((
        moment
      ) => [`exec loop × ${moment}`, ["target", "command"]]),
      ["Pod evicted × applying", ["budget"]],
      ["Pod evicted × state pushed", ["budget"]],
      ["Pod evicted × reporting", ["budget", "target"]]
    ])
  })
})
