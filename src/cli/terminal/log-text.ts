// Turns the bytes of a stored log into text that is safe to print: removes the frame, and all escape sequences but colours.
// Invariant: nothing is written over, concealed or reordered, and text comes out the same however the bytes are cut into chunks.
// Used by run, logs and bundle.
import { inOrder } from "./visible.ts"

/** The first byte of every log (TFE API). */
const begin = 0x02
/** The last byte of a complete log (TFE API). */
const end = 0x03

export interface LogText {
  /** Returns the text of the next bytes. What may be half a character or half an escape sequence is kept for the next call. */
  readonly push: (bytes: Uint8Array) => string
  /** Reports whether the log may have ended. More may follow, because an engine or a provisioner may print the end byte too. */
  readonly ended: () => boolean
  /** Returns the text that was kept for the next call. For the end of the log. */
  readonly rest: () => string
}

// A control sequence (ESC [ … letter), a string command (ESC ] … BEL or ESC \ and its kin), a two-character escape, the end of a
// line, or a lone control character.
// oxlint-disable-next-line no-control-regex
const escapes =
  /\u001b\[[0-?]*[ -/]*[@-~]|\u001b[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[ -/]*[0-Z\\-~]|\r\n?|[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u0080-\u009f]/gu
/** A code of weight, slant, underline, blinking or colour, with its arguments, or of what ends these: not of what conceals text. */
const shows =
  "(?:0?[0-79]|2[2-7]|29|3[0-79]|4[0-79]|[34]8(?:;5;\\d{1,3}|;2(?:;\\d{1,3}){3}|:5:\\d{1,3}|:2(?::\\d{0,3}){3,4})|9[0-7]|10[0-7])?"
const colour = new RegExp(`^\\u001b\\[${shows}(?:;${shows})*m$`, "u")
// An escape sequence, or the end of a line, that may go on in the next chunk.
// oxlint-disable-next-line no-control-regex
const unfinished = /(?:\u001b(?:\[[0-?]*[ -/]*|[\]PX^_][^\u0007\u001b]*\u001b?|[ -/]*)?|\r)$/u
const longestEscape = 4096

/**
 * Returns a decoder of one log. `colours`: whether colour sequences stay. Other escape sequences and control characters are removed, but
 * for tab and line feed. A carriage return that is not before a line feed becomes one, so that nothing is written over. `skipLines`: how
 * many lines to drop at the beginning, which only stock clients need.
 */
export const logText = (colours: boolean, skipLines = 0): LogText => {
  const decoder = new TextDecoder()
  let over = false
  let kept = ""
  let toSkip = skipLines
  const shown = (found: string) => {
    if (found.startsWith("\r")) return found.endsWith("\n") ? found : "\n"
    return colours && colour.test(found) ? found : ""
  }
  const clean = (text: string) => inOrder(text.replace(escapes, shown))
  return {
    push: (bytes) => {
      over = bytes.at(-1) === end
      let text = kept + decoder.decode(bytes.filter((byte) => byte !== begin && byte !== end), { stream: true })
      while (toSkip > 0 && text.includes("\n")) {
        text = text.slice(text.indexOf("\n") + 1)
        toSkip -= 1
      }
      if (toSkip > 0) {
        kept = text
        return ""
      }
      const open = unfinished.exec(text)
      const cut = open === null || text.length - open.index > longestEscape ? text.length : open.index
      kept = text.slice(cut)
      return clean(text.slice(0, cut))
    },
    ended: () => over,
    rest: () => clean(kept + decoder.decode())
  }
}
