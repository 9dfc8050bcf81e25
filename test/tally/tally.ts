// The result of a whole test run, from the reports of its kinds of tests: what failed by name, and the counts as the last line.
// Used by main.ts and test/gitops/report.ts.

/** What reporter.ts writes of one kind: a failure is "FILE > TEST: the first line of why". */
export interface Report {
  readonly passed: number
  readonly failures: ReadonlyArray<string>
}

/** Returns how many tests passed and how much failed. */
export const counted = (reports: ReadonlyArray<Report>): { readonly passed: number; readonly failed: number } => ({
  passed: reports.reduce((sum, { passed }) => sum + passed, 0),
  failed: reports.reduce((sum, { failures }) => sum + failures.length, 0)
})

/** Returns the lines to print. */
export const tally = (reports: ReadonlyArray<Report>): ReadonlyArray<string> => {
  const { failed, passed } = counted(reports)
  return [...reports.flatMap(({ failures }) => failures.map((failure) => `failed: ${failure}`)), `${passed} passed, ${failed} failed`]
}
