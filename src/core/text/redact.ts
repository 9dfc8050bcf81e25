// Takes secrets out of a stream of bytes, in the forms in which programs print them, coloured or not, however the stream is chunked.
// Invariant: every byte that belongs to an occurrence of a form is masked, and bytes are held back only while they may begin one.
// Used by worker/engine/log-shipper.ts; worker/engine/journal.ts and core/state/state-objects.ts know the mask.
import { joined } from "../../schema/joined.ts"
import { plainOf } from "./escapes.ts"
import { forms, shortestSecret } from "./secret-forms.ts"

/** What stands for a secret. */
export const mask = "***"
/** Longer forms are looked for in pieces of this many bytes, so that little is held back, and a part of a long secret is masked too. */
const pieceBytes = 64

const encoder = new TextEncoder()

const pieces = (form: Uint8Array): ReadonlyArray<Uint8Array> =>
  form.length <= pieceBytes
    ? [form]
    : Array.from({ length: Math.ceil(form.length / pieceBytes) }, (_, index) => {
      const start = Math.min(index * pieceBytes, form.length - pieceBytes)
      return form.subarray(start, start + pieceBytes)
    })

/** The pieces of all forms, sorted, so that a search takes few steps however many begin alike. */
interface Index {
  /** By the bucket of its first four bytes: 1 if a piece begins with such, so that most positions of a text are passed over at once. */
  readonly mayBegin: Uint8Array
  /** A character is a byte. */
  readonly sorted: ReadonlyArray<string>
  /** The same by the first four bytes, in the same order. */
  readonly byFirstFour: ReadonlyMap<number | undefined, ReadonlyArray<string>>
}

const firstFour = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0)

/** Returns one of 65,536 numbers. The factor spreads them: it is 2^32 by the golden ratio (Knuth's multiplicative hashing). */
const bucket = (four: number): number => Math.imul(four, 0x9e3779b1) >>> 16

/** Returns the pieces of all forms, each with its first four bytes. */
const piecesOf = (secrets: ReadonlyArray<string>): ReadonlyMap<string, number> => {
  const unique = new Map<string, number>()
  for (const form of secrets.filter((secret) => secret.length >= shortestSecret).flatMap(forms)) {
    const { bytes } = plainOf(encoder.encode(form), true) // looked for without the colours that the form itself may have
    if (bytes.length >= shortestSecret) {
      for (const piece of pieces(bytes)) unique.set(String.fromCharCode(...piece), firstFour(piece, 0))
    }
  }
  return unique
}

const indexOf = (unique: ReadonlyMap<string, number>): Index => {
  const mayBegin = new Uint8Array(65_536)
  for (const first of unique.values()) mayBegin[bucket(first)] = 1
  const sorted = [...unique.keys()].sort()
  return { mayBegin, sorted, byFirstFour: Map.groupBy(sorted, (piece) => unique.get(piece)) }
}

/** Returns how many bytes from `at` on, and before `end`, are those of the piece. */
const shared = (bytes: Uint8Array, at: number, end: number, piece: string): number => {
  const most = Math.min(piece.length, end - at)
  let length = 0
  while (length < most && bytes[at + length] === piece.charCodeAt(length)) length++
  return length
}

/** Returns how many pieces are not sorted after the bytes between `at` and `end`. */
const countUpTo = (sorted: ReadonlyArray<string>, bytes: Uint8Array, at: number, end: number): number => {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    const piece = sorted[middle] ?? ""
    const length = shared(bytes, at, end, piece)
    const isAfter = length < piece.length && (at + length === end || piece.charCodeAt(length) > (bytes[at + length] ?? 0))
    if (isAfter) high = middle
    else low = middle + 1
  }
  return low
}

/**
 * Returns the length of the longest piece that stands at `at`. If the last piece that is not sorted after the bytes does not stand there,
 * only a beginning of what they share can.
 */
const longestMatch = ({ byFirstFour }: Index, bytes: Uint8Array, at: number, four: number): number => {
  const sorted = byFirstFour.get(four)
  if (sorted === undefined) return 0
  let length = Math.min(pieceBytes, bytes.length - at)
  for (;;) {
    const count = countUpTo(sorted, bytes, at, at + length)
    if (count === 0) return 0
    const piece = sorted[count - 1] ?? ""
    length = shared(bytes, at, at + length, piece)
    if (length === piece.length) return length
  }
}

/** Returns where the first piece begins that the end of the bytes cuts off, or the number of bytes if there is none. */
const undecidedFrom = ({ mayBegin, sorted }: Index, bytes: Uint8Array): number => {
  const end = bytes.length
  for (let at = Math.max(0, end - pieceBytes + 1); at < end; at++) {
    if (at + 4 <= end && mayBegin[bucket(firstFour(bytes, at))] === 0) continue
    if (shared(bytes, at, end, sorted[countUpTo(sorted, bytes, at, end)] ?? "") === end - at) return at
  }
  return end
}

/**
 * What is kept between two chunks: the bytes held back, how many of the first ones are known to be secret, and whether the last byte before
 * them was.
 */
export interface Redaction {
  readonly held: Uint8Array
  readonly covered: number
  readonly masking: boolean
}

export const begin: Redaction = { held: new Uint8Array(), covered: 0, masking: false }

export interface Redactor {
  /** Takes the next chunk. Returns the new state, and what may be shown of this chunk and those before it. */
  readonly next: (state: Redaction, chunk: Uint8Array) => readonly [Redaction, Uint8Array]
  /** Returns what is still held back at the end of the stream, with secrets masked. */
  readonly end: (state: Redaction) => Uint8Array
  /** Returns a whole text with secrets masked. */
  readonly text: (text: string) => string
  /** Returns the redactor of more secrets and these, whose forms are not made again: that takes a second for 128 KiB of them. */
  readonly and: (more: ReadonlyArray<string>) => Redactor
}

const maskBytes = encoder.encode(mask)

export const redactor = (secrets: ReadonlyArray<string>): Redactor => redactorOf(piecesOf(secrets))

const redactorOf = (unique: ReadonlyMap<string, number>): Redactor => {
  const index = indexOf(unique)

  const step = (state: Redaction, chunk: Uint8Array, last: boolean): readonly [Redaction, Uint8Array] => {
    const all = state.held.length === 0 ? chunk : joined([state.held, chunk])
    const plain = plainOf(all, last)
    const { bytes } = plain
    /** Returns where the first `count` bytes end in `all`: before the colours that come next, which belong to what follows them. */
    const endOf = (count: number): number => count === 0 ? 0 : plain.original(count - 1) + 1
    const until = last ? bytes.length : undecidedFrom(index, bytes)
    // So colours before an undecided byte are undecided too.
    const end = last || (until === bytes.length && !plain.isOpen) ? all.length : endOf(until)
    const shown: Array<Uint8Array> = []
    let { covered, masking } = state
    let clearFrom = 0
    let four = firstFour(bytes, 0) >>> 8
    for (let at = 0; at < until; at++) {
      four = (four << 8) | (bytes[at + 3] ?? 0) // so that a position costs one more byte
      const mayBegin = index.mayBegin[bucket(four)] === 1
      if (!masking && !mayBegin) continue
      if (mayBegin) covered = Math.max(covered, at + longestMatch(index, bytes, at, four))
      if (at < covered && !masking) shown.push(all.subarray(clearFrom, plain.original(at)), maskBytes)
      if (at >= covered && masking) clearFrom = endOf(at)
      masking = at < covered
    }
    if (!masking) shown.push(all.subarray(clearFrom, end))
    else if (last) shown.push(all.subarray(endOf(until))) // colours after the last secret
    return [{ held: all.slice(end), covered: Math.max(0, covered - until), masking }, joined(shown)]
  }

  const next: Redactor["next"] = (state, chunk) => step(state, chunk, false)
  const end: Redactor["end"] = (state) => step(state, new Uint8Array(), true)[1]
  const text: Redactor["text"] = (text) => new TextDecoder().decode(step(begin, encoder.encode(text), true)[1])
  const and: Redactor["and"] = (more) => more.length === 0 ? own : redactorOf(new Map([...unique, ...piecesOf(more)]))
  const own: Redactor = { next, end, text, and }
  return own
}
