// `node test/tally/main.ts REPORT...` prints the last lines of scripts/test. Tests of a kind that could not start have no report; that was
// already printed.
import { existsSync, readFileSync } from "node:fs"
import { type Report, tally } from "./tally.ts"

const reports = process.argv.slice(2).filter((path) => existsSync(path)).map((path): Report => JSON.parse(readFileSync(path, "utf8")))
console.log(tally(reports).join("\n"))
