// Preloaded into a program whose memory is measured. At each SIGUSR2 it collects all garbage and appends to LIVE_HEAP_FILE the bytes that the
// program keeps, code left out. The whole heap, and even more so resident memory, would also count what V8 compiles, garbage, and spare room.
// Used by controller-process.
import { appendFileSync } from "node:fs"
import { Session } from "node:inspector"
import { keptBytes } from "./live-types.ts"

const file = process.env.LIVE_HEAP_FILE ?? ""

// Small buffers would share one of 64 KiB, which lives as long as any of them. Each by itself counts as what the program keeps.
Buffer.poolSize = 0

/** Returns what an event of V8's trace says of the objects that live, if anything. */
const liveIn = (event: object): string | undefined =>
  "args" in event && typeof event.args === "object" && event.args !== null && "live" in event.args ? String(event.args.live) : undefined

/** Collects all garbage, and returns V8's statistics of what lives. They are on for this collection alone, since they make each one longer. */
const collect = (): string => {
  const session = new Session()
  session.connect()
  let statistics = ""
  session.on("NodeTracing.dataCollected", ({ params }) => {
    for (const event of params.value) statistics = liveIn(event) ?? statistics
  })
  session.post("NodeTracing.start", { traceConfig: { includedCategories: ["disabled-by-default-v8.gc_stats"] } })
  globalThis.gc?.()
  session.post("NodeTracing.stop")
  session.disconnect()
  return statistics
}

process.on("SIGUSR2", () => {
  const kept = keptBytes(collect())
  if (kept === undefined) throw new Error("V8 wrote no statistics of its heap by type.")
  appendFileSync(file, `${kept + process.memoryUsage().external}\n`)
})
