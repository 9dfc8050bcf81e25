// A server that dies at a commit of a request: what is stored then, and who hears of it.
import { describe, expect, it } from "@effect/vitest"
import { commitOf } from "./mortal.ts"
import { Simulation } from "./simulation.ts"

/** Starts a run whose server dies at the commit of this request of its plan, and goes on until that has come. */
const diesAt = (request: string, fault: "killed before" | "killed after") => {
  const simulation = new Simulation(0, { withPool: true })
  const asked: Array<string> = []
  simulation.disturb = (_, what) => {
    asked.push(what)
    return what.startsWith(commitOf(request)) ? fault : "none"
  }
  simulation.start("a")
  simulation.startRun(0, 3)
  for (let round = 0; round < 20 && !asked.some((what) => what.startsWith(commitOf(request))); round++) {
    simulation.round({ enginesEnd: true })
  }
  return { simulation, asked }
}

describe("a server that dies", () => {
  it.each([{ fault: "killed before", stored: false }, { fault: "killed after", stored: true }] as const)(
    "at a commit, $fault, has all of it or nothing, and is down until it is started: stored $stored",
    ({ fault, stored }) => {
      const { asked, simulation } = diesAt("acknowledge", fault)
      const { pool } = simulation
      const isAcknowledged = () => pool?.stored.stages.map(({ acknowledgedAt }) => acknowledgedAt !== null)
      expect(isAcknowledged()).toEqual([stored])
      const before = asked.length
      for (let round = 0; round < 5; round++) simulation.round({ enginesEnd: true })
      expect(asked.slice(before).filter((what) => what.startsWith(commitOf("")))).toEqual([])
      simulation.disturb = () => "none"
      pool?.start()
      for (let round = 0; round < 40 && pool?.isOver === false; round++) simulation.round({ enginesEnd: true })
      expect(isAcknowledged()).toEqual([true, true])
      pool?.close()
    }
  )

  it("tells nobody of the commit after which it dies: who waits for news has to ask again", () => {
    const { asked, simulation } = diesAt("the result", "killed after")
    expect(simulation.pool?.stored.stages.map(({ stage }) => stage)).toEqual(["plan", "apply"])
    expect(asked.at(-1)).toMatch(commitOf("the result")) // and no commit of the poll that waits for the apply
    simulation.pool?.close()
  })
})
