// The worker's own output, which the container runtime keeps as the container's log.
// Always holds: it is written at the pace of whoever reads it, but nobody who stops to read holds up the engine, or the saving of its state, for long; what was dropped is marked.
// Used by worker/stage.ts.
import { Duration, Effect } from "effect"
import { gapMark } from "./log-shipper.ts"

/** Longer than a busy node or the rotation of a log takes, and less than a short grace period. */
const patience = Duration.seconds(20)

/** Writes to a stream; `taken` is called when it has passed these bytes on. */
export type Write = (bytes: Uint8Array, taken: () => void) => void

export const printTo = (write: Write): (bytes: Uint8Array) => Effect.Effect<void> => {
  let stalled = false
  let dropped = 0
  const put = (bytes: Uint8Array) =>
    Effect.callback<void>((resume) =>
      write(bytes, () => {
        stalled = false
        resume(Effect.void)
      })
    ).pipe(Effect.timeoutOrElse({
      duration: patience,
      orElse: () =>
        Effect.sync(() => {
          stalled = true
        })
    }))
  return (bytes) =>
    Effect.suspend(() => {
      if (stalled) {
        dropped += bytes.length
        return Effect.void
      }
      const missing = dropped > 0 ? gapMark(dropped, "nobody took this output in time") : new Uint8Array()
      dropped = 0
      return put(Buffer.concat([missing, bytes]))
    })
}

/** A pipe in its container, which Node writes to without waiting. */
export const printed = printTo((bytes, taken) => void process.stdout.write(bytes, () => taken()))
