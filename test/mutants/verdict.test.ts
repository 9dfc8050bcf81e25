// Checks that a planted bug is caught by a test that failed, which is named, and by nothing else.
import { expect, it } from "@effect/vitest"
import { endOf } from "./verdict.ts"

const ended = (success: boolean, ...statuses: ReadonlyArray<string>) =>
  JSON.stringify({ success, testResults: [{ assertionResults: statuses.map((status, at) => ({ fullName: `plan ${at}`, status })) }] })
const report = (...statuses: ReadonlyArray<string>) => ended(!statuses.includes("failed"), ...statuses)

it.each([
  { given: "whose second test failed", text: report("passed", "failed", "failed"), expected: { end: "failed", title: "plan 1" } },
  { given: "that ended at its first failure", text: report("failed", "skipped"), expected: { end: "failed", title: "plan 0" } },
  { given: "whose tests passed", text: report("passed", "skipped"), expected: { end: "passed" } },
  { given: "that failed though its tests passed", text: ended(false, "passed"), expected: { end: "no verdict" } },
  { given: "of which no test ran", text: report("skipped"), expected: { end: "no verdict" } },
  { given: "that could not be loaded", text: report(), expected: { end: "no verdict" } }
])("a file $given is $expected", ({ expected, text }) => expect(endOf(text)).toEqual(expected))
