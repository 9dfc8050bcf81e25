// The worker's own output, which the container runtime keeps as the container's log.
// Invariant: output goes at its reader's pace, but a reader that stops holds up neither engine nor state for long; gaps are marked.
// Used by worker/stage/stage.ts.
import { Duration, Effect } from "effect"
import { gapMark } from "./log-shipper.ts"

/** How long a write may take: longer than a busy node or the rotation of a log needs, and less than a short grace period. */
const patience = Duration.seconds(20)

/** Writes to a stream; `taken` is called when the stream has passed these bytes on. */
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

/** Prints to stdout, which is a pipe in the container, so that Node writes to it without blocking. */
export const printToStdout = printTo((bytes, taken) => void process.stdout.write(bytes, () => taken()))
