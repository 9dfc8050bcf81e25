// Bytes as a terminal shows them: without the sequences that only colour or move (CSI), and with the place of each byte in the original.
// Invariant: what is left out after a kept byte depends on nothing before that byte, so a stream may be cut after any kept byte.
// Used by core/text/redact.ts, which also finds a secret that has colours inside.

const escape = 0x1b
const bracket = 0x5b
/**
 * The most bytes of one sequence, and the most sequences in a row. Anything longer counts as text, so that no output can make us wait for
 * its end for ever.
 */
const longestSequence = 24
const sequencesInARow = 8

/** Returns the length of the sequence at `at`: 0 if there is none, NaN if the bytes end before that is known. */
const sequenceLength = (bytes: Uint8Array, at: number): number => {
  if (bytes[at] !== escape) return 0
  if (at + 1 >= bytes.length) return NaN
  if (bytes[at + 1] !== bracket) return 0
  for (let end = at + 2; end < at + longestSequence; end++) {
    const byte = bytes[end]
    if (byte === undefined) return NaN
    if (byte >= 0x40 && byte <= 0x7e) return end + 1 - at
    if (byte < 0x20 || byte > 0x3f) return 0
  }
  return 0
}

export interface Plain {
  readonly bytes: Uint8Array
  /** Returns the place in the original of the byte at `at`. */
  readonly original: (at: number) => number
  /** Whether the bytes end inside what may be a sequence, or right after a sequence, so that the next bytes may continue the row. */
  readonly isOpen: boolean
}

/** Returns the bytes without sequences. `last` says that nothing comes after these bytes. */
export const plainOf = (bytes: Uint8Array, last: boolean): Plain => {
  if (!bytes.includes(escape)) return { bytes, original: (at) => at, isOpen: false }
  const plain = new Uint8Array(bytes.length)
  const places = new Uint32Array(bytes.length)
  let size = 0
  let row = 0
  let at = 0
  while (at < bytes.length) {
    const length = row < sequencesInARow ? sequenceLength(bytes, at) : 0
    if (Number.isNaN(length) && !last) return { bytes: plain.subarray(0, size), original: (index) => places[index] ?? 0, isOpen: true }
    if (length > 0) {
      row++
      at += length
      continue
    }
    row = 0
    do {
      plain[size] = bytes[at] ?? 0
      places[size] = at
      size++
      at++
    } while (at < bytes.length && bytes[at] !== escape)
  }
  return { bytes: plain.subarray(0, size), original: (index) => places[index] ?? 0, isOpen: row > 0 && !last }
}
