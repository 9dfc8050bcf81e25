// How many crash points each scenario has, and how many pairs. They are pinned, so that a request more or less is a change that has to be
// looked at. Checked by crash-points.test, which counts the pairs without running them; used by test/scorecard/rows, which asks for all.
export const pinnedPoints = {
  "a plan": 60,
  "an apply": 78,
  "a cancel in an apply": 84,
  "a cancel before the claim": 78,
  "a launch that fails": 78,
  "a launch that fails, and another": 174,
  "two applies to one workspace": 156,
  "a plan that is applied by itself": 252,
  "a run of the pool": 432
}
export type ScenarioName = keyof typeof pinnedPoints
export const scenarioNames = Object.keys(pinnedPoints) as ReadonlyArray<ScenarioName>

/** How many pairs of crashes are enumerated in each. */
export const pinnedPairs: Readonly<Record<ScenarioName, number>> = {
  "a plan": 1956,
  "an apply": 3408,
  "a cancel in an apply": 3930,
  "a cancel before the claim": 99,
  "a launch that fails": 114,
  "a launch that fails, and another": 479,
  "two applies to one workspace": 357,
  "a plan that is applied by itself": 914,
  "a run of the pool": 3432
}
