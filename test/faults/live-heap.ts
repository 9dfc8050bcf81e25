// Preloaded into a program whose memory is measured. At each SIGUSR2 it collects all garbage and appends the live bytes to LIVE_HEAP_FILE.
// Resident memory would also count garbage, code and room that V8 keeps, and grows for an hour even where nothing is retained.
// Used by controller-process.
import { appendFileSync } from "node:fs"

const file = process.env.LIVE_HEAP_FILE ?? ""
process.on("SIGUSR2", () => {
  globalThis.gc?.()
  const { external, heapUsed } = process.memoryUsage()
  appendFileSync(file, `${heapUsed + external}\n`)
})
