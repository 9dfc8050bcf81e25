// How deeply JSON text is nested, told from its bytes before anything parses it: a parser or a printer that calls itself would run out of stack.
// Whether it is JSON at all is not asked here.
// Used by server/answer.ts and server/state-versions.ts.

const quote = 0x22
const backslash = 0x5c
const opening = new Set([0x5b, 0x7b]) // [ {
const closing = new Set([0x5d, 0x7d]) // ] }

export const isDeeperThan = (limit: number, json: Uint8Array): boolean => {
  let depth = 0
  let inText = false
  for (let at = 0; at < json.length; at++) {
    const byte = json[at] ?? 0
    if (inText) {
      if (byte === backslash) at++
      else if (byte === quote) inText = false
    } else if (byte === quote) inText = true
    else if (opening.has(byte)) {
      if (++depth > limit) return true
    } else if (closing.has(byte)) depth--
  }
  return false
}
