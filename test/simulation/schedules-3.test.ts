// The third quarter of the schedules, the first of which is in simulation.test.ts.
import { describe } from "@effect/vitest"
import { keepsAllInvariants } from "./part.ts"

describe("the simulation", () => keepsAllInvariants(3))
