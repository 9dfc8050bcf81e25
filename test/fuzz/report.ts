// Makes the report of `make fuzz` from the figures of its tests: report.ts FILE COMMAND. Run by scripts/fuzz.
import { readFileSync } from "node:fs"
import { writeReport } from "../scorecard/report.ts"
import type { Figures } from "./figures.ts"

const [file = "", command = ""] = process.argv.slice(2)
const told = readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line) as Figures)
const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((total, number) => total + number, 0)
const inputsOf = (of: Figures["of"]) => sum(told.filter((figures) => figures.of === of).map(({ inputs }) => inputs))

writeReport("fuzz", {
  command,
  seed: Number(process.env.PROPERTY_SEED),
  figures: { requests: inputsOf("requests"), decoderInputs: inputsOf("decoderInputs"), failures: sum(told.map(({ failures }) => failures)) }
})
