// How deeply JSON text is nested, how many values it has and whether it is there to its end, told from its bytes before anything parses it:
// a parser or a printer that calls itself would run out of stack, and small values take many times their bytes of memory. Whether it is JSON at all is not asked here.
// Used by core/plan-changes.ts, server/answer.ts and server/state-body.ts.

const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
/** Of [ and {, and of ] and }, which are told from each other by this bit alone. */
const curly = 0x20
const opening = 0x7b
const closing = 0x7d

export interface JsonLimits {
  readonly levels: number
  /** Each but the first comes after a comma or what opens another; an empty array or object counts twice. */
  readonly values: number
}

/** Where the text ends that begins before, or past all. By byte: to look for the next quote takes longer where there are many. */
const endOfText = (json: Uint8Array, from: number): number => {
  let at = from
  while (at < json.length && json[at] !== quote) at += json[at] === backslash ? 2 : 1
  return at
}

/** Which limit it is past, the one that is passed first; or `end`, where it ends within a text, an array or an object. */
export const jsonFault = ({ levels, values }: JsonLimits, json: Uint8Array): keyof JsonLimits | "end" | undefined => {
  let depth = 0
  let begun = 1
  for (let at = 0; at < json.length; at++) {
    const byte = json[at] ?? 0
    if (byte < quote) continue // a blank
    if (byte === quote) {
      at = endOfText(json, at + 1)
      if (at >= json.length) return "end"
    } else if (byte === comma) begun++
    else if ((byte | curly) === opening) {
      begun++
      if (++depth > levels) return "levels"
    } else if ((byte | curly) === closing) depth--
    if (begun > values) return "values"
  }
  return depth === 0 ? undefined : "end"
}

/** Which limit it is past. */
export const jsonExcess = (limits: JsonLimits, json: Uint8Array): keyof JsonLimits | undefined => {
  const fault = jsonFault(limits, json)
  return fault === "end" ? undefined : fault
}

export const isDeeperThan = (levels: number, json: Uint8Array): boolean => jsonExcess({ levels, values: Infinity }, json) !== undefined
