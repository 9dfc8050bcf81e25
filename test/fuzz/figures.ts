// The figures of a fuzz test: printed, and for `make fuzz` appended to the file that FUZZ_FIGURES names.
// Used by the fuzz tests; report.ts makes one report of them all.
import { appendFileSync } from "node:fs"

export interface Figures {
  readonly of: "requests" | "decoderInputs"
  readonly inputs: number
  readonly failures: number
}

export const tell = (what: string, seed: number, { failures, inputs, of }: Figures, more = ""): void => {
  console.log(`fuzz of ${what}: ${inputs} ${of === "requests" ? "requests" : "inputs"}, seed ${seed}, ${failures} crashes${more}`)
  const { FUZZ_FIGURES } = process.env
  if (FUZZ_FIGURES !== undefined) appendFileSync(FUZZ_FIGURES, `${JSON.stringify({ failures, inputs, of })}\n`)
}
