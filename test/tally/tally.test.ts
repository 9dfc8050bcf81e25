import { describe, expect, it } from "@effect/vitest"
import { tally } from "./tally.ts"

describe("the end of a test run", () =>
  it.each([
    { of: "nothing", reports: [], lines: ["0 passed, 0 failed"] },
    { of: "two kinds that pass", reports: [{ passed: 2, failures: [] }, { passed: 1, failures: [] }], lines: ["3 passed, 0 failed"] },
    {
      of: "what failed",
      reports: [{ passed: 2, failures: ["test/a.test.ts > two: Error: not so"] }, {
        passed: 1,
        failures: ["test/b.test.ts: no such module"]
      }],
      lines: ["failed: test/a.test.ts > two: Error: not so", "failed: test/b.test.ts: no such module", "3 passed, 2 failed"]
    }
  ])("tells of $of", ({ lines, reports }) => expect(tally(reports)).toEqual(lines)))
