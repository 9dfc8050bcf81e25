// The result of a whole test run, from the reports that vitest wrote: the failed tests by name, and the counts as the last line.
// Used by main.ts and test/gitops/report.ts.
import { relative } from "node:path"

export interface Report {
  readonly numPassedTests: number
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly status: string
    readonly message: string
    readonly assertionResults: ReadonlyArray<
      { readonly fullName: string; readonly status: string; readonly failureMessages: ReadonlyArray<string> | null }
    >
  }>
}

const firstLine = (text: string): string => text.split("\n", 1)[0] ?? ""

/** Returns the failed tests with why, by their paths from `root`. A file that failed without a failed test counts as one. */
const failuresIn = (reports: ReadonlyArray<Report>, root: string): ReadonlyArray<string> =>
  reports.flatMap(({ testResults }) =>
    testResults.flatMap((file) => {
      const path = relative(root, file.name)
      const failed = file.assertionResults.filter(({ status }) => status === "failed")
      if (failed.length === 0 && file.status === "failed") return [`${path}: ${firstLine(file.message)}`]
      return failed.map(({ fullName, failureMessages }) => `${path} > ${fullName}: ${firstLine(failureMessages?.[0] ?? "")}`)
    })
  )

/** Returns how many tests passed and how many failed. */
export const counted = (reports: ReadonlyArray<Report>): { readonly passed: number; readonly failed: number } => ({
  passed: reports.reduce((sum, { numPassedTests }) => sum + numPassedTests, 0),
  failed: failuresIn(reports, "").length
})

/** Returns the lines to print. */
export const tally = (reports: ReadonlyArray<Report>, root: string): ReadonlyArray<string> => {
  const { failed, passed } = counted(reports)
  return [...failuresIn(reports, root).map((failure) => `failed: ${failure}`), `${passed} passed, ${failed} failed`]
}
