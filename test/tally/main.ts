// `node test/tally/main.ts REPORT...`: how scripts/test ends. A kind of tests that did not even start has no report, and has told so itself.
import { existsSync, readFileSync } from "node:fs"
import { type Report, tally } from "./tally.ts"

const reports = process.argv.slice(2).filter((path) => existsSync(path)).map((path): Report => JSON.parse(readFileSync(path, "utf8")))
console.log(tally(reports, process.cwd()).join("\n"))
