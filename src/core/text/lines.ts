// Splits chunks of bytes from elsewhere into lines: each is decoded as a whole, and none is longer than the limit.
// Invariant: what is kept between two chunks is never longer than the limit; a longer line is skipped to its end.
// Used by worker/engine/engine.ts for the engine's events and its log.
import { joined } from "../../schema/joined.ts"

/** A line without an end yet. `skipped` says that it is too long already. */
export interface Unfinished {
  readonly bytes: Uint8Array
  readonly skipped: boolean
}

export const noLine: Unfinished = { bytes: new Uint8Array(), skipped: false }

const newline = 0x0a

const continued = ({ bytes, skipped }: Unfinished, more: Uint8Array, limit: number): Unfinished =>
  skipped || bytes.length + more.length > limit ? { bytes: noLine.bytes, skipped: true } : { bytes: joined([bytes, more]), skipped: false }

/** Returns the line that `chunk` leaves without an end, and the lines that end in `chunk`. */
export const linesOf = (before: Unfinished, chunk: Uint8Array, limit: number): readonly [Unfinished, ReadonlyArray<string>] => {
  const decoder = new TextDecoder()
  const lines: Array<string> = []
  let unfinished = before
  let from = 0
  for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, from)) {
    const { bytes, skipped } = continued(unfinished, chunk.subarray(from, end), limit)
    if (!skipped) lines.push(decoder.decode(bytes))
    unfinished = noLine
    from = end + 1
  }
  return [continued(unfinished, chunk.subarray(from), limit), lines]
}
