// Turns the bytes of a stored log into text that is safe to print: removes the frame, and all escape sequences but colours.
// Invariant: text comes out the same however the bytes are cut into chunks.
// Used by run, logs and bundle.

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

// A control sequence (ESC [ … letter), a string command (ESC ] … BEL or ESC \ and its kin), a two-character escape, or a lone control
// character.
// oxlint-disable-next-line no-control-regex
const escapes =
  /\u001b\[[0-?]*[ -/]*[@-~]|\u001b[\]PX^_][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[ -/]*[0-Z\\-~]|[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\u0080-\u009f]/gu
// oxlint-disable-next-line no-control-regex
const colour = /^\u001b\[[0-9;:]*m$/u
// An escape sequence that may go on in the next chunk.
// oxlint-disable-next-line no-control-regex
const unfinished = /\u001b(?:\[[0-?]*[ -/]*|[\]PX^_][^\u0007\u001b]*\u001b?|[ -/]*)?$/u
const longestEscape = 4096

/**
 * Returns a decoder of one log. `colours`: whether colour sequences stay. Other escape sequences and control characters are removed, but
 * for tab, line feed and carriage return. `skipLines`: how many lines to drop at the beginning, which only stock clients need.
 */
export const logText = (colours: boolean, skipLines = 0): LogText => {
  const decoder = new TextDecoder()
  let over = false
  let kept = ""
  let toSkip = skipLines
  const clean = (text: string) => text.replace(escapes, (sequence) => colours && colour.test(sequence) ? sequence : "")
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
