// The schedules of the tests in four parts, each run by a test file of its own, so that the files can run beside each other.
// Invariant: up to 5,000 schedules are all in the first part, so that a run of few needs one file.
// Used by simulation.test.ts for the first part, and by schedules-2, schedules-3 and schedules-4.
import { expect, it } from "@effect/vitest"
import { runSeed, told } from "./run.ts"

const { SIMULATION_SCHEDULES, SIMULATION_SEED } = process.env
const schedules = Number(SIMULATION_SCHEDULES ?? 20_000)
const first = Number(SIMULATION_SEED ?? 1)
const size = Math.max(5_000, Math.ceil(schedules / 4))

/** Makes the test that runs this part of the schedules. */
export const keepsAllInvariants = (part: 1 | 2 | 3 | 4): void => {
  const from = first + (part - 1) * size
  const count = Math.max(0, Math.min(size, schedules - (part - 1) * size))
  it(`keeps all invariants in ${count} schedules from seed ${from}`, { timeout: 7_200_000 }, () => {
    for (let seed = from; seed < from + count; seed++) {
      const failure = runSeed(seed)
      if (failure !== undefined) expect.fail(told(failure))
    }
  })
}
