// How deeply JSON text is nested and how many values it has, told from its bytes before anything parses it:
// a parser or a printer that calls itself would run out of stack, and small values take many times their bytes of memory. Whether it is JSON at all is not asked here.
// Used by core/plan-changes.ts, server/answer.ts and server/state-versions.ts.

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const opening = new Set([0x5b, 0x7b]) // [ {
const closing = new Set([0x5d, 0x7d]) // ] }

export interface JsonLimits {
  readonly levels: number
  /** Each but the first comes after a comma or what opens another; an empty array or object counts twice. */
  readonly values: number
}

/** Which limit it is past, the one that is passed first. */
export const jsonExcess = ({ levels, values }: JsonLimits, json: Uint8Array): keyof JsonLimits | undefined => {
  let depth = 0
  let begun = 1
  let inText = false
  for (let at = 0; at < json.length; at++) {
    const byte = json[at] ?? 0
    if (inText) {
      if (byte === backslash) at++
      else if (byte === quote) inText = false
    } else if (byte === quote) inText = true
    else if (byte === comma) begun++
    else if (opening.has(byte)) {
      begun++
      if (++depth > levels) return "levels"
    } else if (closing.has(byte)) depth--
    if (begun > values) return "values"
  }
  return undefined
}

export const isDeeperThan = (levels: number, json: Uint8Array): boolean => jsonExcess({ levels, values: Infinity }, json) !== undefined
