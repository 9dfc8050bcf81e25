// What the report of a test run says of a planted bug: whether a test failed, and which was the first.
// Used by test/mutants/main.
import { Schema } from "effect"

const Result = Schema.Struct({ assertionResults: Schema.Array(Schema.Struct({ fullName: Schema.String, status: Schema.String })) })
const decode = Schema.decodeUnknownSync(
  Schema.fromJsonString(Schema.Struct({ success: Schema.Boolean, testResults: Schema.Array(Result) }))
)

export interface End {
  readonly end: "passed" | "failed" | "no verdict"
  /** The title of the first test that failed, with those around it. */
  readonly title?: string
}

/**
 * Reads vitest's JSON report. A bug that keeps the file from loading leaves it without a test that passed or failed, which is no verdict;
 * nor is a run that failed outside of its tests.
 */
export const endOf = (report: string): End => {
  const { success, testResults } = decode(report)
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults)
  const failed = tests.find(({ status }) => status === "failed")
  if (failed !== undefined) return { end: "failed", title: failed.fullName }
  return { end: success && tests.some(({ status }) => status === "passed") ? "passed" : "no verdict" }
}
