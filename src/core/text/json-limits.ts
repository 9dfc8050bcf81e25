// Tells from the bytes of JSON text, before it is parsed, how deeply it is nested, how many values it has and whether it is complete.
// A recursive parser or printer would run out of stack, and small values take many times their bytes of memory. Syntax is not checked here.
// Used by controller/pool/pool.ts, core/stage/plan-changes.ts, core/state/state-objects.ts and state-place.ts, server/access/http-request.ts, server/workspace/state-body.ts and state-content.ts.
import { closes, comma, endOfText, opens, quote } from "./json-bytes.ts"

export interface JsonLimits {
  readonly levels: number
  /** The most values. All but the first are counted by commas and opening brackets, so an empty array or object counts twice. */
  readonly values: number
}

/**
 * Returns the limit that is exceeded first, `end` if the JSON stops inside a string, an array or an object, or undefined if neither is so.
 */
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
    else if (opens(byte)) {
      begun++
      if (++depth > levels) return "levels"
    } else if (closes(byte)) depth--
    if (begun > values) return "values"
  }
  return depth === 0 ? undefined : "end"
}

/** Returns the limit that is exceeded first, or undefined. */
export const jsonExcess = (limits: JsonLimits, json: Uint8Array): keyof JsonLimits | undefined => {
  const fault = jsonFault(limits, json)
  return fault === "end" ? undefined : fault
}
