// The result of a whole test run, from the reports that vitest wrote: the failed tests by name, and the counts as the last line.
// Used by main.ts.
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

/** Returns the lines to print. A file that failed without a failed test counts as one; paths are printed relative to `root`. */
export const tally = (reports: ReadonlyArray<Report>, root: string): ReadonlyArray<string> => {
  const failures = reports.flatMap(({ testResults }) =>
    testResults.flatMap((file) => {
      const path = relative(root, file.name)
      const failed = file.assertionResults.filter(({ status }) => status === "failed")
      if (failed.length === 0 && file.status === "failed") return [`${path}: ${firstLine(file.message)}`]
      return failed.map(({ fullName, failureMessages }) => `${path} > ${fullName}: ${firstLine(failureMessages?.[0] ?? "")}`)
    })
  )
  const passed = reports.reduce((sum, { numPassedTests }) => sum + numPassedTests, 0)
  return [...failures.map((failure) => `failed: ${failure}`), `${passed} passed, ${failures.length} failed`]
}
