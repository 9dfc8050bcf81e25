// Reads JSON without a loss of digits. JSON.parse reads numbers into 64 bits: long ones are rounded, and large ones are printed as null.
// Invariant: JSON.stringify prints each number either as it was written or as another spelling of the same one.
// Used by server/workspace/state-content.ts and cli/server/server-requests.ts.
import { Option } from "effect"
import { closes, comma, endOfText, opens, quote } from "./json-bytes.ts"

declare global {
  // Node has these; TypeScript does not know them yet.
  interface JSON {
    parse(text: string, reviver: (key: string, value: unknown, context: { readonly source?: string }) => unknown): unknown
    rawJSON(text: string): object
    isRawJSON(value: unknown): boolean
  }
}

const decoder = new TextDecoder()
const [point, colon] = [0x2e, 0x3a]
const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39
const isE = (byte: number): boolean => (byte | 0x20) === 0x65

/** The most characters of a number without an exponent that 64 bits hold, whatever it is. */
const heldCharacters = 15

/** Reports whether there is a number that 64 bits may not hold: a long one, or one with an exponent. */
export const hasLongNumber = (json: Uint8Array): boolean => {
  let length = 0
  for (let at = 0; at < json.length; at++) {
    const byte = json[at] ?? 0
    if (isDigit(byte) || (byte === point && length > 0)) {
      if (++length > heldCharacters) return true
    } else if (length > 0 && isE(byte)) return true
    else {
      length = 0
      if (byte === quote) at = endOfText(json, at + 1)
    }
  }
  return false
}

/** Reading with the sources of the numbers takes several times as long as without, and twice the memory. */
const parse = Option.liftThrowable((text: string, exactly: boolean): unknown =>
  exactly
    ? JSON.parse(text, (_, value, { source }) => typeof value === "number" && String(value) !== source ? JSON.rawJSON(source ?? "") : value)
    : JSON.parse(text)
)

/** Returns the value, with what JSON.rawJSON returns in the place of each number that would be printed otherwise; none if it is no JSON. */
export const parseExactly = (json: Uint8Array): Option.Option<unknown> => parse(decoder.decode(json), hasLongNumber(json))

/** Returns the last member of that name as it is written in an object, as JSON.parse takes the last one too. The JSON must be valid. */
export const memberOf = (json: Uint8Array, name: string): Uint8Array | undefined => {
  let [depth, key, from] = [0, "", 0]
  let found: Uint8Array | undefined
  for (let at = 0; at < json.length; at++) {
    const byte = json[at] ?? 0
    if (byte === quote) {
      const end = endOfText(json, at + 1)
      if (depth === 1 && from === 0) key = JSON.parse(decoder.decode(json.subarray(at, end + 1)))
      at = end
    } else if (depth === 1 && byte === colon) from = at + 1
    else if (opens(byte)) depth++
    else if (depth === 1 && (byte === comma || closes(byte))) {
      if (from > 0 && key === name) found = json.subarray(from, at)
      from = 0
      if (byte !== comma) depth--
    } else if (closes(byte)) depth--
  }
  return found
}
