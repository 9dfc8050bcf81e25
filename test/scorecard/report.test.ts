// Which reports the scorecard reads: also those of an earlier commit, and whatever else a test keeps in its own.
import { expect, it } from "@effect/vitest"
import { Schema } from "effect"
import { Report } from "./report.ts"

const earlier = { date: "2026-01-01", commit: "c0ffee", machine: "2 cores", command: "make mutants", seed: 1, figures: { planted: 145 } }

it.each([
  { given: "an earlier commit", report: earlier },
  {
    given: "a run that names what caught each bug",
    report: { ...earlier, caughtBy: { "launches are not counted": "plan counts launches" } }
  }
])("a report of $given is read whole", ({ report }) => expect(Schema.decodeUnknownSync(Report)(report)).toEqual(report))
