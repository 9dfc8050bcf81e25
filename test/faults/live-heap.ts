// Preloaded into a program whose memory is measured. At each SIGUSR2 it collects all garbage and appends the live bytes to LIVE_HEAP_FILE.
// Compiled code is left out: V8 compiles for hours what seldom runs. Resident memory would also count garbage and room that V8 keeps.
// Used by controller-process.
import { appendFileSync } from "node:fs"
import { getHeapSpaceStatistics } from "node:v8"

const file = process.env.LIVE_HEAP_FILE ?? ""
const isOfCode = (space: string): boolean => space.startsWith("code_") || space.startsWith("trusted_")

process.on("SIGUSR2", () => {
  globalThis.gc?.()
  const code = getHeapSpaceStatistics().filter(({ space_name }) => isOfCode(space_name))
  const { external, heapUsed } = process.memoryUsage()
  appendFileSync(file, `${heapUsed + external - code.reduce((sum, { space_used_size }) => sum + space_used_size, 0)}\n`)
})
