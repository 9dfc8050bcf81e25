// Makes the report of `make gitops-test` from what vitest wrote of its two kinds of tests: report.ts FILE... Run by scripts/test.
import { readFileSync } from "node:fs"
import { writeReport } from "../scorecard/report.ts"
import { counted, type Report } from "../tally/tally.ts"

const { failed, passed } = counted(process.argv.slice(2).map((file): Report => JSON.parse(readFileSync(file, "utf8"))))
writeReport("gitops", { command: "make gitops-test", figures: { tests: passed + failed, failed } })
