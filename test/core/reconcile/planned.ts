// What is planned at noon for the world of a seed. Used by the tests beside it.
import { type Plan, plan } from "../../../src/core/reconcile/plan.ts"
import { noon, plainSeed, policyOf, type Seed, worldOf } from "../worlds.ts"

export const planned = (seed: Partial<Seed>): Plan => {
  const whole: Seed = { ...plainSeed, ...seed }
  return plan(policyOf(whole), worldOf(whole), noon)
}
