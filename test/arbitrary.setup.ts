// Sets the number of cases of every property test, and the seed. vitest.config.ts prints the seed, so that a failure can be repeated:
// PROPERTY_SEED=… node_modules/.bin/vitest run --project unit test/core/reconcile/plan.test.ts
import { Arbitrary } from "effect"

const { PROPERTY_RUNS, PROPERTY_SEED } = process.env
Arbitrary.configureGlobal({ check: { runs: Number(PROPERTY_RUNS ?? 1000), seed: PROPERTY_SEED } })
