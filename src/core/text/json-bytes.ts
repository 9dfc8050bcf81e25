// The bytes that make up the structure of JSON, for those who look at its text without parsing it.
// Used by json-limits.ts and exact-json.ts.

export const quote = 0x22
export const comma = 0x2c
const backslash = 0x5c
/** The bit that alone tells [ from {, and ] from }. */
const curly = 0x20

/** Reports whether an array or an object begins with this byte, outside a string. */
export const opens = (byte: number): boolean => (byte | curly) === 0x7b

/** Reports whether an array or an object ends with this byte, outside a string. */
export const closes = (byte: number): boolean => (byte | curly) === 0x7d

/**
 * Returns where the string that begins before `from` ends, or a place past all bytes. It goes byte by byte, because a search for the next
 * quote takes longer where there are many.
 */
export const endOfText = (json: Uint8Array, from: number): number => {
  let at = from
  while (at < json.length && json[at] !== quote) at += json[at] === backslash ? 2 : 1
  return at
}
