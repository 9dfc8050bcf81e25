import { describe, expect, it } from "@effect/vitest"
import { type Report, tally } from "./tally.ts"

const test = (fullName: string, ...failureMessages: ReadonlyArray<string>) => ({
  fullName,
  status: failureMessages.length === 0 ? "passed" : "failed",
  failureMessages
})
const file = (path: string, ...assertionResults: Report["testResults"][number]["assertionResults"]) => ({
  name: `/checkout/test/${path}`,
  status: assertionResults.some(({ status }) => status === "failed") ? "failed" : "passed",
  message: "",
  assertionResults
})
const report = (...testResults: Report["testResults"]): Report => {
  const all = testResults.flatMap(({ assertionResults }) => assertionResults)
  return { numPassedTests: all.filter(({ status }) => status === "passed").length, testResults }
}

describe("the end of a test run", () =>
  it.each([
    { of: "nothing", reports: [], lines: ["0 passed, 0 failed"] },
    {
      of: "two kinds that pass",
      reports: [report(file("a.test.ts", test("one"), test("two"))), report(file("b.test.ts", test("three")))],
      lines: ["3 passed, 0 failed"]
    },
    {
      of: "a test that fails, by its name and the first line of why",
      reports: [report(file("a.test.ts", test("one"), test("a group two", "Error: not so\n    at somewhere")))],
      lines: ["failed: test/a.test.ts > a group two: Error: not so", "1 passed, 1 failed"]
    },
    {
      of: "a file that fails before its first test",
      reports: [
        report(file("a.test.ts", test("one")), {
          name: "/checkout/test/b.test.ts",
          status: "failed",
          message: "no such module\nmore",
          assertionResults: []
        })
      ],
      lines: ["failed: test/b.test.ts: no such module", "1 passed, 1 failed"]
    }
  ])("tells of $of", ({ lines, reports }) => expect(tally(reports, "/checkout")).toEqual(lines)))
