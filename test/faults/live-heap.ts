// Preloaded into a program whose memory is measured: at each SIGUSR2 all garbage is collected, and what lives then is a line of LIVE_HEAP_FILE, in bytes.
// What the kernel counts as resident holds garbage too, and code and room that V8 keeps: it grows for an hour where nothing is retained.
// Used by controller-process.
import { appendFileSync } from "node:fs"

const file = process.env.LIVE_HEAP_FILE ?? ""
process.on("SIGUSR2", () => {
  globalThis.gc?.()
  const { external, heapUsed } = process.memoryUsage()
  appendFileSync(file, `${heapUsed + external}\n`)
})
